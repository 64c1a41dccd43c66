"""Rank correlations: against loops and SciPy, with ties of every kind, and at sizes where pairs cannot be listed."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from monge.errors import MongeError
from monge.metrics import concordance_index, kendall_tau_b, pearson, spearman
from monge.metrics.rank_correlation import pair_counts
from oracles import ordinal as oracle

stats = pytest.importorskip("scipy.stats")


def values(count: int, levels: int) -> Tensor:
    """Random values with many ties; no ties if `levels` is 0."""
    return torch.randn(count) if levels == 0 else torch.randint(-levels, levels, (count,))


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 2), (2, 0), (3, 3), (1, 20), (200, 1)])
@pytest.mark.parametrize("count", [2, 3, 17, 64, 65])
def test_pairs_equal_the_loop(first: int, second: int, count: int) -> None:
    x, y = values(count, first), values(count, second)
    if len(x.unique()) < 2 or len(y.unique()) < 2:
        x, y = x.sort().values + torch.arange(count), y + torch.arange(count)
    assert kendall_tau_b(x, y) == pytest.approx(oracle.tau_b(x.tolist(), y.tolist()), abs=1e-12)
    assert concordance_index(x, y) == pytest.approx(oracle.c_index(x.tolist(), y.tolist()), abs=1e-12)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (5, 0), (4, 50)])
def test_scipy(first: int, second: int) -> None:
    x = values(5000, first)
    y = values(5000, second) + 2 * x
    a, b = x.double().numpy(), y.double().numpy()
    assert kendall_tau_b(x, y) == pytest.approx(stats.kendalltau(a, b).statistic, abs=1e-12)
    assert spearman(x, y) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)
    assert pearson(x, y) == pytest.approx(stats.pearsonr(a, b).statistic, abs=1e-12)


def test_c_index_is_somers_d_moved_to_the_unit_interval() -> None:
    labels = values(60, 4)
    predictions = values(60, 3) + labels
    somers = stats.somersd(labels.numpy(), predictions.numpy()).statistic
    assert concordance_index(predictions, labels) == pytest.approx((somers + 1) / 2, abs=1e-12)


def test_counts_of_many_pairs_are_exact() -> None:
    n = 300_000
    pairs = n * (n - 1) // 2
    up = torch.arange(n)
    assert pair_counts(up, up) == (pairs, 0, 0, 0)
    assert pair_counts(up, -up) == (0, pairs, 0, 0)
    # Two levels: within a half tied in x, across the halves in order.
    assert pair_counts(up // (n // 2), up) == ((n // 2) ** 2, 0, 2 * (n // 2) * (n // 2 - 1) // 2, 0)


def test_monotone_maps_and_order_of_the_items_change_nothing() -> None:
    x, y = values(500, 0), values(500, 6)
    order = torch.randperm(500)
    for score in (kendall_tau_b, spearman, concordance_index):
        assert score(x, y) == pytest.approx(score(x[order].exp(), 3 * y[order] - 7), abs=1e-12)
        assert score(x, x) == pytest.approx(1.0)


def test_far_from_zero_and_of_great_size() -> None:
    x, y = values(200, 0).double(), values(200, 0).double()
    for scale, shift in ((1e-200, 0.0), (1e200, 0.0), (1.0, 1e6)):
        assert pearson(x * scale + shift, y) == pytest.approx(pearson(x, y), abs=1e-8)
    with pytest.warns(UserWarning, match="undefined"):
        assert math.isnan(pearson(torch.full((10,), 0.1), y[:10]))


def test_a_correlation_is_never_beyond_one() -> None:
    for count in range(2, 40):
        values = torch.arange(count) ** 3 + 0.1
        for measure in (kendall_tau_b, spearman, pearson):
            assert measure(values, values) == pytest.approx(1.0, abs=1e-12)
            assert -1.0 <= measure(values, -values) < measure(values, values) <= 1.0


def test_wrong_values_are_refused() -> None:
    good = torch.tensor([1.0, 2.0])
    with pytest.raises(MongeError, match="first values: found complex, NaN or infinite"):
        kendall_tau_b(torch.tensor([1.0, math.nan]), good)
    with pytest.raises(MongeError, match=r"second values: found shape \(3,\), expected \(2,\)"):
        spearman(good, torch.ones(3))
    with pytest.raises(MongeError, match="second values: found complex"):
        pearson(good, torch.tensor([1.0, math.inf]))
    with pytest.raises(MongeError, match="N at least 1"):
        concordance_index(good[:0], good[:0])
