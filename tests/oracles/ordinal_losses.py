"""SORD, CORAL and CORN as loops over examples, from their papers' formulas."""

from __future__ import annotations

import math
from collections.abc import Sequence


def log_softmax(scores: Sequence[float]) -> list[float]:
    top = max(scores)
    total = math.log(sum(math.exp(s - top) for s in scores)) + top
    return [s - total for s in scores]


def sord(logits: Sequence[Sequence[float]], labels: Sequence[int], scale: float, squared: bool) -> float:
    """Diaz, Marathe (2019): cross-entropy to softmax(-phi(true level, level))."""
    losses = []
    for row, k in zip(logits, labels, strict=True):
        phi = [scale * abs(i - k) ** (2 if squared else 1) for i in range(len(row))]
        soft = [math.exp(-p) / sum(math.exp(-q) for q in phi) for p in phi]
        losses.append(-sum(y * log_p for y, log_p in zip(soft, log_softmax(row), strict=True)))
    return sum(losses) / len(losses)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def coral(outputs: Sequence[Sequence[float]], labels: Sequence[int]) -> float:
    """Cao, Mirjalili, Raschka (2020): sum of binary cross-entropies "is the level above k"."""
    total = 0.0
    for row, label in zip(outputs, labels, strict=True):
        for k, x in enumerate(row):
            total -= math.log(sigmoid(x)) if label > k else math.log(1 - sigmoid(x))
    return total / len(outputs)


def corn(outputs: Sequence[Sequence[float]], labels: Sequence[int]) -> float:
    """Shi, Cao, Raschka (2021): each task on the examples above the level before, averaged over all of them."""
    total, count = 0.0, 0
    for row, label in zip(outputs, labels, strict=True):
        for k, x in enumerate(row):
            if label > k - 1:
                total -= math.log(sigmoid(x)) if label > k else math.log(1 - sigmoid(x))
                count += 1
    return total / count


def corn_probabilities(outputs: Sequence[float]) -> list[float]:
    """P(level k) = P(not above k | above k - 1) * product of P(above j | above j - 1)."""
    found, reached = [], 1.0
    for x in outputs:
        found.append(reached * (1 - sigmoid(x)))
        reached *= sigmoid(x)
    return [*found, reached]
