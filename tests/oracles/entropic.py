"""Entropic transport by the textbook, in NumPy and float64: log-domain loops, and closed forms on a line."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def _logsumexp(z: Array, axis: int) -> Array:
    top = z.max(axis=axis, keepdims=True)
    return np.squeeze(top, axis) + np.log(np.exp(z - top).sum(axis=axis))


def entropic_plan(cost: Array, a: Array, b: Array, epsilon: float, iterations: int = 20000) -> Array:
    """Plan of one balanced problem with positive weights (Cuturi 2013), iterated to float64 accuracy."""
    f, g = np.zeros(len(a)), np.zeros(len(b))
    for _ in range(iterations):
        f = -epsilon * _logsumexp((g[None] - cost) / epsilon + np.log(b)[None], 1)
        new = -epsilon * _logsumexp((f[:, None] - cost) / epsilon + np.log(a)[:, None], 0)
        moved, g = np.abs(new - g).max(), new
        if moved < 1e-14 * epsilon:
            break
    return np.asarray(np.exp((f[:, None] + g[None] - cost) / epsilon) * a[:, None] * b[None])


def relative_entropy(plan: Array, reference: Array) -> float:
    """``sum p log(p / r) - p + r`` with ``0 log 0 = 0``."""
    positive = plan > 0
    logs = plan[positive] * np.log(plan[positive] / reference[positive])
    return float(logs.sum() - plan.sum() + reference.sum())


def entropic_value(cost: Array, a: Array, b: Array, epsilon: float) -> float:
    """``<P, C> + epsilon KL(P | a b')`` at the optimum."""
    plan = entropic_plan(cost, a, b, epsilon)
    return float((plan * cost).sum()) + epsilon * relative_entropy(plan, a[:, None] * b[None])


def gaussian_value(mean: float, deviation_a: float, deviation_b: float, epsilon: float) -> float:
    """Entropic squared-Euclidean cost of Gaussians on a line, ``mean`` apart (Janati et al. 2020, thm. 1)."""
    half = 0.5 * epsilon
    root = np.sqrt(4 * deviation_a**2 * deviation_b**2 + half**2)
    spread = deviation_a**2 + deviation_b**2 - root
    return float(mean**2 + spread + half * (1 - np.log(2 * half)) + half * np.log(root + half))
