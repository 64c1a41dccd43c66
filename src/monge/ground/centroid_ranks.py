"""Ranks of classes by the distance of their centroids, for many classes in bounded memory.

A pair (i, j) is kept as one 16-bit number, ``2 r_ij + 2 r_ji - 2 (C - 1)``: the factor 2 makes mean ranks of ties
whole, the shift lets C go to 16,384.
"""

from __future__ import annotations

import torch
from torch import Tensor

MOST_CLASSES = 1 << 14

# Most pairs that are looked at together; each takes about 50 bytes for the time being.
_BLOCK = 1 << 20


def rank_pairs(num_classes: int, device: torch.device) -> Tensor:
    """Pairs of classes that nothing is known of: each as far from every other as can be.

    Args:
        num_classes: C.
        device: Where they go.

    Returns:
        int16 ``(C, C)``.

    Example:
        >>> rank_pairs(2, torch.device("cpu"))
        tensor([[-2,  2],
                [ 2, -2]], dtype=torch.int16)
    """
    most = 2 * (num_classes - 1)
    return torch.full((num_classes, num_classes), most, dtype=torch.int16, device=device).fill_diagonal_(-most)


def update_ranks(pairs: Tensor, centroids: Tensor, known: Tensor, seen: Tensor) -> None:
    """Ranks classes anew, in place; pairs with a class that was not seen stay as they are.

    Distances are worked out in the dtype of the centroids and compared as float32; those that agree there, or are no
    more than rounding, are ties and get their mean rank.

    Args:
        pairs: int16 ``(C, C)``.
        centroids: ``(C, F)``.
        known: Classes that have a centroid, bool ``(C,)``; others are nearer to nobody.
        seen: Classes whose pairs with each other are ranked, bool ``(C,)``, all of them known.
    """
    classes = len(pairs)
    points = centroids - centroids[known].mean(0)  # distances stay, rounding shrinks
    squares = points.square().sum(1)  # (C,)
    rounding = 64.0 * torch.finfo(points.dtype).eps * squares[known].max()
    rounding = rounding + 1e-14 * centroids[known].square().sum(1).max()
    step = max(1, _BLOCK // classes)
    for first in range(0, classes, step):
        mine = slice(first, min(first + step, classes))
        forget = seen[mine].unsqueeze(1) & seen  # (B, C)
        pairs[mine].masked_fill_(forget, -2 * (classes - 1))
    for first in range(0, classes, step):
        mine = slice(first, min(first + step, classes))
        apart = squares[mine].unsqueeze(1) + squares - 2.0 * (points[mine] @ points.t())  # (B, C)
        apart = torch.where(apart <= rounding, 0.0, apart).to(torch.float32).masked_fill(~known, torch.inf)
        own = torch.arange(mine.start, mine.stop, device=apart.device).unsqueeze(1)
        ranks = _doubled_ranks(apart.scatter(1, own, -1.0))  # (B, C)
        ranks = torch.where(seen[mine].unsqueeze(1) & seen, ranks, 0).to(torch.int16)
        pairs[mine] += ranks
        pairs[:, mine] += ranks.t()


def _doubled_ranks(values: Tensor) -> Tensor:
    """Twice the rank of each value in its row from 0, ties averaged, int32 ``(B, C)``."""
    ordered, which = values.sort(1)
    places = torch.arange(values.shape[1], dtype=torch.int32, device=values.device)  # (C,)
    differs = ordered[:, 1:] != ordered[:, :-1]  # (B, C - 1)
    edge = torch.ones_like(values[:, :1], dtype=torch.bool)
    # Of a run of ties, every member learns the first place by looking back and the last by looking ahead.
    first = torch.where(torch.cat([edge, differs], 1), places, 0).cummax(1).values
    last = torch.where(torch.cat([differs, edge], 1), places, len(places)).flip(1).cummin(1).values.flip(1)
    return torch.empty_like(first).scatter_(1, which, first + last)
