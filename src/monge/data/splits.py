"""Fixed stratified splits: the same seed gives the same parts on every machine and NumPy version."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

SPLIT_SEED = 1903


def split_by_counts(labels: ArrayLike, counts: Sequence[int], *, seed: int = SPLIT_SEED) -> list[NDArray[np.int64]]:
    """Draws disjoint parts with exactly the given number of items of every class.

    Args:
        labels: Class of each item, ``(N,)``.
        counts: Items per class in each part; their sum must not exceed the size of the smallest class.
        seed: Another seed gives other parts.

    Returns:
        For each part its positions, ascending, int64.

    Raises:
        ValueError: A class has too few items.

    Example:
        >>> first, second = split_by_counts([0, 0, 0, 1, 1, 1], [2, 1])
        >>> len(first), len(second)
        (4, 2)
    """
    parts: list[list[NDArray[np.int64]]] = [[] for _ in counts]
    for name, members in _shuffled_classes(labels, seed):
        if len(members) < sum(counts):
            raise ValueError(f"class {name} has {len(members)} items, the split needs {sum(counts)}")
        for part, chunk in zip(parts, np.split(members, np.cumsum(counts)), strict=False):
            part.append(chunk)
    return [np.sort(np.concatenate(part)) for part in parts]


def split_by_fraction(
    labels: ArrayLike, fraction: float, *, least: int = 1, seed: int = SPLIT_SEED
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sets a share of every class aside.

    Args:
        labels: Class of each item, ``(N,)``.
        fraction: Share of each class that is set aside, rounded to whole items; a class of two or more gives at least
            one and keeps at least one, a class of one stays whole.
        least: So many at least, where a class keeps as many; retrieval among what is aside wants two of a class.
        seed: Another seed gives another draw.

    Returns:
        Positions that stay and positions set aside, ascending, int64.

    Example:
        >>> stay, aside = split_by_fraction([0] * 20 + [1] * 10, 0.1)
        >>> len(stay), len(aside)
        (27, 3)
        >>> stay, aside = split_by_fraction([0] * 20 + [1] * 10 + [2] * 3, 0.1, least=2)
        >>> len(stay), len(aside)
        (28, 5)
    """
    stay, aside = [], []
    for _, members in _shuffled_classes(labels, seed):
        wanted = max(min(least, len(members) - least), 1, int(len(members) * fraction + 0.5))
        size = min(wanted, len(members) - 1)
        aside.append(members[:size])
        stay.append(members[size:])
    return np.sort(np.concatenate(stay)), np.sort(np.concatenate(aside))


def _shuffled_classes(labels: ArrayLike, seed: int) -> list[tuple[int, NDArray[np.int64]]]:
    values = np.asarray(labels)
    # RandomState is the one NumPy generator whose stream is frozen for good, which a published split needs.
    random = np.random.RandomState(seed)
    return [
        (int(name), random.permutation(np.flatnonzero(values == name)).astype(np.int64)) for name in np.unique(values)
    ]
