"""Mixture of embedding experts (Miech, Laptev, Sivic; 2018), attention over rows: slow loops in NumPy."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def gated(x: Array, weight: Array, bias: Array, gate_weight: Array, gate_bias: Array) -> Array:
    """One gated embedding unit, at unit length."""
    y = weight @ x + bias
    z = y / (1 + np.exp(-(gate_weight @ y + gate_bias)))
    return z / np.linalg.norm(z)


def similarity(weights: Array, text: list[Array], clip: list[Array | None]) -> float:
    """Sum over the experts that a clip has of weight times similarity, at the unit lengths of both sides.

    Args:
        weights: Of the caption, one an expert.
        text: What the caption is for each expert, unit vectors.
        clip: What each expert saw, unit vectors; ``None``: nothing.
    """
    total = sum(w * float(t @ c) for w, t, c in zip(weights, text, clip, strict=True) if c is not None)
    seen = sum(c is not None for c in clip)
    return total / (math.sqrt(float((weights**2).sum())) * math.sqrt(seen))


def mean_of_rows(rows: Array) -> Array:
    """Mean of the rows that are not NaN; zeros where all are."""
    there = [row for row in rows if not np.isnan(row).all()]
    if not there:
        return np.zeros(rows.shape[1])
    return np.mean([np.where(np.isnan(row), 0.0, row) for row in there], axis=0)


def attention(q: Array, k: Array, v: Array, there: NDArray[np.bool_]) -> Array:
    """Softmax attention of every row to the rows that are there, for one head."""
    out = np.zeros_like(v)
    for i in range(len(q)):
        scores = [math.exp(float(q[i] @ k[j]) / math.sqrt(q.shape[1])) if there[j] else 0.0 for j in range(len(k))]
        for j, score in enumerate(scores):
            out[i] += score / sum(scores) * v[j]
    return out
