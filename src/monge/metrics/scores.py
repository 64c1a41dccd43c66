"""The retrieval scores, query by query, from the places of the relevant items.

Each function takes `Hits` and gives one float64 value a query. Where items are equally distant, the value is the
expectation over all orders of the tied items, in closed form (McSherry and Najork, ECIR 2008): within a group of n
tied items, r of them relevant, every place is relevant with probability r/n, and given one relevant place every
other is with probability (r-1)/(n-1). C is the number of relevant items, N the length of the list, ranks start at 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from monge.metrics.ranking import Hits


@dataclass(frozen=True)
class RankSums:
    """Running sums over ranks: entry i is the sum over the ranks 1 to i.

    Attributes:
        harmonic: ``(N + 2,)`` float64, of 1 / rank.
        discount: ``(N + 2,)`` float64, of 1 / max(1, log2 rank), the DCG weights of Järvelin and Kekäläinen (2002).

    Example:
        >>> RankSums.upto(2).harmonic
        tensor([0.0000, 1.0000, 1.5000, 1.8333], dtype=torch.float64)
    """

    harmonic: Tensor
    discount: Tensor

    @classmethod
    def upto(cls, size: int, device: torch.device | str = "cpu") -> RankSums:
        """Sums for lists of up to `size` items and one more (the left-out item sorts last)."""
        rank = torch.arange(1, size + 2, dtype=torch.float64, device=device)
        terms = torch.stack([1 / rank, 1 / rank.log2().clamp(min=1)]).cumsum(dim=1)  # (2, N + 1)
        harmonic, discount = torch.nn.functional.pad(terms, (1, 0))
        return cls(harmonic, discount)


def hits_within(hits: Hits, depth: Tensor) -> Tensor:
    """Expected number of relevant items among the first `depth`, ``(B,)``; `depth` is ``(B,)`` or a scalar."""
    inside = (depth[..., None] - hits.before).clamp(min=0).minimum(hits.tied)  # (B, R) places of the group in reach
    return _total(hits, inside.double() / hits.tied)


def first_tier(hits: Hits, tiers: int = 1) -> Tensor:
    """Share of the relevant items among the first tiers·C: FT, which is also R-precision, and ST for two tiers."""
    return hits_within(hits, tiers * hits.relevant) / hits.relevant


def e_measure(hits: Hits, depth: int = 32) -> Tensor:
    """SHREC's E: harmonic mean of precision and recall over the first 32, or over all N if there are fewer.

    With h relevant items among the first K, 2PR / (P + R) is 2h / (K + C): linear in h, and 0 for h = 0.
    """
    depth = min(depth, hits.size)
    return 2 * hits_within(hits, torch.tensor(depth, device=hits.before.device)) / (depth + hits.relevant)


def dcg(hits: Hits, sums: RankSums) -> Tensor:
    """SHREC's DCG: [G_1 + sum_{i>=2} G_i / log2 i] over the whole list / the same for the C best places."""
    weight = sums.discount[hits.before + hits.tied] - sums.discount[hits.before]
    return _total(hits, weight / hits.tied) / sums.discount[hits.relevant]


def average_precision(hits: Hits, sums: RankSums) -> Tensor:
    """AP = 1/C · sum of the precision at each relevant item (the textbook definition)."""
    return _precision_sum(hits, sums, hits.tied) / hits.relevant


def average_precision_at_r(hits: Hits, sums: RankSums) -> Tensor:
    """AP@R = 1/C · sum of the precision at each relevant item among the first C."""
    inside = (hits.relevant[:, None] - hits.before).clamp(min=0).minimum(hits.tied)
    return _precision_sum(hits, sums, inside) / hits.relevant


def _precision_sum(hits: Hits, sums: RankSums, places: Tensor) -> Tensor:
    # Over the first t = 1..m places of a group that follows s items, h of them relevant, the expectation is
    #   sum_t r/n · [h + 1 + (t-1) q] / (s + t),   q = (r-1)/(n-1),
    # and (t-1)/(s+t) = 1 - (s+1)/(s+t) leaves a difference of harmonic numbers. Each of the r items gets 1/r of it.
    others = (hits.hits_tied - 1).double() / (hits.tied - 1).clamp(min=1)  # q
    inverse_ranks = sums.harmonic[hits.before + places] - sums.harmonic[hits.before]
    precision = (hits.hits_before + 1) * inverse_ranks + others * (places - (hits.before + 1) * inverse_ranks)
    return _total(hits, precision / hits.tied)


def any_hit_within(hits: Hits, depth: int) -> Tensor:
    """Recall@K of metric learning: probability of at least one relevant item among the first K."""
    before, tied, relevant = hits.before[:, 0], hits.tied[:, 0], hits.hits_tied[:, 0]
    drawn = (depth - before).clamp(min=0).minimum(tied)  # places in reach of the first group with a relevant item
    # The chance to draw none: (n-r choose m) / (n choose m), a product of min(m, r) factors.
    few, many = drawn.minimum(relevant), drawn.maximum(relevant)
    j = torch.arange(int(few.max()), device=few.device)
    factor = 1 - many[:, None].double() / (tied[:, None] - j).clamp(min=1)  # (B, J)
    return 1 - torch.where(j < few[:, None], factor.clamp(min=0), 1.0).prod(dim=1)


def precision_at_hits(hits: Hits) -> Tensor:
    """Precision k / rank at the k-th relevant item, ``(B, R)``, 0 on padding.

    A tied item takes its expected rank: the l-th of r relevant items in a group of n stands, on average, at place
    l·(n+1)/(r+1) of the group.
    """
    k = torch.arange(1, hits.before.shape[1] + 1, device=hits.before.device)
    rank = hits.before + (k - hits.hits_before) * (hits.tied + 1) / (hits.hits_tied + 1).double()
    return torch.where(hits.mask, k / rank, 0.0)


def linear_curve(hits: Hits, points: int = 20) -> Tensor:
    """Precision at recall j/20, linear between consecutive relevant items, as the SHREC tool draws it.

    Returns:
        ``(B, points)``; NaN where the tool skips the query: C < 2, or a recall below 1/C.
    """
    precision = precision_at_hits(hits)
    j = torch.arange(1, points + 1, device=precision.device)
    scaled = hits.relevant[:, None] * j  # (B, points): recall j/points is at hit scaled/points
    low = scaled // points
    high = (low + 1).minimum(hits.relevant[:, None])
    step = (scaled - low * points).double() / points
    value = (
        precision.gather(1, (low - 1).clamp(min=0)) * (1 - step) + precision.gather(1, (high - 1).clamp(min=0)) * step
    )
    return value.masked_fill((low < 1) | (hits.relevant[:, None] < 2), torch.nan)


def interpolated_curve(hits: Hits, points: int = 11) -> Tensor:
    """The TREC curve: the largest precision at any recall of at least r, for r = 0, 0.1, ..., 1.

    Returns:
        ``(B, points)``; NaN for a query without relevant items.
    """
    best = precision_at_hits(hits).flip(1).cummax(dim=1).values.flip(1)  # (B, R) best from here on
    j = torch.arange(points, device=best.device)
    needed = -(-hits.relevant[:, None] * j // (points - 1))  # hits needed for that recall, rounded up
    return best.gather(1, (needed - 1).clamp(min=0)).masked_fill(hits.relevant[:, None] < 1, torch.nan)


def _total(hits: Hits, values: Tensor) -> Tensor:
    # Added up from the first rank on, so that the amount of padding cannot change the rounding.
    return torch.where(hits.mask, values.double(), 0.0).cumsum(dim=1)[:, -1]
