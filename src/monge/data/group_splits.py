"""Fixed splits that keep the classes in proportion and never part a group: near-copies, or the works of one author."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monge.data.splits import SPLIT_SEED


def split_by_groups(
    labels: ArrayLike, groups: Sequence[Hashable], fractions: Sequence[float], *, seed: int = SPLIT_SEED
) -> list[NDArray[np.int64]]:
    """Draws disjoint parts in which every class has about its share, all items of a group in the same part.

    The largest group is placed first, each where the counts of classes come nearest to their targets (least sum of
    squared differences over the target, as in a chi-squared statistic). A class with few groups may miss a part.

    Args:
        labels: Class of each item, ``(N,)``, from 0.
        groups: What each item belongs to, ``(N,)``.
        fractions: Share of each part; they sum to 1.
        seed: Order among groups of equal size.

    Returns:
        For each part its positions, ascending, int64.

    Raises:
        ValueError: Lengths that differ, no items, or fractions that are not positive with sum 1.

    Example:
        >>> labels = [0, 0, 0, 0, 1, 1, 1, 1]
        >>> first, second = split_by_groups(labels, list("aabcdefg"), [0.75, 0.25])
        >>> len(first), len(second), 0 in second, 1 in second
        (6, 2, False, False)
    """
    values, shares = np.asarray(labels, np.int64), np.asarray(fractions, float)
    if not 0 < len(values) == len(groups):
        raise ValueError(f"{len(values)} labels and {len(groups)} groups, need as many of both and at least one")
    if shares.min() <= 0 or abs(shares.sum() - 1) > 1e-6:
        raise ValueError(f"fractions must be positive and sum to 1, got {list(fractions)}")
    names = sorted(set(groups), key=str)
    number = {name: place for place, name in enumerate(names)}
    members = np.array([number[name] for name in groups])  # (N,)
    counts = np.zeros((len(names), int(values.max()) + 1))  # (G, K)
    np.add.at(counts, (members, values), 1)
    target = np.maximum(np.outer(shares, counts.sum(axis=0)), 1e-9)  # (P, K)
    filled = np.zeros_like(target)
    place = np.zeros(len(names), np.int64)
    # RandomState is the one NumPy generator whose stream is frozen for good, which a published split needs.
    shuffled = np.random.RandomState(seed).permutation(len(names))
    for group in sorted(shuffled, key=lambda group: -counts[group].sum()):
        before = ((filled - target) ** 2 / target).sum(axis=1)
        after = ((filled + counts[group] - target) ** 2 / target).sum(axis=1)
        place[group] = int((after - before).argmin())
        filled[place[group]] += counts[group]
    return [np.flatnonzero(place[members] == part) for part in range(len(shares))]
