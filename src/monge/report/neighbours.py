"""Distances among the stored test items: nearest neighbours, average precision a query, positives and negatives."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_MOST_QUERIES = 2_000
_CHUNK = 250
_PAIR_ITEMS = 2_000


@dataclass(frozen=True)
class Neighbours:
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


def distance_matrix(x: Tensor, y: Tensor, distance: str) -> Tensor:
    """Distances ``(N, M)`` between the rows of ``x`` ``(N, D)`` and ``y`` ``(M, D)``.

    Args:
        x: Embeddings.
        y: Embeddings.
        distance: ``"cosine"`` for one minus the cosine, anything else for Euclidean.

    Example:
        >>> distance_matrix(torch.zeros(1, 2), torch.tensor([[3.0, 4.0]]), "euclidean")
        tensor([[5.]])
    """
    if distance == "cosine":
        # Rounding can leave a cosine a little above one; a distance below zero would only confuse a reader.
        return (1 - torch.nn.functional.normalize(x) @ torch.nn.functional.normalize(y).T).clamp_min(0)
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def nearest_neighbours(vectors: Tensor, labels: Tensor, distance: str, k: int = 10) -> Neighbours:
    """Ranks all items for up to 2,000 seeded queries, the query itself left out.

    AP = (1/C) sum over hits at rank i of (hits up to i)/i, over the complete list; equal distances rank by index.

    Args:
        vectors: Embeddings ``(N, D)``.
        labels: Classes ``(N,)``.
        distance: As in :func:`distance_matrix`.
        k: Neighbours kept, clipped to ``N - 1``.

    Example:
        >>> found = nearest_neighbours(torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([0, 1, 0]), "euclidean")
        >>> found.nearest[0].tolist(), found.average_precision.tolist()
        ([1, 2], [0.5, nan, 0.5])
    """
    n = len(vectors)
    queries = torch.arange(n)
    if n > _MOST_QUERIES:
        queries = torch.randperm(n, generator=torch.Generator().manual_seed(1))[:_MOST_QUERIES].sort().values
    nearest, distances, precision = [], [], []
    for chunk in torch.split(queries, _CHUNK):
        matrix = distance_matrix(vectors[chunk], vectors, distance)
        matrix[torch.arange(len(chunk)), chunk] = torch.inf
        ranked = matrix.sort(dim=1, stable=True)
        order = ranked.indices[:, : n - 1]
        hits = (labels[order] == labels[chunk, None]).float()
        ranks = torch.arange(1, n, dtype=torch.float32)
        precision.append((hits * hits.cumsum(1) / ranks).sum(1) / hits.sum(1))
        nearest.append(order[:, :k])
        distances.append(ranked.values[:, : min(k, n - 1)])
    return Neighbours(queries, torch.cat(nearest), torch.cat(distances), torch.cat(precision))


def pair_distances(vectors: Tensor, labels: Tensor, distance: str) -> tuple[Tensor, Tensor]:
    """Distances of all pairs among up to 2,000 seeded items: same class, and different class.

    Example:
        >>> same, other = pair_distances(torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([0, 0, 1]), "euclidean")
        >>> same.tolist(), other.tolist()
        ([1.0], [3.0, 2.0])
    """
    if len(vectors) > _PAIR_ITEMS:
        kept = torch.randperm(len(vectors), generator=torch.Generator().manual_seed(2))[:_PAIR_ITEMS]
        vectors, labels = vectors[kept], labels[kept]
    first, second = torch.triu_indices(len(vectors), len(vectors), offset=1)
    values = distance_matrix(vectors, vectors, distance)[first, second]
    same = labels[first] == labels[second]
    return values[same], values[~same]
