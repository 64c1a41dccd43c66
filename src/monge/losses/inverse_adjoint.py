"""The linear system behind the derivative of an entropic plan whose marginals are fixed or have a price."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

_CHECK_EVERY = 5


@torch.library.custom_op("monge::relaxed_adjoint", mutates_args=())
def relaxed_adjoint(plan: Tensor, rows: Tensor, columns: Tensor, price: float) -> tuple[Tensor, Tensor]:
    """Solves ``h r alpha + P beta = rows`` and ``P' alpha + h c beta = columns``, r and c the marginals of P.

    ``h = 1 + 1 / price`` where a departure of a marginal costs ``price`` times its KL, 1 where marginals are fixed
    (derived from the first-order conditions ``a exp(-f / price) = P 1``). Fixed marginals leave a constant free, which
    no gradient depends on. By conjugate gradients on the smaller unknown, with rows and columns scaled by the roots of
    their masses.

    Args:
        plan: ``(N, M)``, non-negative.
        rows: ``(N,)``.
        columns: ``(M,)``.
        price: Above 0; may be infinite.

    Returns:
        ``alpha (N,)`` and ``beta (M,)``, 0 where a row or column has no mass.

    Example:
        >>> plan = torch.tensor([[0.4, 0.1], [0.0, 0.5]])
        >>> alpha, beta = relaxed_adjoint(plan, torch.ones(2), torch.ones(2), 1.0)
        >>> 2 * plan.sum(1) * alpha + plan @ beta
        tensor([1.0000, 1.0000])
    """
    with torch.autocast(plan.device.type, enabled=False):
        return _solved(plan, rows, columns, price)


def _solved(plan: Tensor, rows: Tensor, columns: Tensor, price: float) -> tuple[Tensor, Tensor]:
    stiff = 1.0 + 1.0 / price
    left, right = plan.sum(1), plan.sum(0)  # (N,), (M,)
    root_l, root_r = _inverse_root(left), _inverse_root(right)

    # S = root_l P root_r has singular values of at most 1; the plan is read as it is.
    def times(z: Tensor) -> Tensor:
        return root_l * (plan @ (root_r * z))

    def transposed(s: Tensor) -> Tensor:
        return root_r * (plan.mT @ (root_l * s))

    u, v = rows * root_l, columns * root_r
    # alpha = root_l s and beta = root_r z: stiff s + S z = u, S's + stiff z = v.
    null = right.sqrt() if math.isinf(price) else None
    z = _conjugate_gradients(lambda d: stiff * d - transposed(times(d)) / stiff, v - transposed(u) / stiff, null)
    return root_l * (u - times(z)) / stiff, root_r * z


@relaxed_adjoint.register_fake
def _(plan: Tensor, rows: Tensor, columns: Tensor, price: float) -> tuple[Tensor, Tensor]:
    return torch.empty_like(rows), torch.empty_like(columns)


def _inverse_root(mass: Tensor) -> Tensor:
    return torch.where(mass > 0, torch.where(mass > 0, mass, 1.0).rsqrt(), 0.0)


def _conjugate_gradients(system: Callable[[Tensor], Tensor], rhs: Tensor, null: Tensor | None) -> Tensor:
    """Solves ``system(z) = rhs``, off the null vector where there is one."""
    unit = None if null is None else null / null.norm().clamp_min(torch.finfo(rhs.dtype).tiny)

    def project(t: Tensor) -> Tensor:
        return t if unit is None else t - (t @ unit) * unit

    residual = project(rhs)
    z, direction, energy = torch.zeros_like(residual), residual, residual @ residual
    target = torch.finfo(rhs.dtype).eps ** 1.5 * energy
    for step in range(4 * len(rhs) + 50):
        image = project(system(direction))
        curvature = direction @ image
        active = (curvature > 0) & (energy > target)
        length = torch.where(active, energy / torch.where(active, curvature, 1.0), 0.0)
        z, residual = z + length * direction, residual - length * image
        fresh = residual @ residual
        direction = residual + torch.where(active, fresh / torch.where(energy > 0, energy, 1.0), 0.0) * direction
        energy = torch.where(active, fresh, energy)
        if step % _CHECK_EVERY == 0 and not bool(active):
            break
    return z
