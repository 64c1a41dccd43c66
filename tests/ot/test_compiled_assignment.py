from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from monge import ot
from monge.ot import assignment, network_simplex, use_backend

pytestmark = pytest.mark.skipif(find_spec("numba") is None, reason="Numba is not installed")

Array = NDArray[Any]
RANDOM = np.random.default_rng(7)


def distances(n: int) -> Array:
    x, y = RANDOM.normal(size=(n, 1, 2)), RANDOM.normal(size=(1, n, 2))
    return np.asarray(((x - y) ** 2).sum(-1))


def clusters(n: int) -> Array:
    place = RANDOM.integers(0, 4, n)
    return np.asarray(3.0 * (place[:, None] != place[::-1]) + 0.1 * RANDOM.random((n, n)))


KINDS: dict[str, Callable[[int], Array]] = {
    "uniform": lambda n: RANDOM.random((n, n)),
    "distances": distances,
    "clusters": clusters,
    "ties": lambda n: RANDOM.integers(0, 4, (n, n)).astype(float),
    "equal": lambda n: np.full((n, n), 2.5),
    "negative": lambda n: -100.0 * RANDOM.random((n, n)) - 1e3,
    "one column cheap": lambda n: np.where(np.arange(n) == 0, 0.0, RANDOM.random((n, n))),
    "far apart": lambda n: 10.0 ** RANDOM.integers(-8, 8, (n, n)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 3, 7, 16, 33, 150])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_scipy_and_potentials_prove_it(kind: str, n: int, dtype: Any) -> None:
    from monge.ot.compiled.assignment import solve_assignments

    costs = np.stack([KINDS[kind](n) for _ in range(3)]).astype(dtype)
    solved = solve_assignments(costs)
    rows = np.arange(n)
    for k, cost in enumerate(costs.astype(np.float64)):
        assert sorted(solved.columns[k]) == list(rows)
        best = cost[linear_sum_assignment(cost)].sum()
        size = np.abs(cost).max()
        assert cost[rows, solved.columns[k]].sum() == pytest.approx(best, rel=1e-12, abs=1e-12 * size)
        slack = cost - solved.f[k][:, None] - solved.g[k]
        assert slack.min() >= -1e-12 * size
        assert solved.slack[k] == pytest.approx(slack.min(), abs=1e-15 * size)
        assert solved.f[k].sum() + solved.g[k].sum() == pytest.approx(best, rel=1e-11, abs=1e-12 * n * size)


def test_same_bits_in_any_company_and_number_of_threads() -> None:
    costs = torch.rand(40, 60, 60)
    threads = torch.get_num_threads()
    with use_backend("compiled"):
        alone = [ot.emd(cost).plan for cost in costs]
        try:
            torch.set_num_threads(3)
            together = ot.emd(costs).plan
            mixed = ot.emd(costs.flip(0)).plan.flip(0)
        finally:
            torch.set_num_threads(threads)
    assert torch.equal(torch.stack(alone), together)
    assert torch.equal(together, mixed)


def test_potentials_need_no_second_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    cost = torch.rand(4, 9, 9, dtype=torch.float64)
    a = torch.full((4, 9), 1 / 9, dtype=torch.float64, requires_grad=True)
    with use_backend("torch"):
        expected = ot.emd(cost).value
    monkeypatch.setattr(network_simplex, "_solve_capped", None)
    with use_backend("compiled"):
        result = ot.emd(cost, a)
        result.value.sum().backward()
    f, g = result.potentials
    assert float((f[..., None] + g[:, None] - cost).max()) <= 1e-14
    torch.testing.assert_close(f.mean(-1) + g.mean(-1), expected)
    torch.testing.assert_close(a.grad, f - f.mean(-1, keepdim=True))


def test_some_points_without_mass_get_potentials_too(monkeypatch: pytest.MonkeyPatch) -> None:
    cost = torch.rand(6, 6, dtype=torch.float64)
    a = torch.tensor([0.25, 0.25, 0.0, 0.25, 0.25, 0.0], dtype=torch.float64)
    b = a.flip(0)
    with use_backend("torch"):
        expected = ot.emd(cost, a, b).value
    monkeypatch.setattr(network_simplex, "_solve_capped", None)
    with use_backend("compiled"):
        result = ot.emd(cost, a, b)
    torch.testing.assert_close(result.value, expected)
    f, g = result.potentials
    bound = (a > 0)[:, None] | (b > 0)
    assert float((f[:, None] + g - cost)[bound].max()) <= 1e-14


def test_sums_beyond_float64_are_left_to_another_solver() -> None:
    from monge.ot.compiled.assignment import solve_assignments

    cost = np.array([[1.5e308, -1.5e308, 0.0], [1.5e308, -1.5e308, 1.0], [-1.5e308, 1.5e308, 1.5e308]])
    assert not (solve_assignments(cost[None]).slack >= 0).all()
    with use_backend("compiled"):
        made = assignment.assign_batch(cost[None])
    assert made.potentials is None
    assert made.columns[0].tolist() == linear_sum_assignment(cost)[1].tolist()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_ends_whatever_it_is_given(bad: float) -> None:
    from monge.ot.compiled.assignment import solve_assignments

    costs = RANDOM.random((20, 12, 12))
    costs[RANDOM.random(costs.shape) < 0.3] = bad
    assert len(solve_assignments(costs).slack) == 20
