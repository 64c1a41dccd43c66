"""The search for a learning rate: one rule, the same for every loss."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from monge.errors import RecipeError


def checked_grid(lrs: Sequence[float]) -> list[float]:
    """The learning rates in ascending order.

    Raises:
        RecipeError: None at all, one twice, or one that is not a positive number.

    Example:
        >>> checked_grid([1e-2, 1e-3])
        [0.001, 0.01]
    """
    grid = sorted(float(lr) for lr in lrs)
    if not grid or len(set(grid)) < len(grid) or not all(math.isfinite(lr) and lr > 0 for lr in grid):
        found = ", ".join(f"{lr:g}" for lr in lrs) or "nothing"
        raise RecipeError(f"--lrs: found {found}, expected different positive numbers")
    return grid


def best_rate(values: Mapping[float, float], *, higher_is_better: bool = True) -> float | None:
    """The learning rate with the best value, the lowest of equals; ``None`` where all values are NaN.

    Args:
        values: Validation value of each learning rate, NaN where training diverged.
        higher_is_better: Direction of the values.

    Example:
        >>> best_rate({0.001: 0.8, 0.01: 0.9, 0.1: float("nan")})
        0.01
    """
    finite = {lr: value for lr, value in sorted(values.items()) if not math.isnan(value)}
    pick = max if higher_is_better else min
    return pick(finite, key=finite.__getitem__) if finite else None


def rate_beyond(grid: Sequence[float], best: float | None) -> float | None:
    """The rate to try beyond the grid: as far from its edge as the edge is from its neighbour, in ratio.

    Args:
        grid: Ascending.
        best: The best rate of the grid.

    Returns:
        A rate outside of the grid, or ``None`` where the best one lies inside, there is none, or the grid is a point.

    Example:
        >>> rate_beyond([0.001, 0.01], 0.01), rate_beyond([0.001, 0.01, 0.1], 0.01)
        (0.1, None)
    """
    if best is None or len(grid) < 2 or best not in (grid[0], grid[-1]):
        return None
    neighbour = grid[1] if best == grid[0] else grid[-2]
    return float(f"{best * best / neighbour:.6g}")
