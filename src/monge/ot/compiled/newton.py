"""Newton's method on the dual in the log of one scaling, for the problems that plain and accelerated steps leave over.

With the row marginals exact, the dual is a concave function of ``log v`` alone. Its gradient is ``b - c`` with the
column sums ``c`` of the plan ``P``, its Hessian ``-(diag(c) - P' diag(1/a) P)``: one dense system a step, which costs
as much as a hundred sweeps or so, and ends in a handful of steps what they would not end in thousands. A plan of
small regularisation is nearly sparse, and what underflows in it is skipped.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.ot.compiled.arithmetic import log
from monge.ot.compiled.jit import inner, making

Array = NDArray[Any]

# What is below this share of its row's mass adds nothing to the system that rounding would leave.
_NOTHING = 1e-17
# Added to the diagonal, relative: columns that mass reaches over nearly nothing would move without end.
_RIDGE = 1e-13
_LONGEST = 6.0


@inner
def dual(a: Array, b: Array, p: Array, q: Array, v: Array, products: Array, n: int, m: int) -> float:
    """The dual in units of epsilon, at column scalings ``v`` and the row scalings that fit them."""
    total = 0.0
    for i in range(n):
        total += np.float64(a[i]) * (np.float64(p[i]) - np.float64(log(products[i])))
    for j in range(m):
        total += np.float64(b[j]) * (np.float64(q[j]) + np.float64(log(v[j] / b[j])))
    return total


@making
def newton_step(
    kernel: Array, n: int, m: int, a: Array, b: Array, v: Array, products: Array, sums: Array, step: Array
) -> bool:
    """Writes Newton's step of ``log v``; False where the system has no finite solution.

    Args:
        kernel: ``(N, M)``; its first ``n`` rows and ``m`` columns count.
        n: Rows.
        m: Columns.
        a: ``(N,)`` weights.
        b: ``(M,)`` weights.
        v: ``(M,)`` scaling of the columns.
        products: ``(N,)``, ``K v``.
        sums: ``(M,)``, ``K' (a / products)``.
        step: ``(M,)``, written.
    """
    system, x = np.zeros((m, m)), np.empty(m)
    _curvature(kernel, n, m, a, v, products, system)
    for j in range(m):
        column = np.float64(v[j]) * np.float64(sums[j])
        x[j] = np.float64(b[j]) - column
        # The constant, along which the dual is flat, is held by a term of its own.
        for k in range(j + 1):
            system[j, k] = column * np.float64(v[k]) * np.float64(sums[k]) - system[j, k]
        system[j, j] += column * (1.0 + _RIDGE)
    _solve(system, x, m)
    longest = 0.0
    for j in range(m):
        if not abs(x[j]) < np.inf:
            return False
        longest = max(longest, abs(x[j]))
    shrink = min(1.0, _LONGEST / max(longest, 1e-300))
    for j in range(m):
        step[j] = shrink * x[j]
    return True


@making
def _curvature(kernel: Array, n: int, m: int, a: Array, v: Array, products: Array, into: Array) -> None:
    """Adds ``P' diag(1/a) P`` below and on the diagonal, row by row of the plan."""
    shares, places = np.empty(m), np.empty(m, np.int64)
    for i in range(n):
        if a[i] > 0.0:
            mass, inverse, found = np.float64(a[i]), 1.0 / np.float64(products[i]), 0
            for j in range(m):
                share = np.float64(kernel[i, j]) * np.float64(v[j]) * inverse
                if share > _NOTHING:
                    shares[found], places[found] = share, j
                    found += 1
            if 2 * found > m:
                _add_dense(shares, places, found, m, mass, into)
            else:
                _add_sparse(shares, places, found, mass, into)


@making
def _add_dense(shares: Array, places: Array, found: int, m: int, mass: float, into: Array) -> None:
    row = np.zeros(m)
    for k in range(found):
        row[places[k]] = shares[k]
    for j in range(m):
        weight = mass * row[j]
        for k in range(j + 1):
            into[j, k] += weight * row[k]


@inner
def _add_sparse(shares: Array, places: Array, found: int, mass: float, into: Array) -> None:
    for j in range(found):
        weight, place = mass * shares[j], places[j]
        for k in range(j + 1):
            into[place, places[k]] += weight * shares[k]


@inner
def _solve(system: Array, x: Array, m: int) -> None:
    """Cholesky, in place; a pivot lost to rounding is replaced by one that holds its unknown still."""
    for j in range(m):
        given = system[j, j]
        for i in range(j):
            total = system[j, i]
            for k in range(i):
                total -= system[j, k] * system[i, k]
            system[j, i] = total / system[i, i]
        pivot, right = given, x[j]
        for k in range(j):
            pivot -= system[j, k] * system[j, k]
            right -= system[j, k] * x[k]
        if not pivot > 1e-15 * given:
            pivot = 1e30 * (given + 1e-300)
        system[j, j] = np.sqrt(pivot)
        x[j] = right / system[j, j]
    for i in range(m - 1, -1, -1):
        total = x[i]
        for k in range(i + 1, m):
            total -= system[k, i] * x[k]
        x[i] = total / system[i, i]
