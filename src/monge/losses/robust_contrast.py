"""The robust contrast (RINCE) of a transport plan, which lets go of pairs that the plan holds for hopeless.

Source: C.-Y. Chuang, R. D. Hjelm, X. Wang, V. Vineet, N. Joshi, A. Torralba, S. Jegelka, Y. Song, "Robust contrastive
learning against noisy views", CVPR 2022; on plans: [GCA], see `monge.losses.inverse_ot`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from monge.losses.coupling_targets import Target

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


class Marks(NamedTuple):
    """What is read off a plan.

    Attributes:
        entries: Where the weights of a target are, ``(K,)`` or ``(N, M)``.
        rows: Sums of the rows, ``(N,)``.
        columns: Sums of the columns, ``(M,)``.
    """

    entries: Tensor
    rows: Tensor
    columns: Tensor


def rince_of_plan(marks: Marks, target: Target, a: Tensor, b: Tensor | None, rince: Rince) -> Tensor:
    """``mean (-p^q + (lam sum p)^q) / q`` over positive pairs, p the share of a sample's mass that a pair has.

    Args:
        marks: Of the plan, at the pairs of the target.
        target: Weight of each pair.
        a: Mass of the queries, ``(N,)``, which p is a share of.
        b: Mass of the gallery items, ``(M,)``: the mean of both directions; ``None``: that of the queries alone.
        rince: Its parameters.

    Returns:
        Scalar.

    Example:
        >>> half = torch.tensor([0.5, 0.5])
        >>> rince_of_plan(Marks(torch.eye(2) / 2, half, half), Target.of(torch.eye(2) / 2), half, half, Rince(q=1.0))
        tensor(-0.9900)
    """
    value = _of_rows(marks.entries, marks.rows, target, a, rince)
    if b is not None:
        entries = marks.entries if target.places else marks.entries.mT
        value = 0.5 * (value + _of_rows(entries, marks.columns, target.transposed(), b, rince))
    return rince.weight * value


def _of_rows(entries: Tensor, sums: Tensor, target: Target, a: Tensor, rince: Rince) -> Tensor:
    mass = torch.where(a > 0, a, 1.0)  # (N,)
    share = entries / target.of_rows(mass)
    # Powers below 1 have no derivative at 0: what carries no weight is put at 1, what vanished stays where it is.
    pulled = torch.where(target.weights > 0, share, 1.0).clamp_min(_SMALLEST) ** rince.q
    held = (rince.lam * torch.where(target.rows > 0, sums / mass, 1.0)).clamp_min(_SMALLEST) ** rince.q  # (N,)
    return ((target.rows * held).sum() - (target.weights * pulled).sum()) / rince.q
