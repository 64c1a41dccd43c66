"""Problems with KL penalties on both marginals, and problems that move a given mass, one by one in cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monge.ot.compiled.arithmetic import exp
from monge.ot.compiled.half_steps import (
    BEYOND,
    FLOOR,
    UNREACHABLE,
    Work,
    apply_columns,
    apply_rows,
    begin,
    complete,
    exact_rows,
    new_work,
    transform_columns,
    transform_rows,
)
from monge.ot.compiled.jit import entry, inner
from monge.ot.compiled.threads import over_range
from monge.ot.log_domain import LogSolution

Array = NDArray[Any]

# What is this much smaller than a sum, as a logarithm, changes nothing in it.
_NEGLIGIBLE = 40.0
# Entries of cost over epsilon that are made at a time.
_PART = 1 << 18


def solve_unbalanced(
    cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, damping: Tensor, *, tol: Tensor, max_iter: int
) -> LogSolution:
    """Potentials of a batch in units of epsilon, float64; :func:`unbalanced_range` has the shapes."""
    made = _results(cost)

    def solve(part: slice, x: Array) -> None:
        p, q, error, iterations = (t[part].numpy() for t in made)
        given: Any = [_doubles(t[part]) for t in (a, b, damping, tol)]
        unbalanced_range(x, *given, max_iter, p, q, error, iterations)  # type: ignore[call-arg]

    _over_parts(cost, epsilon, solve)
    return made


def solve_partial(
    cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, mass: Tensor, *, tol: float, max_iter: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Potentials, residual, iterations and multiplier of a batch; :func:`partial_range` has the shapes."""
    made = (*_results(cost), torch.empty(len(cost), dtype=torch.float64))

    def solve(part: slice, x: Array) -> None:
        p, q, error, iterations, t = (t[part].numpy() for t in made)
        given: Any = [_doubles(t[part]) for t in (a, b, mass)]
        partial_range(x, *given, tol, max_iter, p, q, error, iterations, t)  # type: ignore[call-arg]

    _over_parts(cost, epsilon, solve)
    return made


def _over_parts(cost: Tensor, epsilon: Tensor, solve: Callable[[slice, Array], None]) -> None:
    """Calls ``solve`` with parts of the batch, in threads; of cost over epsilon there is little at a time."""
    size = max(1, _PART // cost[0].numel())

    def work(start: int, stop: int) -> None:
        for at in range(start, stop, size):
            part = slice(at, min(at + size, stop))
            solve(part, _doubles(cost[part]) / _doubles(epsilon[part])[:, None, None])

    over_range(len(cost), work)


def _results(cost: Tensor) -> LogSolution:
    batch, n, m = cost.shape
    p, q = (torch.empty(batch, size, dtype=torch.float64) for size in (n, m))
    return p, q, torch.empty(batch, dtype=torch.float64), torch.empty(batch, dtype=torch.int64)


def _doubles(tensor: Tensor) -> Array:
    return tensor.detach().double().contiguous().numpy()


@entry
def unbalanced_range(
    x: Array,
    a: Array,
    b: Array,
    damping: Array,
    tol: Array,
    max_iter: int,
    p: Array,
    q: Array,
    error: Array,
    iterations: Array,
) -> None:
    """The iterations of :func:`monge.ot.log_domain.solve_in_log_domain` with damping.

    Args:
        x: Cost over epsilon, ``(B, N, M)``, float64 as all that follows; ``+inf`` forbids a pair.
        a: ``(B, N)``, non-negative.
        b: ``(B, M)``.
        damping: ``rho / (rho + epsilon)``, ``(B,)``.
        tol: ``(B,)`` residual at which a problem is finished: L1 distance of both marginals from those that the
            potentials ask for.
        max_iter: Iterations at most.
        p: ``(B, N)`` potentials in units of epsilon, written, as are the others.
        q: ``(B, M)``.
        error: ``(B,)``.
        iterations: ``(B,)``.
    """
    batch, n, m = x.shape
    work = new_work(n, m)
    for k in range(batch):
        residual, iterations[k] = _unbalanced(x[k], a[k], b[k], damping[k], tol[k], max_iter, work)
        error[k] = residual if np.isfinite(residual) else np.inf
        complete(x[k], a[k], b[k], damping[k], UNREACHABLE, UNREACHABLE, work)
        for i in range(n):
            p[k, i] = work.p[i]
        for j in range(m):
            q[k, j] = work.q[j]


@inner
def _unbalanced(
    x: Array, a: Array, b: Array, damping: float, tol: float, max_iter: int, work: Work
) -> tuple[float, int]:
    p, q, rows, columns = work.p, work.q, work.rows, work.columns
    price = (1.0 - damping) / damping
    columns_off = 0.0
    begin(x, a, b, work)
    for spent in range(max_iter + 1):
        transform_rows(x, a, b, UNREACHABLE, work)
        if spent > 0:
            residual = columns_off + _off(p, rows, a, price)
            if not residual >= tol or spent == max_iter:
                return residual, spent
        for i in range(len(a)):
            p[i] = damping * rows[i]
        apply_rows(x, a, b, work)
        transform_columns(x, a, b, UNREACHABLE, work)
        for j in range(len(b)):
            q[j] = damping * columns[j]
        # Moving a constant from one potential to the other leaves the plan as it is; this one makes the marginals that
        # are asked for equally large.
        shift = (_penalty(p, a, price) - _penalty(q, b, price)) / (2.0 * price)
        shift = shift if abs(shift) < np.inf else 0.0
        for j in range(len(b)):
            q[j] -= shift
            columns[j] -= shift
        for i in range(len(a)):
            p[i] += shift
        columns_off = _off(q, columns, b, price)
        apply_columns(x, a, b, work)
    return np.inf, 0


@inner
def _off(potentials: Array, transform: Array, weights: Array, price: float) -> float:
    """L1 distance of a marginal from the one that its potential asks for."""
    total = 0.0
    for i in range(len(weights)):
        off = abs(exp(potentials[i] - transform[i]) - exp(-potentials[i] * price))
        total += weights[i] * off if weights[i] > 0.0 else 0.0
    return total


@inner
def _penalty(potentials: Array, weights: Array, price: float) -> float:
    """``log sum_i w_i exp(-price p_i)``."""
    top, total = -np.inf, 0.0
    for i in range(len(weights)):
        top = max(top, -price * potentials[i] if weights[i] > 0.0 else -np.inf)
    for i in range(len(weights)):
        total += weights[i] * exp(-price * potentials[i] - top) if weights[i] > 0.0 else 0.0
    return float(top + np.log(total))


@entry
def partial_range(
    x: Array,
    a: Array,
    b: Array,
    mass: Array,
    tol: float,
    max_iter: int,
    p: Array,
    q: Array,
    error: Array,
    iterations: Array,
    t: Array,
) -> None:
    """The iterations of :func:`monge.ot.log_domain.solve_partial`.

    Args:
        x: As in :func:`unbalanced_range`, like all that is not explained here.
        a: ``(B, N)``, bounds of the row marginal.
        b: ``(B, M)``, bounds of the column marginal.
        mass: ``(B,)`` to move.
        tol: Residual, relative to ``mass``, at which a problem is finished: mass above the bounds, and mass that
            misses a bound where the potentials say that it is reached.
        max_iter: Iterations at most.
        p: ``(B, N)``, not above 0.
        q: ``(B, M)``, not above 0.
        error: ``(B,)``.
        iterations: ``(B,)``.
        t: ``(B,)`` multiplier of the mass: the plan is ``a b exp(p + q + t - x)``.
    """
    batch, n, m = x.shape
    work = new_work(n, m)
    for k in range(batch):
        residual, iterations[k], t[k] = _partial(x[k], a[k], b[k], mass[k], tol, max_iter, work)
        error[k] = residual if np.isfinite(residual) else np.inf
        complete(x[k], a[k], b[k], 1.0, t[k], 0.0, work)
        for i in range(n):
            p[k, i] = work.p[i] - t[k]
        for j in range(m):
            q[k, j] = work.q[j]


@inner
def _partial(
    x: Array, a: Array, b: Array, mass: float, tol: float, max_iter: int, work: Work
) -> tuple[float, int, float]:
    """Here ``work.p`` holds ``p + t``, so that ``min(T q - t, 0)`` becomes ``min(T q, t)``."""
    p, q, rows, columns = work.p, work.q, work.rows, work.columns
    t, residual = 0.0, np.inf
    begin(x, a, b, work)
    transform_rows(x, a, b, -np.inf, work)
    for spent in range(1, max_iter + 1):
        for i in range(len(a)):
            p[i] = min(rows[i], t)
        apply_rows(x, a, b, work)
        transform_columns(x, a, b, 0.0, work)
        for j in range(len(b)):
            q[j] = min(columns[j], 0.0)
        apply_columns(x, a, b, work)
        transform_rows(x, a, b, -np.inf, work)
        shift = _missing(p, rows, a, mass)
        if _uncertain(p, rows, work.kernel_p, a, t + shift, np.log(mass) - shift):
            exact_rows(x, b, work)
            shift = _missing(p, rows, a, mass)
        t += shift
        for i in range(len(a)):
            p[i] += shift
        residual = (_off_bounds(p, rows, a, t, 0.0) + _off_bounds(q, columns, b, 0.0, shift)) / mass
        if not residual >= tol:
            return residual, spent, t
    return residual, max_iter, t


@inner
def _missing(p: Array, rows: Array, a: Array, mass: float) -> float:
    """Log of the mass wanted over that of the plan."""
    top, total = -np.inf, 0.0
    for i in range(len(a)):
        top = max(top, p[i] - rows[i] if a[i] > 0.0 else -np.inf)
    for i in range(len(a)):
        total += a[i] * exp(p[i] - rows[i] - top) if a[i] > 0.0 else 0.0
    return float(np.log(mass) - top - np.log(total))


@inner
def _uncertain(p: Array, rows: Array, kernel_p: Array, a: Array, t: float, log_moved: float) -> bool:
    """Whether a transform known to be large only would matter: to the mass of the plan, or below the new ``t``."""
    found = 0
    for i in range(len(a)):
        floor = rows[i] - kernel_p[i] >= FLOOR and kernel_p[i] < BEYOND
        found += a[i] > 0.0 and floor and (rows[i] < t or p[i] - rows[i] > log_moved - _NEGLIGIBLE)
    return found > 0


@inner
def _off_bounds(potentials: Array, transform: Array, weights: Array, top: float, shift: float) -> float:
    """How far a marginal is above its bounds, or off them where potentials below ``top`` say that they are reached."""
    total = 0.0
    for i in range(len(weights)):
        excess = exp(potentials[i] - transform[i] + shift) - 1.0
        off = abs(excess) if potentials[i] < top else max(excess, 0.0)
        total += weights[i] * off if weights[i] > 0.0 else 0.0
    return total
