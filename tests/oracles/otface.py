"""OTFace by loops, in NumPy: hard triplets, transport between maps, and the released program with its faults."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oracles.entropic import entropic_plan, relative_entropy

Array = NDArray[np.float64]


def triplets(embeddings: Array, labels: Array, alpha: float = 0.0) -> list[tuple[float, int, int, int]]:
    """All ``(cos(a, n) - cos(a, p), a, p, n)`` above ``-alpha``, hardest first."""
    unit = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
    found = []
    for a in range(len(unit)):
        for p in range(len(unit)):
            for n in range(len(unit)):
                if p != a and labels[p] == labels[a] and labels[n] != labels[a]:
                    violation = float(unit[a] @ unit[n] - unit[a] @ unit[p])
                    if violation > -alpha:
                        found.append((violation, a, p, n))
    return sorted(found, key=lambda triplet: (-triplet[0], *triplet[1:]))


def cosine_cost(x: Array, y: Array, center: str | None = None) -> Array:
    """``1 - cos`` between the rows of two sets; rows of length 0 have cosine 0."""
    x, y = (_centred(part, center) for part in (x, y))
    x, y = (part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-12) for part in (x, y))
    return np.asarray(1.0 - x @ y.T)


def _centred(tokens: Array, center: str | None) -> Array:
    if center is None:
        return tokens
    return tokens - tokens.mean(axis=1 if center == "channels" else 0, keepdims=True)


def saliency(tokens: Array) -> Array:
    """Share of each row in the absolute channel means of the rows brought to length 1."""
    unit = tokens / np.maximum(np.linalg.norm(tokens, axis=1, keepdims=True), 1e-12)
    size = np.abs(unit.mean(axis=1))
    return np.asarray(size / size.sum())


def distances(cost: Array, a: Array, b: Array, epsilon: float) -> tuple[float, float]:
    """Entropic value and linear cost of the optimal plan."""
    plan = entropic_plan(cost, a, b, epsilon)
    linear = float((plan * cost).sum())
    return linear + epsilon * relative_entropy(plan, a[:, None] * b[None]), linear


def released_distance(x: Array, y: Array, *, epsilon: float = 1.0, iterations: int = 10, transposed: bool) -> float:
    """Cost of the plan after some iterations of the released program, with ``K'`` or with its ``K`` in the second."""
    cost = cosine_cost(x, y)
    kernel = np.exp(-cost / epsilon)
    share = 1.0 / len(x)
    v = np.ones(len(y))
    for _ in range(iterations):
        u = share / (kernel @ v)
        v = share / ((kernel.T if transposed else kernel) @ u)
    return float((u[:, None] * kernel * v[None] * cost).sum())


def released_loss(maps: Array, embeddings: Array, labels: Array, *, transposed: bool) -> float:
    """Mean over the hard triplets whose positive is farther than their negative; 0 if there is none."""
    sets = [m.reshape(len(m), -1).T for m in maps]
    gaps = []
    for _, a, p, n in triplets(embeddings, labels):
        near = released_distance(sets[a], sets[p], transposed=transposed)
        far = released_distance(sets[a], sets[n], transposed=transposed)
        if near - far > 0:
            gaps.append(near - far)
    return float(np.mean(gaps)) if gaps else 0.0
