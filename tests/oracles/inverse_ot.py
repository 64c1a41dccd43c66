"""Slow reference of inverse OT: plans by the loops of their papers, the loss as a difference of objectives."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oracles.entropic import relative_entropy

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def wanted(positive: Mask) -> tuple[Array, Array]:
    """Couplings in which each row, and each column, that has positives weighs the same and shares it among them."""
    couplings = []
    for matrix in (positive, positive.T):
        rows = [row for row in matrix if row.any()]
        coupling = np.array([row / (max(row.sum(), 1) * max(len(rows), 1)) for row in matrix])
        couplings.append(coupling)
    return couplings[0], couplings[1].T


def row_loss(scaled: Array, positive: Mask) -> float:
    """Mean over rows with positives of ``mean over positives of -log softmax``, less the entropy of a fair choice."""
    losses = []
    for row, good in zip(scaled, positive, strict=True):
        if good.any():
            shares = np.exp(-row) / np.exp(-row).sum()
            losses.append(np.mean([-np.log(shares[j]) for j in np.flatnonzero(good)]) - np.log(good.sum()))
    return float(np.mean(losses)) if losses else 0.0


def unbalanced_plan(scaled: Array, a: Array, b: Array, rho: float, sweeps: int = 20000) -> Array:
    """Scaling with the exponent ``rho / (rho + 1)`` (Chizat et al. 2018, algorithm 1, at epsilon 1)."""
    kernel = a[:, None] * b[None] * np.exp(-scaled)
    u, v = np.ones(len(a)), np.ones(len(b))
    for _ in range(sweeps):
        u = (a / (kernel @ v)) ** (rho / (rho + 1))
        v = (b / (kernel.T @ u)) ** (rho / (rho + 1))
    return u[:, None] * kernel * v[None]


def partial_plan(scaled: Array, a: Array, b: Array, mass: float, rounds: int = 20000) -> Array:
    """Dykstra's projections, in the KL sense, on row bounds, column bounds and total mass (Benamou et al. 2015)."""
    plan = a[:, None] * b[None] * np.exp(-scaled)
    memory = [np.ones_like(plan) for _ in range(3)]
    for _ in range(rounds):
        for k in range(3):
            before = plan * memory[k]
            if k == 0:
                plan = before * np.minimum(a / before.sum(1), 1.0)[:, None]
            elif k == 1:
                plan = before * np.minimum(b / before.sum(0), 1.0)[None]
            else:
                plan = before * mass / before.sum()
            memory[k] = before / plan
    return plan


def objective(plan: Array, scaled: Array, a: Array, b: Array, rho: float | None = None) -> float:
    """``<P, X> + KL(P | a b')``, and ``rho`` times the KL of the marginals."""
    value = float((plan * scaled).sum()) + relative_entropy(plan, a[:, None] * b[None])
    if rho is not None:
        value += rho * (relative_entropy(plan.sum(1), a) + relative_entropy(plan.sum(0), b))
    return value


def rince(plan: Array, target: Array, a: Array, b: Array, q: float, lam: float) -> float:
    """Robust InfoNCE of each positive pair, its scores the shares that the pair has of its row and of its column."""
    total = 0.0
    for i, j in np.argwhere(target > 0):
        of_row = plan[i, j] / a[i], plan[i].sum() / a[i]
        of_column = plan[i, j] / b[j], plan[:, j].sum() / b[j]
        for pair, everything in (of_row, of_column):
            total += 0.5 * target[i, j] * (-(pair**q) + (lam * everything) ** q) / q
    return float(total)


def max_margin(similarity: Array, positive: Mask, counted: Mask, margin: float, hardest: bool) -> float:
    """Hinges of all triplets in both directions, one at a time."""
    hinges = []
    for s, good, there in ((similarity, positive, counted), (similarity.T, positive.T, counted.T)):
        for i in range(len(s)):
            for p in np.flatnonzero(good[i]):
                found = [max(0.0, margin + s[i, j] - s[i, p]) for j in np.flatnonzero(there[i] & ~good[i])]
                hinges += [max(found)] if hardest and found else found
    return float(np.mean(hinges)) if hinges else 0.0
