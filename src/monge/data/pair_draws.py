"""Draws pairs for verification in the form of LFW: folds without a common identity, half genuine, half impostors."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from monge.data.examples import Examples
from monge.data.face_pairs import PairSet
from monge.data.splits import SPLIT_SEED

Places = NDArray[np.int64]
Allowed = Callable[[Places, Places, NDArray[np.bool_]], NDArray[np.bool_]]
"""Given the two places of candidate pairs ``(C,)`` and whether they are genuine, says which may be drawn, ``(C,)``."""

FOLDS = 10


def draw_pairs(
    images: Examples,
    *,
    name: str,
    source: str,
    folds: int = FOLDS,
    per_fold: int = 300,
    allowed: Allowed | None = None,
    together: Sequence[Hashable] | None = None,
    seed: int = SPLIT_SEED,
) -> PairSet:
    """Draws folds of as many genuine pairs as impostors; no identity is in two folds, no pair is drawn twice.

    Args:
        images: Pictures with identities as labels.
        name: Name of the set.
        source: One sentence that says which data these really are.
        folds: Number of folds.
        per_fold: Genuine pairs of a fold, and impostors; fewer if there is a fold that does not give as many of both.
        allowed: Which pairs may be drawn, and which picture comes first; ``None``: all.
        together: Of each identity number what keeps it in one fold with others, e.g. its kind; ``None``: nothing.
        seed: Another seed draws other pairs.

    Returns:
        The pairs, fold by fold, in each the genuine ones first, as in LFW's list.

    Raises:
        ValueError: A fold has no genuine pair or no impostors.

    Example:
        >>> from monge.data import ImageSet
        >>> images = ImageSet(torch.zeros(12, 1, 4, 4, dtype=torch.uint8), torch.arange(12) // 3)
        >>> pairs = draw_pairs(images, name="few", source="made up", folds=2, per_fold=4)
        >>> pairs.same.tolist() == [True] * 4 + [False] * 4 + [True] * 4 + [False] * 4, pairs.num_folds
        (True, 2)
    """
    labels = images.labels.numpy()
    # RandomState is the one NumPy generator whose stream is frozen for good, which published pairs need.
    random = np.random.RandomState(seed)
    parts = fold_identities(np.unique(labels), folds, random, together)
    candidates = [_candidates(np.flatnonzero(np.isin(labels, part)), labels, allowed) for part in parts]
    offered = [[np.flatnonzero(genuine), np.flatnonzero(~genuine)] for _, _, genuine in candidates]
    fewest = min(range(folds), key=lambda fold: min(map(len, offered[fold])))
    count = min(per_fold, *map(len, offered[fewest]))
    if not count:
        found = f"{len(offered[fewest][0])} genuine pairs and {len(offered[fewest][1])} impostors"
        raise ValueError(f"{name}: fold {fewest} offers {found}, needs at least one of both: use fewer folds")
    first, second = [], []
    for (left, right, _), pools in zip(candidates, offered, strict=True):
        for pool in pools:
            chosen = np.sort(random.permutation(pool)[:count])
            first.append(left[chosen])
            second.append(right[chosen])
    return PairSet(
        images=images,
        first=torch.from_numpy(np.concatenate(first)),
        second=torch.from_numpy(np.concatenate(second)),
        same=torch.tensor([True, False]).repeat_interleave(count).repeat(folds),
        folds=torch.arange(folds).repeat_interleave(2 * count),
        name=name,
        source=source,
    )


def fold_identities(
    identities: ArrayLike, folds: int, random: np.random.RandomState, together: Sequence[Hashable] | None = None
) -> list[NDArray[np.int64]]:
    """Parts identities into folds of about the same size, in a random order.

    Args:
        identities: Their numbers, ``(I,)``.
        folds: Number of folds.
        random: Source of the order.
        together: As in :func:`draw_pairs`.

    Example:
        >>> kinds = ["cat", "cat", "dog", "dog"]
        >>> parts = fold_identities(range(4), 2, np.random.RandomState(0), kinds)
        >>> sorted(part.tolist() for part in parts)
        [[0, 1], [2, 3]]
    """
    numbers = np.asarray(identities, np.int64)
    if together is None:
        return [np.sort(part) for part in np.array_split(random.permutation(numbers), folds)]
    members: dict[Hashable, list[int]] = {}
    for number in numbers.tolist():
        members.setdefault(together[number], []).append(number)
    kinds = sorted(members, key=str)
    shuffled = [kinds[place] for place in random.permutation(len(kinds))]
    parts: list[list[int]] = [[] for _ in range(folds)]
    # The largest kind first, each into the fold that is smallest by then.
    for kind in sorted(shuffled, key=lambda kind: -len(members[kind])):
        min(parts, key=len).extend(members[kind])
    return [np.array(sorted(part), np.int64) for part in parts]


def _candidates(
    places: Places, labels: NDArray[np.int64], allowed: Allowed | None
) -> tuple[Places, Places, NDArray[np.bool_]]:
    """All pairs of the pictures at these places, less those that may not be drawn."""
    upper = np.triu_indices(len(places), 1)
    left, right = places[upper[0]], places[upper[1]]  # (C,)
    genuine = labels[left] == labels[right]
    if allowed is None:
        return left, right, genuine
    # Which of the two comes first may matter, as with a frontal and a profile picture.
    left, right = np.concatenate([left, right]), np.concatenate([right, left])
    genuine = np.concatenate([genuine, genuine])
    kept = allowed(left, right, genuine)
    left, right, genuine = left[kept], right[kept], genuine[kept]
    # A pair that may be drawn both ways round is kept once.
    pair = np.minimum(left, right) * len(labels) + np.maximum(left, right)
    once = np.unique(pair, return_index=True)[1]
    return left[once], right[once], genuine[once]
