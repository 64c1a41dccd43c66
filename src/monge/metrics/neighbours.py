"""The k nearest gallery items of each query, by exact search in bounded memory."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from monge.errors import MongeError
from monge.metrics.distances import Distance, GalleryDistances

# List items searched at a time, which bounds the temporaries.
_BLOCK_SORT = 2**22


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
    count, k = queries.shape[0], min(k, lists.size)
    # Filled in place: small results kept between large temporaries would stop the allocator from reusing their memory.
    indices = torch.empty(count, k, dtype=torch.long, device=rows.device)
    keys = torch.empty(count, k, dtype=torch.float32, device=rows.device)
    for which in torch.split(torch.arange(count, device=rows.device), lists.chunk(chunk)):
        block, small = lists.rows(which), max(1, _BLOCK_SORT // rows.shape[0])
        for row in range(0, which.shape[0], small):
            indices[which[row : row + small]], keys[which[row : row + small]] = _smallest(block[row : row + small], k)
        del block  # before the next one is made
    return Neighbours(indices, lists.to_distance(keys))


def _smallest(keys: Tensor, k: int) -> tuple[Tensor, Tensor]:
    values, indices = keys.topk(k, dim=1, largest=False)
    # topk leaves open which of several equal keys it returns and in what order: only such rows need a stable sort.
    repeated = (values[:, 1:] == values[:, :-1]).any(dim=1)
    repeated |= (keys == values[:, -1:]).sum(dim=1) > 1
    if bool(repeated.any()):
        ordered = torch.sort(keys[repeated], dim=1, stable=True)
        values[repeated], indices[repeated] = ordered.values[:, :k], ordered.indices[:, :k]
    return indices, values
