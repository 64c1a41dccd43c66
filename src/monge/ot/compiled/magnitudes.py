"""Sums of magnitudes over the allowed pairs of each problem, and their slope, without temporaries."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monge.ot.compiled.arrays import arrays_of
from monge.ot.compiled.jit import entry

Array = NDArray[Any]


def magnitudes(cost: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of the magnitudes of the finite entries of ``(B, N, M)``, and their number: ``(B,)`` both."""
    total, finite = torch.empty(len(cost), dtype=cost.dtype), torch.empty(len(cost), dtype=torch.int64)
    _magnitudes(*arrays_of(cost, total, finite))
    return total, finite


def signs(cost: Tensor, factor: Tensor) -> Tensor:
    """``factor`` times the sign of each finite entry of ``(B, N, M)``, 0 elsewhere."""
    result = torch.empty(cost.shape, dtype=cost.dtype)
    _signs(*arrays_of(cost, factor, result))
    return result


@entry
def _magnitudes(cost: Array, total: Array, finite: Array) -> None:
    nothing, infinite = cost.dtype.type(0.0), cost.dtype.type(np.inf)
    for k in range(len(cost)):
        total[k], finite[k] = 0.0, 0
        for i in range(cost.shape[1]):
            part, count = nothing, 0
            for j in range(cost.shape[2]):
                size = abs(cost[k, i, j])
                part += size if size != infinite else nothing
                count += size != infinite
            total[k] += part
            finite[k] += count


@entry
def _signs(cost: Array, factor: Array, result: Array) -> None:
    kind = cost.dtype.type
    nothing, infinite = kind(0.0), kind(np.inf)
    for k in range(len(cost)):
        slope = factor[k]
        for i in range(cost.shape[1]):
            for j in range(cost.shape[2]):
                entry_cost = cost[k, i, j]
                sign = slope if entry_cost > nothing else (-slope if entry_cost < nothing else nothing)
                result[k, i, j] = sign if abs(entry_cost) != infinite else nothing
