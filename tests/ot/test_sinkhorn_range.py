"""Never silently wrong: over the whole range a result meets its tolerance or says that it does not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from monge import ot
from monge.errors import ConvergenceWarning
from oracles.entropic import entropic_plan


def clustered_cost(batch: int, n: int, m: int) -> Tensor:
    centres = torch.randn(batch, 6, 8)
    x = centres[:, torch.randint(6, (n,))] + 0.5 * torch.randn(batch, n, 8)
    y = centres[:, torch.randint(6, (m,))] + 0.5 * torch.randn(batch, m, 8)
    return ot.pairwise_cost(x, y)


def error_of(plan: Tensor, a: Tensor, b: Tensor) -> Tensor:
    plan = plan.double()
    return (plan.sum(-1) - a).abs().sum(-1) + (plan.sum(-2) - b).abs().sum(-1)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("epsilon", [1.0, 0.1, 0.01, 1e-3, 1e-4])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 9), (8, 8), (40, 25)])
def test_float32_meets_the_tolerance_or_says_so(scale: float, epsilon: float, n: int, m: int) -> None:
    cost = scale * clustered_cost(3, n, m)
    a, b = torch.rand(3, n), torch.rand(3, m)
    if min(n, m) > 2:
        a[:, 0], b[:, -1] = 0.0, 0.0
    a, b = a / a.sum(1, keepdim=True), b / b.sum(1, keepdim=True)
    result = ot.sinkhorn(cost, a, b, epsilon=epsilon, relative=True, max_iter=3000, on_fail="ignore")
    found = error_of(result.plan, a, b)
    assert torch.isfinite(result.plan).all()
    assert torch.isfinite(result.value).all()
    assert (found[result.converged] <= 1.2e-3).all()
    assert (result.converged == (result.marginal_error <= 1e-3)).all()
    # The reported error is the true one.
    torch.testing.assert_close(
        found.float()[result.converged], result.marginal_error[result.converged], atol=2e-4, rtol=0
    )
    if epsilon >= 0.01:
        assert result.converged.all()


@pytest.mark.parametrize("n", [8, 128, 512])
def test_small_epsilon_reaches_the_tolerance_given_the_iterations(n: int) -> None:
    cost = clustered_cost(1, n, n)[0]
    result = ot.sinkhorn(cost, epsilon=1e-3, relative=True, max_iter=50_000, on_fail="raise")
    assert error_of(result.plan, torch.tensor(1 / n), torch.tensor(1 / n)) <= 1.2e-3


def test_float32_plan_at_small_epsilon_is_the_float64_plan() -> None:
    cost = clustered_cost(1, 30, 30)[0]
    epsilon = 0.01 * float(cost.mean())
    plan = ot.sinkhorn(cost, epsilon=epsilon, tol=1e-5, max_iter=50_000).plan
    uniform = torch.full((30,), 1 / 30, dtype=torch.float64).numpy()
    exact = torch.from_numpy(entropic_plan(cost.double().numpy(), uniform, uniform, epsilon))
    assert float((plan - exact).abs().sum()) < 1e-3


def test_stopping_early_is_flagged_and_warned_about_once_per_call_site() -> None:
    cost = clustered_cost(2, 64, 64)
    with pytest.warns(ConvergenceWarning, match="2 of 2 transport problems") as caught:
        for _ in range(3):
            result = ot.sinkhorn(cost, epsilon=1e-3, relative=True, max_iter=50)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert not result.converged.any()
    assert (result.marginal_error > 1e-3).all()
    assert (result.iterations == 50).all()
    with pytest.raises(RuntimeError, match="raise max_iter"):
        ot.sinkhorn(cost, epsilon=1e-3, relative=True, max_iter=50, on_fail="raise")


def test_an_infeasible_problem_is_flagged_without_nan() -> None:
    cost = torch.rand(2, 4, 4)
    cost[0, 1] = torch.inf
    result = ot.sinkhorn(cost, epsilon=0.1, on_fail="ignore")
    assert result.converged.tolist() == [False, True]
    assert torch.isfinite(result.plan).all()
    assert result.marginal_error[0] > 0.1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("grad", ["envelope", "implicit"])
def test_half_precision_solves_the_rounded_cost_in_float32(dtype: torch.dtype, grad: str) -> None:
    cost = torch.rand(3, 49, 49).to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = ot.sinkhorn(cost, epsilon=0.1, tol=1e-4, grad=grad)  # type: ignore[arg-type]
        plan = result.plan
        result.value.sum().backward()
    reference = ot.sinkhorn(cost.detach().float(), epsilon=0.1, tol=1e-4)
    assert plan.dtype == result.value.dtype == torch.float32
    torch.testing.assert_close(plan, reference.plan)
    torch.testing.assert_close(result.value, reference.value)
    assert cost.grad is not None
    assert cost.grad.dtype == dtype


def test_float64_stays_float64() -> None:
    result = ot.sinkhorn(torch.rand(5, 5, dtype=torch.float64), epsilon=0.1)
    assert result.plan.dtype == result.value.dtype == result.potentials[0].dtype == torch.float64


def test_extreme_weights() -> None:
    a = torch.tensor([1.0, 1e-12, 1e-20, 0.0, 1e-6])
    b = torch.tensor([1e-15, 1.0, 1e-3, 1e-30])
    a, b = a / a.sum(), b / b.sum()
    result = ot.sinkhorn(10 * torch.rand(5, 4), a, b, epsilon=0.05)
    assert result.converged
    assert error_of(result.plan, a, b) <= 1.2e-3
    torch.testing.assert_close(result.plan.sum(1)[:3], a[:3], rtol=1e-2, atol=0)
