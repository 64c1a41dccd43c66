"""The pairs that a face run decides wrongly, or nearly so, as pictures."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from monge.metrics.telling_pairs import WrongPairs, wrong_pairs
from monge.report.gallery import Picture
from monge.report.stored_verification import StoredPairs
from monge.report.thumbnails import is_tiny, thumbnail
from monge.train.face_measures import CASES


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


def set_cases(pairs: StoredPairs, each: int = CASES) -> SetCases:
    """The pairs farthest past their threshold and nearest to it, of either kind; the closest calls where none is wrong.

    Args:
        pairs: The set.
        each: Pairs a group.
    """
    told = (pairs.distances, pairs.limits, pairs.same)
    accepts = wrong_pairs(*told, genuine=False, each=each)
    rejects = wrong_pairs(*told, genuine=True, each=each)
    return SetCases(
        pairs.name,
        false_accepts=accepts.total,
        false_rejects=rejects.total,
        impostors=int((~pairs.same).sum()),
        genuine=int(pairs.same.sum()),
        groups=[
            *_groups(pairs, accepts, "False accepts", "impostors"),
            *_groups(pairs, rejects, "False rejects", "genuine pairs"),
        ],
    )


def case_of(pairs: StoredPairs, row: int) -> PairCase:
    """One pair as it is shown."""
    distance, limit, same = float(pairs.distances[row]), float(pairs.limits[row]), bool(pairs.same[row])
    first, second = (_picture(pairs, int(side[row]), f"pair {row}") for side in (pairs.first, pairs.second))
    return PairCase(first, second, same, 1 - distance / 2, 1 - limit / 2, (distance < limit) == same)


def _groups(pairs: StoredPairs, wrong: WrongPairs, title: str, plural: str) -> list[PairGroup]:
    if not wrong.total:
        return [_group(pairs, wrong.right, f"No {title.lower()}; the {plural} nearest to the threshold")]
    if not len(wrong.nearest):
        return [_group(pairs, wrong.farthest, f"{title}, all of them")]
    return [
        _group(pairs, wrong.farthest, f"{title}, farthest past the threshold"),
        _group(pairs, wrong.nearest, f"{title}, nearest to the threshold"),
    ]


def _group(pairs: StoredPairs, rows: Tensor, title: str) -> PairGroup:
    return PairGroup(title, [case_of(pairs, row) for row in rows.tolist()])


def _picture(pairs: StoredPairs, row: int, name: str) -> Picture:
    place = pairs.place(row)
    if pairs.images is None or place is None:
        return Picture("", f"picture {row}", False)
    image = pairs.images[place]
    return Picture(thumbnail(image, 96), name, is_tiny(image))
