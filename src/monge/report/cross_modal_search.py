"""Retrieval between the two sides of a cross-modal run: what each query finds, and how well."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from monge.metrics import Distance, first_ranks, nearest, retrieval_per_query
from monge.report.stored_cross_modal import StoredSide

_MOST_QUERIES = 2_000


@dataclass(frozen=True)
class Search:
    """One direction: items of a side ask, those of the other are found.

    Args:
        asking: The side that asks.
        asked: The side that is searched.
        queries: Item index of each query, int64 ``(Q,)``.
        nearest: Items found, nearest first, int64 ``(Q, k)``.
        distances: Their distances ``(Q, k)``.
        precision: Average precision ``(Q,)``, NaN where there is nothing to find.
        ranks: Rank of the first right item ``(Q,)``, ties averaged, NaN likewise.
    """

    asking: StoredSide
    asked: StoredSide
    queries: Tensor
    nearest: Tensor
    distances: Tensor
    precision: Tensor
    ranks: Tensor

    @property
    def answerable(self) -> Tensor:
        """Rows of the queries that have something to find."""
        return self.ranks.isfinite().nonzero()[:, 0]


def search(asking: StoredSide, asked: StoredSide, distance: Distance, k: int = 10) -> Search:
    """Ranks one side for up to 2,000 seeded items of the other."""
    queries = torch.arange(len(asking.vectors))
    if len(queries) > _MOST_QUERIES:
        queries = torch.randperm(len(queries), generator=torch.Generator().manual_seed(1))[:_MOST_QUERIES].sort().values
    vectors, labels = asking.vectors[queries], asking.labels[queries]
    found = nearest(vectors, asked.vectors, k, distance=distance)
    sides = (vectors, asked.vectors, labels, asked.labels)
    precision = retrieval_per_query(*sides, distance=distance, recall_at=(1,))["map"]
    ranks = first_ranks(*sides, distance=distance)
    return Search(asking, asked, queries, found.indices, found.distances, precision, ranks)
