"""Plans of given potentials in one pass over the cost, with what multiplies them folded in."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monge.ot.compiled.arithmetic import exp, log
from monge.ot.compiled.arrays import arrays_of
from monge.ot.compiled.jit import entry, in_order, inner
from monge.ot.compiled.threads import over_range

Array = NDArray[Any]


def plan_of(
    cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, f: Tensor, g: Tensor, factor: Tensor, *, divergence: bool
) -> tuple[Tensor, Tensor]:
    """``factor a_i b_j exp((f_i + g_j - cost_ij) / epsilon)``, and how far it is from ``factor a b'``.

    Args:
        cost: ``(B, N, M)``, float32 or float64.
        a: ``(B, N)``, same dtype.
        b: ``(B, M)``.
        epsilon: ``(B,)``.
        f: ``(B, N)``, the dtype of the cost or float64; it decides the precision of the exponent.
        g: ``(B, M)``.
        factor: ``(B,)``, of each problem.
        divergence: Whether the second result is wanted.

    Returns:
        The plan ``(B, N, M)`` in the dtype of the cost, and ``sum P (f_i + g_j - cost_ij) / epsilon``, ``(B,)``, or
        ``(0,)`` if not wanted.
    """
    plan, total = (torch.empty(shape, dtype=cost.dtype) for shape in (cost.shape, (len(cost) if divergence else 0,)))
    arrays = arrays_of(cost, a, b, epsilon, f, g, factor, plan, total)
    over_range(len(cost), lambda start, stop: _plan_range(*arrays, divergence, start, stop))  # type: ignore[call-arg]
    return plan, total


@entry
def _plan_range(
    cost: Array,
    a: Array,
    b: Array,
    epsilon: Array,
    f: Array,
    g: Array,
    factor: Array,
    plan: Array,
    total: Array,
    divergence: bool,
    start: int,
    stop: int,
) -> None:
    rows, columns = np.empty(cost.shape[1], f.dtype), np.empty(cost.shape[2], f.dtype)
    for k in range(start, stop):
        _make_plan(k, cost, a, b, epsilon, f, g, factor, plan, total, divergence, rows, columns)


@inner
def _make_plan(
    k: int,
    cost: Array,
    a: Array,
    b: Array,
    epsilon: Array,
    f: Array,
    g: Array,
    factor: Array,
    plan: Array,
    total: Array,
    divergence: bool,
    rows: Array,
    columns: Array,
) -> None:
    kind = f.dtype.type
    inverse = kind(1.0) / kind(epsilon[k])
    _logs(a[k], rows)
    _logs(b[k], columns)
    _fill(cost[k], inverse, f[k], g[k], rows, columns, kind(factor[k]), plan[k])
    if divergence:
        total[k] = _divergence(cost[k], inverse, f[k], g[k], plan[k])


@inner
def _logs(weights: Array, logs: Array) -> None:
    kind = logs.dtype.type
    for i in range(len(weights)):
        known = log(kind(weights[i]))
        logs[i] = known if weights[i] > 0.0 else kind(-np.inf)


@inner
def _fill(cost: Array, inverse: Any, f: Array, g: Array, rows: Array, columns: Array, factor: Any, plan: Array) -> None:
    for i in range(cost.shape[0]):
        potential, height = f[i], rows[i]
        for j in range(cost.shape[1]):
            # Potentials and cost nearly cancel: taken off first, they leave the product exact.
            plan[i, j] = factor * exp(_slack(potential, g[j], cost[i, j]) * inverse + (height + columns[j]))


@in_order
def _slack(f: Any, g: Any, cost: Any) -> Any:
    """Compiled apart, without leave to reorder."""
    return (f + g) - cost


@inner
def _divergence(cost: Array, inverse: Any, f: Array, g: Array, plan: Array) -> Any:
    total, nothing = 0.0, f.dtype.type(0.0)
    for i in range(cost.shape[0]):
        part, potential = nothing, f[i]
        for j in range(cost.shape[1]):
            entry = plan[i, j]
            part += entry * ((potential + g[j] - cost[i, j]) * inverse) if entry != nothing else nothing
        total += part
    return total
