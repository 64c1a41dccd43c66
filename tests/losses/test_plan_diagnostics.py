"""Figures on plans whose answers are known."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from torch.nn.functional import normalize

from monge.losses import BatchwiseOTLoss, ReleasedSweeps, diagnose_plan
from monge.losses.plan_diagnostics import PlanTally


def test_uniform_plan() -> None:
    figures = diagnose_plan(torch.full((4, 6), 1 / 24), torch.zeros(4, 6))
    assert figures.entropy == pytest.approx(1.0)
    assert figures.deviation == pytest.approx(0.0, abs=1e-6)
    assert figures.marginal_error == pytest.approx(0.0, abs=1e-6)
    assert figures.hard_mass == figures.hard_pairs == 0


def test_permutation_plan() -> None:
    plan = torch.eye(8) / 8
    figures = diagnose_plan(plan, torch.eye(8))  # the pairs that carry the mass are the hard ones
    assert figures.entropy == pytest.approx(math.log(8) / math.log(64))
    assert figures.deviation == pytest.approx(7.0)
    assert figures.hard_mass == pytest.approx(1.0)
    assert figures.hard_pairs == pytest.approx(1 / 8)
    assert figures.marginal_error == pytest.approx(0.0, abs=1e-6)


def test_uniform_over_the_pairs_that_count() -> None:
    support = ~torch.eye(5, dtype=torch.bool)
    figures = diagnose_plan(support / 20, torch.ones(5, 5), support)
    assert figures.entropy == pytest.approx(1.0)
    assert figures.deviation == pytest.approx(0.0, abs=1e-6)
    assert figures.hard_mass == figures.hard_pairs == pytest.approx(1.0)


def test_wrong_marginals_are_counted_on_both_sides() -> None:
    plan = torch.tensor([[0.5, 0.5], [0.0, 0.0]])
    assert diagnose_plan(plan, torch.zeros(2, 2)).marginal_error == pytest.approx(1.0)  # rows 1, columns 0


def test_hard_means_ground_cost_below_a_tenth() -> None:
    limit = math.log(10) / 4.0
    cost = torch.tensor([[limit * 0.999, limit * 1.001]])
    assert diagnose_plan(torch.full((1, 2), 0.5), cost, gamma=4.0).hard_pairs == 0.5


def test_loss_reports_on_its_last_call_without_gradient() -> None:
    loss = BatchwiseOTLoss(sweeps=ReleasedSweeps(3), epsilon=0.05)
    with pytest.raises(RuntimeError, match="not been called"):
        loss.diagnostics()
    x = normalize(torch.randn(16, 4, generator=torch.Generator().manual_seed(0)), dim=1).requires_grad_()
    labels = torch.arange(16) % 4
    loss(x, labels)
    figures = loss.diagnostics()
    assert not any(figure.requires_grad for figure in figures)
    assert all(figure.shape == () for figure in figures)
    assert figures.hard_mass > figures.hard_pairs  # hard pairs draw more than their share
    assert figures.marginal_error > 1e-5  # three sweeps do not converge, and that is said
    loss(x[:2], labels[:2])
    assert loss.diagnostics().entropy == pytest.approx(1.0)  # two points leave no choice


def reweights_nothing(plan, costs, epsilon: float, support=None) -> bool:
    tally = PlanTally(gamma=1.0)
    tally.add(plan, costs, support)
    return bool(tally.reweights_nothing(scale=1.0, epsilon=epsilon))


@pytest.mark.parametrize(("cost", "expected"), [([0.0, 1.0], True), ([0.0, 0.05], False), ([1.0, 1.0], False)])
def test_a_uniform_plan_matters_only_if_costs_differ(cost: list[float], expected: bool) -> None:
    costs = torch.tensor([cost, cost])
    uniform = torch.full((2, 2), 0.25)
    assert reweights_nothing(uniform, costs, epsilon=100.0) is expected
    assert not reweights_nothing(torch.eye(2) / 2, costs, epsilon=100.0)
    assert not reweights_nothing(uniform, costs, epsilon=0.2)


def test_costs_of_pairs_that_do_not_count_are_not_looked_at() -> None:
    support = ~torch.eye(2, dtype=torch.bool)
    assert not reweights_nothing(support / 2, 9.0 * torch.eye(2), epsilon=100.0, support=support)


@pytest.mark.parametrize("with_support", [False, True])
def test_blocks_of_rows_give_the_figures_of_the_whole(with_support: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    plan, cost = torch.rand(2, 7, 9, generator=generator, dtype=torch.float64)
    support = torch.rand(7, 9, generator=generator) < 0.7 if with_support else None
    plan = plan if support is None else plan * support
    plan = plan / plan.sum()
    tally = PlanTally(gamma=4.0)
    for rows in (slice(0, 3), slice(3, 4), slice(4, 7)):
        tally.add(plan[rows], cost[rows], None if support is None else support[rows])
    whole = diagnose_plan(plan, cost, support, gamma=4.0)
    torch.testing.assert_close(torch.stack(list(tally.figures())), torch.stack(list(whole)))


def test_a_plan_forced_by_marginals_is_no_ones_fault() -> None:
    x = torch.tensor([[0.0], [0.9], [5.0]])
    loss = BatchwiseOTLoss()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss(x, torch.tensor([0, 0, 1]))
    assert loss.diagnostics().deviation < 0.02  # three points off the diagonal have one plan to choose from
