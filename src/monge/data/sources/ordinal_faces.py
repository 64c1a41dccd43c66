"""Faces by age: Adience, Images of Groups, FG-NET and UTKFace, each with its protocol."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monge.data.formats import adience, images_of_groups, named_ages
from monge.data.formats.flaws import Flaws
from monge.data.formats.sniff import shown
from monge.data.sources.listed_images import DRAWN, Listing, parts_at_random, parts_by_owner
from monge.errors import MongeError

_NAMED = 5
_OLDEST = 200


def list_adience(
    folder: Path, flaws: Flaws, *, fold: int | None = None, crops: str | None = None, stray: str = "drop"
) -> Listing:
    """Adience under its five-fold protocol.

    Args:
        folder: See :func:`~monge.data.formats.adience.read_adience`.
        flaws: Takes what is wrong with single entries.
        fold: The fold that is tested, 0 to 4; unset: 0. Validation is drawn from the other four.
        crops: ``"aligned"`` or ``"faces"``; unset: what is there.
        stray: What becomes of ages that are no group: ``"drop"`` or ``"map"``.

    Raises:
        DataFormatError: Files are missing or bad.
        MongeError: No such fold, or an option that there is not.
    """
    chosen = 0 if fold is None else fold
    if type(chosen) is not int or not 0 <= chosen < adience.FOLDS:
        raise MongeError(f"adience: found fold={fold!r}, expected 0 to {adience.FOLDS - 1}")
    faces = adience.read_adience(folder, flaws, crops=crops, stray=stray)
    train, val, test = parts_by_owner(faces.users, faces.folds == chosen, "adience")
    how = f"test is fold {chosen}, val 10 % of the other folds by owner of the album ({DRAWN})"
    return Listing(
        paths=faces.paths,
        labels=faces.groups,
        parts=(train, val, test),
        classes=adience.GROUPS,
        positions=_midpoints([(int(first), int(last)) for first, last in (g.split("-") for g in adience.GROUPS)]),
        split=how,
        edition=f"{faces.crops}/",
        remarks=_adience_remarks(faces, stray),
        lacks="" if faces.rows == adience.ROWS else f"{faces.rows:,} of {adience.ROWS:,} rows",
    )


def list_images_of_groups(folder: Path, flaws: Flaws) -> Listing:
    """Images of Groups; faces of one photograph stay together.

    Args:
        folder: See :func:`~monge.data.formats.images_of_groups.read_images_of_groups`.
        flaws: Takes what is wrong with single entries.

    Raises:
        DataFormatError: Files are missing or bad.
    """
    faces = images_of_groups.read_images_of_groups(folder, flaws)
    train, val, test = parts_by_owner(faces.paths, None, "images-of-groups")
    found, whole = len(faces.paths) + faces.repeated, images_of_groups.FACES
    photographs = f"{faces.photographs:,} of {images_of_groups.PHOTOGRAPHS:,} photographs"
    complete = (faces.photographs, found) == (images_of_groups.PHOTOGRAPHS, whole)
    square = f"{images_of_groups.SIDE:g} times the distance of the eyes"
    return Listing(
        paths=faces.paths,
        labels=faces.groups,
        parts=(train, val, test),
        classes=images_of_groups.GROUPS,
        positions=tuple(map(float, images_of_groups.CATEGORIES)),
        split=f"test is 20 % of the faces, val 10 % of the rest, by photograph ({DRAWN})",
        remarks=(f"each face is a square of {square}", *_repeated(faces.repeated)),
        lacks="" if complete else f"{photographs} and {found:,} of {whole:,} faces",
        boxes=faces.boxes,
    )


def list_fgnet(
    folder: Path, flaws: Flaws, *, fold: int | None = None, levels: Sequence[Sequence[int]] | None = None
) -> Listing:
    """FG-NET, leaving one person out.

    Args:
        folder: See :func:`~monge.data.formats.named_ages.read_fgnet`.
        flaws: Not used: what the names do not say is passed over and told.
        fold: Number of the person who is tested; unset: the first.
        levels: First and last age of each class, e.g. ``[[0, 2], [3, 10]]``; unset: every age is a class.

    Raises:
        DataFormatError: Nothing to read.
        MongeError: No such person, or levels that are none.
    """
    faces = named_ages.read_fgnet(folder)
    people = sorted(set(faces.people.tolist()))
    person = people[0] if fold is None else fold
    if person not in people:
        there = f"{people[0]} to {people[-1]}, {len(people)} in all"
        raise MongeError(f"fg-net: found fold={fold!r}, expected the number of a person ({there})")
    labels, kept, classes, positions = _age_classes(faces.ages, levels, "fg-net")
    owners = faces.people[kept]
    train, val, test = parts_by_owner(owners.tolist(), owners == person, "fg-net")
    found, whole = (len(faces.paths), len(people)), named_ages.FGNET_COUNTS
    return Listing(
        paths=[faces.paths[place] for place in np.flatnonzero(kept)],
        labels=labels,
        parts=(train, val, test),
        classes=classes,
        positions=positions,
        split=f"test is person {person}, val 10 % of the others by person ({DRAWN})",
        remarks=_age_remarks(faces, kept),
        lacks="" if found == whole else "{} of {} pictures and {} of {} people".format(*_interleaved(found, whole)),
    )


def list_utkface(folder: Path, flaws: Flaws, *, levels: Sequence[Sequence[int]] | None = None) -> Listing:
    """UTKFace, which has no split of its own.

    Args:
        folder: See :func:`~monge.data.formats.named_ages.read_utkface`.
        flaws: Not used: what the names do not say is passed over and told.
        levels: First and last age of each class, e.g. ``[[0, 2], [3, 10]]``; unset: every age is a class.

    Raises:
        DataFormatError: Nothing to read.
        MongeError: Levels that are none.
    """
    faces = named_ages.read_utkface(folder)
    labels, kept, classes, positions = _age_classes(faces.ages, levels, "utkface")
    # Drawn from all ages, so that the parts are the same whatever the levels; by decade, because some ages are rare.
    place_of = np.cumsum(kept) - 1
    train, val, test = (place_of[part[kept[part]]] for part in parts_at_random(faces.ages // 10))
    found, whole = len(faces.paths) + len(faces.passed_over), named_ages.UTKFACE_COUNT
    return Listing(
        paths=[faces.paths[place] for place in np.flatnonzero(kept)],
        labels=labels,
        parts=(train, val, test),
        classes=classes,
        positions=positions,
        split=f"test is 20 % of every decade of age, val 10 % of the rest ({DRAWN}); not a published split",
        remarks=_age_remarks(faces, kept),
        lacks="" if found == whole else f"{found:,} of {whole:,} aligned faces",
    )


def _age_classes(
    ages: NDArray[np.int64], levels: Sequence[Sequence[int]] | None, name: str
) -> tuple[NDArray[np.int64], NDArray[np.bool_], tuple[str, ...], tuple[float, ...]]:
    """Classes of the ages that have one, which ages these are, names and places of the classes."""
    if levels is None:
        first, last = int(ages.min()), int(ages.max())
        years = range(first, last + 1)
        return ages - first, np.ones(len(ages), bool), tuple(map(str, years)), tuple(map(float, years))
    ranges = _ranges(levels, name)
    starts, ends = np.array(ranges).T
    place = np.searchsorted(starts, ages, side="right") - 1
    kept = (place >= 0) & (ages <= ends[np.maximum(place, 0)])
    names = tuple(str(first) if first == last else f"{first}-{last}" for first, last in ranges)
    return place[kept].astype(np.int64), kept, names, _midpoints(ranges)


def _ranges(levels: Sequence[Sequence[int]], name: str) -> list[tuple[int, int]]:
    """The levels as pairs, checked to increase."""
    try:
        ranges = [(int(first), int(last)) for first, last in levels]
        flat = [age for pair in ranges for age in pair]
        rising = all(first <= last for first, last in ranges)
        apart = all(before[1] < after[0] for before, after in pairwise(ranges))
        whole = flat == [age for pair in levels for age in pair]
        good = len(ranges) >= 2 and rising and apart and whole and ranges[-1][1] <= _OLDEST
    except (TypeError, ValueError):
        good = False
    if not good:
        expected = "two or more pairs of first and last age that rise, e.g. [[0, 2], [3, 10], [11, 120]]"
        raise MongeError(f"{name}: found levels={levels!r}, expected {expected}")
    return ranges


def _midpoints(ranges: Sequence[tuple[int, int]]) -> tuple[float, ...]:
    return tuple((first + last) / 2 for first, last in ranges)


def _adience_remarks(faces: adience.AdienceFaces, stray: str) -> tuple[str, ...]:
    """What became of the rows whose age is none of the groups."""
    told = [f"dropped rows without an age: {faces.unlabelled:,}"] if faces.unlabelled else []
    mapped = {age: count for age, count in faces.stray.items() if stray == "map" and adience.STRAY[age] is not None}
    dropped = {age: count for age, count in faces.stray.items() if age not in mapped}
    for verb, ages in (("dropped", dropped), ("mapped to the nearest group", mapped)):
        if ages:
            each = ", ".join(f"{age}: {count}" for age, count in Counter(ages).most_common())
            told.append(f"{verb} rows with a stray age: {sum(ages.values()):,} ({each})")
    return (*told, *_repeated(faces.repeated))


def _age_remarks(faces: named_ages.NamedAges, kept: NDArray[np.bool_]) -> tuple[str, ...]:
    told = []
    if faces.passed_over:
        names = ", ".join(map(shown, faces.passed_over[:_NAMED])) + " ..." * (len(faces.passed_over) > _NAMED)
        told.append(f"passed over names that do not tell the age: {len(faces.passed_over):,} ({names})")
    if not kept.all():
        told.append(f"dropped faces of an age in no level: {int((~kept).sum()):,}")
    return tuple(told)


def _repeated(count: int) -> tuple[str, ...]:
    return (f"dropped entries given twice: {count:,}",) if count else ()


def _interleaved(found: tuple[int, ...], whole: tuple[int, ...]) -> list[str]:
    return [f"{value:,}" for pair in zip(found, whole, strict=True) for value in pair]
