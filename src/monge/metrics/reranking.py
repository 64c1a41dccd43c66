"""A shortlist of the nearest embeddings put in a better order by transport between feature maps."""

from __future__ import annotations

import torch
from torch import Tensor

from monge.errors import MongeError
from monge.metrics.map_transport import MapWeights, transport_distances
from monge.metrics.neighbours import Neighbours, nearest


def rerank(
    queries: Tensor,
    query_maps: Tensor,
    gallery: Tensor,
    gallery_maps: Tensor,
    *,
    shortlist: int = 100,
    alpha: float = 0.7,
    epsilon: float = 0.05,
    weights: MapWeights = "apc",
    own_rows: Tensor | None = None,
) -> Neighbours:
    """Finds a shortlist by cosine distance and sorts it by a blend with the transport cost (DeepFace-EMD, CVPR 2022).

    The blend is ``alpha * transport + (1 - alpha) * cosine distance``; 0.5 sorts as their plain sum does.

    Args:
        queries: Embeddings, ``(Q, D)``.
        query_maps: Their feature maps, ``(Q, C, H, W)``.
        gallery: Embeddings, ``(N, D)``.
        gallery_maps: Their feature maps, ``(N, C, H, W)``.
        shortlist: Gallery items a query that are re-ranked, and returned; clipped to the length of the list.
        alpha: Part of the transport cost, from 0 to 1.
        epsilon: Entropic regularisation.
        weights: Marginals, see `monge.metrics.map_transport.position_weights`.
        own_rows: ``(Q,)``: with queries taken from the gallery, the row of each, which it then does not find.

    Returns:
        Indices and blended distances ``(Q, shortlist)``, nearest first; equal ones in the order of the embeddings.

    Raises:
        MongeError: Embeddings that cannot be ranked, maps that are not theirs, or `alpha` outside [0, 1].

    Example:
        >>> x, maps = torch.tensor([[1.0, 0.0], [1.0, 0.1], [1.0, 0.2]]), torch.eye(3).reshape(3, 3, 1, 1)
        >>> rerank(x[:1], maps[2:], x, maps, shortlist=3, alpha=0.9).indices
        tensor([[2, 0, 1]])
    """
    if not 0 <= alpha <= 1:
        raise MongeError(f"alpha: found {alpha}, expected a part from 0 to 1")
    for name, rows, maps in (("query", queries, query_maps), ("gallery", gallery, gallery_maps)):
        if len(rows) != len(maps):
            raise MongeError(f"{name}_maps: found {len(maps)}, expected one of each of {len(rows)} embeddings")
    found = nearest(queries, gallery, shortlist, distance="cosine", own_rows=own_rows)
    query = torch.arange(len(queries), device=found.indices.device).repeat_interleave(found.indices.shape[1])
    cost = transport_distances(
        query_maps, query, found.indices.flatten(), other_maps=gallery_maps, epsilon=epsilon, weights=weights
    )
    blended = alpha * cost.reshape(found.distances.shape).to(found.distances) + (1 - alpha) * found.distances
    order = blended.sort(dim=1, stable=True)
    return Neighbours(found.indices.gather(1, order.indices), order.values)
