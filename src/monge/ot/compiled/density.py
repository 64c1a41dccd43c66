"""Sums over the density of plans, in one pass over the cost that keeps nothing of its size."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from monge.ot.compiled.arithmetic import exp
from monge.ot.compiled.arrays import arrays_of
from monge.ot.compiled.jit import entry
from monge.ot.compiled.threads import over_range

Array = NDArray[Any]

# Only where neither point has mass is the density of a plan larger.
_LARGEST_EXPONENT = 80.0


def density_sums(
    cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, f: Tensor, g: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Row sums ``K b`` ``(B, N)``, column sums ``K' a`` ``(B, M)`` and ``a' (K d) b`` ``(B,)`` of ``K = exp(d)``.

    Args:
        cost: ``(B, N, M)``, float32 or float64.
        a: ``(B, N)``.
        b: ``(B, M)``.
        epsilon: ``(B,)``.
        f: ``(B, N)``; ``d = (f_i + g_j - cost_ij) / epsilon`` is computed in its dtype.
        g: ``(B, M)``.
    """
    rows, columns = torch.empty(f.shape, dtype=f.dtype), torch.empty(g.shape, dtype=f.dtype)
    slope = torch.empty(len(cost), dtype=f.dtype)
    arrays = arrays_of(cost, a, b, epsilon, f, g, rows, columns, slope)
    over_range(len(cost), lambda start, stop: _sums_range(*arrays, start, stop))  # type: ignore[call-arg]
    return rows, columns, slope


@entry
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
