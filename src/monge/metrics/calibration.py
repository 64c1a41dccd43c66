"""Calibration: whether predictions are right as often as their confidence says."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from monge.errors import MongeError
from monge.metrics.probabilities import check_classes, check_probabilities


class Reliability(NamedTuple):
    """Predictions in bins of equal width of their confidence, the probability of the most probable class.

    Attributes:
        edges: ``(B + 1,)`` float64 from 0 to 1; bin b holds confidences in (edges[b], edges[b + 1]].
        counts: ``(B,)`` int64, predictions in each bin.
        confidence: ``(B,)`` float64, their mean confidence, NaN where there are none.
        accuracy: ``(B,)`` float64, the share of them that is right, NaN where there are none.
    """

    edges: Tensor
    counts: Tensor
    confidence: Tensor
    accuracy: Tensor

    @property
    def expected_calibration_error(self) -> float:
        """Mean over predictions of the distance between accuracy and confidence of their bin."""
        gap = (self.accuracy - self.confidence).abs().nan_to_num()
        return float((gap * self.counts).sum() / self.counts.sum())


def reliability(probabilities: Tensor, labels: Tensor, *, bins: int = 15) -> Reliability:
    """Sorts predictions into bins of confidence and compares the two sides of each.

    Args:
        probabilities: ``(N, C)``, any floating dtype.
        labels: ``(N,)`` class numbers.
        bins: B, at least 1.

    Returns:
        Counts, mean confidence and accuracy of each bin.

    Raises:
        MongeError: Rows that are no distributions, labels that are no classes, or no bins.

    Example:
        >>> found = reliability(torch.tensor([[0.75, 0.25], [0.0, 1.0]]), torch.tensor([1, 1]), bins=2)
        >>> found.counts.tolist(), found.accuracy.tolist()
        ([0, 2], [nan, 0.5])
    """
    if bins < 1:
        raise MongeError(f"bins: found {bins}, expected at least 1")
    check_probabilities("probabilities", probabilities)
    check_classes("labels", labels, probabilities.shape[0], probabilities.shape[1])
    top, predicted = (values.cpu() for values in probabilities.detach().max(dim=1))
    right = (predicted == labels.cpu()).double()
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64)
    index = (torch.bucketize(top.double(), edges) - 1).clamp(0, bins - 1)
    sums = torch.zeros(2, bins, dtype=torch.float64)
    sums.index_add_(1, index, torch.stack([top.double(), right]))
    counts = torch.bincount(index, minlength=bins)
    return Reliability(edges, counts, sums[0] / counts, sums[1] / counts)


def expected_calibration_error(probabilities: Tensor, labels: Tensor, *, bins: int = 15) -> float:
    """ECE (Guo et al. 2017): Σ_b n_b / N · |accuracy_b - confidence_b| over bins of equal width of the confidence.

    The confidence is the largest probability, and the prediction its class, whatever decoding other scores use.

    Args:
        probabilities: ``(N, C)``, any floating dtype.
        labels: ``(N,)`` class numbers.
        bins: At least 1.

    Returns:
        A float in [0, 1].

    Raises:
        MongeError: As `reliability`.

    Example:
        >>> expected_calibration_error(torch.tensor([[0.75, 0.25], [0.75, 0.25]]), torch.tensor([0, 1]))
        0.25
    """
    return reliability(probabilities, labels, bins=bins).expected_calibration_error
