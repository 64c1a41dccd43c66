"""Fixed splits that never part what belongs together: the pictures of one person, the faces of one photograph."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from monge.data.splits import SPLIT_SEED


def split_by_owner(
    owners: Sequence[Hashable], fraction: float, *, seed: int = SPLIT_SEED
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sets a share of the items aside, all items of an owner or none.

    Owners are taken in a random order, each one whose items still fit into the share; if none fits, the one with the
    fewest.

    Args:
        owners: Whom each item belongs to, ``(N,)``.
        fraction: Share of the items, an upper bound.
        seed: Another seed gives another draw.

    Returns:
        Positions that stay and positions set aside, ascending, int64.

    Raises:
        ValueError: Fewer than two owners.

    Example:
        >>> stay, aside = split_by_owner(["ann"] * 4 + ["bob"] * 4 + ["cleo"] * 2, 0.25)
        >>> stay.tolist(), aside.tolist()
        ([0, 1, 2, 3, 4, 5, 6, 7], [8, 9])
    """
    members: dict[Hashable, list[int]] = {}
    for position, owner in enumerate(owners):
        members.setdefault(owner, []).append(position)
    if len(members) < 2:
        raise ValueError(f"{len(members)} owner, a split between owners needs at least 2")
    # Sorted by name, so that the draw does not hang on the order in which a system lists files.
    names = sorted(members, key=str)
    shuffled = [names[place] for place in np.random.RandomState(seed).permutation(len(names))]
    room, taken = int(len(owners) * fraction + 0.5), list[int]()
    for name in shuffled:
        if len(members[name]) <= room - len(taken):
            taken += members[name]
    if not taken:
        taken = min((members[name] for name in shuffled), key=len)
    aside = np.array(sorted(taken), np.int64)
    stay = np.setdiff1d(np.arange(len(owners), dtype=np.int64), aside)
    return stay, aside
