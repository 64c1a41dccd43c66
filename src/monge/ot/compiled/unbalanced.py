"""Unbalanced and partial problems, one by one in cache: half steps in the kernel domain, exact ones outside its range.

A half step needs the soft c-transform ``-log sum_j b_j exp(q_j - x_ij)``. From ``K = exp(p_i + q_j - x_ij)`` of earlier
potentials it is a matrix-vector product and a logarithm for every row; ``K`` is made anew when the potentials have
moved far from its own. Where a product leaves the floating-point range, because a point has hardly any plan or none,
the transform comes from the cost itself. Everything is float64: its range makes that rare, and no cost over epsilon
is too fine for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from monge.ot.compiled.arithmetic import at_order, exp, log, order_of
from monge.ot.compiled.sweep import FAST, INNER
from monge.ot.compiled.threads import over_range
from monge.ot.log_domain import LogSolution

Array = NDArray[Any]

# Products outside of this range have lost terms, or are about to.
_SMALL, _LARGE = 1e-250, 1e250
_SMALL_LOG = -575.0
# What is this much smaller than a sum, as a logarithm, changes nothing in it.
_NEGLIGIBLE = 40.0
# Potentials this far from those of the kernel call for a new one.
_FAR = 200.0
# Transform of a point that no mass can reach: finite, so that nothing becomes NaN, and beyond all others.
_UNREACHABLE = 1e30
_FAR_OUT = 1e20
# Entries of cost over epsilon that are made at a time.
_PART = 1 << 18
# Only where neither point has mass is the density of a plan larger.
_LARGEST_EXPONENT = 80.0


class _Work(NamedTuple):
    """Room for one problem, in units of epsilon."""

    kernel: Array  # (N, M)
    p: Array  # (N,) potentials
    q: Array  # (M,)
    kernel_p: Array  # (N,) potentials of the kernel
    kernel_q: Array  # (M,)
    u: Array  # (N,) a exp(p - kernel_p)
    v: Array  # (M,) b exp(q - kernel_q)
    rows: Array  # (N,) transform of q
    columns: Array  # (M,) transform of p
    tops: Array  # (M,)


def solve_unbalanced(
    cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, damping: Tensor, *, tol: Tensor, max_iter: int
) -> LogSolution:
    """Potentials of a batch in units of epsilon, float64; :func:`unbalanced_range` has the shapes."""
    made = _results(cost)

    def solve(part: slice, x: Array) -> None:
        p, q, error, iterations = (t[part].numpy() for t in made)
        given = (_doubles(t[part]) for t in (a, b, damping, tol))
        unbalanced_range(x, *given, max_iter, p, q, error, iterations)

    _over_parts(cost, epsilon, solve)
    return made


def solve_partial(
    cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, mass: Tensor, *, tol: float, max_iter: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Potentials, residual, iterations and multiplier of a batch; :func:`partial_range` has the shapes."""
    made = (*_results(cost), torch.empty(len(cost), dtype=torch.float64))

    def solve(part: slice, x: Array) -> None:
        p, q, error, iterations, t = (t[part].numpy() for t in made)
        given = (_doubles(t[part]) for t in (a, b, mass))
        partial_range(x, *given, tol, max_iter, p, q, error, iterations, t)

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


@njit(**INNER)
def _new_work(n: int, m: int) -> _Work:
    r, c = np.zeros((4, n)), np.zeros((5, m))
    return _Work(np.empty((n, m)), r[0], c[0], r[1], c[1], r[2], c[2], r[3], c[3], c[4])


@njit(cache=True, nogil=True, error_model="numpy")
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
    """Solves problems with KL penalties on both marginals; the iterations of ``solve_in_log_domain``.

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
    work = _new_work(n, m)
    for k in range(batch):
        residual, iterations[k] = _unbalanced(x[k], a[k], b[k], damping[k], tol[k], max_iter, work)
        error[k] = residual if np.isfinite(residual) else np.inf
        _complete(x[k], a[k], b[k], damping[k], _UNREACHABLE, _UNREACHABLE, work)
        for i in range(n):
            p[k, i] = work.p[i]
        for j in range(m):
            q[k, j] = work.q[j]


@njit(**INNER)
def _unbalanced(
    x: Array, a: Array, b: Array, damping: float, tol: float, max_iter: int, work: _Work
) -> tuple[float, int]:
    price = (1.0 - damping) / damping
    columns_off = 0.0
    _begin(x, a, b, work)
    for spent in range(max_iter + 1):
        _transform_rows(x, a, b, _UNREACHABLE, work)
        if spent > 0:
            residual = columns_off
            for i in range(len(a)):
                off = abs(exp(work.p[i] - work.rows[i]) - exp(-work.p[i] * price))
                residual += a[i] * off if a[i] > 0.0 else 0.0
            if not residual >= tol or spent == max_iter:
                return residual, spent
        for i in range(len(a)):
            work.p[i] = damping * work.rows[i]
        _apply_rows(x, a, b, work)
        _transform_columns(x, a, b, _UNREACHABLE, work)
        for j in range(len(b)):
            work.q[j] = damping * work.columns[j]
        shift = _translation(a, b, price, work)
        columns_off = 0.0
        for j in range(len(b)):
            found = exp(work.q[j] - work.columns[j])
            work.q[j] -= shift
            columns_off += b[j] * abs(found - exp(-work.q[j] * price)) if b[j] > 0.0 else 0.0
        for i in range(len(a)):
            work.p[i] += shift
        _apply_columns(x, a, b, work)
    return np.inf, 0


@njit(**INNER)
def _translation(a: Array, b: Array, price: float, work: _Work) -> float:
    """What best moves from ``q`` to ``p``: the plan stays as it is, the marginals asked for become equally large."""
    found = (_penalty(work.p, a, price) - _penalty(work.q, b, price)) / (2.0 * price)
    return found if abs(found) < np.inf else 0.0


@njit(**INNER)
def _penalty(potentials: Array, weights: Array, price: float) -> float:
    """``log sum_i w_i exp(-price p_i)``."""
    top = -np.inf
    for i in range(len(weights)):
        top = max(top, -price * potentials[i] if weights[i] > 0.0 else -np.inf)
    total = 0.0
    for i in range(len(weights)):
        total += weights[i] * exp(-price * potentials[i] - top) if weights[i] > 0.0 else 0.0
    return float(top + np.log(total))


@njit(cache=True, nogil=True, error_model="numpy")
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
    """Solves problems that move a given mass below two bounds; the iterations of ``solve_partial``.

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
    work = _new_work(n, m)
    for k in range(batch):
        residual, iterations[k], t[k] = _partial(x[k], a[k], b[k], mass[k], tol, max_iter, work)
        error[k] = residual if np.isfinite(residual) else np.inf
        _complete(x[k], a[k], b[k], 1.0, t[k], 0.0, work)
        for i in range(n):
            p[k, i] = work.p[i] - t[k]
        for j in range(m):
            q[k, j] = work.q[j]


@njit(**INNER)
def _partial(
    x: Array, a: Array, b: Array, mass: float, tol: float, max_iter: int, work: _Work
) -> tuple[float, int, float]:
    """Here ``work.p`` holds ``p + t``, so that ``min(T q - t, 0)`` becomes ``min(T q, t)``."""
    n, m = len(a), len(b)
    t, residual = 0.0, np.inf
    _begin(x, a, b, work)
    _transform_rows(x, a, b, -np.inf, work)
    for spent in range(1, max_iter + 1):
        for i in range(n):
            work.p[i] = min(work.rows[i], t)
        _apply_rows(x, a, b, work)
        _transform_columns(x, a, b, 0.0, work)
        for j in range(m):
            work.q[j] = min(work.columns[j], 0.0)
        _apply_columns(x, a, b, work)
        _transform_rows(x, a, b, -np.inf, work)
        shift = _missing(a, mass, work)
        if _uncertain(a, t + shift, shift, mass, work):
            _exact_rows(x, b, work)
            shift = _missing(a, mass, work)
        t += shift
        off = 0.0
        for i in range(n):
            work.p[i] += shift
            excess = exp(work.p[i] - work.rows[i]) - 1.0
            off += a[i] * _violation(excess, work.p[i] < t) if a[i] > 0.0 else 0.0
        for j in range(m):
            excess = exp(work.q[j] - work.columns[j] + shift) - 1.0
            off += b[j] * _violation(excess, work.q[j] < 0.0) if b[j] > 0.0 else 0.0
        residual = off / mass
        if not residual >= tol:
            return residual, spent, t
    return residual, max_iter, t


@njit(**INNER)
def _violation(excess: float, bound: bool) -> float:
    """How far a marginal is above its bound, or off it where its potential says that the bound holds it."""
    return abs(excess) if bound else max(excess, 0.0)


@njit(**INNER)
def _missing(a: Array, mass: float, work: _Work) -> float:
    """Log of the mass wanted over that of the plan."""
    top = -np.inf
    for i in range(len(a)):
        top = max(top, work.p[i] - work.rows[i] if a[i] > 0.0 else -np.inf)
    total = 0.0
    for i in range(len(a)):
        total += a[i] * exp(work.p[i] - work.rows[i] - top) if a[i] > 0.0 else 0.0
    return float(np.log(mass) - top - np.log(total))


@njit(**INNER)
def _uncertain(a: Array, t: float, shift: float, mass: float, work: _Work) -> bool:
    """Whether a transform known to be large only would matter: to the mass of the plan, or below the new ``t``."""
    negligible = np.log(mass) - shift - _NEGLIGIBLE
    found = 0
    for i in range(len(a)):
        floor = work.rows[i] - work.kernel_p[i] >= -_SMALL_LOG and work.kernel_p[i] < _FAR_OUT
        found += a[i] > 0.0 and floor and (work.rows[i] < t or work.p[i] - work.rows[i] > negligible)
    return found > 0


@njit(**INNER)
def _begin(x: Array, a: Array, b: Array, work: _Work) -> None:
    """Potentials of zero, and a kernel whose rows have their largest entry at one."""
    for j in range(len(b)):
        work.q[j] = 0.0
    _exact_rows(x, b, work)
    for i in range(len(a)):
        work.p[i] = work.rows[i]
    _rebuild(x, a, b, work)
    for i in range(len(a)):
        work.p[i] = 0.0


@njit(**INNER)
def _complete(x: Array, a: Array, b: Array, damping: float, cap_p: float, cap_q: float, work: _Work) -> None:
    """Potentials of points without mass: a half step from those of the other side."""
    if _some_massless(a):
        _exact_rows(x, b, work)
        for i in range(len(a)):
            if a[i] == 0.0:
                work.p[i] = min(damping * work.rows[i], cap_p)
    if _some_massless(b):
        _exact_columns(x, a, work)
        for j in range(len(b)):
            if b[j] == 0.0:
                work.q[j] = min(damping * work.columns[j], cap_q)


@njit(**INNER)
def _some_massless(weights: Array) -> bool:
    count = 0
    for i in range(len(weights)):
        count += weights[i] == 0.0
    return count > 0


@njit(**INNER)
def _transform_rows(x: Array, a: Array, b: Array, cap: float, work: _Work) -> None:
    """Transform of ``q``; where it must be above ``cap`` it need not be known. Zero at points without mass."""
    n, m = work.kernel.shape
    kernel, v, rows = work.kernel, work.v, work.rows
    whole = n // 4 * 4
    for i in range(0, whole, 4):
        r0 = r1 = r2 = r3 = 0.0
        for j in range(m):
            w = v[j]
            r0 += kernel[i, j] * w
            r1 += kernel[i + 1, j] * w
            r2 += kernel[i + 2, j] * w
            r3 += kernel[i + 3, j] * w
        rows[i], rows[i + 1], rows[i + 2], rows[i + 3] = r0, r1, r2, r3
    for i in range(whole, n):
        r0 = 0.0
        for j in range(m):
            r0 += kernel[i, j] * v[j]
        rows[i] = r0
    if _out_of_range(rows, a, work.kernel_p, cap):
        _exact_rows(x, b, work)
    else:
        _logarithms(rows, a, work.kernel_p)


@njit(**INNER)
def _transform_columns(x: Array, a: Array, b: Array, cap: float, work: _Work) -> None:
    n, m = work.kernel.shape
    kernel, u, columns = work.kernel, work.u, work.columns
    for j in range(m):
        columns[j] = 0.0
    whole = n // 4 * 4
    for i in range(0, whole, 4):
        u0, u1, u2, u3 = u[i], u[i + 1], u[i + 2], u[i + 3]
        for j in range(m):
            columns[j] += u0 * kernel[i, j] + u1 * kernel[i + 1, j] + u2 * kernel[i + 2, j] + u3 * kernel[i + 3, j]
    for i in range(whole, n):
        for j in range(m):
            columns[j] += u[i] * kernel[i, j]
    if _out_of_range(columns, b, work.kernel_q, cap):
        _exact_columns(x, a, work)
    else:
        _logarithms(columns, b, work.kernel_q)


@njit(**INNER)
def _out_of_range(products: Array, weights: Array, potentials: Array, cap: float) -> bool:
    wrong = 0
    for i in range(len(products)):
        low = products[i] < _SMALL and potentials[i] - _SMALL_LOG < cap and potentials[i] < _FAR_OUT
        wrong += weights[i] > 0.0 and (low or not products[i] <= _LARGE)
    return wrong > 0


@njit(**INNER)
def _logarithms(products: Array, weights: Array, potentials: Array) -> None:
    """Transforms in place of the products."""
    for i in range(len(products)):
        found = potentials[i] - log(max(products[i], _SMALL))
        found = _UNREACHABLE if potentials[i] >= _FAR_OUT else found
        products[i] = found if weights[i] > 0.0 else 0.0


@njit(**INNER)
def _exact_rows(x: Array, b: Array, work: _Work) -> None:
    n, m = x.shape
    heights = work.tops
    for j in range(m):
        heights[j] = work.q[j] if b[j] > 0.0 else -np.inf
    for i in range(n):
        order = order_of(-np.inf)
        for j in range(m):
            order = max(order, order_of(heights[j] - x[i, j]))
        top, total = at_order(order), 0.0
        if top > -np.inf:
            for j in range(m):
                total += b[j] * exp(heights[j] - x[i, j] - top)
            work.rows[i] = -top - log(max(total, _SMALL))
        else:
            work.rows[i] = _UNREACHABLE


@njit(**INNER)
def _exact_columns(x: Array, a: Array, work: _Work) -> None:
    n, m = x.shape
    tops, columns = work.tops, work.columns
    for j in range(m):
        tops[j] = -np.inf
        columns[j] = 0.0
    for i in range(n):
        if a[i] > 0.0:
            for j in range(m):
                tops[j] = at_order(max(order_of(tops[j]), order_of(work.p[i] - x[i, j])))
    for j in range(m):
        tops[j] = tops[j] if tops[j] > -np.inf else 0.0
    for i in range(n):
        if a[i] > 0.0:
            for j in range(m):
                columns[j] += a[i] * exp(work.p[i] - x[i, j] - tops[j])
    for j in range(m):
        columns[j] = -tops[j] - log(columns[j]) if columns[j] > 0.0 else _UNREACHABLE


@njit(**INNER)
def _apply_rows(x: Array, a: Array, b: Array, work: _Work) -> None:
    """Scalings of new ``p``, or a new kernel."""
    far = 0
    for i in range(len(a)):
        moved = work.p[i] - work.kernel_p[i]
        far += a[i] > 0.0 and not abs(moved) <= _FAR
        work.u[i] = a[i] * exp(moved) if a[i] > 0.0 else 0.0
    if far > 0:
        _rebuild(x, a, b, work)


@njit(**INNER)
def _apply_columns(x: Array, a: Array, b: Array, work: _Work) -> None:
    far = 0
    for j in range(len(b)):
        moved = work.q[j] - work.kernel_q[j]
        far += b[j] > 0.0 and not abs(moved) <= _FAR
        work.v[j] = b[j] * exp(moved) if b[j] > 0.0 else 0.0
    if far > 0:
        _rebuild(x, a, b, work)


@njit(**INNER)
def _rebuild(x: Array, a: Array, b: Array, work: _Work) -> None:
    """Kernel of the potentials that there are, 0 for points without mass."""
    n, m = x.shape
    for j in range(m):
        work.kernel_q[j] = work.q[j]
        work.tops[j] = work.q[j] if b[j] > 0.0 else -np.inf
        work.v[j] = b[j]
    for i in range(n):
        work.kernel_p[i] = work.p[i]
        height = work.p[i] if a[i] > 0.0 else -np.inf
        work.u[i] = a[i]
        for j in range(m):
            work.kernel[i, j] = exp(height + work.tops[j] - x[i, j])


def density_sums(
    cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, f: Tensor, g: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Sums over the density of plans in one pass; those of :mod:`monge.ot.entropic_dual`."""
    made = tuple(torch.empty(shape, dtype=f.dtype) for shape in (f.shape, g.shape, (len(cost),)))
    arrays = [t.detach().contiguous().numpy() for t in (cost, a, b, epsilon, f, g, *made)]
    over_range(len(cost), lambda start, stop: _sums_range(*arrays, start, stop))
    return made


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _sums_range(
    cost: Array,
    a: Array,
    b: Array,
    epsilon: Array,
    f: Array,
    g: Array,
    rows: Array,
    columns: Array,
    slope: Array,
    start: int,
    stop: int,
) -> None:
    kind = f.dtype.type
    largest = kind(_LARGEST_EXPONENT)
    for k in range(start, stop):
        inverse = kind(1.0 / epsilon[k])
        for j in range(cost.shape[2]):
            columns[k, j] = 0.0
        slope[k] = 0.0
        for i in range(cost.shape[1]):
            height, weight = f[k, i], kind(a[k, i])
            total, curve = kind(0.0), kind(0.0)
            for j in range(cost.shape[2]):
                exponent = (height + g[k, j] - kind(cost[k, i, j])) * inverse
                density = exp(exponent if exponent < largest else largest)
                columns[k, j] += weight * density
                total += b[k, j] * density
                curve += b[k, j] * density * (exponent if density > 0.0 else kind(0.0))
            rows[k, i] = total
            slope[k] += weight * curve
