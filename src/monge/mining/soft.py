"""Soft mining: the transport plan of a batch as pair weights for any pair loss.

Where a miner throws easy pairs away, the plan of the batch-wise OT loss [BWOT, see `monge.losses.batchwise_ot`] keeps
every pair and says how much it matters.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from monge.losses.batchwise_ot import BatchwiseOTTerms, batchwise_ot_weights
from monge.losses.pairs import Negative, check_costs

Normalize = Literal["pairs", "polarity", "mass"]


class ImportanceWeights(NamedTuple):
    """Plan and pair costs of a batch, without gradient, each ``(N, M)``.

    Attributes:
        plan: Transport plan T; sums to 1.
        positive: M+ at positive pairs, 0 elsewhere.
        negative: M- at negative pairs, 0 elsewhere.
    """

    plan: Tensor
    positive: Tensor
    negative: Tensor


class PairWeights(NamedTuple):
    """Weights of a batch's pairs, without gradient, each ``(N, M)`` and 0 at pairs that do not count.

    Attributes:
        positive: Weights of positive pairs, 0 at negative ones.
        negative: Weights of negative pairs, 0 at positive ones.
    """

    positive: Tensor
    negative: Tensor


@torch.no_grad()
def importance_weights(
    embeddings: Tensor,
    labels: Tensor,
    ref_emb: Tensor | None = None,
    ref_labels: Tensor | None = None,
    *,
    margin: float = 1.0,
    gamma: float = 10.0,
    epsilon: float = 0.2,
    negative: Negative = "hinge_sq_dist",
    pos_margin: float = 0.0,
    include_self: bool = False,
) -> ImportanceWeights:
    """The plan T of a batch and the pair costs M+ and M- it weighs, to look at; arguments as in `batchwise_ot_weights`.

    Returns:
        T, M+ and M-; ``1/2 (T * (M+ + M-)).sum()`` is the batch-wise OT loss.

    Example:
        >>> weights = importance_weights(torch.tensor([[0.0], [0.1], [0.6], [0.7]]), torch.tensor([0, 0, 1, 1]))
        >>> (12 * weights.plan[0]).round(decimals=1)  # 1 would be even; the mass is on the negatives inside the margin
        tensor([0.0000, 0.0000, 1.5000, 1.5000])
    """
    terms = batchwise_ot_weights(
        embeddings,
        labels,
        ref_emb,
        ref_labels,
        margin=margin,
        gamma=gamma,
        epsilon=epsilon,
        negative=negative,
        pos_margin=pos_margin,
        include_self=include_self,
    )
    positive, negative_pairs = _polarities(terms)
    return ImportanceWeights(terms.plan, terms.positive * positive, terms.negative * negative_pairs)


class SoftMiner(nn.Module):
    """Turns a batch into pair weights: large for hard pairs, small for easy ones, for use with any pair loss.

    With a loss value per pair, ``(weights.positive * pos_loss + weights.negative * neg_loss).sum() / pairs`` is the
    re-weighted mean. The weights are constants for the backward pass.

    Args:
        margin: See `monge.losses.batchwise_ot_weights`; measured on the embeddings the miner is given.
        gamma: See there.
        epsilon: See there; large values make all weights equal.
        negative: See there.
        pos_margin: See there.
        include_self: See there.
        normalize: What the weights add up to. ``"pairs"``: the number of pairs that count, so that a uniform plan
            gives every pair weight 1. ``"polarity"``: positive weights to the number of positive pairs and negative
            weights to that of negative pairs, for losses that average the two apart. ``"mass"``: 1, the plan itself.

    Raises:
        ValueError: An unknown ``normalize`` or ``negative``, or a number outside its range.

    Example:
        >>> weights = SoftMiner()(torch.tensor([[0.0], [0.6], [0.7]]), torch.tensor([0, 0, 1]))
        >>> round(float(weights.positive.sum() + weights.negative.sum()), 3)  # six pairs off the diagonal
        6.0
    """

    def __init__(
        self,
        *,
        margin: float = 1.0,
        gamma: float = 10.0,
        epsilon: float = 0.2,
        negative: Negative = "hinge_sq_dist",
        pos_margin: float = 0.0,
        include_self: bool = False,
        normalize: Normalize = "pairs",
    ) -> None:
        super().__init__()
        if normalize not in ("pairs", "polarity", "mass"):
            raise ValueError(f"normalize is 'pairs', 'polarity' or 'mass', found {normalize!r}")
        check_costs(negative, margin=margin, gamma=gamma, epsilon=epsilon, pos_margin=pos_margin)
        self.margin, self.gamma, self.epsilon = margin, gamma, epsilon
        self.negative, self.pos_margin, self.include_self = negative, pos_margin, include_self
        self.normalize = normalize

    @torch.no_grad()
    def forward(
        self, embeddings: Tensor, labels: Tensor, ref_emb: Tensor | None = None, ref_labels: Tensor | None = None
    ) -> PairWeights:
        """Returns the weights of all pairs of a batch with itself or with a reference set.

        Args:
            embeddings: Floats ``(N, D)``.
            labels: Integers ``(N,)``.
            ref_emb: Floats ``(M, D)``, or ``None`` for the batch against itself.
            ref_labels: Integers ``(M,)``.
        """
        terms = batchwise_ot_weights(
            embeddings,
            labels,
            ref_emb,
            ref_labels,
            margin=self.margin,
            gamma=self.gamma,
            epsilon=self.epsilon,
            negative=self.negative,
            pos_margin=self.pos_margin,
            include_self=self.include_self,
        )
        masks = _polarities(terms)
        positive, negative = (terms.plan * mask for mask in masks)
        if self.normalize == "pairs":
            pairs = masks[0].sum() + masks[1].sum()
            return PairWeights(positive * pairs, negative * pairs)
        if self.normalize == "polarity":
            return PairWeights(_to_sum(positive, masks[0].sum()), _to_sum(negative, masks[1].sum()))
        return PairWeights(positive, negative)


def _polarities(terms: BatchwiseOTTerms) -> tuple[Tensor, Tensor]:
    if terms.support is None:
        return terms.same, ~terms.same
    return terms.same & terms.support, ~terms.same & terms.support


def _to_sum(weights: Tensor, total: Tensor) -> Tensor:
    return weights * (total / weights.sum().clamp_min(torch.finfo(weights.dtype).tiny))
