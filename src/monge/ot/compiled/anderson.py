"""Anderson acceleration of Sinkhorn in the log of one scaling (Walker and Ni 2011), for one problem in cache.

A plain iteration moves ``log v`` by the residual ``F = log(b / (v * sums))``. The last few changes of the residual and
of the iterate predict the step that would bring it to zero: the combination of past changes that cancels ``F`` in least
squares, weighted by ``b`` as in the Fisher metric. For a few products of vectors a solve takes half the iterations, and
with small regularisation a tenth.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.ot.compiled.arithmetic import at_order, log, order_of
from monge.ot.compiled.jit import inner

Array = NDArray[Any]

# A combination of steps may be wrong far from the solution: no scaling changes by more than e^3 at once.
_LONGEST = 3.0
_RIDGE, _RIDGE_FLOAT32 = 1e-10, 1e-6


class History(NamedTuple):
    """What past iterations leave. Vectors are padded like the rows of the kernel, with entries that stay zero."""

    residual: Array  # (M,)
    previous: Array  # (M,) residual one iteration ago
    step: Array  # (M,) last step taken
    root: Array  # (M,) square root of b
    changes: Array  # (D, M) of the residual, times root
    moves: Array  # (D, M) of the iterate plus the residual
    gram: Array  # (D, D) products of the changes, float64
    factor: Array  # (D, D) float64
    weights: Array  # (D,) float64


def new_history(width: int, depth: int, dtype: Any) -> History:
    """Room for ``depth`` changes of vectors of ``width``."""
    vectors, pairs = np.zeros((4, width), dtype), np.zeros((2, depth, width), dtype)
    squares = np.zeros((2, depth, depth))
    return History(
        residual=vectors[0],
        previous=vectors[1],
        step=vectors[2],
        root=vectors[3],
        changes=pairs[0],
        moves=pairs[1],
        gram=squares[0],
        factor=squares[1],
        weights=np.zeros(depth),
    )


@inner
def measure(v: Array, sums: Array, b: Array, residual: Array, width: int) -> Any:
    """Writes the residual; returns the L1 error of the column marginal."""
    error = v.dtype.type(0.0)
    for j in range(width):
        column = v[j] * sums[j]
        error += abs(column - b[j])
        residual[j] = log(b[j] / column)
    return error


@inner
def next_step(history: History, width: int, depth: int, stored: int, plain: bool) -> int:
    """Writes the next step of ``log v``.

    Args:
        history: The residual now, and what the last iterations left.
        width: Entries of the vectors.
        depth: Changes to remember.
        stored: Changes stored since the last restart, -1 where there is no residual from before the last step.
        plain: Forget all and take the step of a plain iteration.

    Returns:
        Changes stored now.
    """
    residual, previous, step = history.residual, history.previous, history.step
    if stored >= 0 and not plain:
        k = stored % depth
        for j in range(width):
            change = residual[j] - previous[j]
            history.changes[k, j] = change * history.root[j]
            history.moves[k, j] = step[j] + change
        _correlate(history, k, min(stored + 1, depth), width)
    stored = -1 if plain else stored + 1
    for j in range(width):
        previous[j] = residual[j]
        step[j] = residual[j]
    if stored > 0:
        known = min(stored, depth)
        _solve(history.gram, history.factor, history.weights, known, _RIDGE if step.itemsize == 8 else _RIDGE_FLOAT32)
        _combine(step, history.moves, history.weights, known, width)
    return stored


@inner
def _correlate(history: History, k: int, known: int, width: int) -> None:
    """Products of the newest change with all, and of all with the residual (into the weights)."""
    residual, root, changes = history.residual, history.root, history.changes
    gram, weights = history.gram, history.weights
    for i in range(known):
        overlap = reach = changes.dtype.type(0.0)
        for j in range(width):
            overlap += changes[i, j] * changes[k, j]
            reach += changes[i, j] * (root[j] * residual[j])
        gram[i, k] = overlap
        gram[k, i] = overlap
        weights[i] = reach


@inner
def _combine(step: Array, moves: Array, weights: Array, known: int, width: int) -> None:
    """Takes the weighted moves off the step, and shortens it if it is very long."""
    kind = step.dtype.type
    for i in range(known):
        weight = kind(weights[i])
        for j in range(width):
            step[j] -= weight * moves[i, j]
    largest = order_of(kind(0.0))
    for j in range(width):
        largest = max(largest, order_of(abs(step[j])))
    length = at_order(largest)
    if not length <= _LONGEST:
        shrink = kind(_LONGEST) / length
        for j in range(width):
            step[j] *= shrink


@inner
def _solve(gram: Array, factor: Array, x: Array, size: int, ridge: float) -> None:
    """Solves the normal equations in place, by LDL'; the ridge is relative to each change's own size."""
    for i in range(size):
        for j in range(i):
            total = gram[i, j]
            for k in range(j):
                total -= factor[i, k] * factor[j, k] * factor[k, k]
            factor[i, j] = total / factor[j, j]
        pivot = gram[i, i] * (1.0 + ridge) + 1e-300
        for k in range(i):
            pivot -= factor[i, k] * factor[i, k] * factor[k, k]
            x[i] -= factor[i, k] * x[k]
        factor[i, i] = max(pivot, ridge * gram[i, i] + 1e-300)
    for i in range(size - 1, -1, -1):
        x[i] /= factor[i, i]
        for k in range(i + 1, size):
            x[i] -= factor[k, i] * x[k]
