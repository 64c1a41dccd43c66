"""One scale of the annealing: sweeps with accelerated steps between them, and Newton's method for what they leave over.

Row marginals are exact after every sweep, so the error is that of the columns, and every sweep knows it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.ot.compiled.anderson import measure, next_step
from monge.ot.compiled.arithmetic import at_order, exp, log, order_of
from monge.ot.compiled.jit import inner
from monge.ot.compiled.newton import dual, newton_step
from monge.ot.compiled.sweep import first_sweep, sweep
from monge.ot.compiled.work import Work

Array = NDArray[Any]

_ABSORB_ABOVE = 30.0
_CHECK_EVERY = 4
# An error that grows this much over the best so far, or stays above it this long, means that the acceleration went
# astray. Plain iterations, which never make it worse, then go on from the best: twice as many every time.
_ASTRAY = 4.0
_PATIENCE = 30
# Sweeps after which a problem is hard enough for Newton's method: these, and one for every other column, since a step
# of it costs a sweep for every third. Beyond the largest width a dense system costs more than it saves.
_HARD, _WIDEST = 40, 512
_SHORTEST = 1e-5


class Pace(NamedTuple):
    """How the accelerated steps go."""

    least: float  # smallest error so far, with the scaling in ``best``
    since: int  # sweeps since then
    stored: int  # changes that the acceleration has stored, -1 where it has to begin
    pause: int  # plain steps to take before it does
    restarts: int


class Newton(NamedTuple):
    """How Newton's method goes."""

    reach: float  # part of a step that is taken, 0 while accelerated steps are
    highest: float  # largest dual so far
    patience: int  # sweeps after which it is its turn


@inner
def run_stage(
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
    """Iterates at one scale and moves the scalings into the potentials.

    Returns:
        Error, and sweeps spent in all. An error above ``limit`` after the first sweep ends the stage.
    """
    v, sums, products, history = work.v, work.sums, work.products, work.history
    part = v.dtype.type(1.0) / v.dtype.type(scale)
    pace, newton = Pace(np.inf, 0, -1, 0, 0), Newton(0.0, -np.inf, spent + _HARD + m // 2)
    begun, fresh = spent, True
    while True:
        if fresh:
            _rescale(part, n, width, work)
            first_sweep(
                cost, n, m, width, inverse * part, work.scaled_p, work.scaled_q, work.kernel, work.a, v, products, sums
            )
        else:
            sweep(work.kernel, n, m, width, work.a, v, products, sums)
        spent += 1
        error = np.float64(measure(v, sums, work.b, history.residual, width))
        ended = not (goal < error < np.inf) or spent >= max_iter or (spent == begun + 1 and error > limit)
        if not ended and newton.reach > 0.0:
            pace, newton = _take_newton_step(pace, newton, error, spent, n, m, width, work)
        elif not ended:
            pace, newton = _take_step(pace, newton, error, spent, m, width, depth, work)
        fresh = not ended and spent % _CHECK_EVERY == 0 and _grown(v, work.b, products, n, width)
        if ended or fresh:
            _absorb(v.dtype.type(scale), n, width, work)
        if ended:
            return error, spent


@inner
def _rescale(part: Any, n: int, width: int, work: Work) -> None:
    """Potentials at this scale, and scalings of one."""
    for i in range(n):
        work.scaled_p[i] = work.p[i] * part
    for j in range(width):
        work.scaled_q[j] = work.q[j] * part
        work.v[j] = work.b[j]


@inner
def _absorb(scale: Any, n: int, width: int, work: Work) -> None:
    """Moves the scalings into the potentials; the best one is kept relative to them."""
    p, q, v, b, best, products = work.p, work.q, work.v, work.b, work.best, work.products
    for i in range(n):
        p[i] -= scale * log(products[i])
    for j in range(width):
        q[j] += scale * log(v[j] / b[j])
        best[j] *= b[j] / v[j]


@inner
def _take_step(
    pace: Pace, newton: Newton, error: float, spent: int, m: int, width: int, depth: int, work: Work
) -> tuple[Pace, Newton]:
    """The next accelerated step; or back to the best scaling, for plain steps or for Newton's."""
    v, best, history = work.v, work.best, work.history
    least, since = pace.least, pace.since + 1
    if error < least:
        least, since = error, 0
        _copy(v, best, width)
    if pace.pause == 0 and (error > _ASTRAY * least or since > _PATIENCE):
        _copy(best, v, width)
        return Pace(least, 0, -1, 1 << min(pace.restarts, 20), pace.restarts + 1), newton
    if spent > newton.patience and m <= _WIDEST:
        _copy(best, v, width)
        return Pace(np.inf, since, pace.stored, pace.pause, pace.restarts), Newton(0.25, -np.inf, newton.patience)
    stored = next_step(history, width, depth, pace.stored, pace.pause > 0)
    for j in range(width):
        v[j] *= exp(history.step[j])
    return Pace(least, since, stored, max(pace.pause - 1, 0), pace.restarts), newton


@inner
def _take_newton_step(
    pace: Pace, newton: Newton, error: float, spent: int, n: int, m: int, width: int, work: Work
) -> tuple[Pace, Newton]:
    """A longer step of Newton's from a point that is better, a shorter one from the best if it is not.

    Where that does not help either, accelerated steps go on from there, and have longer than before.
    """
    v, best, step = work.v, work.best, work.history.step
    kind = v.dtype.type
    least, highest, reach = pace.least, newton.highest, newton.reach
    value = dual(work.a, work.b, work.scaled_p, work.scaled_q, v, work.products, n, m)
    if error < least or value > highest:
        least, highest = min(error, least), max(value, highest)
        _copy(v, best, width)
        solved = newton_step(work.kernel, n, m, work.a, work.b, v, work.products, work.sums, step)
        reach = min(1.0, 4.0 * reach) if solved else 0.0
    else:
        reach *= 0.25
    if reach <= _SHORTEST:
        _copy(best, v, width)
        return Pace(least, pace.since, -1, 1, pace.restarts), Newton(0.0, highest, spent + 4 * (_HARD + m))
    for j in range(width):
        v[j] = best[j] * exp(kind(reach) * step[j]) if j < m else best[j]
    return Pace(least, pace.since, pace.stored, pace.pause, pace.restarts), Newton(reach, highest, newton.patience)


@inner
def _copy(values: Array, into: Array, width: int) -> None:
    for j in range(width):
        into[j] = values[j]


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
