"""The marginal system ``(I - S'S) z = rhs`` by conjugate gradients, problem by problem in cache.

``S = sqrt(a) K sqrt(b)`` has the largest singular value 1, with ``sqrt(b)`` as its vector: there the system is
singular, and everything is projected off it. A product with ``S'S`` is one sweep over ``K``: a row times a vector is a
number, and that number times the row joins the result while the row is still in the nearest cache.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monge.ot.compiled.arrays import arrays_of
from monge.ot.compiled.jit import entry, inner, making
from monge.ot.compiled.threads import over_range

Array = NDArray[Any]

_SMALLEST_DIAGONAL = 1e-3


class System(NamedTuple):
    """One system and room to solve it; vectors are as wide as the kernel and 0 where it is padded."""

    kernel: Array  # (N, W)
    root: Array  # (W,) sqrt(b)
    diagonal: Array  # (W,) of I - S'S
    residual: Array  # (W,) the right-hand side at first
    z: Array  # (W,) the solution
    direction: Array  # (W,)
    product: Array  # (W,)
    scaled: Array  # (W,)


@making
def new_system(n: int, m: int, like: Array) -> System:
    """Room for a system of a kernel ``(n, m)``, in whole cache lines."""
    line = 64 // like.itemsize
    width = (m + line - 1) // line * line
    c = np.zeros((7, width), like.dtype)
    return System(np.zeros((n, width), like.dtype), c[0], c[1], c[2], c[3], c[4], c[5], c[6])


@inner
def diagonal_of(system: System, a: Array, b: Array) -> None:
    """Writes the diagonal of ``I - S'S``, not below a thousandth."""
    kernel, diagonal = system.kernel, system.diagonal
    kind = kernel.dtype.type
    for j in range(len(b)):
        diagonal[j] = kind(0.0)
    for i in range(len(a)):
        weight = np.sqrt(kind(a[i]))
        for j in range(len(b)):
            # Where neither point has mass the square of the kernel alone could overflow.
            scaled = weight * kernel[i, j]
            diagonal[j] += scaled * scaled
    for j in range(len(b)):
        diagonal[j] = max(kind(1.0) - kind(b[j]) * diagonal[j], kind(_SMALLEST_DIAGONAL))


@inner
def solve(system: System, a: Array, null: Array, norm: Any, m: int) -> None:
    """Writes ``z``, off the null vector whose squared length is ``norm``; the preconditioner is the diagonal."""
    kernel, root, diagonal, scaled = system.kernel, system.root, system.diagonal, system.scaled
    residual, z, direction, image = system.residual, system.z, system.direction, system.product
    accuracy = np.finfo(z.dtype).eps ** 0.75
    for j in range(m):
        z[j] = 0.0
    _project(residual, null, norm)
    target = accuracy * accuracy * dot(residual, residual)
    _divide(residual, diagonal, direction, m)
    _project(direction, null, norm)
    energy = dot(residual, direction)
    for _ in range(4 * m + 50):
        if not dot(residual, residual) > target:
            return
        _apply(kernel, a, root, direction, scaled, image)
        _project(image, null, norm)
        curvature = dot(direction, image)
        if not curvature > 0.0:
            return
        length = energy / curvature
        for j in range(m):
            z[j] += length * direction[j]
            residual[j] -= length * image[j]
        _divide(residual, diagonal, image, m)
        _project(image, null, norm)
        fresh = dot(residual, image)
        ratio = fresh / energy if energy > 0.0 else fresh * 0.0
        energy = fresh
        for j in range(m):
            direction[j] = image[j] + ratio * direction[j]


@inner
def _apply(kernel: Array, a: Array, root: Array, direction: Array, scaled: Array, product: Array) -> None:
    """``product = direction - S'S direction``, four rows at a time."""
    n, width = kernel.shape
    zero = kernel.dtype.type(0.0)
    for j in range(width):
        scaled[j] = root[j] * direction[j]
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
        product[j] = direction[j] - root[j] * product[j]


@inner
def dot(x: Array, y: Array) -> Any:
    """``sum x y``."""
    total = x.dtype.type(0.0)
    for j in range(len(x)):
        total += x[j] * y[j]
    return total


@inner
def _divide(x: Array, y: Array, out: Array, m: int) -> None:
    for j in range(m):
        out[j] = x[j] / y[j]


@inner
def _project(x: Array, null: Array, norm: Any) -> None:
    part = dot(x, null) / norm
    for j in range(len(x)):
        x[j] -= part * null[j]


def solve_systems(scaled: Tensor, rhs: Tensor, null: Tensor) -> Tensor:
    """Solves systems whose ``S`` is given; see :func:`monge.ot.operators.solve_marginal_system`."""
    z = torch.empty(rhs.shape, dtype=rhs.dtype)
    arrays = arrays_of(scaled, rhs, null, z)
    over_range(len(rhs), lambda start, stop: _solve_range(*arrays, start, stop))  # type: ignore[call-arg]
    return z


@entry
def _solve_range(scaled: Array, rhs: Array, null: Array, z: Array, start: int, stop: int) -> None:
    n, m = scaled.shape[1:]
    system = new_system(n, m, scaled)
    kernel, residual, root, solution = system.kernel, system.residual, system.root, system.z
    row_ones, column_ones, singular = np.ones(n, scaled.dtype), np.ones(m, scaled.dtype), np.zeros_like(root)
    for j in range(m):
        root[j] = 1.0
    for k in range(start, stop):
        for j in range(m):
            residual[j] = rhs[k, j]
            singular[j] = null[k, j]
        for i in range(n):
            for j in range(m):
                kernel[i, j] = scaled[k, i, j]
        diagonal_of(system, row_ones, column_ones)
        solve(system, row_ones, singular, dot(singular, singular), m)
        for j in range(m):
            z[k, j] = solution[j]
