from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from monge import ot
from monge.ot.backend import Backend, use_backend
from monge.ot.gradients import implicit_potentials
from monge.ot.operators import solve_marginal_system
from oracles.entropic import entropic_plan

pytestmark = pytest.mark.skipif(find_spec("numba") is None, reason="Numba is not installed")

BACKENDS: tuple[Backend, Backend] = ("compiled", "torch")
TIGHT: dict[str, Any] = {"tol": 1e-12, "max_iter": 100_000}
Array = NDArray[np.float64]


def problem(*shape: int, dtype: torch.dtype = torch.float64, zeros: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Cost with a forbidden pair, and weights of mass one."""
    cost = torch.rand(*shape, dtype=torch.float64)
    if min(shape[-2:]) > 2:
        cost[..., 0, 1] = torch.inf
    weights = []
    for size in shape[-2:]:
        w = torch.rand(*shape[:-2], size, dtype=torch.float64) + 0.1
        if zeros and size > 3:
            w[..., 1] = 0.0
            w[..., 3] = 0.0
        weights.append(w / w.sum(-1, keepdim=True))
    return cost.to(dtype), weights[0].to(dtype), weights[1].to(dtype)


def by_backend(function: Callable[..., tuple[Tensor, ...]], *inputs: Tensor) -> list[tuple[Tensor, ...]]:
    """Gradients of the weighted sum of what a function returns, by each backend."""
    found = []
    for name in BACKENDS:
        leaves = [t.detach().clone().requires_grad_() for t in inputs]
        with use_backend(name):
            total = torch.stack([(out * direction(out)).sum() for out in function(*leaves)]).sum()
            found.append(torch.autograd.grad(total, leaves))
    return found


def direction(like: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like.dtype)


def plan_by_textbook(cost: Array, a: Array, b: Array, epsilon: float) -> Array:
    mass = 0.5 * (a.sum() + b.sum())
    return mass * entropic_plan(cost, a / a.sum(), b / b.sum(), epsilon)


def slope(function: Callable[[Array], float], at: Array, step: float = 1e-5) -> Array:
    """Gradient by central differences."""
    gradient = np.zeros_like(at)
    for k in np.ndindex(*at.shape):
        ends = []
        for sign in (1, -1):
            moved = at.copy()
            moved[k] += sign * step
            ends.append(function(moved))
        gradient[k] = (ends[0] - ends[1]) / (2 * step)
    return gradient


def test_plan_gradient_equals_that_of_the_textbook_s_plan() -> None:
    cost, a, b = (t.numpy() for t in problem(4, 5))
    cost[0, 1] = 0.5
    weight = direction(torch.empty(4, 5)).double().numpy()
    leaves = [torch.from_numpy(t.copy()).requires_grad_() for t in (cost, 1.5 * a, 1.5 * b)]
    epsilon = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    with use_backend("compiled"):
        plan = ot.sinkhorn(*leaves, epsilon=epsilon, grad="implicit", **TIGHT).plan
        np.testing.assert_allclose(plan.detach(), plan_by_textbook(cost, 1.5 * a, 1.5 * b, 0.2), atol=1e-10)
        (plan * torch.from_numpy(weight)).sum().backward()

    def value(c: Array = cost, p: Array = 1.5 * a, q: Array = 1.5 * b, e: float = 0.2) -> float:
        return float((weight * plan_by_textbook(c, p, q, e)).sum())

    expected = (
        slope(lambda c: value(c=c), cost),
        slope(lambda p: value(p=p), 1.5 * a),
        slope(lambda q: value(q=q), 1.5 * b),
    )
    for leaf, gradient in zip(leaves, expected):
        assert leaf.grad is not None
        np.testing.assert_allclose(leaf.grad, gradient, rtol=1e-5, atol=1e-7)
    by_epsilon = slope(lambda e: value(e=float(e[0])), np.array([0.2]))
    assert float(epsilon.grad) == pytest.approx(by_epsilon[0], rel=1e-6)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("shape", [(7, 5), (3, 33, 20), (2, 1, 3), (2, 3, 1), (1, 1), (2, 6, 64)])
def test_backends_agree(shape: tuple[int, ...], zeros: bool, dtype: torch.dtype) -> None:
    cost, a, b = problem(*shape, dtype=dtype, zeros=zeros)
    tol = 1e-10 if dtype == torch.float64 else 1e-5
    epsilon = torch.linspace(0.1, 0.3, 3, dtype=dtype)[: shape[0] if len(shape) == 3 else 1].reshape(shape[:-2])

    def everything(c: Tensor, p: Tensor, q: Tensor, e: Tensor) -> tuple[Tensor, ...]:
        solved = ot.sinkhorn(c, 3 * p, 3 * q, epsilon=e, grad="implicit", tol=tol, max_iter=20_000)
        return solved.plan, *solved.potentials, solved.value

    ours, theirs = by_backend(everything, cost, a, b, epsilon)
    close = {"rtol": 1e-5, "atol": 1e-7} if dtype == torch.float64 else {"rtol": 2e-3, "atol": 2e-3}
    supported = (torch.ones_like(cost) > 0, a > 0, b > 0, epsilon > 0)
    for found, expected, known in zip(ours, theirs, supported):
        assert torch.isfinite(found).all()
        torch.testing.assert_close(found[known], expected[known], **close)


def test_gradient_to_a_weight_of_zero_is_the_limit_of_small_ones() -> None:
    cost, a, b = problem(5, 6)
    weight = direction(cost)
    found = []
    for small in (0.0, 1e-7):
        leaf = a.clone()
        leaf[2] = small
        leaf.requires_grad_()
        with use_backend("compiled"):
            plan = ot.sinkhorn(cost, leaf / leaf.sum(), b, epsilon=0.2, grad="implicit", **TIGHT).plan
            found.append(torch.autograd.grad((plan * weight).sum(), leaf)[0])
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-5)


def test_fine_costs_are_differentiated_in_float64() -> None:
    """Where float32 cannot resolve the exponent the potentials are float64, and so is the linear system."""
    cost, a, b = problem(2, 12, 9)
    exact = 1e4 + cost
    found = []
    for dtype in (torch.float32, torch.float64):
        leaf = exact.to(dtype).requires_grad_()
        with use_backend("compiled"):
            plan = ot.sinkhorn(leaf, a.to(dtype), b.to(dtype), epsilon=0.1, grad="implicit", tol=1e-5).plan
            found.append(torch.autograd.grad((plan * direction(plan)).sum(), leaf)[0].double())
    assert found[0].dtype == torch.float64
    rounded = exact.float().double().requires_grad_()
    with use_backend("torch"):
        plan = ot.sinkhorn(rounded, a, b, epsilon=0.1, grad="implicit", tol=1e-5).plan
        (expected,) = torch.autograd.grad((plan * direction(plan)).sum(), rounded)
    torch.testing.assert_close(found[0], expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_marginal_system_equals_dense_algebra(dtype: torch.dtype) -> None:
    cost, a, b = problem(3, 9, 14)
    plan = torch.from_numpy(
        np.stack([entropic_plan(np.minimum(c, 9.0), p, q, 0.2) for c, p, q in zip(*(t.numpy() for t in (cost, a, b)))])
    )
    scaled = plan / (a.unsqueeze(2) * b.unsqueeze(1)).sqrt()
    rhs = torch.randn(3, 14, dtype=torch.float64)
    null = b.sqrt()
    matrix = torch.eye(14, dtype=torch.float64) - scaled.mT @ scaled
    projected = rhs - (rhs * null).sum(1, keepdim=True) * null
    expected = (torch.linalg.pinv(matrix, rtol=1e-9) @ projected.unsqueeze(2)).squeeze(2)
    for name in BACKENDS:
        with use_backend(name):
            found = solve_marginal_system(*(t.to(dtype) for t in (scaled, rhs, null)))
        assert found.dtype == dtype
        torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-9 if dtype == torch.float64 else 1e-4)


def test_threads_change_nothing() -> None:
    cost, a, b = problem(40, 17, 23, dtype=torch.float32)
    potentials = ot.sinkhorn(cost, a, b, epsilon=0.1, grad="none").potentials
    epsilon = torch.full((40,), 0.1)

    def gradient() -> Tensor:
        leaf = cost.clone().requires_grad_()
        outputs = implicit_potentials(leaf, a, b, epsilon, *potentials)
        return torch.autograd.grad([(t * direction(t)).sum() for t in outputs], leaf)[0]

    with use_backend("compiled"):
        one = gradient()
        torch.set_num_threads(2)
        try:
            two = gradient()
        finally:
            torch.set_num_threads(1)
    assert torch.equal(one, two)


def test_compiled_graphs_differentiate_the_plan() -> None:
    cost, a, b = problem(2, 6, 5)
    weight = direction(cost)

    def loss(c: Tensor) -> Tensor:
        return (ot.sinkhorn(c, a, b, epsilon=0.2, grad="implicit", on_fail="ignore", **TIGHT).plan * weight).sum()

    found = []
    for function in (loss, torch.compile(loss, fullgraph=True, backend="aot_eager")):
        leaf = cost.clone().requires_grad_()
        function(leaf).backward()  # type: ignore[no-untyped-call]
        found.append(leaf.grad)
    torch.testing.assert_close(*found, rtol=1e-6, atol=1e-9)


def test_the_plan_has_no_silent_second_derivative() -> None:
    cost, a, b = problem(4, 5)
    for name in BACKENDS:
        leaf = cost.clone().requires_grad_()
        with use_backend(name):
            plan = ot.sinkhorn(leaf, a, b, epsilon=0.2, grad="implicit").plan
        (gradient,) = torch.autograd.grad((plan * direction(plan)).sum(), leaf, create_graph=True)
        with pytest.raises(RuntimeError, match="no second derivative"):
            gradient.square().sum().backward()
