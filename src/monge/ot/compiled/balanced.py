"""One balanced entropic problem, all in cache: fused sweeps, annealing, Anderson acceleration, Newton for what is left.

The same mathematics and the same report as :mod:`monge.ot.scaling`, which stays the fallback: kernel-domain iterations
with absorbed potentials and a stop test on the L1 error of both marginals. Row marginals are exact after every sweep,
so the error is that of the columns, and every iteration knows it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.ot.compiled.anderson import History, measure, new_history, next_step
from monge.ot.compiled.arithmetic import at_order, exp, log, order_of
from monge.ot.compiled.jit import inner
from monge.ot.compiled.newton import dual, newton_step
from monge.ot.compiled.sweep import first_sweep, row_floors, sweep

Array = NDArray[Any]

# exp(-70) = 4e-31 leaves float32 seven decades above its smallest number; wider ranges are annealed.
_SAFE_RANGE = 70.0
_ANNEAL = 4.0
# What a stage of the annealing must reach. With many stages to go, each has to hand over good potentials.
_STAGE_TOL, _STAGE_TOL_LONG, _LONG = 0.01, 0.001, 16.0
_ABSORB_ABOVE = 30.0
_CHECK_EVERY = 4
# An error that grows this much over the best so far, or stays above it this long, means that the acceleration went
# astray. Plain iterations, which never make it worse, then go on from the best: twice as many every time.
_ASTRAY = 4.0
_PATIENCE = 30
# A warm start further off than this is not one.
_WARM = 1.0
# Sweeps after which a problem is hard enough for Newton's method: these, and one for every other column, since a step
# of it costs a sweep for every third. Beyond the largest width a dense system costs more than it saves.
_HARD, _WIDEST = 40, 512
_SHORTEST = 1e-5


class Work(NamedTuple):
    """State of a problem of up to ``N x M`` in units of epsilon; ``M`` is rounded up to whole cache lines."""

    kernel: Array  # (N, M)
    a: Array  # (N,)
    b: Array  # (M,), 1 beyond the columns that exist
    p: Array  # (N,) potentials
    q: Array  # (M,)
    v: Array  # (M,) scaling of the columns
    best: Array  # (M,) the scaling of least error so far
    sums: Array  # (M,) K' u
    products: Array  # (N,) K v
    scaled_p: Array  # (N,) potentials over the scale of the annealing
    scaled_q: Array  # (M,)
    rows: Array  # (N,) int64, the points that have mass
    columns: Array  # (M,) int64
    history: History


def new_work(n: int, m: int, depth: int, dtype: Any) -> Work:
    """Room for problems of up to ``n x m``; the kernel is aligned to cache lines."""
    line = 64 // np.dtype(dtype).itemsize
    width = (m + line - 1) // line * line
    flat = np.empty(n * width + line, dtype)
    skipped = -flat.ctypes.data % 64 // flat.itemsize
    kernel = flat[skipped : skipped + n * width].reshape(n, width)
    rows, columns = np.zeros((4, n), dtype), np.zeros((6, width), dtype)
    return Work(
        kernel=kernel,
        a=rows[0],
        b=columns[0],
        p=rows[1],
        q=columns[1],
        v=columns[2],
        best=columns[5],
        sums=columns[3],
        products=rows[2],
        scaled_p=rows[3],
        scaled_q=columns[4],
        rows=np.zeros(n, np.int64),
        columns=np.zeros(width, np.int64),
        history=new_history(width, depth, dtype),
    )


@inner
def solve_tile(
    cost: Array,
    n: int,
    m: int,
    inverse: Any,
    low: Any,
    high: Any,
    tol: float,
    max_iter: int,
    depth: int,
    warm: bool,
    work: Work,
) -> tuple[float, int]:
    """Solves one problem whose points all have mass.

    Args:
        cost: ``(n, m)``, finite or ``+inf``.
        n: Rows.
        m: Columns.
        inverse: Of epsilon, in the dtype of the cost.
        low: Smallest cost.
        high: Largest finite cost.
        tol: L1 marginal error to stay below.
        max_iter: Sweeps at most.
        depth: Changes that the acceleration remembers.
        warm: ``work.q`` holds potentials to start from.
        work: ``a`` and ``b`` hold the weights, which sum to one; the kernel's padding is clear. Potentials come back in
            ``p`` and ``q``, for the plan ``a_i b_j exp(p_i + q_j - cost_ij * inverse)``.

    Returns:
        Error, infinite or NaN where the problem left the floating-point range, and sweeps spent.
    """
    line = 64 // work.kernel.itemsize
    width = (m + line - 1) // line * line
    b, p, q, root = work.b, work.p, work.q, work.history.root
    for j in range(width):
        root[j] = np.sqrt(b[j])
    spent: Any = np.int64(0)  # a literal would compile what it is passed to twice
    if warm:
        row_floors(cost, n, m, inverse, q, p)
        error, spent = _stage(cost, n, m, width, inverse, 1.0, tol, _WARM, spent, max_iter, depth, work)
        if error <= _WARM or spent >= max_iter:
            return error, spent
    scale = 1.0
    for j in range(width):
        q[j] = 0.0
    for i in range(n):
        p[i] = low * inverse
    if (high - low) * inverse > _SAFE_RANGE:
        reach = row_floors(cost, n, m, inverse, q, p)
        while scale * _SAFE_RANGE < reach:
            scale *= _ANNEAL
    stage_tol = _STAGE_TOL if scale <= _LONG else _STAGE_TOL_LONG
    while True:
        goal = tol if scale == 1.0 else stage_tol
        error, spent = _stage(cost, n, m, width, inverse, scale, goal, np.inf, spent, max_iter, depth, work)
        if scale == 1.0 or not error < np.inf:
            return error, spent
        if spent >= max_iter:
            # Stopped while still annealed, it has not been measured at its own epsilon.
            return max(error, 2.0), spent
        scale /= _ANNEAL


@inner
def _stage(
    cost: Array,
    n: int,
    m: int,
    width: int,
    inverse: Any,
    scale: float,
    goal: float,
    limit: float,
    spent: int,
    max_iter: int,
    depth: int,
    work: Work,
) -> tuple[float, int]:
    """Iterates at one scale of the annealing and moves the scalings into the potentials.

    Returns:
        Error, and sweeps spent in all. An error above ``limit`` after the first sweep ends the stage.
    """
    history, kernel, a, b, p, q, v = work.history, work.kernel, work.a, work.b, work.p, work.q, work.v
    sums, products, scaled_p, scaled_q = work.sums, work.products, work.scaled_p, work.scaled_q
    best, residual, previous, step, root = work.best, history.residual, history.previous, history.step, history.root
    changes, moves, gram, room, weights = history.changes, history.moves, history.gram, history.factor, history.weights
    kind = p.dtype.type
    factor = kind(scale)
    part = kind(1.0) / factor
    stored: Any = np.int64(-1)
    least, since, pause, restarts, begun = np.inf, 0, 0, 0, spent
    newton, reach, highest, patience = False, kind(1.0), -np.inf, spent + _HARD + m // 2
    fresh = True
    while True:
        if fresh:
            fresh = False
            for i in range(n):
                scaled_p[i] = p[i] * part
            for j in range(width):
                scaled_q[j] = q[j] * part
                v[j] = b[j]
            first_sweep(cost, n, m, width, inverse * part, scaled_p, scaled_q, kernel, a, v, products, sums)
        else:
            sweep(kernel, n, m, width, a, v, products, sums)
        spent += 1
        error = np.float64(measure(v, sums, b, residual, width))
        ended = not (goal < error < np.inf) or spent >= max_iter or (spent == begun + 1 and error > limit)
        if not ended and newton:
            value = dual(a, b, scaled_p, scaled_q, v, products, n, m)
            if error < least or value > highest:
                least, highest = min(error, least), max(value, highest)
                for j in range(width):
                    best[j] = v[j]
                newton = newton_step(kernel, n, m, a, b, v, products, sums, step)
                reach = min(kind(1.0), kind(4.0) * reach)
            else:
                reach *= kind(0.25)
            newton = newton and reach > _SHORTEST
            for j in range(width):
                v[j] = best[j] * exp(reach * step[j]) if newton and j < m else best[j]
            if not newton:
                stored, since, pause, patience = -1, 0, 1, spent + 4 * (_HARD + m)
        elif not ended:
            since += 1
            if error < least:
                least, since = error, 0
                for j in range(width):
                    best[j] = v[j]
            if pause == 0 and (error > _ASTRAY * least or since > _PATIENCE):
                pause, since, restarts = 1 << min(restarts, 20), 0, restarts + 1
                stored = -1
                for j in range(width):
                    v[j] = best[j]
            elif spent > patience and m <= _WIDEST:
                newton, reach, highest, least = True, kind(0.25), -np.inf, np.inf
                for j in range(width):
                    v[j] = best[j]
            else:
                stored = next_step(
                    residual, previous, step, root, changes, moves, gram, room, weights, width, depth, stored, pause > 0
                )
                pause = max(pause - 1, 0)
                for j in range(width):
                    v[j] *= exp(step[j])
        if not ended:
            fresh = spent % _CHECK_EVERY == 0 and _grown(v, b, products, n, width)
        if ended or fresh:
            for i in range(n):
                p[i] -= factor * log(products[i])
            for j in range(width):
                q[j] += factor * log(v[j] / b[j])
                best[j] *= b[j] / v[j]
        if ended:
            return error, spent


@inner
def _grown(v: Array, b: Array, products: Array, n: int, width: int) -> bool:
    """Whether a scaling has left the range in which float32 products are safe."""
    kind = v.dtype.type
    least = most = order_of(kind(1.0))
    for j in range(width):
        order = order_of(v[j] / b[j])
        least = min(least, order)
        most = max(most, order)
    for i in range(n):
        order = order_of(products[i])
        least = min(least, order)
        most = max(most, order)
    smallest, largest = at_order(least), at_order(most)
    return bool(smallest < np.exp(-_ABSORB_ABOVE) or largest > np.exp(_ABSORB_ABOVE))
