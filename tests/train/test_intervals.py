"""Intervals against SciPy and tables, and steps to a target."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from monge.train.intervals import first_step_at, mean_and_interval, median_steps


@pytest.mark.parametrize("n", [2, 3, 5, 20])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_interval_is_scipys(n: int, confidence: float) -> None:
    values = np.random.default_rng(n).normal(0.9, 0.01, n)
    mean, half = mean_and_interval(values.tolist(), confidence)
    low, high = stats.t.interval(confidence, n - 1, loc=values.mean(), scale=stats.sem(values))
    assert (mean - half, mean + half) == pytest.approx((low, high), rel=1e-12)


def test_three_seeds_by_hand() -> None:
    assert mean_and_interval([1.0, 2.0, 3.0]) == pytest.approx((2.0, 4.302652729911275 / math.sqrt(3)))


def test_coverage_is_what_it_says() -> None:
    samples = np.random.default_rng(0).normal(size=(2000, 3))
    hits = sum(abs(mean) <= half for mean, half in (mean_and_interval(row.tolist()) for row in samples))
    assert 0.93 < hits / len(samples) < 0.97


def test_degenerate_samples() -> None:
    assert mean_and_interval([0.5, 0.5])[1] == 0.0
    assert math.isnan(mean_and_interval([0.5])[1])
    assert all(math.isnan(part) for part in mean_and_interval([0.5, math.nan, 0.7]))
    with pytest.raises(ValueError, match="no values"):
        mean_and_interval([])


def test_steps_to_a_target() -> None:
    curve = [(10, 0.2), (20, 0.6), (30, 0.5)]
    assert [first_step_at(curve, target) for target in (0.1, 0.2, 0.55, 0.7)] == [10, 10, 20, None]
    assert median_steps([10, 30, 20]) == 20.0
    assert median_steps([None, 30, 20]) == 30.0
    assert median_steps([None, None, 20]) is None
    assert median_steps([]) is None
