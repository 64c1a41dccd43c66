"""The pairs that a face run decides wrongly, or nearly so, as pictures."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from monge.report.gallery import Picture
from monge.report.stored_verification import StoredPairs
from monge.report.thumbnails import is_tiny, thumbnail

_EACH = 6


@dataclass(frozen=True)
class PairCase:
    """One pair: its two pictures, its similarity, the threshold of its fold, and whether it was decided rightly."""

    first: Picture
    second: Picture
    same: bool
    similarity: float
    threshold: float
    right: bool


@dataclass(frozen=True)
class PairGroup:
    """Some pairs of one set under one heading."""

    title: str
    cases: list[PairCase]


@dataclass(frozen=True)
class SetCases:
    """The groups of one set, and how many pairs of it were decided wrongly."""

    name: str
    false_accepts: int
    false_rejects: int
    impostors: int
    genuine: int
    groups: list[PairGroup]


def set_cases(pairs: StoredPairs, each: int = _EACH) -> SetCases:
    """The pairs farthest past their threshold and nearest to it, of either kind; the closest calls where none is wrong.

    Args:
        pairs: The set.
        each: Pairs a group.
    """
    room = pairs.distances - pairs.limits  # below 0: accepted
    accepts, rejects = (~pairs.same & (room < 0)), (pairs.same & (room >= 0))
    groups = _groups(pairs, room.abs(), accepts, ~pairs.same, each, ("False accepts", "impostors"))
    groups += _groups(pairs, room.abs(), rejects, pairs.same, each, ("False rejects", "genuine pairs"))
    return SetCases(
        pairs.name,
        false_accepts=int(accepts.sum()),
        false_rejects=int(rejects.sum()),
        impostors=int((~pairs.same).sum()),
        genuine=int(pairs.same.sum()),
        groups=groups,
    )


def hardest(pairs: StoredPairs, count: int) -> Tensor:
    """Rows of the pairs whose distance speaks most strongly against the truth, half of either kind.

    Args:
        pairs: The set.
        count: How many at most.
    """
    against = torch.where(pairs.same, pairs.distances - pairs.limits, pairs.limits - pairs.distances)
    kinds = [flags.nonzero()[:, 0] for flags in (pairs.same, ~pairs.same)]
    return torch.cat([rows[against[rows].argsort(descending=True, stable=True)][: count // 2] for rows in kinds])


def case_of(pairs: StoredPairs, row: int) -> PairCase:
    """One pair as it is shown."""
    distance, limit, same = float(pairs.distances[row]), float(pairs.limits[row]), bool(pairs.same[row])
    first, second = (_picture(pairs, int(side[row]), f"pair {row}") for side in (pairs.first, pairs.second))
    return PairCase(first, second, same, 1 - distance / 2, 1 - limit / 2, (distance < limit) == same)


def _groups(
    pairs: StoredPairs, away: Tensor, wrong: Tensor, kind: Tensor, each: int, names: tuple[str, str]
) -> list[PairGroup]:
    title, plural = names
    rows = wrong.nonzero()[:, 0]
    if not len(rows):
        rows = kind.nonzero()[:, 0]
        nearest = rows[away[rows].argsort(stable=True)][:each]
        return [_group(pairs, nearest, f"No {title.lower()}; the {plural} nearest to the threshold")]
    order = rows[away[rows].argsort(descending=True, stable=True)]
    if len(order) <= each:
        return [_group(pairs, order, f"{title}, all of them")]
    rest = order[each:].flip(0)[:each]
    return [
        _group(pairs, order[:each], f"{title}, farthest past the threshold"),
        _group(pairs, rest, f"{title}, nearest to the threshold"),
    ]


def _group(pairs: StoredPairs, rows: Tensor, title: str) -> PairGroup:
    return PairGroup(title, [case_of(pairs, row) for row in rows.tolist()])


def _picture(pairs: StoredPairs, row: int, name: str) -> Picture:
    if pairs.images is None:
        return Picture("", f"picture {row}", False)
    image = pairs.images[row]
    return Picture(thumbnail(image, 96), name, is_tiny(image))
