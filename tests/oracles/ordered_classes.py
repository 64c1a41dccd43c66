"""Squared EMD of one softmax output to one target for ordered classes, by loops (Hou, Yu and Samaras 2016)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def softmax(logits: ArrayLike) -> Array:
    """Probabilities of one sample."""
    z = np.asarray(logits, dtype=np.float64)
    e = np.exp(z - z.max())
    return np.asarray(e / e.sum())


def squared_emd(logits: ArrayLike, target: ArrayLike, places: Sequence[float]) -> float:
    """``sum_i (sum_{j <= i} p_j - t_j)^2 (x_{i+1} - x_i)``."""
    p, t = softmax(logits), np.asarray(target, dtype=np.float64)
    value = 0.0
    for i in range(len(p) - 1):
        below = sum(p[j] - t[j] for j in range(i + 1))
        value += below**2 * (places[i + 1] - places[i])
    return float(value)


def squared_emd_gradient(logits: ArrayLike, target: ArrayLike, places: Sequence[float]) -> Array:
    """Gradient to the logits: ``2 sum_{i >= k} gap_i (F_i - G_i)`` through the softmax's Jacobian matrix."""
    p, t = softmax(logits), np.asarray(target, dtype=np.float64)
    classes = len(p)
    to_p = np.zeros(classes)
    for k in range(classes):
        for i in range(k, classes - 1):
            to_p[k] += 2 * (places[i + 1] - places[i]) * sum(p[j] - t[j] for j in range(i + 1))
    jacobian = np.diag(p) - np.outer(p, p)
    return np.asarray(jacobian @ to_p)
