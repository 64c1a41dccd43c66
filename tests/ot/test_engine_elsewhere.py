"""The engine where its tensors are on another device: the results of the CPU, all of them there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from elsewhere import elsewhere
from monge import ot
from monge.ot import use_backend

TIGHT: dict[str, Any] = {"tol": 1e-8, "max_iter": 20_000}


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def weights(seed: int, *shape: int) -> Tensor:
    w = drawn(seed, *shape) + 0.1
    return w / w.sum(-1, keepdim=True)


COST, A, B = drawn(0, 3, 6, 5), weights(1, 3, 6), weights(2, 3, 5)
P, Q = weights(3, 4, 5), weights(4, 4, 5)
PARENTS = [-1, 0, 0, 1, 1]

Solve = Callable[..., Any]
SOLVERS: dict[str, Solve] = {
    **{
        f"sinkhorn, {grad}": lambda c, a, b, grad=grad: ot.sinkhorn(c, a, b, epsilon=0.1, grad=grad, **TIGHT)
        for grad in ("envelope", "implicit", "unrolled")
    },
    "sinkhorn, annealed": lambda c, a, b: ot.sinkhorn(c, a, b, epsilon=0.002, relative=True, tol=1e-6, max_iter=50_000),
    "sinkhorn, masks": lambda c, a, b: ot.sinkhorn(
        c, epsilon=0.1, row_mask=(torch.arange(6, device=c.device) < 4).expand(3, 6), **TIGHT
    ),
    "unbalanced": lambda c, a, b: ot.sinkhorn_unbalanced(c, a, b, epsilon=0.1, rho=1.0, **TIGHT),
    "partial": lambda c, a, b: ot.sinkhorn_partial(c, a, b, epsilon=0.1, mass=0.6, **TIGHT),
    "dustbin": lambda c, a, b: ot.sinkhorn_dustbin(c, epsilon=0.1, dustbin_cost=0.4, **TIGHT),
    "emd": lambda c, a, b: ot.emd(c, a, b),
    "assignment": lambda c, a, b: ot.emd(c[:, :5]),
}
DISTANCES: dict[str, Solve] = {
    "emd_line": ot.emd_line,
    "emd_line, squared": lambda p, q: ot.emd_line(p, q, power=2),
    "cramer_line": ot.cramer_line,
    "cramer_line_from_logits": lambda p, q: ot.cramer_line_from_logits(p, q),
    "emd_tree": lambda p, q: ot.emd_tree(p, q, PARENTS, torch.ones(5, dtype=p.dtype, device=p.device)),
    "cramer_tree": lambda p, q: ot.cramer_tree(p, q, PARENTS, torch.ones(5, dtype=p.dtype, device=p.device)),
    "pairwise_cost": lambda p, q: ot.pairwise_cost(p, q, "cosine"),
}


def solved(solve: Solve, device: torch.device | str) -> list[Tensor]:
    """Everything a solver says and the gradients of value and plan, on the CPU."""
    given = [t.detach().clone().to(device).requires_grad_() for t in (COST, A, B)]
    result = solve(*given)
    said = [result.value, result.cost, result.plan, *result.potentials, result.marginal_error, result.epsilon]
    assert {t.device for t in (*said, result.converged, result.iterations)} == {torch.device(device)}
    assert bool(result.converged.all())
    total = result.value.sum() + (result.plan.square().sum() if result.plan.requires_grad else 0.0)
    total.backward()
    return [t.detach().cpu() for t in (*said, *(leaf.grad for leaf in given if leaf.grad is not None))]


@pytest.mark.parametrize("solver", SOLVERS)
def test_solver_is_that_of_the_cpu(solver: str) -> None:
    with use_backend("torch"):
        expected = solved(SOLVERS[solver], "cpu")
        with elsewhere() as device:
            found = solved(SOLVERS[solver], device)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("float64", [True, False])
@pytest.mark.parametrize("distance", DISTANCES)
def test_distance_is_that_of_the_cpu(distance: str, float64: bool) -> None:
    found = []
    with elsewhere(float64=float64) as device:
        for where in (torch.device("cpu"), device):
            p, q = (t.to(torch.float64 if float64 else torch.float32, copy=True).to(where) for t in (P, Q))
            value = DISTANCES[distance](p.requires_grad_(), q)
            value.sum().backward()
            assert value.device == p.grad.device == where
            found.append((value.detach().cpu(), p.grad.cpu()))
    for ours, theirs in zip(*found):
        torch.testing.assert_close(ours, theirs)


def test_warm_starts_stay_there() -> None:
    with elsewhere() as device, use_backend("torch"):
        warm, keys = ot.WarmStart(6).to(device), torch.arange(6, device=device)
        cost, spent = COST[0].to(device), []
        for _ in range(2):
            problem = warm.at(keys, keys[:5])
            start = problem.init(cost, epsilon=0.02)
            result = ot.sinkhorn(cost, epsilon=0.02, init=start, tol=1e-6, max_iter=20_000)
            problem.keep(*result.potentials)
            spent.append(int(result.iterations))
        assert warm.row_potentials.device == device
    assert spent[1] < spent[0]


@pytest.mark.parametrize(("epsilon", "reachable"), [(1.0, True), (0.02, True), (1e-5, False)])
def test_a_device_without_float64_says_what_it_can_reach(epsilon: float, reachable: bool) -> None:
    cost, settings = 100.0 * COST.float(), {"epsilon": epsilon, "max_iter": 100_000, "on_fail": "ignore"}
    with use_backend("torch"):
        exact = ot.sinkhorn(cost.double(), **settings)
        with elsewhere(float64=False) as device:
            result = ot.sinkhorn(cost.to(device), **settings)
            value, plan, error, converged = (
                t.cpu() for t in (result.value, result.plan, result.marginal_error, result.converged)
            )
    real = (plan.sum(2) - 1 / 6).abs().sum(1) + (plan.sum(1) - 1 / 5).abs().sum(1)
    assert bool((real <= 3.0 * error + 2e-4).all())  # beyond float32 every way of rounding is another
    assert torch.equal(converged, error <= 1e-3)
    assert bool(converged.all()) == reachable
    torch.testing.assert_close(value[converged].double(), exact.value[converged], rtol=1e-4, atol=0)


def test_variants_on_a_device_without_float64() -> None:
    with elsewhere(float64=False) as device, use_backend("torch"):
        for solve, settings in (
            (ot.sinkhorn_unbalanced, {"rho": 1.0}),
            (ot.sinkhorn_partial, {"mass": 0.6}),
            (ot.sinkhorn_dustbin, {"dustbin_cost": 0.4}),
        ):
            expected = solve(COST, epsilon=0.1, **settings).value
            found = solve(COST.float().to(device), epsilon=0.1, **settings).value.cpu()
            torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-4)
