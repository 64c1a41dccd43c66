"""Derivatives of solved plans and potentials, problem by problem: kernel, linear system and gradient in cache.

With ``K = exp((f_i + g_j - C_ij) / epsilon)`` and incoming gradients of the potentials, ``X + a (K Y) = grad_f`` and
``Y + b (K' X) = grad_g``. Eliminating ``X`` leaves the system of :mod:`monge.ot.compiled.conjugate_gradients` for
``Y = sqrt(b) z``. What ``X`` and ``Y`` make of the cost is one more pass, which also takes the plan's own derivative.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monge.ot.compiled.arithmetic import exp
from monge.ot.compiled.arrays import arrays_of
from monge.ot.compiled.conjugate_gradients import System, diagonal_of, dot, new_system, solve
from monge.ot.compiled.jit import entry, inner
from monge.ot.compiled.threads import over_range

Array = NDArray[Any]

# Only where neither point has mass does the exponent get that large.
_LARGEST_EXPONENT = 80.0


def implicit_backward(
    cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, f: Tensor, g: Tensor, grad_f: Tensor, grad_g: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients to cost, weights and epsilon from those of the potentials; :func:`backward_range` has the shapes."""
    plan = cost.new_empty(0, *cost.shape[1:])
    *found, _ = _backward(cost, a, b, epsilon, f, g, grad_f, grad_g, plan, epsilon)
    return found[0], found[1], found[2], found[3]


def plan_backward(
    cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, f: Tensor, g: Tensor, grad_plan: Tensor, mass: Tensor
) -> tuple[Tensor, ...]:
    """Gradients to cost, weights, epsilon and mass from that of the plan, through its formula and its potentials."""
    return _backward(cost, a, b, epsilon, f, g, torch.zeros_like(f), torch.zeros_like(g), grad_plan, mass)


def _backward(
    cost: Tensor,
    a: Tensor,
    b: Tensor,
    epsilon: Tensor,
    f: Tensor,
    g: Tensor,
    grad_f: Tensor,
    grad_g: Tensor,
    grad_plan: Tensor,
    mass: Tensor,
) -> tuple[Tensor, ...]:
    given = (cost, a, b, epsilon, f, g, grad_f.to(f.dtype), grad_g.to(f.dtype), grad_plan, mass)
    made = tuple(torch.empty(t.shape, dtype=t.dtype) for t in (cost, a, b, epsilon, mass))
    arrays = arrays_of(*given, *made)
    over_range(len(cost), lambda start, stop: backward_range(*arrays, start, stop))  # type: ignore[call-arg]
    return made


@entry
def backward_range(
    cost: Array,
    a: Array,
    b: Array,
    epsilon: Array,
    f: Array,
    g: Array,
    grad_f: Array,
    grad_g: Array,
    grad_plan: Array,
    mass: Array,
    grad_cost: Array,
    grad_a: Array,
    grad_b: Array,
    grad_epsilon: Array,
    grad_mass: Array,
    start: int,
    stop: int,
) -> None:
    """Gradients of all that plan and potentials depend on, from those of plan and potentials.

    Args:
        cost: ``(B, N, M)``, float32 or float64.
        a: ``(B, N)``, sums to one.
        b: ``(B, M)``, sums to one.
        epsilon: ``(B,)``.
        f: ``(B, N)``; its dtype is the one that is computed in.
        g: ``(B, M)``.
        grad_f: ``(B, N)``, in the dtype of ``f``.
        grad_g: ``(B, M)``.
        grad_plan: ``(B, N, M)``, in the dtype of the cost; ``(0, N, M)`` if nobody asks for the plan.
        mass: ``(B,)``: the plan is ``mass a b K``.
        grad_cost: ``(B, N, M)``, written, as are the others.
        grad_a: ``(B, N)``.
        grad_b: ``(B, M)``.
        grad_epsilon: ``(B,)``.
        grad_mass: ``(B,)``.
        start: First problem to work on.
        stop: Problem to stop before.
    """
    n = cost.shape[1]
    system = new_system(n, cost.shape[2], f)
    x, from_a = np.zeros(n, f.dtype), np.zeros(n, f.dtype)
    y, from_b = np.zeros_like(system.z), np.zeros_like(system.z)
    made = (grad_cost, grad_a, grad_b, grad_epsilon, grad_mass)
    for k in range(start, stop):
        _backward_one(k, cost, a, b, epsilon, f, g, grad_f, grad_g, grad_plan, mass, made, system, x, y, from_a, from_b)


@inner
def _backward_one(
    k: int,
    cost: Array,
    a: Array,
    b: Array,
    epsilon: Array,
    f: Array,
    g: Array,
    grad_f: Array,
    grad_g: Array,
    grad_plan: Array,
    mass: Array,
    made: tuple[Array, Array, Array, Array, Array],
    system: System,
    x: Array,
    y: Array,
    from_a: Array,
    from_b: Array,
) -> None:
    n, m = cost.shape[1:]
    kind = f.dtype.type
    grad_cost, grad_a, grad_b, grad_epsilon, grad_mass = made
    with_plan, inverse, flow_x = len(grad_plan) > 0, kind(1.0 / epsilon[k]), system.product
    for i in range(n):
        x[i] = grad_f[k, i]
    for j in range(m):
        y[j] = grad_g[k, j]
    _fill(cost[k], inverse, f[k], g[k], system.kernel)
    if with_plan:
        to_mass = _through_plan(system.kernel, a[k], b[k], inverse, grad_plan[k], kind(mass[k]), x, y, from_a, from_b)
        grad_mass[k] = to_mass
    norm = _eliminate(system, a[k], b[k], x, y)
    diagonal_of(system, a[k], b[k])
    solve(system, a[k], system.root, norm, m)
    _substitute(system, a[k], b[k], x, y)
    direct = grad_plan[k] if with_plan else cost[k]
    factor = kind(mass[k]) * inverse if with_plan else kind(0.0)
    grad_epsilon[k] = _write(
        system.kernel, cost[k], a[k], b[k], inverse, f[k], g[k], x, y, direct, factor, grad_cost[k]
    )
    for i in range(n):
        grad_a[k, i] = from_a[i] - epsilon[k] * x[i]
    for j in range(m):
        grad_b[k, j] = from_b[j] - epsilon[k] * flow_x[j]


@inner
def _fill(cost: Array, inverse: Any, f: Array, g: Array, kernel: Array) -> None:
    kind = kernel.dtype.type
    largest = kind(_LARGEST_EXPONENT)
    n, m = cost.shape
    for i in range(n):
        height = f[i]
        for j in range(m):
            exponent = (height + g[j] - kind(cost[i, j])) * inverse
            kernel[i, j] = exp(exponent if exponent < largest else largest)


@inner
def _through_plan(
    kernel: Array,
    a: Array,
    b: Array,
    inverse: Any,
    grad_plan: Array,
    mass: Any,
    x: Array,
    y: Array,
    from_a: Array,
    from_b: Array,
) -> Any:
    """Adds to ``x, y`` what reaches the potentials from the plan, and writes what reaches the weights.

    Returns:
        The gradient to the mass.
    """
    n, m = grad_plan.shape
    kind = kernel.dtype.type
    to_mass = kind(0.0)
    for j in range(m):
        from_b[j] = kind(0.0)
    for i in range(n):
        total, weight = kind(0.0), mass * kind(a[i])
        for j in range(m):
            flow = kernel[i, j] * kind(grad_plan[i, j])
            total += kind(b[j]) * flow
            from_b[j] += weight * flow
        to_mass += a[i] * total
        from_a[i] = mass * total
        x[i] += weight * inverse * total
    for j in range(m):
        y[j] += b[j] * inverse * from_b[j]
    return to_mass


@inner
def _eliminate(system: System, a: Array, b: Array, x: Array, y: Array) -> Any:
    """Right-hand side and null vector of the system for ``z``; returns the squared length of the latter.

    Where ``b`` is 0, ``Y`` is known at once, and its part of ``X`` goes into the gradient to ``f``.
    """
    n, m = len(a), len(b)
    kernel, root, known, product, residual = system.kernel, system.root, system.scaled, system.product, system.residual
    zero = kernel.dtype.type(0.0)
    norm, massless = zero, 0
    for j in range(m):
        product[j] = zero
        root[j] = np.sqrt(b[j])
        norm += b[j]
        known[j] = zero if b[j] > 0.0 else y[j]
        massless += b[j] == 0.0
    for i in range(n):
        if massless > 0:
            x[i] -= a[i] * dot(kernel[i], known)
        moved = x[i]
        for j in range(m):
            product[j] += moved * kernel[i, j]
    for j in range(m):
        residual[j] = (y[j] - b[j] * product[j]) / root[j] if b[j] > 0.0 else zero
    return norm


@inner
def _substitute(system: System, a: Array, b: Array, x: Array, y: Array) -> None:
    """``X`` from ``Y = sqrt(b) z``, and from that ``Y`` once more: now both equations hold to rounding.

    ``K' X`` stays in ``system.product``.
    """
    kernel, root, z, scaled, product = system.kernel, system.root, system.z, system.scaled, system.product
    n, width = kernel.shape
    for j in range(width):
        scaled[j] = root[j] * z[j]
        product[j] = 0.0
    for i in range(n):
        x[i] -= a[i] * dot(kernel[i], scaled)
        moved = x[i]
        for j in range(width):
            product[j] += moved * kernel[i, j]
    for j in range(len(b)):
        y[j] -= b[j] * product[j]


@inner
def _write(
    kernel: Array,
    cost: Array,
    a: Array,
    b: Array,
    inverse: Any,
    f: Array,
    g: Array,
    x: Array,
    y: Array,
    grad_plan: Array,
    factor: Any,
    grad_cost: Array,
) -> Any:
    """Gradient to the cost, and ``K Y`` in place of ``X``; returns the gradient to epsilon.

    The plan's own part of the former is ``-factor a b K grad_plan``.
    """
    n, m = cost.shape
    kind = kernel.dtype.type
    to_epsilon = kind(0.0)
    for i in range(n):
        moved, weight, height, flow = x[i], kind(a[i]), f[i], kind(0.0)
        direct = factor * weight
        for j in range(m):
            density = kernel[i, j]
            change = moved * kind(b[j]) + weight * y[j]
            if factor != 0.0:
                change -= direct * kind(b[j]) * kind(grad_plan[i, j])
            change *= density
            grad_cost[i, j] = change
            flow += density * y[j]
            exponent = (height + g[j] - kind(cost[i, j])) * inverse
            to_epsilon += change * (exponent if density > 0.0 else kind(0.0))
        x[i] = flow
    return to_epsilon
