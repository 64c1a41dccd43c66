"""The robust contrast (RINCE) of a transport plan, which lets go of pairs that the plan holds for hopeless.

Source: C.-Y. Chuang, R. D. Hjelm, X. Wang, V. Vineet, N. Joshi, A. Torralba, S. Jegelka, Y. Song, "Robust contrastive
learning against noisy views", CVPR 2022; on plans: [GCA], see `monge.losses.inverse_ot`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_SMALLEST = 1e-30


class Rince(NamedTuple):
    """How a robust contrast enters a loss.

    Attributes:
        weight: What it is multiplied by.
        q: Above 0, at most 1: near 0 it behaves like the logarithm of InfoNCE, at 1 all pairs pull alike. [GCA]: 0.6.
        lam: Weight of everything a sample is matched with, positive. [GCA]: 0.01.
    """

    weight: float = 1.0
    q: float = 0.6
    lam: float = 0.01


def rince_of_plan(plan: Tensor, target: Tensor, a: Tensor, b: Tensor | None, rince: Rince) -> Tensor:
    """``mean (-p^q + (lam sum p)^q) / q`` over positive pairs, p the share of a sample's mass that a pair has.

    Args:
        plan: ``(N, M)``.
        target: Weight of each pair, ``(N, M)``.
        a: Mass of the queries, ``(N,)``, which p is a share of.
        b: Mass of the gallery items, ``(M,)``: the mean of both directions; ``None``: that of the queries alone.
        rince: Its parameters.

    Returns:
        Scalar.

    Example:
        >>> half = torch.tensor([0.5, 0.5])
        >>> rince_of_plan(torch.eye(2) / 2, torch.eye(2) / 2, half, half, Rince(q=1.0, lam=0.01))
        tensor(-0.9900)
    """
    value = _of_rows(plan, target, a, rince)
    if b is not None:
        value = 0.5 * (value + _of_rows(plan.mT, target.mT, b, rince))
    return rince.weight * value


def _of_rows(plan: Tensor, target: Tensor, a: Tensor, rince: Rince) -> Tensor:
    weights = target.sum(1)  # (N,)
    share = plan / torch.where(a > 0, a, 1.0).unsqueeze(1)  # (N, M)
    # Powers below 1 have no derivative at 0: what carries no weight is put at 1, what vanished stays where it is.
    pulled = torch.where(target > 0, share, 1.0).clamp_min(_SMALLEST) ** rince.q  # (N, M)
    held = (rince.lam * torch.where(weights > 0, share.sum(1), 1.0)).clamp_min(_SMALLEST) ** rince.q  # (N,)
    return ((weights * held).sum() - (target * pulled).sum()) / rince.q
