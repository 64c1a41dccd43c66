"""Checks and scales the weights of a batch in one call: for a small problem that is most of what torch would spend."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from monge.ot.compiled.arrays import arrays_of
from monge.ot.compiled.jit import entry, inner

Array = NDArray[Any]


def unit_weights(a: Tensor, b: Tensor, epsilon: Tensor) -> tuple[Tensor, Tensor, Tensor] | None:
    """As :func:`monge.ot.problem.unit_mass`, with the checks of :func:`monge.ot.problem.check_weights`.

    Args:
        a: ``(B, N)``.
        b: ``(B, M)``.
        epsilon: ``(B,)``.

    Returns:
        ``a`` and ``b`` with mass one, and the mass ``(B,)``; ``None`` where a check failed.
    """
    unit_a, unit_b, mass = (torch.empty(t.shape, dtype=a.dtype) for t in (a, b, epsilon))
    arrays = arrays_of(a, b, epsilon, unit_a, unit_b, mass)
    return (unit_a, unit_b, mass) if _weigh(*arrays) else None


@entry
def _weigh(a: Array, b: Array, epsilon: Array, unit_a: Array, unit_b: Array, mass: Array) -> bool:
    largest = 1e300 if a.itemsize == 8 else 3e38
    for k in range(len(mass)):
        sum_a, good_a = _total(a[k], largest)
        sum_b, good_b = _total(b[k], largest)
        if not (good_a and good_b and 0.0 < epsilon[k] <= largest):
            return False
        if abs(sum_a - sum_b) > 1e-3 * max(sum_a, sum_b):
            return False
        mass[k] = 0.5 * (sum_a + sum_b)
        _divide(a[k], sum_a, unit_a[k])
        _divide(b[k], sum_b, unit_b[k])
    return True


@inner
def _total(weights: Array, largest: float) -> tuple[float, bool]:
    total, good = 0.0, True
    for i in range(len(weights)):
        total += weights[i]
        good &= 0.0 <= weights[i] <= largest
    return total, good


@inner
def _divide(weights: Array, total: float, unit: Array) -> None:
    """A problem without mass becomes a uniform one, of mass 0."""
    if total > 0.0:
        for i in range(len(weights)):
            unit[i] = weights[i] / total
    else:
        for i in range(len(weights)):
            unit[i] = 1.0 / len(weights)
