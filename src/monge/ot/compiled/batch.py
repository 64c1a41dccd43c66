"""A batch of balanced problems: gathers what has mass, solves problem by problem, gives potentials to what has none."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.ot.compiled.arithmetic import exp, log
from monge.ot.compiled.balanced import solve_tile
from monge.ot.compiled.jit import entry, inner, making
from monge.ot.compiled.sweep import clear_padding, survey
from monge.ot.compiled.work import Work

Array = NDArray[Any]

SOLVED, INVALID, TOO_FINE, BROKEN = 0, 1, 2, 3

# Plans are made again from rounded potentials, which costs some of the error.
_MARGIN = 0.9


@entry
def solve_range(
    cost: Array,
    flat: Array,
    a: Array,
    b: Array,
    epsilon: Array,
    init_g: Array,
    tol: float,
    max_iter: int,
    start: int,
    stop: int,
    f: Array,
    g: Array,
    value: Array,
    error: Array,
    iterations: Array,
    status: Array,
    work: Work,
) -> None:
    """Solves the problems from ``start`` to ``stop``.

    Args:
        cost: ``(B, N, M)``, float32 or float64.
        flat: The same as ``(B, N * M)``.
        a: ``(B, N)``, sums to one.
        b: ``(B, M)``, sums to one.
        epsilon: ``(B,)``.
        init_g: ``(B, M)``, or ``(0, M)`` for a cold start.
        tol: Wanted L1 marginal error.
        max_iter: Sweeps at most.
        start: First problem.
        stop: The one after the last.
        f: ``(B, N)`` potentials, written.
        g: ``(B, M)``, written.
        value: ``(B,)``, written: ``<f, a> + <g, b>``.
        error: ``(B,)``, written.
        iterations: ``(B,)`` int64, written.
        status: ``(B,)`` int64, written: ``SOLVED``, ``INVALID`` cost, ``TOO_FINE`` for float32, or ``BROKEN`` where
            the problem left the floating-point range.
        work: Room for a problem.
    """
    some_massless = _massless(a, start, stop) or _massless(b, start, stop)
    room = np.empty(cost.shape[1:] if some_massless else (0, 0), cost.dtype)
    clear_padding(work.kernel, cost.shape[2])
    for k in range(start, stop):
        _solve_one(
            k, cost, flat, a, b, epsilon, init_g, tol, max_iter, f, g, value, error, iterations, status, room, work
        )


@inner
def _solve_one(
    k: int,
    cost: Array,
    flat: Array,
    a: Array,
    b: Array,
    epsilon: Array,
    init_g: Array,
    tol: float,
    max_iter: int,
    f: Array,
    g: Array,
    value: Array,
    error: Array,
    iterations: Array,
    status: Array,
    room: Array,
    work: Work,
) -> None:
    n, m = cost.shape[1], cost.shape[2]
    low, high, valid = survey(flat[k])
    if not valid:
        status[k] = INVALID
        return
    # One rounding of the exponent must not move a plan entry by more than a twentieth of the tolerance.
    if cost.itemsize == 4 and max(abs(low), abs(high)) / epsilon[k] * 2.0**-24 > 0.05 * tol:
        status[k] = TOO_FINE
        return
    inverse = cost.dtype.type(1.0) / epsilon[k]
    rows, columns = _massive(a[k], work.rows), _massive(b[k], work.columns)
    full = rows == n and columns == m
    tile = cost[k] if full else room
    if not full:
        _gather(cost[k], work.rows, rows, work.columns, columns, room)
        clear_padding(work.kernel, columns)
    _take(a[k], work.rows, rows, work.a, 0.0)
    _take(b[k], work.columns, columns, work.b, 1.0)
    warm = len(init_g) > 0
    if warm:
        _take(init_g[k], work.columns, columns, work.q, 0.0)
        _scale(work.q, columns, inverse)
    # More changes than dimensions tell nothing new.
    depth = min(len(work.history.weights), max(1, min(rows, columns) - 1))
    error[k], iterations[k] = solve_tile(
        tile, rows, columns, inverse, low, high, _MARGIN * tol, max_iter, depth, warm, work
    )
    value[k] = _write(rows, columns, epsilon[k], work, f[k], g[k])
    status[k] = SOLVED if error[k] < np.inf and abs(value[k]) < np.inf else BROKEN
    if not full:
        _extend(cost[k], inverse, a[k], b[k], f[k], g[k])


@inner
def _massless(weights: Array, start: int, stop: int) -> bool:
    """Whether a point of these problems has no mass."""
    count = 0
    for k in range(start, stop):
        for i in range(weights.shape[1]):
            count += weights[k, i] == 0.0
    return count > 0


@inner
def _take(values: Array, positions: Array, count: int, into: Array, rest: Any) -> None:
    """Gathers ``count`` values and fills up with ``rest``."""
    for i in range(count):
        into[i] = values[positions[i]]
    for i in range(count, len(into)):
        into[i] = rest


@inner
def _scale(potentials: Array, count: int, inverse: Any) -> None:
    """From units of the cost to those of epsilon."""
    for i in range(count):
        potentials[i] *= inverse


@inner
def _massive(weights: Array, found: Array) -> int:
    """Writes the positions of the points that have mass; returns their number."""
    count = 0
    for i in range(len(weights)):
        if weights[i] > 0.0:
            found[count] = i
            count += 1
    return count


@inner
def _gather(cost: Array, rows: Array, n: int, columns: Array, m: int, tile: Array) -> None:
    for i in range(n):
        for j in range(m):
            tile[i, j] = cost[rows[i], columns[j]]


@inner
def _write(n: int, m: int, epsilon: Any, work: Work, f: Array, g: Array) -> float:
    """Potentials in units of the cost with ``<f, a> = <g, b>``; returns the sum of the two."""
    a, b, p, q, rows, columns = work.a, work.b, work.p, work.q, work.rows, work.columns
    kind = p.dtype.type
    from_rows = from_columns = 0.0
    for i in range(n):
        from_rows += np.float64(a[i]) * np.float64(p[i])
    for j in range(m):
        from_columns += np.float64(b[j]) * np.float64(q[j])
    shift = kind(0.5 * (from_columns - from_rows))
    for i in range(n):
        f[rows[i]] = (p[i] + shift) * epsilon
    for j in range(m):
        g[columns[j]] = (q[j] - shift) * epsilon
    return np.float64((from_rows + from_columns) * epsilon)


@making
def _extend(cost: Array, inverse: Any, a: Array, b: Array, f: Array, g: Array) -> None:
    """Potentials of points without mass: one soft c-transform of the other side's."""
    n, m = cost.shape
    kind = f.dtype.type
    terms = np.empty(max(n, m), f.dtype)
    for i in range(n):
        if a[i] == 0.0:
            known = 0
            for j in range(m):
                if b[j] > 0.0:
                    terms[known] = (g[j] - cost[i, j]) * inverse + log(kind(b[j]))
                    known += 1
            f[i] = -_log_sum_exp(terms, known) / inverse
    for j in range(m):
        if b[j] == 0.0:
            known = 0
            for i in range(n):
                if a[i] > 0.0:
                    terms[known] = (f[i] - cost[i, j]) * inverse + log(kind(a[i]))
                    known += 1
            g[j] = -_log_sum_exp(terms, known) / inverse


@inner
def _log_sum_exp(terms: Array, known: int) -> Any:
    """0 where every pair is forbidden."""
    kind = terms.dtype.type
    top, total = terms[0], kind(0.0)
    for i in range(known):
        top = max(top, terms[i])
    for i in range(known):
        total += exp(terms[i] - top)
    return top + log(total) if top > -np.inf else kind(0.0)
