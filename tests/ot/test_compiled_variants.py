from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import ot as pot
import pytest
import torch
from torch import Tensor

from monge import ot
from monge.ot.backend import Backend, use_backend

NEEDS_NUMBA = pytest.mark.skipif(find_spec("numba") is None, reason="Numba is not installed")
BACKENDS: tuple[Backend, Backend] = ("compiled", "torch")

Solver = Callable[..., ot.Transport]
SOLVERS: dict[str, Solver] = {
    "unbalanced": lambda c, a, b, **k: ot.sinkhorn_unbalanced(c, a, b, rho=0.5, **k),
    "barely unbalanced": lambda c, a, b, **k: ot.sinkhorn_unbalanced(c, a, b, rho=50.0, **k),
    "hardly bound": lambda c, a, b, **k: ot.sinkhorn_unbalanced(c, a, b, rho=0.02, **k),
    "partial": lambda c, a, b, **k: ot.sinkhorn_partial(c, a, b, mass=0.3 * a.detach().sum(-1), **k),
    "dustbin": lambda c, a, b, **k: ot.sinkhorn_dustbin(c, a, b, dustbin_cost=0.2, **k),
}


@pytest.fixture(params=["torch", pytest.param("compiled", marks=NEEDS_NUMBA)])
def backend(request: pytest.FixtureRequest) -> Any:
    with use_backend(request.param):
        yield request.param


def problem(n: int, m: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """Three problems; the first has a forbidden pair, the second points without mass, the third small weights."""
    cost = torch.rand(3, n, m, dtype=torch.float64)
    a, b = torch.rand(3, n, dtype=torch.float64) + 0.1, 1.3 * torch.rand(3, m, dtype=torch.float64) + 0.1
    if min(n, m) > 2:
        cost[0, 0, 1] = torch.inf
        a[1, 1], b[1, 2] = 0.0, 0.0
    a[2] *= 1e-4
    b[2] *= 1e-4
    return cost.to(dtype), a.to(dtype), b.to(dtype)


@NEEDS_NUMBA
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("epsilon", [1.0, 0.05, 0.004])
@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (9, 14)])
@pytest.mark.parametrize("solver", SOLVERS)
def test_both_backends_agree(solver: str, shape: tuple[int, int], epsilon: float, dtype: torch.dtype) -> None:
    if solver == "dustbin" and epsilon < 0.05:
        pytest.skip("takes tens of thousands of iterations")
    cost, a, b = problem(*shape, dtype=dtype)
    tol = 1e-9 if dtype == torch.float64 else 1e-5
    found = []
    for name in BACKENDS:
        leaves = [t.clone().requires_grad_() for t in (cost, a, b)]
        with use_backend(name):
            solved = SOLVERS[solver](*leaves, epsilon=epsilon, tol=tol, max_iter=20_000)
            gradients = torch.autograd.grad(solved.value.sum(), leaves)
            found.append((solved.value.detach(), solved.plan, solved.cost, *gradients))
        assert solved.converged.all()
        assert all(t.dtype == dtype for t in (*solved.potentials, solved.marginal_error, solved.plan, solved.value))
    close = {"rtol": 1e-5, "atol": 1e-7} if dtype == torch.float64 else {"rtol": 2e-3, "atol": 1e-4}
    if solver == "dustbin":  # balanced, where a gradient to weights without mass is what the solver extends
        found = [(*results[:4], *(g[w > 0] for g, w in zip(results[4:], (a, b)))) for results in found]
    for ours, theirs in zip(*found):
        assert torch.isfinite(ours).all()
        torch.testing.assert_close(ours, theirs, **close)


@NEEDS_NUMBA
@pytest.mark.parametrize("solver", SOLVERS)
def test_flags_agree_when_time_runs_out(solver: str) -> None:
    cost, a, b = problem(20, 20)
    for iterations in (1, 7, 40):
        flags = []
        for name in BACKENDS:
            with use_backend(name):
                solved = SOLVERS[solver](cost, a, b, epsilon=2e-3, max_iter=iterations, tol=1e-6, on_fail="ignore")
            assert torch.isfinite(solved.plan).all()
            assert (solved.iterations <= iterations).all()
            flags.append(solved.converged)
        assert torch.equal(*flags)


def test_tiny_epsilon_equals_the_linear_program(backend: Backend) -> None:
    """At cost over epsilon of 1e5 float32 would know nothing of the exponent, and kernels are all zero."""
    cost = torch.rand(4, 6, 6)
    solved = ot.sinkhorn_partial(cost, epsilon=1e-5, mass=0.5, max_iter=200_000, tol=1e-2)
    assert solved.converged.all()
    for one, c in zip(solved.cost, cost):
        exact = pot.partial.partial_wasserstein2(np.full(6, 1 / 6), np.full(6, 1 / 6), c.double().numpy(), m=0.5)
        assert float(one) == pytest.approx(float(exact), abs=2e-3)


def test_nothing_moves_where_moving_is_dear(backend: Backend) -> None:
    """Cost a thousand times rho: the plan is below the smallest float, its potentials are not."""
    cost = 900.0 + torch.rand(5, 7)
    leaf = cost.clone().requires_grad_()
    solved = ot.sinkhorn_unbalanced(leaf, epsilon=0.05, rho=1.0)
    assert solved.converged
    assert torch.isfinite(torch.cat(solved.potentials)).all()
    assert float(solved.plan.sum()) < 1e-10
    assert float(solved.value.detach()) == pytest.approx(
        2.0 + 0.05, rel=1e-5
    )  # rho (sum a + sum b) + epsilon sum a sum b
    (gradient,) = torch.autograd.grad(solved.value, leaf)
    assert float(gradient.abs().max()) < 1e-10


def test_a_strong_bond_costs_no_iterations(backend: Backend) -> None:
    """Plain iterations lose their total mass at the rate of ``(rho / (rho + epsilon))^2``; translations keep it."""
    cost = torch.rand(10, 10, dtype=torch.float64)
    weights = torch.rand(10, dtype=torch.float64), torch.rand(10, dtype=torch.float64)
    iterations = [
        int(ot.sinkhorn_unbalanced(cost, *weights, epsilon=0.2, rho=rho, tol=1e-6).iterations) for rho in (1.0, 1e4)
    ]
    assert max(iterations) <= 80


@pytest.mark.parametrize("solver", ["unbalanced", "partial"])
def test_gradient_to_a_weight_of_zero_is_the_limit_of_small_ones(backend: Backend, solver: str) -> None:
    cost, a, b = (t[0].clone() for t in problem(5, 6))
    found = []
    for small in (0.0, 1e-8):
        a[2] = small
        leaf = a.clone().requires_grad_()
        run = ot.sinkhorn_unbalanced if solver == "unbalanced" else ot.sinkhorn_partial
        option: dict[str, Any] = {"rho": 0.5} if solver == "unbalanced" else {"mass": 0.4}
        value = run(cost, leaf, b, epsilon=0.1, tol=1e-11, max_iter=50_000, **option).value
        found.append(torch.autograd.grad(value, leaf)[0])
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-6)


def test_a_point_without_a_partner_stays(backend: Backend) -> None:
    cost, a, b = (t[0].clone() for t in problem(4, 5))
    cost[2] = torch.inf
    leaf = a.clone().requires_grad_()
    solved = ot.sinkhorn_unbalanced(cost, leaf, b, epsilon=0.1, rho=0.3, tol=1e-9)
    assert solved.converged
    assert not solved.plan[2].any()
    (gradient,) = torch.autograd.grad(solved.value, leaf)
    # All that its mass does is to be paid for, apart from the entropy's reference measure.
    assert float(gradient[2]) == pytest.approx(0.3 + 0.1 * float(b.sum()), rel=1e-6)
    alone = ot.sinkhorn_unbalanced(cost[[0, 1, 3]], a[[0, 1, 3]], b, epsilon=0.1, rho=0.3, tol=1e-9)
    torch.testing.assert_close(solved.plan[[0, 1, 3]], alone.plan, rtol=1e-6, atol=1e-9)


def test_an_empty_problem_has_an_empty_plan(backend: Backend) -> None:
    cost = torch.rand(2, 3, 4)
    rows = torch.tensor([[True] * 3, [False] * 3])
    solved = ot.sinkhorn_unbalanced(cost, epsilon=0.1, rho=0.5, row_mask=rows)
    assert solved.converged.all()
    assert float(solved.value[1]) == 0.0
    assert not solved.plan[1].any()


def test_tolerance_is_relative_to_the_mass(backend: Backend) -> None:
    """With the price of the entropy adapted, a problem of a thousandfold mass is the same problem."""
    cost, a, b = (t[0] for t in problem(6, 7))
    for scale in (1e-6, 1e3):
        solved = ot.sinkhorn_unbalanced(cost, scale * a, scale * b, epsilon=0.05, rho=0.5, tol=1e-5)
        assert solved.converged
        tight = ot.sinkhorn_unbalanced(cost, scale * a, scale * b, epsilon=0.05, rho=0.5, tol=1e-10)
        gap = float((solved.plan - tight.plan).abs().sum()) / (scale * float(a.sum()))
        assert gap < 1e-3


def test_the_value_has_no_silent_second_derivative(backend: Backend) -> None:
    cost = torch.rand(4, 4, requires_grad=True)
    value = ot.sinkhorn_unbalanced(cost, epsilon=0.1, rho=0.5).value
    (gradient,) = torch.autograd.grad(value, cost, create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivative"):
        gradient.sum().backward()


@NEEDS_NUMBA
def test_threads_and_parts_change_nothing() -> None:
    cost, a, b = torch.rand(300, 40, 30), torch.rand(300, 40), torch.rand(300, 30)  # more than one part
    with use_backend("compiled"):
        together = ot.sinkhorn_unbalanced(cost, a, b, epsilon=0.1, rho=0.5).plan
        torch.set_num_threads(2)
        try:
            threaded = ot.sinkhorn_unbalanced(cost, a, b, epsilon=0.1, rho=0.5).plan
        finally:
            torch.set_num_threads(1)
        alone = ot.sinkhorn_unbalanced(cost[299], a[299], b[299], epsilon=0.1, rho=0.5).plan
    assert torch.equal(together, threaded)
    assert torch.equal(together[299], alone)
