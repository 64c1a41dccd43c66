"""Inverse transport with the mass of one side fixed: softmaxes of rows, of columns, or the mean of both."""

from __future__ import annotations

import torch
from torch import Tensor

from monge.losses.coupling_targets import Target
from monge.losses.inverse_plan import Gap
from monge.losses.robust_contrast import Marks, Rince, rince_of_plan


def row_loss(
    scaled: Tensor,
    of_rows: Target | None,
    of_columns: Target | None,
    counted: Tensor | None,
    kl_weight: float,
    rince: Rince | None,
) -> Tensor:
    """Mean of the losses of the sides that have a target; both read the same costs.

    Args:
        scaled: Costs over epsilon, ``(N, M)``.
        of_rows: What the rows should choose, of mass 1 or 0.
        of_columns: What the columns should choose, at the same places.
        counted: Pairs that count, bool ``(N, M)``; ``None``: all.
        kl_weight: Of the divergence of each target from its softmax.
        rince: Parameters of the robust contrast of the softmax, if wanted.

    Returns:
        Scalar.

    Example:
        >>> target = Target.of(torch.eye(2) / 2)
        >>> row_loss(torch.tensor([[0.0, 2.0], [2.0, 0.0]]), target, None, None, 1.0, None)  # log(1 + exp(-2))
        tensor(0.1269)
    """
    sides = [(side, target) for side, target in ((1, of_rows), (0, of_columns)) if target is not None]
    parts = []
    if kl_weight:
        value, plan, weights = _divergence(scaled.detach(), sides, counted)
        factor = torch.full_like(value, kl_weight / len(sides))
        parts.append(Gap.apply(scaled, value, factor, plan, weights, *sides[0][1].places))
    if rince is not None:
        parts += [_contrast(scaled, side, target, counted, rince) / len(sides) for side, target in sides]
    return parts[0] if len(parts) == 1 else torch.stack(parts).sum()


@torch.no_grad()
def _divergence(
    scaled: Tensor, sides: list[tuple[int, Target]], counted: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Sums over the sides: ``KL(T | P)``, plans ``(N, M)``, and weights of the targets."""
    (value, plan, weights), *rest = (_of_side(scaled, side, target, counted) for side, target in sides)
    for more in rest:
        value, plan, weights = value + more[0], plan.add_(more[1]), weights + more[2]
    return value, plan, weights


def _of_side(scaled: Tensor, side: int, target: Target, counted: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    mass = target.rows if side == 1 else target.columns
    logs = _logits(scaled, mass.unsqueeze(side), counted).log_softmax(side)  # (N, M)
    value = target.entropy() - torch.xlogy(mass, mass).sum() - target.inner(logs)
    return value, logs.exp_().mul_(mass.unsqueeze(side)), target.weights


def _contrast(scaled: Tensor, side: int, target: Target, counted: Tensor | None, rince: Rince) -> Tensor:
    if side == 0:
        scaled, target, counted = scaled.mT, target.transposed(), None if counted is None else counted.mT
    logs = _logits(scaled, target.rows.unsqueeze(1), counted).log_softmax(1)  # (N, M)
    entries = target.of_rows(target.rows) * target.at(logs).exp()
    return rince_of_plan(Marks(entries, target.rows, target.columns), target, target.rows, None, rince)


def softmax_plan(scaled: Tensor, target: Tensor, counted: Tensor | None) -> Tensor:
    """The plan of the rows, ``(N, M)``, each of the mass it has in the target."""
    mass = target.sum(1, keepdim=True)
    return mass * _logits(scaled, mass, counted).softmax(1)


def _logits(scaled: Tensor, mass: Tensor, counted: Tensor | None) -> Tensor:
    """What is chosen by; where there is no mass all costs stay."""
    if counted is None:
        return -scaled
    # Finite, so that it may be multiplied by the target's 0.
    return (-scaled).masked_fill(~counted & (mass > 0), 0.1 * torch.finfo(scaled.dtype).min)
