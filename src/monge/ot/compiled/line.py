"""Squared EMD of softmax outputs on a line, compiled: value and gradient of a row while it is in the nearest cache."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


def index_rows(p: Array, target: Array, gaps: Array, value: Array, *, slope: bool) -> None:
    """Value of each row for a class index as target; with ``slope``, ``p`` becomes the gradient to the logits.

    Args:
        p: Probabilities, ``(N, C)``, float32 or float64, contiguous.
        target: ``(N,)``, int64, 0 to ``C - 1``.
        gaps: Distances of neighbouring classes, ``(N, C - 1)`` or ``(1, C - 1)`` for all rows.
        value: ``(N,)``, written.
        slope: Whether the gradient is wanted.
    """
    _index_rows(p, target, gaps, value, slope)


def distribution_rows(p: Array, target: Array, gaps: Array, value: Array, *, slope: bool) -> None:
    """As :func:`index_rows` for targets ``(N, C)`` that sum to one."""
    _distribution_rows(p, target, gaps, value, slope)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _index_rows(p: Array, target: Array, gaps: Array, value: Array, slope: bool) -> None:
    n, classes = p.shape
    before = np.empty(classes, p.dtype)
    for r in range(n):
        row, gap, label = p[r], gaps[r if len(gaps) > 1 else 0], target[r]
        moved = summed = total = mean = 0.0
        for k in range(classes - 1):
            moved += np.float64(row[k]) - (1.0 if k == label else 0.0)
            before[k] = summed
            mean += row[k] * summed
            weighted = gap[k] * moved
            summed += weighted
            total += weighted * moved
        value[r] = total
        if slope:
            _to_slope(row, before, summed, mean)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _distribution_rows(p: Array, target: Array, gaps: Array, value: Array, slope: bool) -> None:
    n, classes = p.shape
    before = np.empty(classes, p.dtype)
    for r in range(n):
        row, gap, wanted = p[r], gaps[r if len(gaps) > 1 else 0], target[r]
        moved = summed = total = mean = 0.0
        for k in range(classes - 1):
            moved += np.float64(row[k]) - wanted[k]
            before[k] = summed
            mean += row[k] * summed
            weighted = gap[k] * moved
            summed += weighted
            total += weighted * moved
        value[r] = total
        if slope:
            _to_slope(row, before, summed, mean)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _to_slope(row: Array, before: Array, summed: float, mean: float) -> None:
    """``dL/dz_k = 2 p_k (sum_i p_i S_i - S_k)``, where ``S_k`` sums the weighted differences before class ``k``."""
    last = len(row) - 1
    before[last] = summed
    centre = row.dtype.type(2.0 * (mean + row[last] * summed))
    two = row.dtype.type(2.0)
    for k in range(len(row)):
        row[k] *= centre - two * before[k]
