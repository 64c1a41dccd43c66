from __future__ import annotations

from typing import Any

import numpy as np
import ot as pot
import pytest
import torch
from torch import Tensor

from monge import ot
from oracles.entropic import entropic_plan, entropic_value, gaussian_value

TIGHT: dict[str, Any] = {"tol": 1e-11, "max_iter": 100_000}


def marginal_error(plan: Tensor, a: Tensor | float, b: Tensor | float) -> Tensor:
    return (plan.sum(-1) - a).abs().sum(-1) + (plan.sum(-2) - b).abs().sum(-1)


def weights(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64).softmax(-1)


@pytest.mark.parametrize("epsilon", [1.0, 0.1, 0.02])
def test_plan_and_cost_equal_pot_in_float64(epsilon: float) -> None:
    cost, a, b = torch.rand(3, 6, 9, dtype=torch.float64), weights(3, 6), weights(3, 9)
    ours = ot.sinkhorn(cost, a, b, epsilon=epsilon, **TIGHT)
    for i in range(3):
        theirs = pot.sinkhorn(
            a[i].numpy(),
            b[i].numpy(),
            cost[i].numpy(),
            epsilon,
            method="sinkhorn_log",
            stopThr=1e-13,
            numItermax=100_000,
        )
        np.testing.assert_allclose(ours.plan[i], theirs, atol=1e-11)
        np.testing.assert_allclose(ours.cost[i], (theirs * cost[i].numpy()).sum(), rtol=1e-9)
        expected = entropic_value(cost[i].numpy(), a[i].numpy(), b[i].numpy(), epsilon)
        np.testing.assert_allclose(ours.value[i], expected, rtol=1e-9)


def test_any_number_of_batch_dimensions() -> None:
    cost = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    together = ot.sinkhorn(cost, epsilon=0.1, **TIGHT)
    assert together.plan.shape == (2, 3, 4, 5)
    assert together.value.shape == together.converged.shape == (2, 3)
    assert [p.shape for p in together.potentials] == [(2, 3, 4), (2, 3, 5)]
    alone = ot.sinkhorn(cost[1, 2], epsilon=0.1, **TIGHT)
    assert alone.value.shape == ()
    torch.testing.assert_close(together.plan[1, 2], alone.plan)


def test_each_problem_has_its_own_epsilon() -> None:
    cost, epsilon = torch.rand(3, 5, 5, dtype=torch.float64), torch.tensor([1.0, 0.2, 0.1], dtype=torch.float64)
    ours = ot.sinkhorn(cost, epsilon=epsilon, **TIGHT)
    uniform = np.full(5, 0.2)
    for i in range(3):
        np.testing.assert_allclose(
            ours.plan[i], entropic_plan(cost[i].numpy(), uniform, uniform, float(epsilon[i])), atol=1e-9
        )


def test_relative_epsilon_makes_the_plan_scale_free() -> None:
    cost = torch.rand(4, 8, 7, dtype=torch.float64)
    plans = [ot.sinkhorn(s * cost, epsilon=0.05, relative=True, **TIGHT).plan for s in (1.0, 1e-6, 1e6)]
    torch.testing.assert_close(plans[1], plans[0], atol=1e-9, rtol=0)
    torch.testing.assert_close(plans[2], plans[0], atol=1e-9, rtol=0)


def test_masked_problems_equal_cropped_ones() -> None:
    cost = torch.rand(3, 6, 7, dtype=torch.float64)
    sizes = [(6, 7), (4, 7), (2, 3)]
    rows = torch.tensor([[i < n for i in range(6)] for n, _ in sizes])
    columns = torch.tensor([[j < m for j in range(7)] for _, m in sizes])
    poisoned = cost.masked_fill(~rows.unsqueeze(2) | ~columns.unsqueeze(1), torch.nan)
    ours = ot.sinkhorn(poisoned, epsilon=0.1, relative=True, row_mask=rows, col_mask=columns, **TIGHT)
    for i, (n, m) in enumerate(sizes):
        alone = ot.sinkhorn(cost[i, :n, :m], epsilon=0.1, relative=True, **TIGHT)
        torch.testing.assert_close(ours.plan[i, :n, :m], alone.plan, atol=1e-10, rtol=0)
        torch.testing.assert_close(ours.value[i], alone.value)
        assert ours.plan[i].sum() == pytest.approx(1.0)
    assert (ours.plan[2, 2:] == 0).all()
    assert torch.isfinite(ours.cost).all()


def test_a_problem_with_nothing_in_it_costs_nothing() -> None:
    mask = torch.tensor([[True, True], [False, False]])
    result = ot.sinkhorn(torch.rand(2, 2, 3), epsilon=0.1, row_mask=mask, on_fail="raise")
    assert result.value[1] == 0
    assert (result.plan[1] == 0).all()
    assert result.converged.all()


def test_zero_weights_equal_leaving_the_points_out() -> None:
    cost = torch.rand(5, 6, dtype=torch.float64)
    a = torch.tensor([0.5, 0.0, 0.2, 0.3, 0.0], dtype=torch.float64)
    b = torch.tensor([0.0, 0.1, 0.4, 0.0, 0.0, 0.5], dtype=torch.float64)
    ours = ot.sinkhorn(cost, a, b, epsilon=0.05, **TIGHT)
    alone = ot.sinkhorn(cost[a > 0][:, b > 0], a[a > 0], b[b > 0], epsilon=0.05, **TIGHT)
    torch.testing.assert_close(ours.plan[a > 0][:, b > 0], alone.plan, atol=1e-11, rtol=0)
    torch.testing.assert_close(ours.value, alone.value)
    assert (ours.plan[a == 0] == 0).all()
    assert all(torch.isfinite(p).all() for p in ours.potentials)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 6), (6, 1)])
def test_one_point_on_a_side_takes_everything(n: int, m: int) -> None:
    result = ot.sinkhorn(torch.rand(n, m), epsilon=0.01)
    torch.testing.assert_close(result.plan, torch.full((n, m), 1 / (n * m)))


def test_one_hot_target_is_in_closed_form() -> None:
    cost, a = torch.rand(4, 5, dtype=torch.float64), weights(4)
    target = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0], dtype=torch.float64)
    result = ot.sinkhorn(cost, a, target, epsilon=0.3, **TIGHT)
    torch.testing.assert_close(result.value, (a * cost[:, 2]).sum())
    torch.testing.assert_close(result.plan[:, 2], a)


def test_small_epsilon_finds_the_permutation() -> None:
    order = torch.randperm(12)
    cost = torch.rand(12, 12) + 1.0
    cost[torch.arange(12), order] = 0.0
    plan = ot.sinkhorn(cost, epsilon=0.02).plan
    assert torch.equal(plan.argmax(1), order)
    torch.testing.assert_close(plan[torch.arange(12), order], torch.full((12,), 1 / 12), atol=1e-4, rtol=0)


@pytest.mark.parametrize("epsilon", [2.0, 0.3, 0.05])
def test_gaussians_on_a_line_have_the_closed_form(epsilon: float) -> None:
    x = torch.linspace(-8, 8, 400, dtype=torch.float64)
    a = torch.softmax(-0.5 * (x + 1.0).square() / 0.7**2, 0)
    b = torch.softmax(-0.5 * (x - 0.5).square() / 1.2**2, 0)
    value = ot.sinkhorn((x[:, None] - x[None]).square(), a, b, epsilon=epsilon, tol=1e-9).value
    assert float(value) == pytest.approx(gaussian_value(1.5, 0.7, 1.2, epsilon), rel=1e-6)


def test_mass_scales_value_cost_and_plan() -> None:
    cost, a, b = torch.rand(5, 4, dtype=torch.float64), weights(5), weights(4)
    one, three = (ot.sinkhorn(cost, s * a, s * b, epsilon=0.1, **TIGHT) for s in (1.0, 3.0))
    torch.testing.assert_close(three.plan, 3 * one.plan)
    torch.testing.assert_close(three.value, 3 * one.value)
    torch.testing.assert_close(three.cost, 3 * one.cost)
    torch.testing.assert_close(three.potentials[0], one.potentials[0])


def test_potentials_give_the_plan_and_share_the_value() -> None:
    cost, a, b = torch.rand(5, 4, dtype=torch.float64), weights(5), weights(4)
    result = ot.sinkhorn(cost, a, b, epsilon=0.1, **TIGHT)
    f, g = result.potentials
    torch.testing.assert_close(a[:, None] * b * ((f[:, None] + g - cost) / 0.1).exp(), result.plan)
    torch.testing.assert_close((f * a).sum(), 0.5 * result.value)
    torch.testing.assert_close((g * b).sum(), 0.5 * result.value)


def test_forbidden_pairs_carry_nothing() -> None:
    cost = torch.rand(6, 6)
    cost.fill_diagonal_(torch.inf)
    cost.requires_grad_()
    result = ot.sinkhorn(cost, epsilon=0.1, grad="implicit")
    (result.value + result.cost).backward()
    assert result.converged
    assert (result.plan.diagonal() == 0).all()
    assert cost.grad is not None
    assert torch.isfinite(cost.grad).all()
    assert torch.isfinite(result.cost)


def test_warm_start_needs_fewer_iterations_for_the_same_plan() -> None:
    x, y = torch.randn(64, 4, dtype=torch.float64), torch.randn(64, 4, dtype=torch.float64)
    first = ot.sinkhorn(ot.pairwise_cost(x, y), epsilon=0.03, relative=True, tol=1e-6, max_iter=50_000)
    moved = ot.pairwise_cost(x + 1e-4 * torch.randn(64, 4, dtype=torch.float64), y)
    cold = ot.sinkhorn(moved, epsilon=0.03, relative=True, tol=1e-6, max_iter=50_000)
    warm = ot.sinkhorn(moved, epsilon=0.03, relative=True, tol=1e-6, max_iter=50_000, init=first.potentials)
    assert warm.converged
    assert int(warm.iterations) <= 0.7 * int(cold.iterations)
    torch.testing.assert_close(warm.plan, cold.plan, atol=1e-6, rtol=0)


def test_a_bad_warm_start_does_no_harm() -> None:
    cost = torch.rand(16, 16)
    init = (1e4 * torch.randn(16), 1e4 * torch.randn(16))
    result = ot.sinkhorn(cost, epsilon=0.05, init=init, tol=1e-5)
    assert result.converged
    torch.testing.assert_close(result.plan, ot.sinkhorn(cost, epsilon=0.05, tol=1e-5).plan, atol=1e-5, rtol=0)


def test_problems_stop_on_their_own() -> None:
    cost = torch.rand(8, 24, 24)
    epsilon = torch.logspace(0, -2.3, 8)
    together = ot.sinkhorn(cost, epsilon=epsilon)
    assert int(together.iterations[0]) < int(together.iterations[-1])
    for i in range(8):
        alone = ot.sinkhorn(cost[i], epsilon=float(epsilon[i]))
        assert int(alone.iterations) == int(together.iterations[i])
        torch.testing.assert_close(alone.plan, together.plan[i], atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cost": torch.zeros(3)}, r"\(3,\)"),
        ({"cost": torch.zeros(0, 3)}, "no empty dimension"),
        ({"cost": torch.full((2, 2), torch.nan)}, "problem 0 holds NaN"),
        ({"cost": torch.full((2, 2), -torch.inf)}, "problem 0 holds NaN or -inf"),
        ({"a": torch.tensor([1.5, -0.5])}, "a holds a value"),
        ({"b": torch.tensor([torch.nan, 1.0])}, "b holds a value"),
        ({"a": torch.tensor([1.0, 1.0])}, "a sums to 2 and b to 1"),
        ({"a": torch.ones(3) / 3}, "last dimension to be 2"),
        ({"epsilon": 0.0}, "epsilon is 0.0"),
        ({"epsilon": torch.tensor(-1.0)}, "epsilon holds a value"),
        ({"grad": "last_step"}, "'last_step'"),
        ({"on_fail": "shrug"}, "'shrug'"),
    ],
)
def test_bad_input_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ot.sinkhorn(**{"cost": torch.zeros(2, 2), "epsilon": 0.1, **arguments})


def test_marginals_that_differ_by_rounding_are_rescaled() -> None:
    a = torch.full((1000,), 1e-3)
    b = torch.rand(7)
    result = ot.sinkhorn(torch.rand(1000, 7), a, b / b.sum() * 1.0005, epsilon=0.1)
    assert result.converged
    assert float(marginal_error(result.plan, a, b / b.sum())) < 3e-3


@pytest.mark.parametrize("classes", [3, 5])
def test_histograms_on_a_line_do_not_lead_over_relaxation_astray(classes: int) -> None:
    generator = torch.Generator().manual_seed(classes)
    a, b = (torch.rand(2, 500, classes, generator=generator) + 0.05).unbind(0)
    places = torch.arange(float(classes))
    cost = (places[:, None] - places).abs().expand(500, classes, classes)
    with ot.use_backend("torch"):
        result = ot.sinkhorn(cost, a / a.sum(1, keepdim=True), b / b.sum(1, keepdim=True), epsilon=0.05, tol=1e-4)
    assert bool(result.converged.all())
