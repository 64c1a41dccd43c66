"""Transport between histograms over ordered classes, in closed form and in linear time per histogram."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from monge.ot.histograms import balanced


def emd_line(p: Tensor, q: Tensor, *, positions: Tensor | None = None, power: Literal[1, 2] = 1) -> Tensor:
    """Optimal cost of turning one histogram into another on a line, ``W_1`` or ``W_2^2``.

    With ``F`` and ``G`` the cumulative masses, ``power=1`` is ``sum_i |F_i - G_i| (x_{i+1} - x_i)``. ``power=2`` is
    the cost ``sum (x - y)^2`` of the monotone coupling: mass of equal quantile is matched, by merging the levels of
    ``F`` and ``G`` (Villani, *Topics in Optimal Transportation*, theorem 2.18). For the sum of squared CDF differences
    see :func:`cramer_line`. Zero masses are allowed, so padded classes need no mask.

    Args:
        p: Masses, shape ``(..., N)``, non-negative; logits need a softmax first.
        q: Masses, shape ``(..., N)``; batch dimensions broadcast. Sums within 1e-3 of each other are brought to
            their mean (half precision: within two roundings).
        positions: Place of each class on the line, shape ``(N,)`` or ``(..., N)``, not decreasing; default
            ``0, 1, 2, ...``.
        power: Exponent of the ground cost ``|x - y|^power``.

    Returns:
        Cost, shape ``(...)``, float32 (also for half precision) or float64. It is differentiable in ``p``, ``q`` and
        ``positions``, and grows in proportion to the mass.

    Raises:
        ValueError: Shapes that do not fit, positions that decrease, masses that are negative or not finite, or sums
            that differ. In a compiled graph wrong masses give NaN instead.

    Example:
        >>> p, q = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 0.5, 0.5])
        >>> emd_line(p, q), emd_line(p, q, power=2)
        (tensor(1.5000), tensor(2.5000))
    """
    if power not in (1, 2):
        raise ValueError(f"power is {power!r}: expected 1 or 2")
    p, q, mass = balanced(p, q)
    if power == 2:
        return _quantile_cost(p, q, mass, positions)
    moved = (p - q).cumsum(-1)[..., :-1].abs()  # (..., N - 1)
    return (moved if positions is None else moved * gaps_between(positions, p)).sum(-1)


def cramer_line(p: Tensor, q: Tensor, *, positions: Tensor | None = None) -> Tensor:
    """Squared difference of the cumulative masses, ``sum_i (F_i - G_i)^2 (x_{i+1} - x_i)``.

    On unit spacing this is the squared EMD loss for ordered classes (Hou, Yu and Samaras, arXiv 1611.05916; summed
    over the classes, not averaged) and the ranked probability score, unnormalised. In general it is the squared
    Cramér distance, not a transport cost: for one-hot histograms it is the distance, and for the squared Wasserstein
    distance see :func:`emd_line` with ``power=2``.

    Args:
        p: Masses, shape ``(..., N)``, as in :func:`emd_line`.
        q: Masses, shape ``(..., N)``.
        positions: Place of each class, shape ``(N,)`` or ``(..., N)``, not decreasing; default ``0, 1, 2, ...``.

    Returns:
        Shape ``(...)``, float32 or float64; differentiable in ``p``, ``q`` and ``positions``, quadratic in the mass.

    Raises:
        ValueError: As :func:`emd_line`.

    Example:
        >>> cramer_line(torch.tensor([0.2, 0.3, 0.5]), torch.tensor([0.0, 0.0, 1.0]))
        tensor(0.2900)
    """
    p, q, _ = balanced(p, q)
    squares = (p - q).cumsum(-1)[..., :-1].square()  # (..., N - 1)
    return (squares if positions is None else squares * gaps_between(positions, p)).sum(-1)


def gaps_between(positions: Tensor, p: Tensor) -> Tensor:
    return _checked(positions, p).diff(dim=-1)


def _checked(positions: Tensor, p: Tensor) -> Tensor:
    if positions.dim() < 1 or positions.shape[-1] != p.shape[-1]:
        raise ValueError(
            f"positions has shape {tuple(positions.shape)}: expected one for each of {p.shape[-1]} classes"
        )
    positions = positions.to(device=p.device, dtype=p.dtype)
    increasing = torch.isfinite(positions).all() & (positions.diff(dim=-1) >= 0).all()
    if torch.compiler.is_compiling():
        return torch.where(increasing, positions, torch.nan)
    if not bool(increasing):
        raise ValueError("positions are not finite and increasing: sort them, and p and q with them")
    return positions


def _quantile_cost(p: Tensor, q: Tensor, mass: Tensor, positions: Tensor | None) -> Tensor:
    """``W_2^2``: between two neighbouring levels of ``F`` and ``G`` the coupling joins one class with one class."""
    n = p.shape[-1]
    x = torch.arange(n, device=p.device, dtype=p.dtype) if positions is None else _checked(positions, p)
    batch = torch.broadcast_shapes(p.shape, x.shape)  # type: ignore[no-untyped-call]
    p, q, x = p.expand(batch), q.expand(batch), x.expand(batch)
    lower, upper = _unit_levels(p), _unit_levels(q)  # (..., N) each, ending in exactly 1
    levels = torch.cat([lower, upper], dim=-1).sort(dim=-1).values  # (..., 2N)
    share = levels.diff(dim=-1, prepend=torch.zeros_like(levels[..., :1]))  # (..., 2N) mass between two levels
    with torch.no_grad():
        source = torch.searchsorted(lower.contiguous(), levels.contiguous()).clamp_max(n - 1)
        target = torch.searchsorted(upper.contiguous(), levels.contiguous()).clamp_max(n - 1)
    return (share * (x.gather(-1, source) - x.gather(-1, target)).square()).sum(-1) * mass.squeeze(-1)


def _unit_levels(p: Tensor) -> Tensor:
    # Dividing by the last entry makes every level from the last class with mass on exactly 1, whatever the rounding.
    levels = p.cumsum(-1)
    total = levels[..., -1:]
    return levels / torch.where(total == 0, 1.0, total)
