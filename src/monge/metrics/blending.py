"""Verification by the embeddings' distance blended with the transport cost of the feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from monge.errors import MongeError
from monge.metrics.verification import SortedPairs, VerificationProtocol, contiguous_folds, verify


@dataclass(frozen=True)
class Blend:
    """What `blended_verification` found, one number a fold.

    Attributes:
        accuracies: Share of the fold's pairs that are decided rightly, float64 ``(F,)``.
        thresholds: Blended distance below which a pair counts as the same, learned on the other folds, ``(F,)``.
        weights: Part of the transport cost in the blend, learned on the other folds, ``(F,)``.
        distances: Each pair's distance, blended with the weight of its fold, float64 ``(P,)``.
    """

    accuracies: Tensor
    thresholds: Tensor
    weights: Tensor
    distances: Tensor

    @property
    def accuracy(self) -> float:
        """Mean over the folds."""
        return float(self.accuracies.numpy().mean())

    @property
    def accuracy_std(self) -> float:
        """Population standard deviation over the folds."""
        return float(self.accuracies.numpy().std())


def blended_verification(
    distances: Tensor,
    transport: Tensor,
    same: Tensor,
    folds: Tensor | int = 10,
    *,
    weights: Sequence[float] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    protocol: VerificationProtocol = "exact",
) -> Blend:
    """Verification by ``(1 - w) * distance + w * transport``, with w and the threshold learned on the other folds.

    Of the weights that do equally well on the other folds the smallest is taken, so that transport that helps nothing
    changes nothing.

    Args:
        distances: Squared distances of embeddings, ``(P,)``.
        transport: Transport costs of feature maps, ``(P,)``, of `monge.metrics.map_transport.transport_distances`.
        same: ``(P,)`` bool, or integers 0 and 1.
        folds: Fold number of each pair ``(P,)``, or how many contiguous folds to make.
        weights: The w that are tried, rising, each from 0 to 1.
        protocol: Which thresholds are tried, see `monge.metrics.verification.verify`.

    Returns:
        A `Blend`; no pair of a fold has a say in that fold's weight or threshold.

    Raises:
        MongeError: Pairs that cannot be measured, or weights outside [0, 1] or out of order.

    Example:
        >>> distances, transport = torch.ones(8), torch.tensor([0.1, 0.9] * 4)
        >>> blend = blended_verification(distances, transport, torch.tensor([1, 0] * 4), 2)
        >>> blend.accuracy, blend.weights.tolist()
        (1.0, [0.1, 0.1])
    """
    if not weights or list(weights) != sorted(weights) or not 0 <= weights[0] <= weights[-1] <= 1:
        raise MongeError(f"weights: found {list(weights)}, expected rising numbers from 0 to 1")
    if transport.shape != distances.shape:
        raise MongeError(f"transport: found {tuple(transport.shape)}, expected {tuple(distances.shape)}, one a pair")
    number = contiguous_folds(len(distances), folds) if isinstance(folds, int) else folds.cpu()
    blends = [(1 - w) * distances.double().cpu() + w * transport.double().cpu() for w in weights]
    tried = [verify(blend, same, number, protocol=protocol) for blend in blends]
    is_same, (_, fold) = same.bool().cpu(), torch.unique(number, return_inverse=True)
    right = torch.stack([_right_elsewhere(*pair, is_same, fold) for pair in zip(blends, (v.thresholds for v in tried))])
    chosen = right.argmax(dim=0)  # (F,), the first of equals
    each = torch.arange(right.shape[1])
    return Blend(
        accuracies=torch.stack([v.accuracies for v in tried])[chosen, each],
        thresholds=torch.stack([v.thresholds for v in tried])[chosen, each],
        weights=torch.tensor(list(weights), dtype=torch.float64)[chosen],
        distances=torch.stack(blends)[chosen[fold], torch.arange(len(fold))],
    )


def _right_elsewhere(distances: Tensor, thresholds: Tensor, same: Tensor, fold: Tensor) -> Tensor:
    """Pairs of all other folds that each fold's threshold decides rightly, ``(F,)``."""
    counts = []
    for index, threshold in enumerate(thresholds):
        outside = fold != index
        counts.append(SortedPairs(distances[outside], same[outside]).right(threshold[None]))
    return torch.cat(counts)
