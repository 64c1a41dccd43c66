"""Plans of given potentials in one pass over the cost, with what multiplies them folded in."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from monge.ot.compiled.arithmetic import exp, log
from monge.ot.compiled.sweep import FAST, INNER
from monge.ot.compiled.threads import over_range

Array = NDArray[Any]


def plan_of(cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, f: Tensor, g: Tensor, factor: Tensor) -> Tensor:
    """``factor a_i b_j exp((f_i + g_j - cost_ij) / epsilon)``.

    Args:
        cost: ``(B, N, M)``, float32 or float64.
        a: ``(B, N)``, same dtype.
        b: ``(B, M)``.
        epsilon: ``(B,)``.
        f: ``(B, N)``, the dtype of the cost or float64; it decides the precision of the exponent.
        g: ``(B, M)``.
        factor: ``(B,)``, of each problem.

    Returns:
        ``(B, N, M)`` in the dtype of the cost.
    """
    result = torch.empty(cost.shape, dtype=cost.dtype)
    tensors = (cost, a, b, epsilon, f, g, factor, result)
    arrays = [t.detach().contiguous().numpy() for t in tensors]
    over_range(len(cost), lambda start, stop: _plan_range(*arrays, start, stop))
    return result


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _plan_range(
    cost: Array,
    a: Array,
    b: Array,
    epsilon: Array,
    f: Array,
    g: Array,
    factor: Array,
    plan: Array,
    start: int,
    stop: int,
) -> None:
    n, m = cost.shape[1], cost.shape[2]
    rows, columns = np.empty(n, f.dtype), np.empty(m, f.dtype)
    kind = f.dtype.type
    for k in range(start, stop):
        inverse = kind(1.0) / kind(epsilon[k])
        _exponents(f[k], a[k], inverse, rows)
        _exponents(g[k], b[k], inverse, columns)
        _fill(cost[k], inverse, rows, columns, kind(factor[k]), plan[k])


@njit(**INNER)
def _exponents(potentials: Array, weights: Array, inverse: Any, exponents: Array) -> None:
    """``log(weight) + potential / epsilon``, minus infinity without mass."""
    kind = exponents.dtype.type
    for i in range(len(weights)):
        known = potentials[i] * inverse + log(kind(weights[i]))
        exponents[i] = known if weights[i] > 0.0 else kind(-np.inf)


@njit(**INNER)
def _fill(cost: Array, inverse: Any, rows: Array, columns: Array, factor: Any, plan: Array) -> None:
    for i in range(cost.shape[0]):
        height = rows[i]
        for j in range(cost.shape[1]):
            plan[i, j] = factor * exp(height + columns[j] - cost[i, j] * inverse)
