"""Slow references of the squared EMD losses and their ground distances in NumPy, float64, from the formulas.

Hou, Yu and Samaras, arXiv 1611.05916: ordered form sum_i (CDF_i(p) - CDF_i(t))^2, squared form sum_i p_i^2 D_ik,
XEMD = -log p_k + lambda sum_i p_i^2 (D_ik^omega + mu), and the ground distance from features: shares of L1 norm, class
centroids, Euclidean distances, ranks per row over C - 1, mean of both directions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def softmax(logits: ArrayLike) -> Array:
    z = np.asarray(logits, dtype=np.float64)
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def ordered(p: Array, t: Array, positions: Sequence[float] | None = None, power: int = 2) -> float:
    """Cumulative masses compared before each gap."""
    x = list(range(len(p))) if positions is None else list(positions)
    return sum(abs(p[: i + 1].sum() - t[: i + 1].sum()) ** power * (x[i + 1] - x[i]) for i in range(len(p) - 1))


def ranked_probability_score(p: Array, label: int) -> float:
    """Brier scores of the questions "is it at most class i?", summed."""
    return sum((p[: i + 1].sum() - float(label <= i)) ** 2 for i in range(len(p)))


def squared_form(p: Array, t: Array, D: Array) -> float:
    return sum(t[k] * p[i] ** 2 * D[i, k] for i in range(len(p)) for k in range(len(p)))


def xemd(p: Array, label: int, D: Array, omega: float, mu: float, weight: float) -> float:
    term = sum(p[i] ** 2 * (D[i, label] ** omega + mu) for i in range(len(p)))
    return float(-np.log(p[label]) + weight * term)


def path_lengths(parents: Sequence[int], lengths: Sequence[float], nodes: Sequence[int]) -> Array:
    """Distances in a tree: climb from both nodes, take the best meeting point."""

    def climb(node: int) -> dict[int, float]:
        way, walked = {node: 0.0}, 0.0
        while parents[node] not in (-1, node):
            walked += lengths[node]
            node = parents[node]
            way[node] = walked
        return way

    ways = [climb(node) for node in nodes]
    return np.array([[min(a[m] + b[m] for m in a.keys() & b.keys()) for b in ways] for a in ways])


def over_tree(
    p: Array, t: Array, parents: Sequence[int], lengths: Sequence[float], nodes: Sequence[int], power: int
) -> float:
    """Sum over edges of length times |mass below in p - in t|^power, each edge's classes found by climbing."""
    total = 0.0
    for edge, parent in enumerate(parents):
        if parent in (-1, edge):
            continue
        excess = 0.0
        for place, node in enumerate(nodes):
            while node != edge and parents[node] not in (-1, node):
                node = parents[node]
            excess += (p[place] - t[place]) * (node == edge)
        total += lengths[edge] * abs(excess) ** power
    return total


def centroids(features: ArrayLike, labels: Sequence[int], classes: int) -> dict[int, Array]:
    """Mean of each class's vectors, each divided by its L1 norm; vectors of zeros left out."""
    members: dict[int, list[Array]] = {}
    for vector, label in zip(np.asarray(features, dtype=np.float64), labels):
        if np.isfinite(vector).all() and np.abs(vector).sum() > 0 and label >= 0:
            members.setdefault(int(label), []).append(vector / np.abs(vector).sum())
    return {label: np.mean(vectors, axis=0) for label, vectors in members.items() if label < classes}


def self_guided(centres: dict[int, Array], classes: int) -> Array:
    """Ground distance from the centroids of all classes, ties with their mean rank."""
    D = np.zeros((classes, classes))
    for i in range(classes):
        apart = [np.linalg.norm(centres[i] - centres[j]) for j in range(classes)]
        others = [j for j in range(classes) if j != i]
        for j in others:
            nearer = sum(apart[m] < apart[j] - 1e-9 for m in others)
            as_near = sum(abs(apart[m] - apart[j]) <= 1e-9 for m in others)
            rank = 1 + nearer + (as_near - 1) / 2
            D[i, j] += rank / (classes - 1) / 2
            D[j, i] += rank / (classes - 1) / 2
    return D
