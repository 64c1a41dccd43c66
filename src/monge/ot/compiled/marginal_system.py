"""Derivatives of solved plans and potentials, problem by problem: kernel, linear system and gradient in cache.

With ``K = exp((f_i + g_j - C_ij) / epsilon)`` and incoming gradients of the potentials, ``X + a (K Y) = grad_f`` and
``Y + b (K' X) = grad_g``. Eliminating ``X`` leaves ``(I - S'S) z = rhs`` with ``S = sqrt(a) K sqrt(b)``, for which
conjugate gradients need products with ``S'S`` alone. One is a single sweep over ``K``: a row times a vector is a
number, and that number times the row joins the result while the row is still in the nearest cache.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from monge.ot.compiled.arithmetic import exp
from monge.ot.compiled.sweep import INNER
from monge.ot.compiled.threads import over_range

Array = NDArray[Any]

# Only where neither point has mass does the exponent get that large.
_LARGEST_EXPONENT = 80.0
_SMALLEST_DIAGONAL = 1e-3


class _Work(NamedTuple):
    """Room for one problem; vectors over columns are as wide as the kernel and 0 where it is padded."""

    kernel: Array  # (N, W)
    x: Array  # (N,) first the gradient to f, at the end X
    plan_a: Array  # (N,) gradient to a through the formula of the plan
    y: Array  # (W,) first the gradient to g, at the end Y
    plan_b: Array  # (W,)
    root: Array  # (W,) sqrt(b), the singular vector of S with value 1
    diagonal: Array  # (W,) of I - S'S
    residual: Array  # (W,)
    z: Array  # (W,)
    direction: Array  # (W,)
    scaled: Array  # (W,)
    product: Array  # (W,)


@njit(**INNER)
def _new_work(n: int, m: int, like: Array) -> _Work:
    line = 64 // like.itemsize
    width = (m + line - 1) // line * line
    r, c = np.zeros((2, n), like.dtype), np.zeros((9, width), like.dtype)
    kernel = np.zeros((n, width), like.dtype)
    return _Work(kernel, r[0], r[1], c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8])


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
    arrays = [t.detach().contiguous().numpy() for t in (*given, *made)]
    over_range(len(cost), lambda start, stop: backward_range(*arrays, start, stop))  # type: ignore[call-arg]
    return made


@njit(cache=True, nogil=True, error_model="numpy")
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
    n, m = cost.shape[1:]
    with_plan = len(grad_plan) > 0
    work = _new_work(n, m, f)
    for k in range(start, stop):
        inverse = f.dtype.type(1.0 / epsilon[k])
        for i in range(n):
            work.x[i] = grad_f[k, i]
        for j in range(m):
            work.y[j] = grad_g[k, j]
        _fill(cost[k], inverse, f[k], g[k], work.kernel)
        if with_plan:
            grad_mass[k] = _through_plan(work, a[k], b[k], inverse, grad_plan[k], mass[k])
        norm = _eliminate(work, a[k], b[k])
        _conjugate_gradients(work, a[k], m, work.root, norm)
        _substitute(work, a[k], b[k])
        direct = grad_plan[k] if with_plan else cost[k]
        factor = mass[k] * inverse if with_plan else 0.0 * inverse
        grad_epsilon[k] = _write(work, cost[k], a[k], b[k], inverse, f[k], g[k], direct, factor, grad_cost[k])
        for i in range(n):
            grad_a[k, i] = work.plan_a[i] - epsilon[k] * work.x[i]
        for j in range(m):
            grad_b[k, j] = work.plan_b[j] - epsilon[k] * work.product[j]


def solve_systems(scaled: Tensor, rhs: Tensor, null: Tensor) -> Tensor:
    """Solves ``(I - S'S) z = rhs`` for given ``S``; see :func:`monge.ot.operators.solve_marginal_system`."""
    z = torch.empty_like(rhs, memory_format=torch.contiguous_format)
    arrays = [t.detach().contiguous().numpy() for t in (scaled, rhs, null, z)]
    over_range(len(rhs), lambda start, stop: _solve_range(*arrays, start, stop))  # type: ignore[call-arg]
    return z


@njit(cache=True, nogil=True, error_model="numpy")
def _solve_range(scaled: Array, rhs: Array, null: Array, z: Array, start: int, stop: int) -> None:
    n, m = scaled.shape[1:]
    work = _new_work(n, m, scaled)
    ones, singular = np.ones(n, scaled.dtype), np.zeros_like(work.z)
    for j in range(m):
        work.root[j] = 1.0
    for k in range(start, stop):
        for j in range(m):
            work.residual[j] = rhs[k, j]
            singular[j] = null[k, j]
            work.diagonal[j] = 0.0
        for i in range(n):
            for j in range(m):
                work.kernel[i, j] = scaled[k, i, j]
                work.diagonal[j] += scaled[k, i, j] * scaled[k, i, j]
        for j in range(m):
            work.diagonal[j] = max(1.0 - work.diagonal[j], _SMALLEST_DIAGONAL)
        _conjugate_gradients(work, ones, m, singular, _dot(singular, singular))
        for j in range(m):
            z[k, j] = work.z[j]


@njit(**INNER)
def _fill(cost: Array, inverse: Any, f: Array, g: Array, kernel: Array) -> None:
    kind = kernel.dtype.type
    largest = kind(_LARGEST_EXPONENT)
    n, m = cost.shape
    for i in range(n):
        for j in range(m):
            exponent = (f[i] + g[j] - kind(cost[i, j])) * inverse
            kernel[i, j] = exp(exponent if exponent < largest else largest)


@njit(**INNER)
def _through_plan(work: _Work, a: Array, b: Array, inverse: Any, grad_plan: Array, mass: Any) -> Any:
    """Adds what reaches the potentials from the plan, keeps what reaches the weights; returns the gradient to mass."""
    n, m = grad_plan.shape
    kernel, plan_b = work.kernel, work.plan_b
    to_mass = inverse * 0.0
    for j in range(m):
        plan_b[j] = 0.0
    for i in range(n):
        total = inverse * 0.0
        weight = a[i]
        for j in range(m):
            flow = kernel[i, j] * grad_plan[i, j]
            total += b[j] * flow
            plan_b[j] += mass * weight * flow
        to_mass += weight * total
        work.plan_a[i] = mass * total
        work.x[i] += weight * inverse * work.plan_a[i]
    for j in range(m):
        work.y[j] += b[j] * inverse * plan_b[j]
    return to_mass


@njit(**INNER)
def _eliminate(work: _Work, a: Array, b: Array) -> Any:
    """Right-hand side, diagonal and null vector of the system for ``z``; returns the squared length of the latter.

    Where ``b`` is 0, ``Y`` is known at once, and its part of ``X`` goes into the gradient to ``f``.
    """
    n, m = len(a), len(b)
    kernel, root, known, product, diagonal = work.kernel, work.root, work.scaled, work.product, work.diagonal
    zero, one = kernel.dtype.type(0.0), kernel.dtype.type(1.0)
    norm, massless = zero, 0
    for j in range(m):
        product[j] = 0.0
        diagonal[j] = 0.0
        root[j] = np.sqrt(b[j])
        norm += b[j]
        known[j] = zero if b[j] > 0.0 else work.y[j]
        massless += b[j] == 0.0
    for i in range(n):
        if massless > 0:
            work.x[i] -= a[i] * _dot(kernel[i], known)
        x, weight = work.x[i], np.sqrt(kernel.dtype.type(a[i]))
        for j in range(m):
            product[j] += x * kernel[i, j]
            # Where neither point has mass the square of the kernel alone could overflow.
            scaled = weight * kernel[i, j]
            diagonal[j] += scaled * scaled
    for j in range(m):
        work.residual[j] = (work.y[j] - b[j] * product[j]) / root[j] if b[j] > 0.0 else zero
        diagonal[j] = max(one - b[j] * diagonal[j], kernel.dtype.type(_SMALLEST_DIAGONAL))
    return norm


@njit(**INNER)
def _conjugate_gradients(work: _Work, a: Array, m: int, null: Array, norm: Any) -> None:
    """Solves ``(I - S'S) z = residual`` off the null vector of squared length ``norm``, preconditioned."""
    residual, z, direction, image = work.residual, work.z, work.direction, work.product
    accuracy = np.finfo(z.dtype).eps ** 0.75
    for j in range(m):
        z[j] = 0.0
    _project(residual, null, norm)
    target = accuracy * accuracy * _dot(residual, residual)
    _precondition(residual, work.diagonal, direction, m)
    _project(direction, null, norm)
    energy = _dot(residual, direction)
    for _ in range(4 * m + 50):
        if not _dot(residual, residual) > target:
            return
        _apply(work, a, m)
        _project(image, null, norm)
        curvature = _dot(direction, image)
        if not curvature > 0.0:
            return
        length = energy / curvature
        _add(z, length, direction)
        _add(residual, -length, image)
        _precondition(residual, work.diagonal, image, m)
        _project(image, null, norm)
        fresh = _dot(residual, image)
        ratio = fresh / energy if energy > 0.0 else fresh * 0.0
        energy = fresh
        for j in range(m):
            direction[j] = image[j] + ratio * direction[j]


@njit(**INNER)
def _apply(work: _Work, a: Array, m: int) -> None:
    """``product = direction - S'S direction``, four rows at a time."""
    kernel, root, scaled, product = work.kernel, work.root, work.scaled, work.product
    n, width = kernel.shape
    zero = kernel.dtype.type(0.0)
    for j in range(width):
        scaled[j] = root[j] * work.direction[j]
        product[j] = zero
    whole = n // 4 * 4
    for i in range(0, whole, 4):
        r0 = r1 = r2 = r3 = zero
        for j in range(width):
            s = scaled[j]
            r0 += kernel[i, j] * s
            r1 += kernel[i + 1, j] * s
            r2 += kernel[i + 2, j] * s
            r3 += kernel[i + 3, j] * s
        r0, r1, r2, r3 = a[i] * r0, a[i + 1] * r1, a[i + 2] * r2, a[i + 3] * r3
        for j in range(width):
            product[j] += r0 * kernel[i, j] + r1 * kernel[i + 1, j] + r2 * kernel[i + 2, j] + r3 * kernel[i + 3, j]
    for i in range(whole, n):
        r = zero
        for j in range(width):
            r += kernel[i, j] * scaled[j]
        r = a[i] * r
        for j in range(width):
            product[j] += r * kernel[i, j]
    for j in range(width):
        product[j] = work.direction[j] - root[j] * product[j]


@njit(**INNER)
def _substitute(work: _Work, a: Array, b: Array) -> None:
    """``X`` from ``Y = sqrt(b) z``, and from that ``Y`` once more: now both equations hold to rounding."""
    kernel, scaled, product = work.kernel, work.scaled, work.product
    n, width = kernel.shape
    for j in range(width):
        scaled[j] = work.root[j] * work.z[j]
        product[j] = 0.0
    for i in range(n):
        work.x[i] -= a[i] * _dot(kernel[i], scaled)
        x = work.x[i]
        for j in range(width):
            product[j] += x * kernel[i, j]
    for j in range(len(b)):
        work.y[j] -= b[j] * product[j]


@njit(**INNER)
def _write(
    work: _Work,
    cost: Array,
    a: Array,
    b: Array,
    inverse: Any,
    f: Array,
    g: Array,
    grad_plan: Array,
    factor: Any,
    grad_cost: Array,
) -> Any:
    """Gradient to the cost, and ``K Y`` in place of ``X``; returns the gradient to epsilon.

    The plan's own part is ``-factor a b K grad_plan``.
    """
    n, m = cost.shape
    kind = f.dtype.type
    kernel, y = work.kernel, work.y
    to_epsilon = kind(0.0)
    for i in range(n):
        x, weight, flow = work.x[i], kind(a[i]), kind(0.0)
        direct = factor * weight
        for j in range(m):
            entry = kernel[i, j]
            moved = x * b[j] + weight * y[j]
            if factor != 0.0:
                moved -= direct * b[j] * grad_plan[i, j]
            moved *= entry
            grad_cost[i, j] = moved
            flow += entry * y[j]
            exponent = (f[i] + g[j] - kind(cost[i, j])) * inverse
            to_epsilon += moved * (exponent if entry > 0.0 else kind(0.0))
        work.x[i] = flow
    return to_epsilon


@njit(**INNER)
def _dot(x: Array, y: Array) -> Any:
    total = x.dtype.type(0.0)
    for j in range(len(x)):
        total += x[j] * y[j]
    return total


@njit(**INNER)
def _add(x: Array, factor: Any, y: Array) -> None:
    for j in range(len(x)):
        x[j] += factor * y[j]


@njit(**INNER)
def _precondition(residual: Array, diagonal: Array, out: Array, m: int) -> None:
    for j in range(m):
        out[j] = residual[j] / diagonal[j]


@njit(**INNER)
def _project(x: Array, root: Array, norm: Any) -> None:
    part = _dot(x, root) / norm
    for j in range(len(x)):
        x[j] -= part * root[j]
