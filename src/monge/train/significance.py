"""Which differences between losses the seeds cannot explain: paired tests, corrected for their number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from monge.extras import require
from monge.train.intervals import mean_and_interval

LEVEL = 0.05
_LEAST_SEEDS = 3


@dataclass(frozen=True)
class PairedTest:
    """One loss against another on one metric.

    Attributes:
        a: Label of the one.
        b: Label of the other.
        metric: Name of the metric.
        difference: Mean over seeds of a minus b.
        interval: Half-width of its 95 % t-interval.
        p: Two-sided p-value of Student's paired t-test.
        p_holm: The same after Holm's correction for all pairs on this metric.
        significant: Whether that is below `LEVEL`.
    """

    a: str
    b: str
    metric: str
    difference: float
    interval: float
    p: float
    p_holm: float
    significant: bool


def paired_tests(
    runs: Mapping[str, Mapping[int, Mapping[str, float]]], metrics: Sequence[str]
) -> list[PairedTest] | None:
    """Tests every loss against every other, on every metric, over the seeds that both finished.

    Runs of one seed begin with the same weights and see the same batches, so the differences within seeds are tested
    against zero (Student 1908) and not the means against one another. Many pairs give many chances of a fluke: the
    p-values of a metric are corrected together (Holm 1979), which holds the chance of even one false claim at the
    level.

    Args:
        runs: Of each loss, by seed, the test metrics by name.
        metrics: Those to test.

    Returns:
        Pairs in the order of the losses, metric by metric; pairs with fewer than three seeds, or without a number, are
        left out. ``None`` where there is nothing to test.

    Example:
        >>> losses = {"a": [0.50, 0.51, 0.52], "b": [0.40, 0.42, 0.41]}
        >>> runs = {name: {seed: {"mae": mae} for seed, mae in enumerate(values)} for name, values in losses.items()}
        >>> test = paired_tests(runs, ["mae"])[0]
        >>> f"{test.difference:.2f} ± {test.interval:.3f}, p {test.p:.3f}, {test.significant}"
        '0.10 ± 0.025, p 0.003, True'
    """
    found: list[PairedTest] = []
    for metric in metrics:
        tested = []
        for a, b in combinations(runs, 2):
            differences = _differences(runs[a], runs[b], metric)
            if len(differences) >= _LEAST_SEEDS:
                tested.append((a, b, *mean_and_interval(differences), t_test(differences)))
        corrected = holm([p for *_, p in tested])
        found += [
            PairedTest(a, b, metric, mean, half, p, p_holm, p_holm < LEVEL)
            for (a, b, mean, half, p), p_holm in zip(tested, corrected, strict=True)
        ]
    return found or None


def paired_rule(tests: Sequence[PairedTest] | None) -> str:
    """In words what was tested.

    Args:
        tests: From `paired_tests`.
    """
    if not tests:
        return f"not tested: paired tests need at least {_LEAST_SEEDS} seeds of two losses"
    pairs = len({(test.a, test.b) for test in tests})
    correction = f"Holm's correction over the {pairs} pairs of each metric" if pairs > 1 else "one pair"
    return f"paired two-sided t-test over seeds, {correction}; significant: corrected p below {LEVEL:g}"


def t_test(differences: Sequence[float]) -> float:
    """Two-sided p-value of the hypothesis that the mean of the differences is 0.

    Args:
        differences: At least two; all equal ones have a p-value of 0, or of 1 if they are 0.

    Example:
        >>> round(t_test([1.0, 2.0, 3.0]), 4)
        0.0742
    """
    mean, half = mean_and_interval(differences)
    if half == 0:
        return float(mean == 0)
    student = require("scipy.stats", extra="train", purpose="A paired test").t
    freedom = len(differences) - 1
    return float(2 * student.sf(abs(mean) / half * student.ppf(0.975, freedom), freedom))


def holm(values: Sequence[float]) -> list[float]:
    """p-values after Holm's step-down correction: the k-th smallest of n times n - k + 1, never falling, at most 1.

    Args:
        values: p-values, in any order.

    Example:
        >>> holm([0.04, 0.01, 0.03])
        [0.06, 0.03, 0.06]
    """
    order = sorted(range(len(values)), key=values.__getitem__)
    corrected, reached = [0.0] * len(values), 0.0
    for place, index in enumerate(order):
        reached = max(reached, min(1.0, values[index] * (len(values) - place)))
        corrected[index] = reached
    return corrected


def _differences(
    a: Mapping[int, Mapping[str, float]], b: Mapping[int, Mapping[str, float]], metric: str
) -> list[float]:
    """Of each seed that both have a number for, a minus b."""
    both = [(a[seed].get(metric, math.nan), b[seed].get(metric, math.nan)) for seed in a if seed in b]
    return [one - other for one, other in both if math.isfinite(one) and math.isfinite(other)]
