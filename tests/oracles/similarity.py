"""A similarity transform as a linear least-squares problem in its four numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def least_squares_similarity(points: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(2, 3)`` with rows ``(a, -b, c)`` and ``(b, a, d)``."""
    rows, values = [], []
    for (x, y), (u, v) in zip(points, target, strict=True):
        rows += [[x, -y, 1, 0], [y, x, 0, 1]]
        values += [u, v]
    a, b, c, d = np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)[0]
    return np.array([[a, -b, c], [b, a, d]])


def umeyama(points: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Equations 40 to 43 of Umeyama (1991), by singular values."""
    count, dims = points.shape
    source, wanted = points.mean(axis=0), target.mean(axis=0)
    covariance = (target - wanted).T @ (points - source) / count
    u, d, vt = np.linalg.svd(covariance)
    sign = np.eye(dims)
    if np.linalg.det(covariance) < 0:
        sign[-1, -1] = -1
    rotation = u @ sign @ vt
    scale = np.trace(np.diag(d) @ sign) / ((points - source) ** 2).sum(axis=1).mean()
    return np.concatenate([scale * rotation, (wanted - scale * rotation @ source)[:, None]], axis=1)
