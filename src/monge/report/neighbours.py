"""Distances among the stored test items: nearest neighbours, average precision a query, positives and negatives."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from monge.metrics import Distance, nearest, retrieval_per_query

_MOST_QUERIES = 2_000
_PAIR_ITEMS = 2_000


@dataclass(frozen=True)
class Retrieved:
    """Leave-one-out retrieval of sampled queries among all stored items.

    Args:
        queries: Item index of each query, int64 ``(Q,)``.
        nearest: Item indices of the ``k`` nearest other items, int64 ``(Q, k)``.
        distances: Their distances, ascending, ``(Q, k)``.
        average_precision: Over the complete ranking, ``(Q,)``; NaN for a query whose class has no other item.
    """

    queries: Tensor
    nearest: Tensor
    distances: Tensor
    average_precision: Tensor


def retrieve(vectors: Tensor, labels: Tensor, distance: Distance, k: int = 10) -> Retrieved:
    """Ranks all items for up to 2,000 seeded queries, the query itself left out.

    Args:
        vectors: Embeddings ``(N, D)``, at least two.
        labels: Classes ``(N,)``.
        distance: Distance of the ranking.
        k: Neighbours kept, clipped to ``N - 1``.

    Example:
        >>> found = retrieve(torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([0, 1, 0]), "euclidean")
        >>> found.nearest[0].tolist(), found.average_precision.tolist()
        ([1, 2], [0.5, nan, 0.5])
    """
    n = len(vectors)
    order = torch.arange(n)
    if n > _MOST_QUERIES:
        order = torch.randperm(n, generator=torch.Generator().manual_seed(1))
    # The queries come first in the gallery: that is how `retrieval_per_query` knows which item is the query itself.
    gallery, classes, count = vectors[order], labels[order], min(n, _MOST_QUERIES)
    queries = gallery[:count]
    found = nearest(queries, gallery, k, distance=distance, own_rows=torch.arange(count))
    scores = retrieval_per_query(
        queries, gallery, classes[:count], classes, distance=distance, exclude_self=True, recall_at=(1,)
    )
    return Retrieved(order[:count], order[found.indices], found.distances, scores["map"])


def pair_distances(vectors: Tensor, labels: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """Distances of all pairs among up to 2,000 seeded items: same class, and different class.

    Example:
        >>> same, other = pair_distances(torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([0, 0, 1]), "euclidean")
        >>> same.tolist(), other.tolist()
        ([1.0], [3.0, 2.0])
    """
    if len(vectors) > _PAIR_ITEMS:
        kept = torch.randperm(len(vectors), generator=torch.Generator().manual_seed(2))[:_PAIR_ITEMS]
        vectors, labels = vectors[kept], labels[kept]
    if distance == "cosine":
        vectors = torch.nn.functional.normalize(vectors)
        # Rounding can leave a cosine a little above one; a distance below zero would only confuse a reader.
        values = (1 - vectors @ vectors.T).clamp_min(0)
    else:
        values = torch.cdist(vectors, vectors, compute_mode="donot_use_mm_for_euclid_dist")
    first, second = torch.triu_indices(len(vectors), len(vectors), offset=1)
    same = labels[first] == labels[second]
    return values[first, second][same], values[first, second][~same]
