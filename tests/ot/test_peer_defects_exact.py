"""Defects reported or measured in other exact solvers: each one a test that monge does not have it."""

from __future__ import annotations

import numpy as np
import ot as pot
import pytest
import torch
from torch import Tensor

from monge.errors import ConvergenceWarning
from monge.ot import network_simplex
from monge.ot.exact import emd
from oracles.linear_program import transport_plan

DOUBLE = torch.float64


def simplex(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=DOUBLE).softmax(-1)


def blocked_problem(n: int, m: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A cost, half of its pairs marked as forbidden, and weights of a plan that does without them."""
    marked = torch.rand(n, m) < 0.5
    marked[:, 0] = marked[0] = False
    plan = torch.rand(n, m, dtype=DOUBLE).masked_fill(marked, 0.0)
    plan /= plan.sum()
    return torch.rand(n, m, dtype=DOUBLE), marked, plan.sum(1), plan.sum(0)


@pytest.mark.parametrize("huge", [1e12, 1e20, 1e32])
def test_huge_entries_leave_the_others_their_digits(huge: float) -> None:
    """POT issue 229: with pairs forbidden by a cost of 1e32, ``emd`` returns plans that are not optimal."""
    worst_of_pot = 0.0
    for _ in range(20):
        cost, marked, a, b = blocked_problem(9, 7)
        barred = cost.masked_fill(marked, huge)
        expected, _ = transport_plan(cost.masked_fill(marked, torch.inf).numpy(), a.numpy(), b.numpy())
        for ours in (emd(barred, a, b), emd(cost.masked_fill(marked, torch.inf), a, b)):
            assert bool(ours.converged)
            assert float(ours.value) == pytest.approx(expected, rel=1e-9)
            assert not ours.plan[marked].any()
            assert float(sum(t.abs().max() for t in ours.potentials)) < 20.0
        by_pot = pot.emd2(a.numpy(), b.numpy(), barred.numpy())
        worst_of_pot = max(worst_of_pot, by_pot / expected - 1.0)
    if huge == 1e32:
        assert worst_of_pot > 0.01  # the peer still has it, so the case is the one reported


def test_huge_entries_are_used_where_nothing_else_is_left() -> None:
    cost = torch.tensor([[1.0, 1e32], [2.0, 1e32]], dtype=DOUBLE)
    result = emd(cost, torch.tensor([0.5, 0.5], dtype=DOUBLE), torch.tensor([0.25, 0.75], dtype=DOUBLE))
    assert bool(result.converged)
    assert float(result.value) == pytest.approx(0.75e32)


def test_float32_marginals_are_feasible() -> None:
    """POT issue 342: float32 weights whose sums differ in the last digit were infeasible, the plan all zeros."""
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        a = torch.rand(2000, generator=generator)
        b = torch.rand(37, generator=generator)
        a, b = a / a.sum(), b / b.sum()
        cost = torch.rand(2000, 37, generator=generator)
        result = emd(cost[:200], a[:200] / a[:200].sum(), b) if seed else emd(cost, a, b)
        assert bool(result.converged)
        assert float(result.marginal_error) < 1e-12
        assert float(result.plan.double().sum()) == pytest.approx(1.0, abs=1e-5)


def test_sums_that_do_not_match_are_named() -> None:
    """POT issue 342: say which sums differ instead of returning something."""
    with pytest.raises(ValueError, match=r"problem 1 .*a sums to 1 and b to 1.01"):
        emd(torch.rand(2, 3, 4), torch.ones(3) / 3, torch.tensor([[0.25], [0.2525]]).expand(2, 4))


def test_value_is_differentiable_in_everything() -> None:
    """POT issues 364, 393, 747, 776: whether, and in what, the value is differentiable."""
    x, y = torch.randn(6, 2, dtype=DOUBLE, requires_grad=True), torch.randn(5, 2, dtype=DOUBLE)
    z = torch.randn(6, dtype=DOUBLE, requires_grad=True)

    def value(x: Tensor, z: Tensor) -> Tensor:
        return emd(torch.cdist(x, y), z.softmax(0)).value

    assert torch.autograd.gradcheck(value, (x, z))


def test_gradient_knows_the_incoming_scale() -> None:
    """POT issue 309: the gradient ignored the factor in front of the value."""
    cost, a, b = torch.rand(6, 5, dtype=DOUBLE), simplex(6), simplex(5)
    for t in (cost, a, b):
        t.requires_grad_()
    once = torch.autograd.grad(emd(cost, a, b).value, (cost, a, b))
    thrice = torch.autograd.grad(3 * emd(cost, a, b).value, (cost, a, b))
    for one, three in zip(once, thrice):
        torch.testing.assert_close(three, 3 * one)


def test_points_without_mass_have_potentials() -> None:
    """POT issue 552 and its like: potentials of points without mass were zeros or infeasible."""
    cost, a, b = torch.rand(6, 5, dtype=DOUBLE) + 1.0, simplex(6), simplex(5)
    a[1], b[2] = 0.0, 0.0
    a, b = a / a.sum(), b / b.sum()
    f, g = emd(cost, a, b).potentials
    slack = cost - f[:, None] - g
    assert float(slack[1, b > 0].min()) == pytest.approx(0.0, abs=1e-12)
    assert float(slack[a > 0, 2].min()) == pytest.approx(0.0, abs=1e-12)


def test_batches_need_no_loop() -> None:
    """POT issue 392: no batched exact solver."""
    cost, a, b = torch.rand(7, 6, 5, dtype=DOUBLE, requires_grad=True), simplex(7, 6), simplex(7, 5)
    value = emd(cost, a, b).value
    value.sum().backward()
    for k in range(7):
        c = cost[k].detach().numpy()
        assert float(value[k].detach()) == pytest.approx(pot.emd2(a[k].numpy(), b[k].numpy(), c), rel=1e-12)
    assert cost.grad is not None
    torch.testing.assert_close(cost.grad.sum((1, 2)), torch.ones(7, dtype=DOUBLE))


def test_integer_weights_do_not_truncate_the_plan() -> None:
    """POT casts the plan to the dtype of the weights, integers included, after a warning."""
    result = emd(torch.rand(3, 2, dtype=DOUBLE), torch.tensor([1, 1, 1]), torch.tensor([1.5, 1.5]))
    assert result.plan.dtype == DOUBLE
    assert sorted(result.plan[result.plan > 0].tolist()) == pytest.approx([0.5, 0.5, 1.0, 1.0])


def test_equal_bins_are_not_cancelled_first() -> None:
    """pyemd cancels the mass that both histograms have in a bin, which assumes that staying is free."""
    cost = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=DOUBLE)
    half = torch.tensor([0.5, 0.5], dtype=DOUBLE)
    assert float(emd(cost, half, half).value) == 0.0
    assert float(emd(cost, torch.tensor([0.6, 0.4], dtype=DOUBLE), half).value) == pytest.approx(0.1)


def test_exhausted_solver_is_never_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit on the pivots gives plans that are no plans; only the flag tells."""
    monkeypatch.setattr(network_simplex, "_MAX_PIVOTS", 20)
    cost, a, b = torch.rand(3, 40, 40), simplex(3, 40).float(), simplex(3, 40).float()
    a, b = a / a.sum(1, keepdim=True), b / b.sum(1, keepdim=True)
    with pytest.warns(ConvergenceWarning):
        result = emd(cost, a, b)
    assert not result.converged.any()


def test_flag_does_not_trust_the_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    """A solver that claims success with a plan that is not optimal is found out by its own dual."""

    class Liar:
        @staticmethod
        def emd(a: np.ndarray, b: np.ndarray, cost: np.ndarray, **_: object) -> tuple[np.ndarray, dict[str, object]]:
            return np.outer(a, b), {"u": np.zeros(len(a)), "v": np.zeros(len(b)), "result_code": 1}

    monkeypatch.setattr(network_simplex, "require", lambda *_, **__: Liar)
    with pytest.warns(ConvergenceWarning):
        assert not bool(emd(torch.rand(3, 4)).converged)
