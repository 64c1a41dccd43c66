"""Potentials carried from step to step: fewer iterations, the same plan, and what is remembered of whom."""

from __future__ import annotations

import io
import math

import pytest
import torch
from torch import Tensor

from monge import ot
from monge.losses import BatchwiseOTLoss, CrossBatchMemory, batch_plan

N = 256
KEYS = torch.arange(N)


def clouds(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(8, 16, generator=generator, dtype=torch.float64)
    x, y = torch.randn(2, N, 16, generator=generator, dtype=torch.float64)
    return centres[KEYS % 8] + 0.5 * x, centres[KEYS % 8] + 0.5 * y


def moved(points: Tensor, share: float, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return points + share * points.std() * torch.randn(points.shape, generator=generator, dtype=points.dtype)


def solve(cost: Tensor, epsilon: float, problem=None, **options) -> ot.Transport:
    init = None if problem is None else problem.init(cost, epsilon=epsilon)
    result = ot.sinkhorn(cost, epsilon=epsilon, init=init, **options)
    if problem is not None:
        problem.keep(*result.potentials)
    return result


@pytest.mark.parametrize("seen", [1.0, 0.9, 0.6])
@pytest.mark.parametrize("relative", [0.03, 0.01])
def test_points_that_moved_a_hundredth_take_far_fewer_iterations(relative: float, seen: float) -> None:
    x, y = clouds()
    epsilon = relative * float(ot.pairwise_cost(x, y).mean())
    warm = ot.WarmStart(2 * N)
    spent = {"cold": 0, "warm": 0}
    for step in range(4):
        x, y = moved(x, 0.01, 2 * step), moved(y, 0.01, 2 * step + 1)
        fresh = torch.rand(N, generator=torch.Generator().manual_seed(step)) >= seen
        keys = torch.where(fresh, KEYS + N, KEYS)
        warm.forget(KEYS + N)
        cost = ot.pairwise_cost(x, y)
        result, cold = solve(cost, epsilon, warm.at(keys, keys)), solve(cost, epsilon)
        warm.at(KEYS, KEYS).keep(*cold.potentials)
        assert bool(result.converged)
        if step:
            spent["warm"] += int(result.iterations)
            spent["cold"] += int(cold.iterations)
    limit = 0.4 if seen == 1.0 and relative == 0.03 else 1.0
    assert spent["warm"] <= limit * spent["cold"]


def test_the_result_stays_within_the_tolerance() -> None:
    x, y = clouds()
    epsilon = 0.1 * float(ot.pairwise_cost(x, y).mean())
    warm = ot.WarmStart(N)
    solve(ot.pairwise_cost(x, y), epsilon, warm.at(KEYS, KEYS))
    cost = ot.pairwise_cost(moved(x, 0.05, 1), moved(y, 0.05, 2))
    exact = solve(cost, epsilon, tol=1e-10)
    started = solve(cost, epsilon, warm.at(KEYS, KEYS), tol=1e-10)
    torch.testing.assert_close(started.plan, exact.plan, rtol=1e-6, atol=1e-12)
    torch.testing.assert_close(started.value, exact.value, rtol=1e-9, atol=0)


def test_new_points_get_the_soft_c_transform_of_the_known_ones() -> None:
    cost = torch.rand(5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    epsilon, warm = 0.3, ot.WarmStart(10)
    f = torch.tensor([0.1, -0.2, 0.3])
    warm.at(torch.tensor([0, 1, 2]), None).keep(f, torch.zeros(4))
    start = warm.at(torch.tensor([0, 1, 2, 3, 4]), torch.tensor([5, 6, 7, 8])).init(cost, epsilon=epsilon)
    for j in range(4):
        terms = [math.exp((float(f[i]) - float(cost[i, j])) / epsilon) for i in range(3)]
        assert float(start[1][j]) == pytest.approx(-epsilon * math.log(sum(terms) / 3), rel=1e-6)


def test_new_rows_come_before_new_columns() -> None:
    """With old columns known and every row new, the rows' half step carries over what the columns know."""
    x, y = clouds()
    epsilon = 0.05 * float(ot.pairwise_cost(x, y).mean())
    cost = ot.pairwise_cost(x, y)
    exact = solve(cost, epsilon, tol=1e-10)
    warm = ot.WarmStart(N)
    warm.at(None, KEYS).keep(*exact.potentials)
    warm.forget(KEYS[:10])
    _, g = warm.at(None, KEYS).init(cost, epsilon=epsilon)
    torch.testing.assert_close(g[10:], exact.potentials[1][10:], rtol=1e-6, atol=1e-6)
    error = (g[:10] - exact.potentials[1][:10]).abs().max()
    assert error < 0.3 * (exact.potentials[1][:10] - exact.potentials[1][10:].mean()).abs().max()


def test_too_few_known_points_are_no_start() -> None:
    warm, cost = ot.WarmStart(20), torch.rand(10, 10)
    assert warm.at(KEYS[:10], KEYS[:10]).init(cost, epsilon=0.1) is None
    warm.at(KEYS[:4], KEYS[:4]).keep(torch.zeros(4), torch.zeros(4))
    assert warm.at(KEYS[:10], KEYS[:10]).init(cost, epsilon=0.1) is None
    warm.at(KEYS[:5], None).keep(torch.zeros(5), torch.zeros(0))
    assert warm.at(KEYS[:10], KEYS[:10]).init(cost, epsilon=0.1) is not None


def test_forbidden_pairs_leave_finite_potentials() -> None:
    cost = torch.rand(4, 4)
    cost.fill_diagonal_(torch.inf)
    warm = ot.WarmStart(8)
    warm.at(KEYS[:2], None).keep(torch.zeros(2), torch.zeros(0))
    cost[:2, 3] = torch.inf  # column 3 may only be reached from rows that are not known
    _, g = warm.at(KEYS[:4], KEYS[:4]).init(cost, epsilon=0.1)
    assert g.isfinite().all()
    assert g[3] == 0


def test_state_survives_a_checkpoint_and_a_reset_clears_it() -> None:
    warm = ot.WarmStart(6)
    warm.at(torch.tensor([4, 1]), torch.tensor([0, 5])).keep(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
    file = io.BytesIO()
    torch.save(warm.state_dict(), file)
    file.seek(0)
    other = ot.WarmStart(6)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert other.row_potentials[[4, 1]].tolist() == [1.0, 2.0]
    assert other.column_potentials[[0, 5]].tolist() == [3.0, 4.0]
    assert int(other.row_potentials.isnan().sum()) == 4
    other.reset()
    assert other.row_potentials.isnan().all()
    assert other.column_potentials.isnan().all()


def test_a_key_that_occurs_twice_does_not_depend_on_the_order() -> None:
    for order in ([0, 1], [1, 0]):
        warm = ot.WarmStart(3)
        warm.at(torch.tensor([2, 2]), None).keep(torch.tensor([1.0, 5.0])[order], torch.zeros(0))
        assert warm.row_potentials[2] == 5.0


def test_wrong_keys_are_refused() -> None:
    warm = ot.WarmStart(5)
    with pytest.raises(ValueError, match="from 0 to 5: expected 0 to 4"):
        warm.at(torch.arange(6), None)
    with pytest.raises(ValueError, match="expected integer keys"):
        warm.at(torch.rand(3), None)
    with pytest.raises(ValueError, match="expected integer keys"):
        warm.at(None, torch.zeros(2, 2, dtype=torch.long))
    with pytest.raises(ValueError, match="found 3 keys for 4 points"):
        warm.at(torch.arange(3), None).init(torch.rand(4, 4), epsilon=0.1)
    with pytest.raises(ValueError, match="at least 1"):
        ot.WarmStart(0)


@pytest.fixture
def iterations(monkeypatch) -> list[int]:
    """Iterations of every dense solve of the batch-wise loss."""
    spent: list[int] = []

    def counting(*args, **kwargs) -> ot.Transport:
        result = ot.sinkhorn(*args, **kwargs)
        spent.append(int(result.iterations))
        return result

    monkeypatch.setattr(batch_plan, "sinkhorn", counting)
    return spent


@pytest.mark.parametrize("miner", [False, True])
def test_batchwise_loss_starts_warm(iterations: list[int], miner: bool) -> None:
    x, _ = clouds()
    x, labels = torch.nn.functional.normalize(x[:96], dim=1), KEYS[:96] % 8
    pairs = None
    if miner:
        i, j = (~torch.eye(96, dtype=torch.bool)).nonzero().T
        same = labels[i] == labels[j]
        pairs = (i[same], j[same], i[~same], j[~same])
    loss, warm, ids = BatchwiseOTLoss(tol=1e-6), ot.WarmStart(200), KEYS[:96] + 50
    values = []
    for step in range(3):
        cold = loss(moved(x, 0.001 * step, step), labels, pairs)
        values.append((loss(moved(x, 0.001 * step, step), labels, pairs, warm=warm.at(ids, ids)), cold))
    for value, cold in values:
        torch.testing.assert_close(value, cold, rtol=1e-5, atol=0)
    assert sum(iterations[3::2]) <= 0.75 * sum(iterations[2::2])


def test_memory_starts_warm_at_the_slots_that_kept_their_sample(iterations: list[int]) -> None:
    x, _ = clouds()
    x, labels = torch.nn.functional.normalize(x, dim=1), KEYS % 8
    cold, warm = (CrossBatchMemory(BatchwiseOTLoss(tol=1e-6), 16, 100, warm_start=started) for started in (False, True))
    for step in range(12):
        rows = slice(20 * step, 20 * step + 20)
        torch.testing.assert_close(warm(x[rows], labels[rows]), cold(x[rows], labels[rows]), rtol=1e-4, atol=0)
    known = ~warm.warm.column_potentials.isnan()
    assert int(known.sum()) == 80  # the last batch's slots are new
    before = warm.warm.column_potentials.clone()
    warm.eval()(x[:20], labels[:20])
    torch.testing.assert_close(warm.warm.column_potentials, before, equal_nan=True, rtol=0, atol=0)
    assert {"warm.row_potentials", "warm.column_potentials"} < warm.state_dict().keys()
    warm.reset()
    assert warm.warm.column_potentials.isnan().all()


def test_a_compiled_loss_starts_cold_and_compiles() -> None:
    torch._dynamo.reset()
    x, labels = clouds()[0][:32], KEYS[:32] % 4
    warm = ot.WarmStart(32)
    problem = warm.at(KEYS[:32], KEYS[:32])
    compiled = torch.compile(BatchwiseOTLoss(), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, labels, warm=problem), BatchwiseOTLoss()(x, labels))
    assert warm.row_potentials.isnan().all()
