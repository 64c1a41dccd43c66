from __future__ import annotations

from typing import Any

import numpy as np
import ot as pot
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from monge import ot
from oracles.entropic import relative_entropy

TIGHT: dict[str, Any] = {"tol": 1e-11, "max_iter": 100_000}


@pytest.fixture
def problem() -> tuple[Tensor, Tensor, Tensor]:
    return (
        torch.rand(6, 7, dtype=torch.float64),
        torch.rand(6, dtype=torch.float64),
        1.5 * torch.rand(7, dtype=torch.float64),
    )


def scalar(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("rho", [0.1, 1.0, 10.0])
def test_unbalanced_equals_pot(problem: tuple[Tensor, Tensor, Tensor], rho: float) -> None:
    cost, a, b = problem
    ours = ot.sinkhorn_unbalanced(cost, a, b, epsilon=0.1, rho=rho, **TIGHT)
    theirs = pot.unbalanced.sinkhorn_unbalanced(
        a.numpy(), b.numpy(), cost.numpy(), 0.1, rho, reg_type="kl", stopThr=1e-14, numItermax=100_000
    )
    np.testing.assert_allclose(ours.plan, theirs, atol=1e-10)
    value = (theirs * cost.numpy()).sum() + 0.1 * relative_entropy(theirs, (a[:, None] * b).numpy())
    value += rho * relative_entropy(theirs.sum(1), a.numpy()) + rho * relative_entropy(theirs.sum(0), b.numpy())
    assert float(ours.value) == pytest.approx(value, rel=1e-9)
    assert ours.converged


def test_unbalanced_tends_to_balanced() -> None:
    cost = torch.rand(3, 5, 5, dtype=torch.float64)
    balanced = ot.sinkhorn(cost, epsilon=0.1, **TIGHT).plan
    gaps = [
        float((ot.sinkhorn_unbalanced(cost, epsilon=0.1, rho=rho, **TIGHT).plan - balanced).abs().sum())
        for rho in (1.0, 10.0, 100.0)
    ]
    assert gaps[1] < 0.2 * gaps[0]
    assert gaps[2] < 0.2 * gaps[1]


def test_unbalanced_gradcheck(problem: tuple[Tensor, Tensor, Tensor]) -> None:
    inputs = (*(t.requires_grad_() for t in problem), scalar(0.1), scalar(0.7))
    assert gradcheck(
        lambda c, a, b, e, r: ot.sinkhorn_unbalanced(c, a, b, epsilon=e, rho=r, **TIGHT).value, inputs, atol=1e-6
    )


@pytest.mark.parametrize("mass", [0.2, 0.6, 0.95])
def test_partial_equals_pot_for_uniform_weights(mass: float) -> None:
    cost = torch.rand(6, 7, dtype=torch.float64)
    ours = ot.sinkhorn_partial(cost, epsilon=0.05, mass=mass, **TIGHT)
    theirs = pot.partial.entropic_partial_wasserstein(
        np.full(6, 1 / 6), np.full(7, 1 / 7), cost.numpy(), 0.05, m=mass, stopThr=1e-14, numItermax=20_000
    )
    np.testing.assert_allclose(ours.plan, theirs, atol=1e-8)
    assert float(ours.plan.sum()) == pytest.approx(mass, rel=1e-9)
    expected = (theirs * cost.numpy()).sum() + 0.05 * relative_entropy(theirs, np.full((6, 7), 1 / 42))
    assert float(ours.value) == pytest.approx(expected, rel=1e-7)


def test_partial_stays_below_its_bounds_and_takes_the_cheapest(problem: tuple[Tensor, Tensor, Tensor]) -> None:
    cost, a, b = problem
    plan = ot.sinkhorn_partial(cost, a, b, epsilon=0.01, mass=0.3, **TIGHT).plan
    assert (plan.sum(1) <= a + 1e-9).all()
    assert (plan.sum(0) <= b + 1e-9).all()
    exact = pot.partial.partial_wasserstein2(a.numpy(), b.numpy(), cost.numpy(), m=0.3)
    assert float((plan * cost).sum()) == pytest.approx(float(exact), abs=0.02)


def test_partial_gradcheck(problem: tuple[Tensor, Tensor, Tensor]) -> None:
    inputs = (*(t.requires_grad_() for t in problem), scalar(0.1), scalar(0.6))
    assert gradcheck(
        lambda c, a, b, e, m: ot.sinkhorn_partial(c, a, b, epsilon=e, mass=m, **TIGHT).value, inputs, atol=1e-6
    )


def test_dustbin_is_the_balanced_problem_with_one_more_row_and_column(problem: tuple[Tensor, Tensor, Tensor]) -> None:
    cost, a, b = problem
    ours = ot.sinkhorn_dustbin(cost, a, b, epsilon=0.1, dustbin_cost=0.3, **TIGHT)
    extended = torch.full((7, 8), 0.3, dtype=torch.float64)
    extended[:6, :7] = cost
    weights = torch.cat([a, b.sum()[None]]).numpy(), torch.cat([b, a.sum()[None]]).numpy()
    total = weights[0].sum()
    theirs = total * pot.sinkhorn(
        weights[0] / total, weights[1] / total, extended.numpy(), 0.1, stopThr=1e-13, numItermax=50_000
    )
    np.testing.assert_allclose(ours.plan, theirs, atol=1e-10)
    torch.testing.assert_close(ours.plan[:-1].sum(1), a)


def test_dustbin_gradcheck_reaches_its_price(problem: tuple[Tensor, Tensor, Tensor]) -> None:
    inputs = (*(t.requires_grad_() for t in problem), scalar(0.3))
    assert gradcheck(
        lambda c, a, b, d: ot.sinkhorn_dustbin(c, a, b, epsilon=0.1, dustbin_cost=d, **TIGHT).value, inputs, atol=1e-6
    )


def test_batched_and_masked_variants_equal_single_ones() -> None:
    cost = torch.rand(2, 5, 6, dtype=torch.float64)
    rows = torch.tensor([[True] * 5, [True, True, True, False, False]])
    uniform = torch.full((3,), 1 / 3, dtype=torch.float64)
    b = torch.full((6,), 1 / 6, dtype=torch.float64)
    together = ot.sinkhorn_unbalanced(cost, epsilon=0.1, rho=0.5, row_mask=rows, **TIGHT)
    alone = ot.sinkhorn_unbalanced(cost[1, :3], uniform, b, epsilon=0.1, rho=0.5, **TIGHT)
    torch.testing.assert_close(together.plan[1, :3], alone.plan, atol=1e-9, rtol=0)
    together = ot.sinkhorn_partial(cost, epsilon=0.1, mass=torch.tensor([0.4, 0.7]), row_mask=rows, **TIGHT)
    alone = ot.sinkhorn_partial(cost[1, :3], uniform, b, epsilon=0.1, mass=0.7, **TIGHT)
    torch.testing.assert_close(together.plan[1, :3], alone.plan, atol=1e-7, rtol=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: ot.sinkhorn_unbalanced(c, epsilon=0.1, rho=0.0), "rho holds a value"),
        (lambda c: ot.sinkhorn_unbalanced(c, epsilon=0.1, rho=1.0, grad="implicit"), "'implicit'"),
        (lambda c: ot.sinkhorn_partial(c, epsilon=0.1, mass=1.5), "at most 1"),
        (lambda c: ot.sinkhorn_partial(c, epsilon=0.1, mass=0.0), "above 0"),
    ],
)
def test_bad_input_to_a_variant_is_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(torch.rand(3, 3))


def test_variants_say_when_they_stop_short() -> None:
    cost = torch.rand(20, 20)
    assert not ot.sinkhorn_unbalanced(cost, epsilon=1e-3, rho=100.0, max_iter=5, on_fail="ignore").converged
    assert not ot.sinkhorn_partial(cost, epsilon=1e-3, mass=0.9, max_iter=5, on_fail="ignore").converged
