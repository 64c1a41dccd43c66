"""Slow reference of the batch-wise OT loss in NumPy, float64, loops where they are plainest.

Written from the formulas: M+ = d^2 (or (d - p)_+^2), M- = (margin - d^2)_+ (or (margin - d)_+^2), G = exp(-gamma M),
T = argmin <T, G> - epsilon H(T), L = 1/2 sum T M; and from the description of the three released programs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def squared_distances(x: Array, y: Array) -> Array:
    return np.array([[np.sum((a - b) ** 2) for b in y] for a in x])


def pair_costs(x: Array, y: Array, form: str, margin: float, pos_margin: float) -> tuple[Array, Array]:
    d2 = squared_distances(x, y)
    if form == "hinge_sq_dist":
        return np.maximum(d2 - pos_margin, 0.0), np.maximum(margin - d2, 0.0)
    d = np.sqrt(d2)
    return np.maximum(d - pos_margin, 0.0) ** 2, np.maximum(margin - d, 0.0) ** 2


def entropic_plan(cost: Array, epsilon: float, support: Mask) -> Array:
    """Log-domain Sinkhorn to machine precision; marginals are those of the uniform plan on the support."""
    a, b = support.sum(1) / support.sum(), support.sum(0) / support.sum()
    rows, columns = np.flatnonzero(a), np.flatnonzero(b)
    inner = support[np.ix_(rows, columns)]
    log_kernel = np.where(inner, -cost[np.ix_(rows, columns)] / epsilon, -np.inf)
    log_a, log_b = np.log(a[rows]), np.log(b[columns])
    f, g = np.zeros(len(rows)), np.zeros(len(columns))
    plan = np.zeros_like(cost)
    for _ in range(100_000):
        g = log_b - np.logaddexp.reduce(log_kernel + f[:, None], axis=0)
        f = log_a - np.logaddexp.reduce(log_kernel + g[None, :], axis=1)
        solved = np.exp(log_kernel + f[:, None] + g[None, :])
        if np.abs(solved.sum(0) - b[columns]).sum() < 1e-13:
            break
    plan[np.ix_(rows, columns)] = solved
    return plan


def loss(
    x: Array,
    y: Array,
    same: Mask,
    support: Mask,
    *,
    margin: float = 1.0,
    gamma: float = 10.0,
    epsilon: float = 0.2,
    form: str = "hinge_sq_dist",
    pos_margin: float = 0.0,
    power: float = 1.0,
    half: bool = True,
) -> float:
    positive, negative = pair_costs(x, y, form, margin, pos_margin)
    cost = np.where(same, positive, negative)
    plan = entropic_plan(np.exp(-gamma * cost), epsilon, support)
    return float((0.5 if half else 1.0) * np.sum(plan * cost**power))


def gradient_to_batch(x: Array, y: Array, plan: Array, same: Mask, margin: float) -> Array:
    """Gradient to x of 1/2 sum T M with T fixed and M- = (margin - d^2)_+: the published derivative, pair by pair."""
    gradient = np.zeros_like(x)
    for i, a in enumerate(x):
        for j, b in enumerate(y):
            active = float(np.sum((a - b) ** 2) < margin)
            sign = 1.0 if same[i, j] else -active
            gradient[i] += plan[i, j] * sign * (a - b)
    return gradient


def scaling_sweeps(kernel: Array, iterations: int, guard: float) -> Array:
    """u0 = 1; v = (1/n) / (K' u + e0); u = (1/n) / (K v + e0); T = diag(u) K diag(v)."""
    n = len(kernel)
    u, v = np.ones(n), np.ones(n)
    for _ in range(iterations):
        v = (1.0 / n) / (kernel.T @ u + guard)
        u = (1.0 / n) / (kernel @ v + guard)
    return np.diag(u) @ kernel @ np.diag(v)


def released_mnist(x: Array, y: Array, same: Mask) -> tuple[float, Array]:
    """2D program: value, and its derivative to the pair costs GM with u and v held."""
    lam, gamma = 0.01, 10.0
    positive, negative = pair_costs(x, y, "hinge_sq_dist", 5.0, 0.0)
    gm = np.where(same, positive, negative)
    g = np.exp(-gamma * gm)
    plan = scaling_sweeps(np.exp(-lam * g), 30, 1e-10)
    return float(np.sum(plan * gm**2)), plan * (2.0 * gm + lam * gamma * g * gm**2)


def released_shrec14(x: Array, y: Array, same: Mask) -> tuple[float, Array]:
    """SHREC program, one of its four terms: value, and its derivative to GM with u and v held."""
    lam, gamma = 5.0, 10.0
    positive, negative = pair_costs(x, y, "hinge_sq_dist", 1.0, 0.0)
    gm = np.where(same, positive, negative)
    g = np.exp(-gamma * gm)
    plan = scaling_sweeps(np.exp(-lam * g), 20, 1e-12)
    return float(np.sum(plan * gm)), plan * (1.0 + lam * gamma * g * gm)


def released_modelnet(x: Array, same: Mask, margin: float, pos_margin: float) -> tuple[float, Array]:
    """3D program without its cross-entropy: value, and its derivative to GM, the plan fixed and its sign reversed."""
    lam, gamma = 0.01, 10.0
    positive, negative = pair_costs(x, x, "dist_hinge_sq", margin, pos_margin)
    gm = np.where(same, positive, negative)
    plan = scaling_sweeps(np.exp(+lam * np.exp(-gamma * gm)), 50, 0.0)
    return float(np.sum(plan * gm)), plan
