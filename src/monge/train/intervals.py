"""How sure a mean over a few seeds is, and how many steps a run needed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from monge.extras import require


def mean_and_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Mean of a sample and the half-width of Student's t-interval around it.

    The interval is the one for the mean of the population the values were drawn from (Student, "The probable error of
    a mean", 1908): ``t * s / sqrt(n)`` with the sample standard deviation ``s`` and ``n - 1`` degrees of freedom.

    Args:
        values: At least one number; with one that is not finite, mean and half-width are NaN.
        confidence: Coverage, between 0 and 1.

    Returns:
        Mean and half-width; the half-width of a single value is not known: NaN.

    Raises:
        ValueError: No values.

    Example:
        >>> mean, half = mean_and_interval([0.95, 0.96, 0.97])
        >>> print(f"{mean:.3f} ± {half:.3f}")
        0.960 ± 0.025
    """
    if not values:
        raise ValueError("the mean of no values")
    if not all(map(math.isfinite, values)):
        return math.nan, math.nan
    mean = statistics.fmean(values)
    if len(values) == 1:
        return mean, math.nan
    student = require("scipy.stats", extra="train", purpose="A confidence interval").t
    quantile = float(student.ppf((1 + confidence) / 2, len(values) - 1))
    return mean, quantile * statistics.stdev(values, mean) / math.sqrt(len(values))


def first_step_at(curve: Sequence[tuple[int, float]], target: float, *, higher_is_better: bool = True) -> int | None:
    """First evaluated step whose value is as good as the target; ``None`` where no step is.

    Args:
        curve: Pairs of step and value, in the order of the steps.
        target: Value to reach.
        higher_is_better: Direction of the values.

    Example:
        >>> first_step_at([(100, 0.5), (200, 0.8), (300, 0.7)], 0.75)
        200
    """
    reached = (step for step, value in curve if (value >= target if higher_is_better else value <= target))
    return next(reached, None)


def median_steps(steps: Sequence[int | None]) -> float | None:
    """Median of the steps needed, a run that never got there counting as longer than any.

    Args:
        steps: Of each seed, the steps it needed or ``None``.

    Returns:
        The median, or ``None`` where it falls on runs that never got there (or there are no runs).

    Example:
        >>> median_steps([300, None, 100]), median_steps([300, None])
        (300.0, None)
    """
    if not steps:
        return None
    middle = statistics.median(math.inf if step is None else float(step) for step in steps)
    return middle if math.isfinite(middle) else None
