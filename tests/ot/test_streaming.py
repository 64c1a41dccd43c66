"""Solving without a cost matrix against solving with one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from monge import ot
from monge.ot.streaming import StreamedPotentials, row_blocks, stream_potentials, stream_transform


def costs(n: int, m: int, seed: int = 0, dtype=torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.rand(n, 3, generator=generator, dtype=dtype), torch.rand(m, 3, generator=generator, dtype=dtype)
    return ot.pairwise_cost(x, y)


def solve(cost: Tensor, epsilon: float, per_block: int = 7, start: Tensor | None = None, **options):
    return stream_potentials(
        lambda rows: cost[rows].clone(),
        cost.new_zeros(cost.shape[1]) if start is None else start,
        rows=len(cost),
        per_block=per_block,
        epsilon=epsilon,
        spread=float(cost[cost.isfinite()].max()),
        warm=start is not None,
        **options,
    )


def plan_of(found: StreamedPotentials, cost: Tensor, epsilon: float) -> Tensor:
    return torch.exp((found.f[:, None] + found.g - cost) / epsilon) / cost.numel()


@pytest.mark.parametrize("epsilon", [1.0, 0.1, 0.02])
@pytest.mark.parametrize("sizes", [(20, 20), (31, 8), (8, 31)])
def test_plan_is_that_of_the_dense_solver(sizes: tuple[int, int], epsilon: float) -> None:
    cost = costs(*sizes)
    expected = ot.sinkhorn(cost, epsilon=epsilon, tol=1e-11)
    for per_block in (1, 7, 100):
        found = solve(cost, epsilon, per_block, tol=1e-11)
        torch.testing.assert_close(plan_of(found, cost, epsilon), expected.plan, rtol=1e-6, atol=1e-12)
        torch.testing.assert_close(found.f, expected.potentials[0], rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(found.g, expected.potentials[1], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("epsilon", [0.3, 0.03, 0.003, 3e-4])
def test_the_error_said_is_the_error_there_is(epsilon: float, dtype: torch.dtype) -> None:
    cost = costs(40, 30, dtype=dtype)
    found = solve(cost, epsilon, tol=1e-3)
    plan = plan_of(found, cost, epsilon)
    error = (plan.sum(1) - 1 / 40).abs().sum() + (plan.sum(0) - 1 / 30).abs().sum()
    assert found.error <= 1e-3
    assert float(error) == pytest.approx(found.error, rel=0.05, abs=1e-4 if dtype == torch.float32 else 1e-9)


def test_a_solve_that_runs_out_says_so() -> None:
    found = solve(costs(40, 30), 1e-3, tol=1e-9, max_iter=2)
    assert found.error > 1e-9
    assert found.iterations == 2
    assert solve(costs(40, 30), 1e-5, tol=1e-3, max_iter=1).error >= 2.0  # still wider than asked for


def test_forbidden_pairs_get_nothing() -> None:
    cost = costs(12, 12)
    cost.fill_diagonal_(torch.inf)
    found = solve(cost, 0.1, tol=1e-9)
    plan = plan_of(found, cost, 0.1)
    assert torch.equal(plan.diagonal(), torch.zeros(12, dtype=torch.float64))
    torch.testing.assert_close(plan.sum(0), torch.full((12,), 1 / 12, dtype=torch.float64))


def test_over_relaxation_saves_passes(monkeypatch) -> None:
    cost = costs(60, 60)
    relaxed = solve(cost, 0.01, tol=1e-6).iterations
    monkeypatch.setattr("monge.ot.streaming.next_relaxation", lambda *_: 1.0)
    assert relaxed < 0.7 * solve(cost, 0.01, tol=1e-6).iterations


def test_starting_from_the_solution_takes_one_pass() -> None:
    cost = costs(25, 25)
    found = solve(cost, 0.02, tol=1e-9)
    assert solve(cost, 0.02, start=found.g, tol=1e-3).iterations == 1


def test_soft_transform_is_the_half_step() -> None:
    cost, g = costs(9, 5), torch.randn(5, dtype=torch.float64)
    found = stream_transform(lambda rows: cost[rows].clone(), g, rows=9, per_block=4, epsilon=0.2)
    expected = -0.2 * torch.exp((g - cost) / 0.2).mean(1).log()
    torch.testing.assert_close(found, expected)


def test_blocks_cover_all_rows_once() -> None:
    for rows, per_block in ((10, 3), (9, 3), (1, 5)):
        covered = torch.cat([torch.arange(rows)[block] for block in row_blocks(rows, per_block)])
        assert torch.equal(covered, torch.arange(rows))


def test_a_limit_that_falls_on_a_change_of_scale_is_told() -> None:
    """What the last pass found at a wider epsilon says nothing about the plan at its own."""
    cost = costs(12, 12)
    epsilon = float(cost.max()) / 3000.0  # some stages of annealing, even in float64
    for passes in range(1, 300):
        found = solve(cost, epsilon, tol=1e-3, max_iter=passes)
        plan = plan_of(found, cost, epsilon)
        true = float((plan.sum(1) - 1 / 12).abs().sum() + (plan.sum(0) - 1 / 12).abs().sum())
        assert found.error >= 0.9 * min(true, 2.0), passes
