"""Transport between feature maps in NumPy, position by position, after DeepFace-EMD (CVPR 2022) and OTFace (2022)."""

from __future__ import annotations

import numpy as np


def positions(feature_map: np.ndarray) -> list[np.ndarray]:
    """The channel vectors of a map (C, H, W), row by row."""
    _, height, width = feature_map.shape
    return [feature_map[:, row, column] for row in range(height) for column in range(width)]


def weights_of(points: list[np.ndarray], others: list[np.ndarray], kind: str) -> np.ndarray:
    if kind == "uniform":
        return np.full(len(points), 1 / len(points))
    mean = np.mean(others, axis=0)
    shared = np.array([max(0.0, float(point @ mean)) for point in points])
    return shared / shared.sum() if shared.sum() > 0 else np.full(len(points), 1 / len(points))


def plan_and_cost(one: np.ndarray, other: np.ndarray, epsilon: float, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Scaling of exp(-cost / epsilon) until nothing moves any more."""
    x, y = positions(one), positions(other)
    cost = np.array([[1 - p @ q / np.linalg.norm(p) / np.linalg.norm(q) for q in y] for p in x])
    a, b = weights_of(x, y, kind), weights_of(y, x, kind)
    kernel, v = np.exp(-cost / epsilon), np.ones(len(y))
    for _ in range(20000):
        u = a / (kernel @ v)
        v = b / (kernel.T @ u)
    return u[:, None] * kernel * v, cost


def distance(one: np.ndarray, other: np.ndarray, epsilon: float = 0.05, kind: str = "uniform") -> float:
    plan, cost = plan_and_cost(one, other, epsilon, kind)
    return float((plan * cost).sum())


def reranked(
    query: np.ndarray, query_map: np.ndarray, gallery: np.ndarray, maps: np.ndarray, shortlist: int, alpha: float
) -> list[int]:
    """Gallery rows of a shortlist by cosine, sorted by the blend."""
    cosine = [1 - query @ x / np.linalg.norm(query) / np.linalg.norm(x) for x in gallery]
    near = sorted(range(len(gallery)), key=lambda i: cosine[i])[:shortlist]
    blend = {i: alpha * distance(query_map, maps[i], 0.05, "apc") + (1 - alpha) * cosine[i] for i in near}
    return sorted(near, key=lambda i: blend[i])
