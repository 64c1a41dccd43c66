"""Optimal transport between feature maps at test time, with nothing trained for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

import torch
from torch import Tensor

from monge import ot
from monge.errors import MongeError
from monge.metrics.verification import check_rows

MapWeights = Literal["uniform", "apc"]

# Numbers of the maps that are gathered at a time: 64 MB in float32 for either side.
_VALUES_AT_ONCE = 2**24


def map_points(maps: Tensor) -> Tensor:
    """The positions of feature maps as points.

    Args:
        maps: ``(N, C, H, W)``, any floating dtype.

    Returns:
        float32 ``(N, H * W, C)``; float64 if that came in.

    Raises:
        MongeError: Not feature maps, or one with a NaN or infinite value.

    Example:
        >>> map_points(torch.zeros(2, 8, 3, 3)).shape
        torch.Size([2, 9, 8])
    """
    if maps.dim() != 4 or 0 in maps.shape[1:] or not maps.is_floating_point():
        raise MongeError(f"maps: found {maps.dtype} {tuple(maps.shape)}, expected floating feature maps (N, C, H, W)")
    if not bool(maps.isfinite().all()):
        raise MongeError("maps: found a NaN or infinite value, expected finite feature maps")
    points = maps.detach().flatten(2).transpose(1, 2)
    return points if points.itemsize >= 4 else points.float()


def position_weights(points: Tensor, other: Tensor, weights: MapWeights) -> Tensor:
    """How much of the mass each position of a map carries when it is compared with another one.

    Args:
        points: ``(B, N, C)``.
        other: Positions of the maps they are compared with, ``(B, M, C)``.
        weights: ``"uniform"``, or ``"apc"`` (average-pooled comparison): the inner product with the mean of the other
            map's positions where it is positive, so that what the two pictures share counts (Phan and Nguyen, CVPR
            2022; Zhang et al., CVPR 2020).

    Returns:
        ``(B, N)``, each row sums to 1; uniform where no product is positive.

    Raises:
        MongeError: Weights of another name.

    Example:
        >>> x = torch.tensor([[[1.0, 0.0], [-1.0, 0.0], [3.0, 0.0]]])
        >>> position_weights(x, x, "apc")
        tensor([[0.2500, 0.0000, 0.7500]])
    """
    if weights not in get_args(MapWeights):
        raise MongeError(f"weights: found {weights!r}, expected one of {', '.join(get_args(MapWeights))}")
    uniform = points.new_full(points.shape[:2], 1 / points.shape[1])
    if weights == "uniform":
        return uniform
    shared = torch.einsum("bnc,bc->bn", points, other.mean(dim=1)).clamp_min(0)  # (B, N)
    total = shared.sum(dim=1, keepdim=True)
    return torch.where(total > 0, shared / torch.where(total > 0, total, 1.0), uniform)


def map_plans(
    first: Tensor, second: Tensor, *, epsilon: float = 0.05, weights: MapWeights = "uniform"
) -> tuple[ot.Transport, Tensor]:
    """Transport between the positions of feature maps, pair by pair; the ground cost is 1 - cosine.

    Args:
        first: ``(B, C, H, W)``.
        second: ``(B, C, H', W')``.
        epsilon: Entropic regularisation; 0.05 as in DeepFace-EMD, 1 as in OTFace as released.
        weights: Marginals, see `position_weights`.

    Returns:
        The solved problems, and their ground costs ``(B, H * W, H' * W')``.

    Raises:
        MongeError: Not feature maps, not finite, none at all, or of different channels.

    Example:
        >>> solved, cost = map_plans(torch.rand(2, 8, 3, 3), torch.rand(2, 8, 2, 2))
        >>> solved.plan.shape == cost.shape
        True
    """
    x, y = map_points(first), map_points(second)
    if x.shape[0] != y.shape[0] or x.shape[2] != y.shape[2]:
        raise MongeError(
            f"maps: found {tuple(first.shape)} and {tuple(second.shape)}, expected as many, of equal channels"
        )
    if len(x) == 0:
        raise MongeError("maps: found none, expected at least one pair")
    dtype = torch.promote_types(x.dtype, y.dtype)
    x, y = x.to(dtype), y.to(dtype)
    cost = ot.pairwise_cost(x, y, metric="cosine")  # (B, H W, H' W')
    a, b = position_weights(x, y, weights), position_weights(y, x, weights)
    return ot.sinkhorn(cost, a, b, epsilon=epsilon, grad="none"), cost


def transport_distances(
    maps: Tensor,
    first: Tensor,
    second: Tensor,
    *,
    other_maps: Tensor | None = None,
    epsilon: float = 0.05,
    weights: MapWeights = "uniform",
) -> Tensor:
    """Transport cost between the feature maps of pairs of pictures, solved in batches, in bounded memory.

    Args:
        maps: ``(N, C, H, W)``, any floating dtype.
        first: One side of each pair, rows of `maps`, ``(P,)``.
        second: The other side, rows of `maps`, or of `other_maps`, ``(P,)``.
        other_maps: ``(M, C, H, W)``.
        epsilon: Entropic regularisation.
        weights: Marginals, see `position_weights`.

    Returns:
        float32 ``(P,)``, from 0 to 2: the linear cost of the plan, without its entropy.

    Raises:
        MongeError: Not feature maps, not finite, or pairs that are no rows of them.

    Example:
        >>> maps = torch.eye(4).reshape(1, 4, 2, 2)
        >>> transport_distances(torch.cat([maps, maps.flip(3)]), torch.tensor([0]), torch.tensor([1])).round()
        tensor([0.])
    """
    others = maps if other_maps is None else other_maps
    check_rows(len(maps), first, first)
    check_rows(len(others), second, second)
    if first.shape != second.shape:
        raise MongeError(f"first and second: found {tuple(first.shape)} and {tuple(second.shape)}, expected (P,) twice")
    out = torch.zeros(len(first), dtype=torch.float32, device=maps.device)
    for part in _parts(len(first), maps[:1].numel()):
        sides = maps[first[part].long()], others[second[part].long()]
        solved, _ = map_plans(*sides, epsilon=epsilon, weights=weights)
        out[part] = solved.cost.float()
    return out


def _parts(count: int, values: int) -> Iterator[slice]:
    step = max(1, _VALUES_AT_ONCE // max(values, 1))
    return (slice(start, start + step) for start in range(0, count, step))
