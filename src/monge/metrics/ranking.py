"""Where the relevant items of a query stand in its ranked list: all that the retrieval scores need to know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from monge.errors import MongeError
from monge.metrics.distances import GalleryDistances

Ties = Literal["average", "index"]

# Relevant items scored at a time (some thirty temporaries of eight bytes each), and list items sorted at a time.
_BLOCK_HITS = 2**20
_BLOCK_SORT = 2**22


@dataclass(frozen=True)
class Hits:
    """The relevant items of B queries, nearest first, each with the group of equally distant items it is in.

    Column k holds the (k+1)-th relevant item; columns from `relevant` on are padding. Without ties an item has
    rank ``before + 1``, ``tied`` 1, ``hits_before`` k and ``hits_tied`` 1.

    Attributes:
        queries: ``(B,)`` int64, positions of the queries.
        relevant: ``(B,)`` int64, number of relevant items C of each query.
        before: ``(B, R)`` int64, items strictly nearer than the group.
        tied: ``(B, R)`` int64, items in the group.
        hits_before: ``(B, R)`` int64, relevant items strictly nearer than the group.
        hits_tied: ``(B, R)`` int64, relevant items in the group.
        size: Number of items N in each ranked list.
    """

    queries: Tensor
    relevant: Tensor
    before: Tensor
    tied: Tensor
    hits_before: Tensor
    hits_tied: Tensor
    size: int

    @property
    def mask(self) -> Tensor:
        """``(B, R)`` bool, False on padding."""
        return torch.arange(self.before.shape[1], device=self.before.device) < self.relevant[:, None]


def ranked_hits(
    distances: GalleryDistances,
    query_labels: Tensor,
    gallery_labels: Tensor,
    *,
    ties: Ties = "average",
    chunk: int | None = None,
) -> Iterator[Hits]:
    """Finds the relevant items of every query in its ranked list, a block of queries at a time.

    The list itself is never kept: only the sorted distances of one block of queries exist at a time.

    Args:
        distances: Distances of Q queries to N gallery items.
        query_labels: ``(Q,)`` integers.
        gallery_labels: ``(N,)`` integers; an item is relevant if its label is the query's.
        ties: ``"average"`` keeps equally distant items as groups; ``"index"`` puts them in gallery order.
        chunk: Queries at a time (rounded up to whole tiles); by default what fits a fixed budget.

    Yields:
        `Hits`; every query is in exactly one of them, those with few relevant items first.

    Raises:
        MongeError: Unknown `ties` or a `chunk` below 1.

    Example:
        >>> d = GalleryDistances(torch.zeros(1, 1), torch.tensor([[3.0], [1.0], [2.0]]), "euclidean")
        >>> next(ranked_hits(d, torch.tensor([7]), torch.tensor([7, 7, 5]))).before
        tensor([[0, 2]])
    """
    if ties not in get_args(Ties):
        raise MongeError(f"ties: found {ties!r}, expected one of {', '.join(get_args(Ties))}")
    step = distances.chunk(chunk)
    device = distances.gallery.device
    query_labels, gallery_labels = query_labels.to(device).long(), gallery_labels.to(device).long()
    by_label = torch.sort(gallery_labels, stable=True)
    first = torch.searchsorted(by_label.values, query_labels)  # (Q,)
    count = torch.searchsorted(by_label.values, query_labels, right=True) - first  # (Q,)
    order = torch.argsort(count, stable=True)  # queries with lists of like length share a block: little padding
    for start in range(0, order.shape[0], step):
        block = order[start : start + step]
        keys = distances.rows(block)  # (B, N)
        longest = max(1, int(count[block].max()))
        small = max(1, min(_BLOCK_HITS // longest, _BLOCK_SORT // gallery_labels.shape[0]))
        for row in range(0, block.shape[0], small):
            which, part = block[row : row + small], keys[row : row + small]
            slots = torch.arange(max(1, int(count[which].max())), device=device)  # (R,)
            columns = by_label.indices[(first[which, None] + slots).clamp_(max=gallery_labels.shape[0] - 1)]  # (b, R)
            padding = slots >= count[which, None]  # (b, R)
            relevant = (part.gather(1, columns).isfinite() & ~padding).sum(dim=1)
            if ties == "index":
                part = _with_index(part)
            yield _locate(
                which, relevant, part, part.gather(1, columns).masked_fill_(padding, _last(part)), distances.size
            )
        del keys, part  # before the next block is made


def _locate(which: Tensor, relevant: Tensor, keys: Tensor, near: Tensor, size: int) -> Hits:
    near, keys = _sort_rows(near), _sort_rows(keys)
    hits_before, before = torch.searchsorted(near, near), torch.searchsorted(keys, near)
    hits_tied = torch.searchsorted(near, near, right=True) - hits_before
    tied = torch.searchsorted(keys, near, right=True) - before
    return Hits(which, relevant, before, tied, hits_before, hits_tied, size)


def _with_index(keys: Tensor) -> Tensor:
    """Makes keys unique: the bits of a non-negative float, which sort like the float, above the column number."""
    return (keys.view(torch.int32).long() << 32) | torch.arange(keys.shape[1], device=keys.device)


def _last(keys: Tensor) -> float | int:
    return torch.inf if keys.is_floating_point() else torch.iinfo(keys.dtype).max


def _sort_rows(keys: Tensor) -> Tensor:
    """Sorts each row ascending; on the CPU in place and by NumPy, whose vectorised sort is many times faster."""
    if keys.device.type != "cpu":
        return keys.sort(dim=1).values
    keys.numpy().sort(axis=1)
    return keys
