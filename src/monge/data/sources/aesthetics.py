"""Photographs by how they please: AADB with its scores, AVA with its votes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from monge.data.formats import aadb, ava
from monge.data.formats.flaws import Flaws
from monge.data.sources.listed_images import DRAWN, VAL_FRACTION, Listing, Positions, parts_at_random
from monge.data.splits import split_by_fraction
from monge.errors import MongeError

_SPLITS = ("generic", "random")


def list_aadb(
    folder: Path, flaws: Flaws, *, levels: int = 6, pictures: str | None = None, test_list: str = "new"
) -> Listing:
    """AADB with its three lists; a score becomes the level ``round((levels - 1) * score)``, halves upwards.

    Args:
        folder: See :func:`~monge.data.formats.aadb.read_aadb`.
        flaws: Takes what is wrong with single entries.
        levels: Number of classes; 6: ``round(5 * score)``, the usual binning.
        pictures: ``"originalSize"`` or ``"warp256"``; unset: what is there.
        test_list: ``"new"`` or ``"old"``.

    Raises:
        DataFormatError: Files are missing or bad.
        MongeError: An option that there is not.
    """
    if type(levels) is not int or not 2 <= levels <= 101:
        raise MongeError(f"aadb: found levels={levels!r}, expected a whole number from 2 to 101")
    lists = aadb.read_aadb(folder, flaws, pictures=pictures, test_list=test_list)
    parts = (lists.train, lists.val, lists.test)
    ends = np.cumsum([len(part.paths) for part in parts])
    train, val, test = np.split(np.arange(ends[-1], dtype=np.int64), ends[:-1])
    scores = np.array([score for part in parts for score in part.scores])
    found = tuple(len(part.paths) for part in parts)
    told = "{:,}, {:,} and {:,} of {:,}, {:,} and {:,} pictures".format(*found, *aadb.COUNTS)
    places = tuple(level / (levels - 1) for level in range(levels))
    return Listing(
        paths=[path for part in parts for path in part.paths],
        labels=np.floor((levels - 1) * scores + 0.5).astype(np.int64),
        parts=(train, val, test),
        classes=tuple(f"{place:.2g}" for place in places),
        positions=places,
        split=f"the data set's own three lists, the {test_list} one for test",
        edition=lists.pictures,
        remarks=(f"level = round({levels - 1} * score)",),
        lacks="" if found == aadb.COUNTS else told,
    )


def list_ava(folder: Path, flaws: Flaws, *, split: str | None = None) -> Listing:
    """AVA; targets are the shares of the votes, labels their mean, rounded (halves upwards).

    Args:
        folder: See :func:`~monge.data.formats.ava.read_ava`.
        flaws: Takes what is wrong with single entries.
        split: ``"generic"`` for the lists of training and test pictures, ``"random"`` for a fixed draw of 80 % and
            20 %; unset: the lists if they are there.

    Raises:
        DataFormatError: Files are missing or bad.
        MongeError: An option that there is not, or the lists are asked for and missing.
    """
    if split not in (None, *_SPLITS):
        raise MongeError(f"ava: found split={split!r}, expected one of {', '.join(_SPLITS)}")
    found = ava.read_ava(folder, flaws)
    lists = None if split == "random" else ava.read_ava_lists(folder, found, flaws)
    if lists is None and split == "generic":
        wanted = " and ".join(f"{ava.LIST_FOLDER}/{name}" for name in ava.LISTS.values())
        raise MongeError(f"ava: {folder} has no {wanted}: put them there, or choose split=random")
    shares = found.votes / found.votes.sum(axis=1, keepdims=True)
    means = shares @ np.arange(1, ava.GRADES + 1)
    labels = np.floor(means + 0.5).astype(np.int64) - 1
    parts, how, remarks = _parts(labels, lists)
    grades = range(1, ava.GRADES + 1)
    return Listing(
        paths=found.paths,
        labels=labels,
        parts=parts,
        classes=tuple(map(str, grades)),
        positions=tuple(map(float, grades)),
        split=how,
        remarks=("targets are the shares of the votes, labels their rounded mean", *remarks),
        lacks="" if found.rows == ava.ROWS else f"{found.rows:,} of {ava.ROWS:,} lines",
        targets=shares.astype(np.float32),
    )


def _parts(
    labels: Positions, lists: ava.AvaLists | None
) -> tuple[tuple[Positions, Positions, Positions], str, tuple[str, ...]]:
    """Training, validation and test positions, how they were made, and what fell to none of them."""
    if lists is None:
        train, val, test = parts_at_random(labels)
        how = f"test is a random 20 %, val 10 % of the rest, by label ({DRAWN}); not a list of AVA's"
        return (train, val, test), how, ()
    stay, aside = split_by_fraction(labels[lists.train], VAL_FRACTION)
    how = f"{' and '.join(ava.LISTS.values())}; val is 10 % of every label of training ({DRAWN})"
    remarks = []
    if neither := len(labels) - len(lists.train) - len(lists.test):
        remarks.append(f"dropped pictures in neither list: {neither:,}")
    if lists.unknown:
        remarks.append(f"passed over ids of the lists that {ava.ANNOTATIONS} does not have: {lists.unknown:,}")
    return (lists.train[stay], lists.train[aside], lists.test), how, tuple(remarks)
