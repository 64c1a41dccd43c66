"""Ranks between two modalities by sorting lists, ties by going through all their orders."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def first_rank(scores: list[float], own: list[bool]) -> float:
    """Mean place of the first own item over all orders of equally good ones."""
    best = max(score for score, mine in zip(scores, own, strict=True) if mine)
    ahead = sum(score > best for score in scores)
    group = [mine for score, mine in zip(scores, own, strict=True) if score == best]
    places = [order.index(True) + 1 for order in itertools.permutations(group)]
    return ahead + float(np.mean(places))


def ranks(scores: Array, x_labels: list[int], y_labels: list[int]) -> list[float]:
    """Of the rows that have anything to find."""
    found = []
    for row, label in zip(scores.tolist(), x_labels, strict=True):
        own = [other == label for other in y_labels]
        if any(own):
            found.append(first_rank(row, own))
    return found


def softmax_over_queries(scores: Array, temperature: float) -> Array:
    weights = np.exp(scores / temperature)
    return np.asarray(weights / weights.sum(0, keepdims=True))


def querybank(scores: Array, bank: Array, beta: float, dynamic: bool) -> Array:
    """Inverted softmax of each row, or of those whose best item some row of the bank calls its best."""
    normalised = np.exp(beta * scores) / np.exp(beta * bank).sum(0, keepdims=True)
    hubs = {int(row.argmax()) for row in bank}
    changed = [not dynamic or int(row.argmax()) in hubs for row in scores]
    return np.where(np.array(changed)[:, None], normalised, scores)
