"""The pairs of a verification that are worth a look: those decided wrongly, and the closest calls."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class WrongPairs(NamedTuple):
    """The pairs of one kind, genuine or impostors, that their thresholds decide wrongly.

    Attributes:
        total: How many.
        farthest: Rows of those farthest past their threshold, the farthest first, int64.
        nearest: Rows of the others nearest to it, the nearest first.
        right: Where none is wrong, rows of the right ones nearest to it, the nearest first.
    """

    total: int
    farthest: Tensor
    nearest: Tensor
    right: Tensor


def wrong_pairs(distances: Tensor, limits: Tensor, same: Tensor, *, genuine: bool, each: int) -> WrongPairs:
    """The pairs of one kind on the wrong side of their threshold.

    Args:
        distances: Squared distances, ``(P,)``.
        limits: Threshold of each pair, ``(P,)``: below it a pair counts as one identity.
        same: Whether it is one, bool ``(P,)``.
        genuine: Genuine pairs, or impostors.
        each: Rows of a sort, at most.

    Example:
        >>> distances, same = torch.tensor([0.1, 0.2, 0.8, 0.9]), torch.tensor([True, False, False, True])
        >>> found = wrong_pairs(distances, torch.full((4,), 0.5), same, genuine=False, each=2)
        >>> found.total, found.farthest.tolist(), found.right.tolist()
        (1, [1], [])
    """
    kind = same == genuine
    wrong = kind & ((distances < limits) != genuine)
    away, none = (distances - limits).abs(), torch.empty(0, dtype=torch.int64)
    rows = wrong.nonzero()[:, 0]
    if not len(rows):
        rows = kind.nonzero()[:, 0]
        return WrongPairs(0, none, none, rows[away[rows].argsort(stable=True)][:each])
    order = rows[away[rows].argsort(descending=True, stable=True)]
    return WrongPairs(len(rows), order[:each], order[each:].flip(0)[:each], none)


def hardest_pairs(distances: Tensor, limits: Tensor, same: Tensor, *, count: int) -> Tensor:
    """Rows of the pairs whose distance speaks most strongly against the truth, half of either kind, genuine ones first.

    Args:
        distances: As for `wrong_pairs`.
        limits: Likewise.
        same: Likewise.
        count: How many at most.

    Example:
        >>> distances, same = torch.tensor([0.1, 0.2, 0.8, 0.9]), torch.tensor([True, False, False, True])
        >>> hardest_pairs(distances, torch.full((4,), 0.5), same, count=2).tolist()
        [3, 1]
    """
    against = torch.where(same, distances - limits, limits - distances)
    kinds = [flags.nonzero()[:, 0] for flags in (same, ~same)]
    return torch.cat([rows[against[rows].argsort(descending=True, stable=True)][: count // 2] for rows in kinds])


def limits_of(thresholds: Tensor, folds: Tensor) -> Tensor:
    """The threshold of each pair's fold, ``(P,)``.

    Args:
        thresholds: One a fold, in the order of the folds' numbers, as `monge.metrics.verification.verify` gives them.
        folds: Fold of each pair, int64 ``(P,)``.

    Example:
        >>> limits_of(torch.tensor([0.5, 0.75]), torch.tensor([3, 7, 3])).tolist()
        [0.5, 0.75, 0.5]
    """
    return thresholds[torch.unique(folds, return_inverse=True)[1]]
