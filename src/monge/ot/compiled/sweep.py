"""Passes over a cost or kernel matrix: the range of a cost, the kernel of given potentials, one Sinkhorn iteration.

An iteration needs ``K v`` and ``K' u`` with ``u = a / (K v)``. Row by row both come from one sweep: the product of a
row with ``v`` gives its ``u``, and the row times ``u`` joins the column sums while it is still in the nearest cache.
Four rows at a time share the loads of ``v`` and of the sums.

Loops over the columns of a kernel run over whole cache lines, so that no scalar rest is left: beyond the ``m`` columns
that exist a kernel holds zeros, and vectors hold what leaves those columns alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.ot.compiled.arithmetic import at_order, exp, order_of
from monge.ot.compiled.jit import inner

Array = NDArray[Any]

# Entries of a kernel that are filled and swept while they stay in the nearest cache.
_PANEL = 4096


@inner
def survey(flat: Array) -> tuple[Any, Any, bool]:
    """Smallest and largest finite entry, and whether there is one and no NaN or ``-inf``."""
    kind = flat.dtype.type
    infinite, negative = order_of(kind(np.inf)), order_of(kind(-np.inf))
    low, high, top = infinite, negative, negative
    for k in range(len(flat)):
        order = order_of(flat[k])
        low = min(low, order)
        top = max(top, order)
        high = max(high, order if order < infinite else negative)
    return at_order(low), at_order(high), negative < low < infinite and top <= infinite


@inner
def row_floors(cost: Array, n: int, m: int, inverse: Any, q: Array, floors: Array) -> Any:
    """Writes the smallest ``cost_ij * inverse - q_j`` of each row; returns the largest finite one above its row's."""
    kind = floors.dtype.type
    infinite, negative = order_of(kind(np.inf)), order_of(kind(-np.inf))
    reach = kind(0.0)
    for i in range(n):
        low, high = infinite, negative
        for j in range(m):
            order = order_of(cost[i, j] * inverse - q[j])
            low = min(low, order)
            high = max(high, order if order < infinite else negative)
        floors[i] = kind(0.0)
        if low <= high:
            floors[i] = at_order(low)
            reach = max(reach, at_order(high) - at_order(low))
    return reach


@inner
def clear_padding(kernel: Array, m: int) -> None:
    """Zeros beyond the ``m`` columns that exist."""
    for i in range(kernel.shape[0]):
        for j in range(m, kernel.shape[1]):
            kernel[i, j] = 0.0


@inner
def first_sweep(
    cost: Array,
    n: int,
    m: int,
    width: int,
    inverse: Any,
    p: Array,
    q: Array,
    kernel: Array,
    a: Array,
    v: Array,
    products: Array,
    sums: Array,
) -> None:
    """Writes ``K = exp(p_i + q_j - cost_ij * inverse)`` and does :func:`sweep` on the way."""
    for j in range(m):
        sums[j] = 0.0
    rows = max(4, _PANEL // width // 4 * 4)
    for start in range(0, n, rows):
        stop = min(n, start + rows)
        for i in range(start, stop):
            height = p[i]
            for j in range(m):
                kernel[i, j] = exp(height + q[j] - cost[i, j] * inverse)
        _sweep_rows(kernel, start, stop, width, a, v, products, sums)
    for j in range(m, width):
        sums[j] = 1.0


@inner
def sweep(kernel: Array, n: int, m: int, width: int, a: Array, v: Array, products: Array, sums: Array) -> None:
    """``products = K v`` and ``sums = K' (a / products)``; beyond the ``m`` columns that exist the sums are one."""
    for j in range(m):
        sums[j] = 0.0
    start: Any = np.int64(0)  # a literal would be compiled apart
    _sweep_rows(kernel, start, n, width, a, v, products, sums)
    for j in range(m, width):
        sums[j] = 1.0


@inner
def _sweep_rows(
    kernel: Array, start: int, stop: int, width: int, a: Array, v: Array, products: Array, sums: Array
) -> None:
    zero = kernel.dtype.type(0.0)
    whole = start + (stop - start) // 4 * 4
    for i in range(start, whole, 4):
        r0 = r1 = r2 = r3 = zero
        for j in range(width):
            w = v[j]
            r0 += kernel[i, j] * w
            r1 += kernel[i + 1, j] * w
            r2 += kernel[i + 2, j] * w
            r3 += kernel[i + 3, j] * w
        products[i], products[i + 1], products[i + 2], products[i + 3] = r0, r1, r2, r3
        u0, u1, u2, u3 = a[i] / r0, a[i + 1] / r1, a[i + 2] / r2, a[i + 3] / r3
        for j in range(width):
            sums[j] += u0 * kernel[i, j] + u1 * kernel[i + 1, j] + u2 * kernel[i + 2, j] + u3 * kernel[i + 3, j]
    for i in range(whole, stop):
        r = zero
        for j in range(width):
            r += kernel[i, j] * v[j]
        products[i] = r
        u = a[i] / r
        for j in range(width):
            sums[j] += u * kernel[i, j]
