"""Squared EMD of softmax outputs on a line, compiled: value and gradient of a row while it is in the nearest cache.

Running sums are chains of additions, each of which waits for the one before; so rows go in pairs, and one chain runs
while the other waits. Everything around the sums is vector code. Sums are in float64, which costs nothing here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from monge.ot.compiled.arithmetic import exp
from monge.ot.compiled.jit import entry, in_order, inner
from monge.ot.compiled.threads import over_range

Array = NDArray[Any]

# Entries below which a batch is one piece of work.
_PIECE = 1 << 17


def cramer_of_rows(logits: Tensor, target: Tensor, gaps: Tensor, slope: bool) -> tuple[Tensor, Tensor]:
    """Value of each row and its gradient to the logits.

    Args:
        logits: ``(N, C)``, float32 or float64.
        target: Classes ``(N,)``, int64, 0 to ``C - 1``; or ``(N, C)``, rows that sum to one.
        gaps: Distances of neighbouring classes, ``(N, C - 1)``, or ``(1, C - 1)`` for all rows.
        slope: Whether the gradient is wanted.

    Returns:
        ``(N,)``, and ``(N, C)`` or, if not wanted, ``(0, C)``.
    """
    n, classes = logits.shape
    made = logits.new_empty(n), logits.new_empty(n if slope else 0, classes)
    given = (logits, logits.amax(1), target, gaps)  # the largest logit is NaN where one is
    arrays: Any = [t.contiguous().numpy() for t in (*given, *made)]
    if n * classes < _PIECE:
        _cramer_rows(*arrays, 0, n)  # type: ignore[call-arg]
    else:
        over_range(n, lambda start, stop: _cramer_rows(*arrays, start, stop))  # type: ignore[call-arg]
    return made


@entry
def _cramer_rows(
    logits: Array, tops: Array, target: Array, gaps: Array, value: Array, slope: Array, start: int, stop: int
) -> None:
    classes = logits.shape[1]
    weights = np.empty((2, classes), logits.dtype)  # softmax before it is divided by its sum
    moved, before, scales = np.empty((2, classes)), np.empty((2, classes)), np.empty(2)
    for first in range(start, stop, 2):
        rows = (first, min(first + 1, stop - 1))
        _two_rows(rows, logits, tops, target, gaps, value, slope, weights, moved, before, scales)


@inner
def _two_rows(
    rows: tuple[int, int],
    logits: Array,
    tops: Array,
    target: Array,
    gaps: Array,
    value: Array,
    slope: Array,
    weights: Array,
    moved: Array,
    before: Array,
    scales: Array,
) -> None:
    classes = logits.shape[1]
    for lane in range(2):
        r = rows[lane]
        for k in range(classes):
            weights[lane, k] = exp(logits[r, k] - tops[r])
        scales[lane] = 1.0 / _sum(weights[lane])
        for k in range(classes):
            moved[lane, k] = weights[lane, k] * scales[lane]
        if target.ndim == 1:
            moved[lane, target[r]] -= 1.0
        else:
            for k in range(classes):
                moved[lane, k] -= target[r, k]
    gap = (rows[0], rows[1]) if len(gaps) > 1 else (0, 0)
    totals = _running_sums(moved, before, gaps, gap[0], gap[1])
    for lane in range(2):
        r = rows[lane]
        value[r] = totals[lane]
        if len(slope) > 0:
            # dL/dz_k = 2 p_k (sum_i p_i S_i - S_k), where S_k is what has been summed before class k.
            factor = logits.dtype.type(2.0 * scales[lane])
            mean = scales[lane] * _dot(weights[lane], before[lane])
            for k in range(classes):
                slope[r, k] = weights[lane, k] * factor * logits.dtype.type(mean - before[lane, k])


@in_order
def _running_sums(moved: Array, before: Array, gaps: Array, gap_0: int, gap_1: int) -> tuple[float, float]:
    """Values of two rows; writes what each has summed before every class."""
    last = moved.shape[1] - 1
    total_0 = total_1 = level_0 = level_1 = sum_0 = sum_1 = 0.0
    for k in range(last):
        level_0 += moved[0, k]
        level_1 += moved[1, k]
        before[0, k] = sum_0
        before[1, k] = sum_1
        weighted_0 = gaps[gap_0, k] * level_0
        weighted_1 = gaps[gap_1, k] * level_1
        sum_0 += weighted_0
        sum_1 += weighted_1
        total_0 += weighted_0 * level_0
        total_1 += weighted_1 * level_1
    before[0, last] = sum_0
    before[1, last] = sum_1
    return total_0, total_1


@inner
def _sum(values: Array) -> float:
    total = 0.0
    for k in range(len(values)):
        total += values[k]
    return total


@inner
def _dot(x: Array, y: Array) -> float:
    total = 0.0
    for k in range(len(x)):
        total += x[k] * y[k]
    return total
