from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from monge import ot

TIGHT = {"tol": 1e-10, "max_iter": 100_000}


@st.composite
def problems(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor, float]:
    """Cost, weights (some zero) and an epsilon relative to the cost."""
    n, m = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    cost = torch.rand(n, m, generator=generator, dtype=torch.float64)
    weights = []
    for size in (n, m):
        w = torch.rand(size, generator=generator, dtype=torch.float64) + 0.05
        w = w * (torch.rand(size, generator=generator) > 0.2)
        w[draw(st.integers(0, size - 1))] = 1.0
        weights.append(w / w.sum())
    return cost, weights[0], weights[1], draw(st.sampled_from([0.05, 0.2, 1.0]))


@settings(max_examples=30, deadline=None)
@given(problems())
def test_marginals_hold(problem: tuple[Tensor, Tensor, Tensor, float]) -> None:
    cost, a, b, epsilon = problem
    result = ot.sinkhorn(cost, a, b, epsilon=epsilon, **TIGHT)
    torch.testing.assert_close(result.plan.sum(1), a, atol=1e-9, rtol=0)
    torch.testing.assert_close(result.plan.sum(0), b, atol=1e-9, rtol=0)
    assert (result.plan >= 0).all()


@settings(max_examples=30, deadline=None)
@given(problems())
def test_transposing_the_problem_transposes_the_plan(problem: tuple[Tensor, Tensor, Tensor, float]) -> None:
    cost, a, b, epsilon = problem
    one = ot.sinkhorn(cost, a, b, epsilon=epsilon, **TIGHT)
    other = ot.sinkhorn(cost.T, b, a, epsilon=epsilon, **TIGHT)
    torch.testing.assert_close(other.plan.T, one.plan, atol=1e-8, rtol=0)
    torch.testing.assert_close(other.value, one.value, atol=1e-9, rtol=1e-9)


@settings(max_examples=30, deadline=None)
@given(problems(), st.integers(0, 2**31))
def test_permuting_points_permutes_the_plan(problem: tuple[Tensor, Tensor, Tensor, float], seed: int) -> None:
    cost, a, b, epsilon = problem
    order = torch.randperm(len(a), generator=torch.Generator().manual_seed(seed))
    one = ot.sinkhorn(cost, a, b, epsilon=epsilon, **TIGHT)
    other = ot.sinkhorn(cost[order], a[order], b, epsilon=epsilon, **TIGHT)
    torch.testing.assert_close(other.plan, one.plan[order], atol=1e-8, rtol=0)


@settings(max_examples=30, deadline=None)
@given(problems(), st.sampled_from([1e-6, 0.5, 1e6]))
def test_scaling_cost_and_epsilon_scales_the_value(problem: tuple[Tensor, Tensor, Tensor, float], scale: float) -> None:
    cost, a, b, epsilon = problem
    one = ot.sinkhorn(cost, a, b, epsilon=epsilon, **TIGHT)
    other = ot.sinkhorn(scale * cost, a, b, epsilon=scale * epsilon, **TIGHT)
    torch.testing.assert_close(other.plan, one.plan, atol=1e-8, rtol=0)
    torch.testing.assert_close(other.value, scale * one.value, rtol=1e-8, atol=1e-10 * scale)


@settings(max_examples=30, deadline=None)
@given(problems(), st.floats(-5, 5))
def test_shifting_the_cost_of_a_row_shifts_the_value_only(
    problem: tuple[Tensor, Tensor, Tensor, float], shift: float
) -> None:
    cost, a, b, epsilon = problem
    moved = cost.clone()
    moved[0] += shift
    one, other = (ot.sinkhorn(c, a, b, epsilon=epsilon, **TIGHT) for c in (cost, moved))
    torch.testing.assert_close(other.plan, one.plan, atol=1e-8, rtol=0)
    torch.testing.assert_close(other.value, one.value + shift * a[0], atol=1e-8, rtol=1e-8)
