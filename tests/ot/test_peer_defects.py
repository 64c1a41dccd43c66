"""Defects measured in other libraries: each one a test that monge does not have it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from monge import ot
from monge.errors import ConvergenceWarning
from oracles.entropic import entropic_plan


def cost_of(n: int) -> Tensor:
    x = torch.randn(n, 16)
    y = torch.randn(8, 16)[torch.randint(8, (n,))] + 0.6 * torch.randn(n, 16)
    cost = ot.pairwise_cost(x, y)
    return cost / cost.mean()


@pytest.mark.parametrize("n", [64, 128])
def test_small_epsilon_tends_to_the_exact_cost(n: int) -> None:
    """A proximal method with a wrong sign stays 17 to 98 % above it, with perfect marginals."""
    cost = cost_of(n)
    exact = cost.numpy()[linear_sum_assignment(cost.numpy())].mean()
    ours = float(ot.sinkhorn(cost, epsilon=1e-3, max_iter=50_000).cost)
    assert 0.998 * exact <= ours <= 1.02 * exact


@pytest.mark.parametrize("grad", ["envelope", "implicit", "unrolled"])
def test_gradient_of_the_value_has_mass_one(grad: str) -> None:
    """Last-step gradients have mass 1.9 to 3.6; symmetrised losses give twice the gradient."""
    cost = cost_of(20).double().requires_grad_()
    result = ot.sinkhorn(cost, epsilon=0.05, tol=1e-9, max_iter=50_000, grad=grad)  # type: ignore[arg-type]
    result.value.backward()
    assert cost.grad is not None
    assert float(cost.grad.sum()) == pytest.approx(1.0, rel=1e-6)
    torch.testing.assert_close(cost.grad, result.plan.detach(), atol=1e-8, rtol=0)


def test_implicit_plan_gradient_is_that_of_converged_iterations() -> None:
    """Plan gradients of one last step are off by 24 to 120 %."""
    cost, direction = cost_of(12).double(), torch.randn(12, 12, dtype=torch.float64)
    gradients = []
    for grad in ("implicit", "unrolled"):
        leaf = cost.clone().requires_grad_()
        plan = ot.sinkhorn(leaf, epsilon=0.1, tol=1e-12, max_iter=50_000, grad=grad).plan  # type: ignore[arg-type]
        (plan * direction).sum().backward()
        assert leaf.grad is not None
        gradients.append(leaf.grad)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-6, atol=1e-9)


def test_fifty_iterations_at_a_thousandth_are_flagged() -> None:
    """A batch solver returns an error of 0.45 there without a word."""
    with pytest.warns(ConvergenceWarning):
        result = ot.sinkhorn(cost_of(64), epsilon=1e-3, max_iter=50)
    assert not result.converged
    assert float(result.marginal_error) > 1e-3


@pytest.mark.parametrize("n", [64, 128])
def test_float32_kernel_domain_at_a_hundredth_is_right(n: int) -> None:
    """Kernel-domain float32 elsewhere: an all-zero plan, or NaN, or a plan 6 to 20 times further off."""
    cost = cost_of(n)
    plan = ot.sinkhorn(cost, epsilon=0.01).plan
    uniform = np.full(n, 1 / n)
    reference = torch.from_numpy(entropic_plan(cost.double().numpy(), uniform, uniform, 0.01))
    assert float((plan.sum(0) - 1 / n).abs().sum() + (plan.sum(1) - 1 / n).abs().sum()) <= 1.2e-3
    assert float((plan - reference).abs().sum()) < 5e-2


def test_no_grad_stays_no_grad() -> None:
    """One loss leaves gradients enabled after a call inside ``no_grad``."""
    cost = cost_of(8).requires_grad_()
    with torch.no_grad():
        result = ot.sinkhorn(cost, epsilon=0.1)
        assert not torch.is_grad_enabled()
    assert not result.value.requires_grad


def test_float32_input_under_a_float64_default() -> None:
    """An acceleration elsewhere fails with a dtype error when the default is wider than the input."""
    cost = cost_of(32)
    torch.set_default_dtype(torch.float64)
    try:
        result = ot.sinkhorn(cost, epsilon=0.01, grad="implicit")
    finally:
        torch.set_default_dtype(torch.float32)
    assert result.plan.dtype == torch.float32
    assert result.converged


@pytest.mark.parametrize(("dtype", "best_peer"), [(torch.float16, 2.7e-3), (torch.bfloat16, 1.5e-2)])
def test_half_precision_marginals_are_a_tenth_of_the_best_peers(dtype: torch.dtype, best_peer: float) -> None:
    result = ot.sinkhorn(cost_of(49).to(dtype), epsilon=0.1, tol=1e-4)
    error = (result.plan.sum(0) - 1 / 49).abs().sum() + (result.plan.sum(1) - 1 / 49).abs().sum()
    assert float(error) <= 0.1 * best_peer


def test_autocast_does_not_reach_the_solve() -> None:
    """Under bfloat16 autocast a peer's marginal error is 3.5e-3."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = ot.sinkhorn(cost_of(49), epsilon=0.1, tol=1e-4)
        plan = result.plan
    assert plan.dtype == torch.float32
    assert float((plan.sum(0) - 1 / 49).abs().sum() + (plan.sum(1) - 1 / 49).abs().sum()) <= 3.5e-4


def test_euclidean_self_cost_has_no_nan_gradient() -> None:
    """A Wasserstein-1 loss elsewhere has NaN gradients from the zero diagonal of its self cost."""
    x = torch.randn(10, 3, requires_grad=True)
    ot.sinkhorn(ot.pairwise_cost(x, metric="euclidean"), epsilon=0.1).value.backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_value_of_a_non_negative_cost_is_not_negative() -> None:
    """With plain entropy instead of the relative one a "distance" comes out at -0.57."""
    assert float(ot.sinkhorn(0.01 * torch.rand(32, 32), epsilon=1.0).value) >= 0.0


def test_the_global_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    ot.sinkhorn(torch.ones(4, 4), epsilon=0.1)
    assert torch.equal(torch.get_rng_state(), before)


def test_float32_weights_of_many_points_are_feasible() -> None:
    """Elsewhere float32 marginals that sum to 1 only up to rounding give a plan of zeros."""
    a = torch.rand(5000)
    result = ot.sinkhorn(torch.rand(5000, 3), a / a.sum(), epsilon=0.1)
    assert result.converged
    assert float(result.plan.sum()) == pytest.approx(1.0, rel=1e-3)
