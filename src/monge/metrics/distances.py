"""Distances from queries to a whole gallery, a block of rows at a time, in bounded memory."""

from __future__ import annotations

import math
import warnings
from typing import Literal, get_args

import torch
from torch import Tensor

from monge.errors import MongeError
from monge.metrics.embeddings import check_embeddings, check_same_width

Distance = Literal["euclidean", "sqeuclidean", "cosine"]

# Every product is made of tiles of this one shape, cut at fixed places, so that the number of queries taken
# at a time cannot change a single bit of a distance.
QUERY_TILE = 64
_GALLERY_TILE = 2048
_TILE_VALUES = 2**21
# Values of one block of rows when the caller leaves the chunk to us: 64 MB in float32.
_BLOCK_VALUES = 2**24


class GalleryDistances:
    """Rows of the distance matrix between queries and a gallery, made on demand.

    The inner products are summed in float64 and the distances rounded to float32: distances that agree to float32
    precision are ties, whatever the order of summation. The cancellation in |x|² - 2xy + |y|² costs precision only
    for distances below about 1e-4 of the embeddings' norm; below about 1e-7 of it, a distance is exactly 0.

    Args:
        queries: ``(Q, D)``, any floating dtype.
        gallery: ``(N, D)``, any floating dtype; it is never copied as a whole.
        distance: ``"euclidean"``, ``"sqeuclidean"`` (same ranking) or ``"cosine"`` (1 - cosine similarity; a row of
            norm zero has similarity 0 to everything, and a warning says how many there are).
        left_out: ``(Q,)`` int64, for each query the gallery row that is not part of its list (its own); True: row i for
            query i.

    Raises:
        MongeError: Embeddings that cannot be ranked (see `check_embeddings`), or an unknown distance.

    Example:
        >>> GalleryDistances(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0], [0.0, 0.0]]), "euclidean").all_rows()
        tensor([[5., 0.]])
    """

    def __init__(self, queries: Tensor, gallery: Tensor, distance: Distance, left_out: Tensor | bool = False) -> None:
        if distance not in get_args(Distance):
            raise MongeError(f"distance: found {distance!r}, expected one of {', '.join(get_args(Distance))}")
        largest = max(check_embeddings("queries", queries), check_embeddings("gallery", gallery))
        check_same_width(queries, gallery)
        self.gallery, self.queries = gallery.detach(), queries.detach().to(gallery.device)
        self.distance = distance
        own = torch.arange(queries.shape[0], device=gallery.device) if isinstance(left_out, bool) else left_out
        self.left_out = None if left_out is False else own
        self.size = gallery.shape[0] - (self.left_out is not None)
        # A power of two, so exact, that keeps squares of very large or very small embeddings inside float32.
        extreme = largest > 0 and not 2.0**-40 < largest < 2.0**40
        self.scale = 2.0 ** -math.frexp(largest)[1] if extreme else 1.0
        self._floor = 8 * math.sqrt(queries.shape[1]) * torch.finfo(torch.float64).eps
        if distance == "cosine":
            self._warn_of_zero_norms()

    def _warn_of_zero_norms(self) -> None:
        zero = {name: int((~x.any(dim=1)).sum()) for name, x in (("queries", self.queries), ("gallery", self.gallery))}
        if any(zero.values()):
            warnings.warn(
                f"cosine: {zero['queries']} of the queries and {zero['gallery']} of the gallery have norm zero; "
                "their similarity to everything is taken as 0",
                stacklevel=5,
            )

    def chunk(self, requested: int | None) -> int:
        """Queries to take at a time: a multiple of `QUERY_TILE`, by default as many as fit a fixed budget."""
        if requested is not None and requested < 1:
            raise MongeError(f"chunk: found {requested}, expected at least 1 query at a time")
        wanted = requested if requested is not None else _BLOCK_VALUES // self.gallery.shape[0]
        return max(1, math.ceil(wanted / QUERY_TILE)) * QUERY_TILE

    def rows(self, which: Tensor) -> Tensor:
        """Ranking keys of some queries: float32, ascending with distance (see `to_distance`).

        Args:
            which: ``(B,)`` int64 positions of the queries.

        Returns:
            ``(B, N)`` float32; the left-out item of each row is ``inf``, everything else is finite.
        """
        left = self._query_factor(self.queries[which])  # (B', K), B padded to whole tiles
        # |x - y| is near 0 only where |y| is near |x|, so the rounding error can be told from the query alone.
        floor = self._floor * left[:, -1:]  # (B', 1)
        keys = torch.empty(left.shape[0], self.gallery.shape[0], dtype=torch.float32, device=left.device)  # (B', N)
        step = max(QUERY_TILE, min(_GALLERY_TILE, _TILE_VALUES // left.shape[1]))
        right = torch.zeros(step, left.shape[1], dtype=torch.float64, device=left.device)
        product = torch.empty(QUERY_TILE, step, dtype=torch.float64, device=left.device)
        for column in range(0, self.gallery.shape[0], step):
            block = self._gallery_factor(self.gallery[column : column + step])
            right[: block.shape[0]] = block
            for row in range(0, left.shape[0], QUERY_TILE):
                tile = slice(row, row + QUERY_TILE)
                torch.mm(left[tile], right.T, out=product)
                product.masked_fill_(product <= floor[tile], 0.0)
                keys[tile, column : column + step] = product[:, : block.shape[0]]
        keys = keys[: which.shape[0]]
        if self.left_out is not None:
            keys.scatter_(1, self.left_out[which, None], torch.inf)
        return keys

    def all_rows(self) -> Tensor:
        """Distances of all queries to the whole gallery at once, ``(Q, N)``: for small sets."""
        return self.to_distance(self.rows(torch.arange(self.queries.shape[0], device=self.gallery.device)))

    def to_distance(self, keys: Tensor) -> Tensor:
        """Turns ranking keys into the distances they stand for, float32."""
        if self.distance == "cosine":
            return keys
        length = keys.double().sqrt() / self.scale
        return (length if self.distance == "euclidean" else length.square()).float()

    # distance key = query factor @ gallery factor^T:
    #   squared Euclidean  [-2x, 1, |x|²] . [y, |y|², 1]        cosine  [-x/|x|, 1] . [y/|y|, 1]
    # The query's last column is its squared norm in both.
    def _query_factor(self, x: Tensor) -> Tensor:
        x = self._scaled(x)
        one = torch.ones_like(x[:, :1])
        if self.distance == "cosine":
            factor = torch.cat([-_unit(x), one], dim=1)
        else:
            factor = torch.cat([-2 * x, one, x.square().sum(dim=1, keepdim=True)], dim=1)
        padding = -x.shape[0] % QUERY_TILE
        return torch.nn.functional.pad(factor, (0, 0, 0, padding))

    def _gallery_factor(self, y: Tensor) -> Tensor:
        y = self._scaled(y)
        one = torch.ones_like(y[:, :1])
        if self.distance == "cosine":
            return torch.cat([_unit(y), one], dim=1)
        return torch.cat([y, y.square().sum(dim=1, keepdim=True), one], dim=1)

    def _scaled(self, x: Tensor) -> Tensor:
        x = x.double()
        return x if self.scale == 1.0 else x * self.scale


def _unit(x: Tensor) -> Tensor:
    norm = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    return x / torch.where(norm > 0, norm, torch.ones_like(norm))
