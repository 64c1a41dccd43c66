"""Which positions of one feature map a transport plan matches with which of another."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from monge.metrics.map_transport import MapWeights, map_plans


class MatchedRegions(NamedTuple):
    """The strongest matches of pairs of maps, and how much each position takes part.

    A match weighs what the plan carries times the cosine similarity where that is positive; all matches of two maps
    that are alike up to the order of their positions weigh 1 together.

    Attributes:
        first: Row and column in the first map, int64 ``(B, K, 2)``, the strongest match first.
        second: Row and column in the second map, int64 ``(B, K, 2)``.
        strength: Weight of each match, float32 ``(B, K)``.
        first_heat: Weight of all matches of each position of the first map, float32 ``(B, H, W)``.
        second_heat: The same of the second map, float32 ``(B, H', W')``.
    """

    first: Tensor
    second: Tensor
    strength: Tensor
    first_heat: Tensor
    second_heat: Tensor


def matched_regions(
    first: Tensor, second: Tensor, *, most: int = 8, epsilon: float = 0.05, weights: MapWeights = "apc"
) -> MatchedRegions:
    """Matches the positions of feature maps, pair by pair.

    Args:
        first: ``(B, C, H, W)``.
        second: ``(B, C, H', W')``.
        most: Matches a pair; each position of the first map has one at most. Clipped to H * W.
        epsilon: Entropic regularisation.
        weights: Marginals, see `monge.metrics.map_transport.position_weights`.

    Returns:
        `MatchedRegions`.

    Raises:
        MongeError: Not feature maps, not finite, none at all, or of different channels.

    Example:
        >>> maps = torch.eye(4).reshape(1, 4, 2, 2)
        >>> found = matched_regions(maps, maps.flip(3), most=1, weights="uniform")
        >>> found.first.tolist(), found.second.tolist()
        ([[[0, 0]]], [[[0, 1]]])
    """
    solved, cost = map_plans(first, second, epsilon=epsilon, weights=weights)
    weight = (solved.plan * (1 - cost).clamp_min(0)).float()  # (B, H W, H' W')
    best, target = weight.max(dim=2)  # (B, H W)
    strongest = best.sort(dim=1, descending=True, stable=True)
    strength, place = strongest.values[:, :most], strongest.indices[:, :most]
    return MatchedRegions(
        first=_row_and_column(place, first.shape[3]),
        second=_row_and_column(target.gather(1, place), second.shape[3]),
        strength=strength,
        first_heat=weight.sum(dim=2).reshape(len(first), *first.shape[2:]),
        second_heat=weight.sum(dim=1).reshape(len(second), *second.shape[2:]),
    )


def _row_and_column(place: Tensor, width: int) -> Tensor:
    return torch.stack([place // width, place % width], dim=-1)
