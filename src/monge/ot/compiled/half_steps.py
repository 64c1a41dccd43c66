"""Half steps of problems whose marginals are not forced: in the kernel domain, and exact ones outside its range.

A half step needs the soft c-transform ``-log sum_j b_j exp(q_j - x_ij)``. From ``K = exp(p_i + q_j - x_ij)`` of earlier
potentials it is a matrix-vector product and a logarithm for every row; ``K`` is made anew when the potentials have
moved far from its own. Where a product leaves the floating-point range, because a point has hardly any plan or none,
the transform comes from the cost itself. Everything is float64: its range makes that rare, and no cost over epsilon
is too fine for it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.ot.compiled.arithmetic import at_order, exp, log, order_of
from monge.ot.compiled.jit import inner, making

Array = NDArray[Any]

# Products outside of this range have lost terms, or are about to.
_SMALL, _LARGE = 1e-250, 1e250
FLOOR = 575.0  # what the transform at least exceeds its kernel's potential by, where the product is below _SMALL
# Potentials this far from those of the kernel call for a new one.
_FAR = 200.0
# Transform of a point that no mass can reach: finite, so that nothing becomes NaN, and beyond all others.
UNREACHABLE = 1e30
BEYOND = 1e20  # what only such a point's potential reaches


class Work(NamedTuple):
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


@making
def new_work(n: int, m: int) -> Work:
    """Room for problems of one size."""
    r, c = np.zeros((4, n)), np.zeros((5, m))
    return Work(np.empty((n, m)), r[0], c[0], r[1], c[1], r[2], c[2], r[3], c[3], c[4])


@inner
def begin(x: Array, a: Array, b: Array, work: Work) -> None:
    """Potentials of zero, and a kernel whose rows have their largest entry at one."""
    p, q, rows = work.p, work.q, work.rows
    for j in range(len(b)):
        q[j] = 0.0
    exact_rows(x, b, work)
    for i in range(len(a)):
        p[i] = rows[i]
    _rebuild(x, a, b, work)
    for i in range(len(a)):
        p[i] = 0.0


@inner
def complete(x: Array, a: Array, b: Array, damping: float, cap_p: float, cap_q: float, work: Work) -> None:
    """Potentials of points without mass: a half step from those of the other side."""
    p, q, rows, columns = work.p, work.q, work.rows, work.columns
    if _some_massless(a):
        exact_rows(x, b, work)
        for i in range(len(a)):
            p[i] = p[i] if a[i] > 0.0 else min(damping * rows[i], cap_p)
    if _some_massless(b):
        _exact_columns(x, a, work)
        for j in range(len(b)):
            q[j] = q[j] if b[j] > 0.0 else min(damping * columns[j], cap_q)


@inner
def _some_massless(weights: Array) -> bool:
    count = 0
    for i in range(len(weights)):
        count += weights[i] == 0.0
    return count > 0


@inner
def transform_rows(x: Array, a: Array, b: Array, cap: float, work: Work) -> None:
    """Transform of ``q``; where it is sure to be above ``cap`` it need not be known. Zero at points without mass."""
    kernel, v, rows, kernel_p = work.kernel, work.v, work.rows, work.kernel_p
    n, m = kernel.shape
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
    if _out_of_range(rows, a, kernel_p, cap):
        exact_rows(x, b, work)
    else:
        _logarithms(rows, a, kernel_p)


@inner
def transform_columns(x: Array, a: Array, b: Array, cap: float, work: Work) -> None:
    """Transform of ``p``, like :func:`transform_rows`."""
    kernel, u, columns, kernel_q = work.kernel, work.u, work.columns, work.kernel_q
    n, m = kernel.shape
    for j in range(m):
        columns[j] = 0.0
    whole = n // 4 * 4
    for i in range(0, whole, 4):
        u0, u1, u2, u3 = u[i], u[i + 1], u[i + 2], u[i + 3]
        for j in range(m):
            columns[j] += u0 * kernel[i, j] + u1 * kernel[i + 1, j] + u2 * kernel[i + 2, j] + u3 * kernel[i + 3, j]
    for i in range(whole, n):
        u0 = u[i]
        for j in range(m):
            columns[j] += u0 * kernel[i, j]
    if _out_of_range(columns, b, kernel_q, cap):
        _exact_columns(x, a, work)
    else:
        _logarithms(columns, b, kernel_q)


@inner
def _out_of_range(products: Array, weights: Array, potentials: Array, cap: float) -> bool:
    wrong = 0
    for i in range(len(products)):
        low = products[i] < _SMALL and potentials[i] + FLOOR < cap and potentials[i] < BEYOND
        wrong += weights[i] > 0.0 and (low or not products[i] <= _LARGE)
    return wrong > 0


@inner
def _logarithms(products: Array, weights: Array, potentials: Array) -> None:
    """Transforms in place of the products."""
    for i in range(len(products)):
        found = potentials[i] - log(max(products[i], _SMALL))
        found = UNREACHABLE if potentials[i] >= BEYOND else found
        products[i] = found if weights[i] > 0.0 else 0.0


@inner
def exact_rows(x: Array, b: Array, work: Work) -> None:
    """Transform of ``q`` from the cost."""
    q, heights, rows = work.q, work.tops, work.rows
    n, m = x.shape
    for j in range(m):
        heights[j] = q[j] if b[j] > 0.0 else -np.inf
    for i in range(n):
        order = order_of(-np.inf)
        for j in range(m):
            order = max(order, order_of(heights[j] - x[i, j]))
        top, total = at_order(order), 0.0
        for j in range(m):
            total += b[j] * exp(heights[j] - x[i, j] - top)
        rows[i] = -top - log(max(total, _SMALL)) if top > -np.inf else UNREACHABLE


@inner
def _exact_columns(x: Array, a: Array, work: Work) -> None:
    p, tops, columns = work.p, work.tops, work.columns
    n, m = x.shape
    for j in range(m):
        tops[j] = -np.inf
        columns[j] = 0.0
    for i in range(n):
        if a[i] > 0.0:
            height = p[i]
            for j in range(m):
                tops[j] = at_order(max(order_of(tops[j]), order_of(height - x[i, j])))
    for j in range(m):
        tops[j] = tops[j] if tops[j] > -np.inf else 0.0
    for i in range(n):
        if a[i] > 0.0:
            height, weight = p[i], a[i]
            for j in range(m):
                columns[j] += weight * exp(height - x[i, j] - tops[j])
    for j in range(m):
        columns[j] = -tops[j] - log(max(columns[j], _SMALL)) if columns[j] > 0.0 else UNREACHABLE


@inner
def apply_rows(x: Array, a: Array, b: Array, work: Work) -> None:
    """Scalings of new ``p``, or a new kernel."""
    if _scalings(work.p, work.kernel_p, a, work.u):
        _rebuild(x, a, b, work)


@inner
def apply_columns(x: Array, a: Array, b: Array, work: Work) -> None:
    """Scalings of new ``q``, or a new kernel."""
    if _scalings(work.q, work.kernel_q, b, work.v):
        _rebuild(x, a, b, work)


@inner
def _scalings(potentials: Array, origin: Array, weights: Array, scalings: Array) -> bool:
    """Writes what the kernel is to be multiplied by; returns whether that is too far from one."""
    far = 0
    for i in range(len(weights)):
        moved = potentials[i] - origin[i]
        far += weights[i] > 0.0 and not abs(moved) <= _FAR
        scalings[i] = weights[i] * exp(moved) if weights[i] > 0.0 else 0.0
    return far > 0


@inner
def _rebuild(x: Array, a: Array, b: Array, work: Work) -> None:
    """Kernel of the potentials that there are, 0 for points without mass."""
    kernel, p, q, u, v, heights = work.kernel, work.p, work.q, work.u, work.v, work.tops
    kernel_p, kernel_q = work.kernel_p, work.kernel_q
    n, m = x.shape
    for j in range(m):
        kernel_q[j] = q[j]
        heights[j] = q[j] if b[j] > 0.0 else -np.inf
        v[j] = b[j]
    for i in range(n):
        kernel_p[i] = p[i]
        height = p[i] if a[i] > 0.0 else -np.inf
        u[i] = a[i]
        for j in range(m):
            kernel[i, j] = exp(height + heights[j] - x[i, j])
