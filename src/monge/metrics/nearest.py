"""The k nearest gallery items of each query, by exact search in bounded memory."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from monge.errors import MongeError
from monge.metrics.distances import Distance, GalleryDistances


class Neighbours(NamedTuple):
    """The nearest items of each query, nearest first; equally distant ones in gallery order.

    Attributes:
        indices: ``(Q, k)`` int64, gallery rows.
        distances: ``(Q, k)`` float32.
    """

    indices: Tensor
    distances: Tensor


def nearest(
    queries: Tensor,
    gallery: Tensor | None = None,
    k: int = 10,
    *,
    distance: Distance = "euclidean",
    own_rows: Tensor | None = None,
    chunk: int | None = None,
) -> Neighbours:
    """Finds the k nearest gallery items of each query.

    Args:
        queries: ``(Q, D)`` embeddings, any floating dtype.
        gallery: ``(N, D)`` embeddings, or None: the queries are also the gallery, and none finds itself.
        k: Neighbours a query; clipped to the length of the list.
        distance: ``"euclidean"``, ``"sqeuclidean"`` or ``"cosine"``.
        own_rows: ``(Q,)`` integers: with queries taken from the gallery, the row of each, which it then does not find.
        chunk: Queries at a time, rounded up to a multiple of 64; no effect on results.

    Returns:
        Indices and distances; unpacks as a pair.

    Raises:
        MongeError: Embeddings that cannot be ranked, `own_rows` that are not rows of the gallery, or k below 1.

    Example:
        >>> gallery = torch.tensor([[0.0], [1.0], [3.0]])
        >>> indices, distances = nearest(gallery[1:2], gallery, k=2, own_rows=torch.tensor([1]))
        >>> indices.tolist(), distances.tolist()
        ([[0, 2]], [[1.0, 2.0]])
    """
    if k < 1:
        raise MongeError(f"k: found {k}, expected at least 1")
    rows = queries if gallery is None else gallery
    if own_rows is not None:
        own_rows = own_rows.to(rows.device).long()
        if own_rows.shape != queries.shape[:1] or bool(((own_rows < 0) | (own_rows >= rows.shape[0])).any()):
            raise MongeError(f"own_rows: expected one row of the gallery (0 to {rows.shape[0] - 1}) a query")
    lists = GalleryDistances(queries, rows, distance, left_out=gallery is None if own_rows is None else own_rows)
    if lists.size == 0:
        raise MongeError("gallery: nothing is left once the query itself is excluded, expected at least 2 items")
    found = []
    for which in torch.split(torch.arange(queries.shape[0], device=rows.device), lists.chunk(chunk)):
        found.append(_smallest(lists.rows(which), min(k, lists.size)))
    indices, keys = (torch.cat(parts) for parts in zip(*found))
    return Neighbours(indices, lists.to_distance(keys))


def _smallest(keys: Tensor, k: int) -> tuple[Tensor, Tensor]:
    values, indices = keys.topk(k, dim=1, largest=False)
    # topk leaves open which of several equal keys it returns and in what order: only such rows need a stable sort.
    repeated = (values[:, 1:] == values[:, :-1]).any(dim=1)
    repeated |= (keys == values[:, -1:]).sum(dim=1) > 1
    for row in torch.split(repeated.nonzero().flatten(), max(1, 2**22 // keys.shape[1])):
        ordered = torch.sort(keys[row], dim=1, stable=True)
        values[row], indices[row] = ordered.values[:, :k], ordered.indices[:, :k]
    return indices, values
