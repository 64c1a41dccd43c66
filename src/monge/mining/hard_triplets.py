"""Hard triplets of a batch: an anchor that is more like another class than like its own, hardest first."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

Negatives = Literal["each", "mean"]

# Triplets are looked at in blocks of at most about this many.
_BLOCK = 1 << 24


class HardGroups(NamedTuple):
    """The hardest groups of a batch, hardest first; places in the batch, padded to a length of K that is known ahead.

    Attributes:
        anchors: ``(K,)``.
        positives: Another sample of the anchor's class, ``(K,)``.
        negatives: A sample of another class, ``(K,)``; or all those that are hard for anchor and positive, bool
            ``(K, N)``.
        violations: By how much the (hardest) negative is more similar than the positive, ``(K,)``.
        valid: False at padding, bool ``(K,)``; True ones stand first.
        hard_pairs: How many pairs of anchor and positive of the whole batch have a hard negative, scalar.
    """

    anchors: Tensor
    positives: Tensor
    negatives: Tensor
    violations: Tensor
    valid: Tensor
    hard_pairs: Tensor


@torch.no_grad()
def hard_triplets(
    embeddings: Tensor,
    labels: Tensor,
    *,
    alpha: float = 0.0,
    max_groups: int = 512,
    negatives: Negatives = "each",
) -> HardGroups:
    """Finds the triplets ``(a, p, n)`` of a batch with ``cos(a, n) - cos(a, p) > -alpha``, hardest first.

    Exact, without looking at all triplets: each of the K hardest has one of the K pairs ``(a, p)`` whose hardest
    negative is worst, so that ``N^2`` pairs and then ``K N`` triplets are enough. Everything has a shape that is known
    ahead, so that it compiles, and equal batches give equal groups.

    Args:
        embeddings: Floats ``(N, D)``, of any length; compared in float32 or float64. One that is not finite has cosine
            0 with all others.
        labels: Integers ``(N,)``.
        alpha: How much less similar a negative may be and still be hard.
        max_groups: K, how many groups are kept; of equally hard ones, those that stand first in the batch.
        negatives: ``"each"``: a group is a triplet. ``"mean"``: a group is an anchor, a positive and all their hard
            negatives, to be averaged.

    Returns:
        The groups; ``K = min(max_groups, N^2)`` (``"mean"``) or ``min(max_groups, N^3)`` of them, not all valid.

    Raises:
        ValueError: Shapes or dtypes that do not fit, an unknown choice, or ``max_groups`` below 1.

    Example:
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
        >>> groups = hard_triplets(embeddings, torch.tensor([0, 0, 1]), max_groups=3)
        >>> [found[groups.valid].tolist() for found in groups[:3]]
        [[1, 0], [0, 1], [2, 2]]
    """
    fitting = embeddings.dim() == 2 and labels.shape == embeddings.shape[:1]
    if not fitting or not embeddings.is_floating_point() or labels.is_floating_point() or labels.is_complex():
        raise ValueError(
            f"found embeddings {embeddings.dtype} {tuple(embeddings.shape)} and labels {labels.dtype} "
            f"{tuple(labels.shape)}: expected floats (N, D) and integers (N,)"
        )
    if negatives not in get_args(Negatives) or max_groups < 1:
        raise ValueError(f"found negatives {negatives!r} and max_groups {max_groups}: expected 'each' or 'mean', and 1")
    n, labels = len(embeddings), labels.to(embeddings.device)
    if n == 0:
        return _nothing(labels, embeddings, negatives)
    similar = _similarities(embeddings)  # (N, N)
    same = labels.unsqueeze(1) == labels  # (N, N)
    positive = same & ~torch.eye(n, dtype=torch.bool, device=labels.device)
    worst = similar.masked_fill(same, -torch.inf).amax(1, keepdim=True) - similar  # (N, N)
    worst = worst.masked_fill_(~positive, -torch.inf)
    hard_pairs = (worst > -alpha).sum()
    violations, pairs = _hardest(worst.flatten(), max_groups)
    anchors, positives = pairs // n, pairs % n
    if negatives == "each":
        violations, pairs, others = _hardest_triplets(similar, same, (anchors, positives, violations), max_groups)
        anchors, positives = anchors[pairs], positives[pairs]
    else:
        own = similar[anchors, positives].unsqueeze(1)
        # The mask goes over the answer, not over the similarities: with alpha > 0 a masked 0 would pass.
        others = ((similar[anchors] - own) > -alpha) & ~same[anchors]  # (K, N)
    return HardGroups(anchors, positives, others, violations, violations > -alpha, hard_pairs)


def _similarities(embeddings: Tensor) -> Tensor:
    with torch.autocast(embeddings.device.type, enabled=False):
        full = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
        # What is no number is like nothing, so that it is in no triplet's favour.
        unit = torch.nn.functional.normalize(full, dim=1).nan_to_num(0.0)
        return unit @ unit.T


def _hardest_triplets(
    similar: Tensor, same: Tensor, pairs: tuple[Tensor, Tensor, Tensor], most: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Violation, place among the pairs ``(a, p, worst violation)`` and negative of their hardest triplets."""
    n, (anchors, positives, worst) = len(similar), pairs

    def hardest_of(part: slice) -> tuple[Tensor, Tensor]:
        a = anchors[part]
        violation = similar[a] - similar[a, positives[part]].unsqueeze(1)  # (rows, N)
        # A pair without violation is no pair of anchor and positive at all.
        violation = violation.masked_fill_(same[a] | torch.isneginf(worst[part]).unsqueeze(1), -torch.inf)
        return _hardest(violation.flatten(), most)

    rows = max(1, _BLOCK // n)
    if len(anchors) <= rows:  # without a loop, since a compiled graph would be made anew for each number of pairs
        values, places = hardest_of(slice(None))
        return values, places // n, places % n
    values, places = similar.new_empty(0), anchors.new_empty(0)
    for start in range(0, len(anchors), rows):
        found, where = hardest_of(slice(start, start + rows))
        values, kept = _hardest(torch.cat([values, found]), most)
        places = torch.cat([places, where + start * n])[kept]
    return values, places // n, places % n


def _hardest(values: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """The largest values and their places, largest first, equal ones in the order of their places."""
    size = min(most, len(values))
    top = values.topk(size, sorted=False)
    least = top.values.amin()
    # Which of equal values `topk` takes is its own affair; compiled graphs cannot ask whether it had a choice.
    if torch.compiler.is_compiling() or int((values >= least).sum()) > size:
        above, level = values > least, values == least
        taken = above | (level & (level.cumsum(0, dtype=torch.int32) <= size - above.sum()))
        counted = torch.arange(1, size + 1, dtype=torch.int32, device=values.device)
        places = torch.searchsorted(taken.cumsum(0, dtype=torch.int32), counted)
    else:
        places = top.indices.sort().values
    kept, order = values[places].sort(descending=True, stable=True)
    return kept, places[order]


def _nothing(labels: Tensor, embeddings: Tensor, negatives: Negatives) -> HardGroups:
    none = labels.new_empty(0, dtype=torch.long)
    others = none if negatives == "each" else none.bool().reshape(0, 0)
    violations = embeddings.new_empty(0, dtype=torch.promote_types(embeddings.dtype, torch.float32))
    return HardGroups(none, none, others, violations, none.bool(), none.sum())
