"""Slow references of the relatives of squared EMD in NumPy, float64, from the papers' formulas.

Frogner et al. 2015: min <T, M> - 1/lambda H(T) by scaling with K = exp(-lambda M - 1), and the same with KL penalties
gamma on both marginals. Martinez et al. 2016: sum over links of |mass difference beyond the link|^rho. Liu et al. 2019:
sum_i p_i f(d_ik).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def _entropy(T: Array) -> float:
    inside = T[T > 0]
    return float(-(inside * np.log(inside)).sum())


def _divergence(w: Array, z: Array) -> float:
    inside = w > 0
    return float((w[inside] * np.log(w[inside] / z[inside])).sum() - w.sum() + z.sum())


def wasserstein(h: Array, y: Array, M: Array, lam: float) -> tuple[float, Array]:
    """Value and its gradient to h, log u / lambda less its mean, by Sinkhorn's scaling over the classes y has."""
    wanted = y > 0
    K = np.exp(-lam * M[:, wanted] - 1.0)
    u = np.ones(len(h))
    for _ in range(20_000):
        u = h / (K @ (y[wanted] / (K.T @ u)))
    T = u[:, None] * K * (y[wanted] / (K.T @ u))
    gradient = np.log(u) / lam
    return float((T * M[:, wanted]).sum() - _entropy(T) / lam), gradient - gradient.mean()


def wasserstein_unnormalised(h: Array, y: Array, M: Array, lam: float, gamma: float) -> tuple[float, Array]:
    """Value and its gradient to h, gamma (1 - T 1 / h); scaling with exponents gamma lambda / (gamma lambda + 1)."""
    wanted = y > 0
    K = np.exp(-lam * M[:, wanted] - 1.0)
    power = gamma * lam / (gamma * lam + 1.0)
    u, v = np.ones(len(h)), np.ones(int(wanted.sum()))
    for _ in range(20_000):
        u = (h / (K @ v)) ** power
        v = (y[wanted] / (K.T @ u)) ** power
    T = u[:, None] * K * v
    value = (T * M[:, wanted]).sum() - _entropy(T) / lam
    value += gamma * (_divergence(T.sum(1), h) + _divergence(T.sum(0), y[wanted]))
    return float(value), gamma * (1.0 - T.sum(1) / h)


def relaxed_chain(p: Array, t: Array, rho: float, positions: Sequence[float] | None = None) -> float:
    x = list(range(len(p))) if positions is None else list(positions)
    phi = [sum(p[j] - t[j] for j in range(i + 1)) for i in range(len(p) - 1)]
    return float(sum((x[i + 1] - x[i]) * abs(phi[i]) ** rho for i in range(len(phi))))


def relaxed_tree(p: Array, t: Array, rho: float, parents: Sequence[int], lengths: Sequence[float]) -> float:
    """Every node is a class; the mass below an edge is collected by climbing from every class."""
    phi = np.zeros(len(parents))
    for node in range(len(parents)):
        at = node
        while parents[at] >= 0:
            phi[at] += p[node] - t[node]
            at = parents[at]
    return float(sum(lengths[e] * abs(phi[e]) ** rho for e in range(len(parents)) if parents[e] >= 0))


def price(d: float, kind: str, exponent: float = 2.0, threshold: float = 1.0) -> float:
    if kind == "huber":
        return d * d if d <= threshold else threshold * (2.0 * d - threshold)
    return d**exponent if kind == "power" else d


def conservative(p: Array, label: int, D: Array, kind: str, exponent: float = 2.0, threshold: float = 1.0) -> float:
    return float(sum(p[i] * price(D[i, label], kind, exponent, threshold) for i in range(len(p))))
