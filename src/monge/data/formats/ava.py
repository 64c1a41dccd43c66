"""AVA (Murray, Marchesotti, Perronnin 2012): photographs with the votes from 1 to 10 that people gave them.

The layout: ``AVA.txt`` with 15 whole numbers a line (index, id of the picture, votes for 1 to 10, two tags, challenge),
the pictures ``<id>.jpg`` in ``images/`` or ``image/``, and in ``aesthetics_image_lists/`` lists of ids, of which
``generic_ls_train.jpgl`` and ``generic_test.jpgl`` are the split that most papers name.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.flaws import Flaws
from monge.data.formats.places import find_place, text_lines
from monge.data.formats.sniff import names_in, shown
from monge.errors import DataFormatError

ANNOTATIONS = "AVA.txt"
ROWS = 255_530
GRADES = 10
LIST_FOLDER = "aesthetics_image_lists"
LISTS = {"train": "generic_ls_train.jpgl", "test": "generic_test.jpgl"}
LIST_COUNTS = (235_599, 19_930)
PICTURE_FOLDERS = ("images", "image", ".")
_NUMBERS = 15
_LARGEST = 10**12


@dataclass(frozen=True)
class Ava:
    """The pictures that can be used.

    Args:
        rows: Lines of ``AVA.txt``.
        ids: Number of each picture.
        paths: Its file.
        votes: How many gave each grade, int64 ``(N, 10)``; every row has some.
        listed: Ids of all lines, of those too that cannot be used.
    """

    rows: int
    ids: NDArray[np.int64]
    paths: list[Path]
    votes: NDArray[np.int64]
    listed: frozenset[int]


@dataclass(frozen=True)
class AvaLists:
    """The generic lists.

    Args:
        train: Positions of the training pictures, ascending.
        test: Positions of the test pictures, ascending.
        unknown: Ids in the lists that ``AVA.txt`` does not have.
    """

    train: NDArray[np.int64]
    test: NDArray[np.int64]
    unknown: int


def read_ava(folder: str | Path, flaws: Flaws) -> Ava:
    """Reads ``AVA.txt`` and finds the pictures.

    Args:
        folder: Where ``AVA.txt`` is, with the pictures in ``images/``, ``image/`` or beside it.
        flaws: Takes broken lines, negative votes, lines without votes, ids with two sets of votes and missing pictures;
            settled before this returns.

    Raises:
        DataFormatError: The file is missing or entries are bad.

    Example:
        >>> import tempfile
        >>> from monge.data.synthetic.ordinal_layouts import write_fake_ava
        >>> write_fake_ava(root := tempfile.mkdtemp(), train=8, test=2)
        >>> read_ava(root, Flaws(strict=True)).votes.shape
        (10, 10)
    """
    place = find_place(folder, lambda place: os.path.isfile(place / ANNOTATIONS), ANNOTATIONS)
    pictures = _picture_folder(place)
    there = set(names_in(pictures))
    votes: dict[int, list[int]] = {}
    listed: set[int] = set()
    rows = 0
    for number, line in text_lines(place / ANNOTATIONS, ANNOTATIONS):
        rows += 1
        entry = _entry(place / ANNOTATIONS, f"line {number}", line, flaws)
        if entry is None:
            continue
        id_, mine = entry
        listed.add(id_)
        if mine is not None and (before := votes.setdefault(id_, mine)) != mine:
            found = f"the votes {mine} for {id_}"
            flaws.note("pictures listed twice", place / ANNOTATIONS, f"line {number}", found, f"{before} as before")
    for id_ in [id_ for id_ in votes if f"{id_}.jpg" not in there]:
        expected = f"every picture that {ANNOTATIONS} lists"
        flaws.note("missing pictures", pictures / f"{id_}.jpg", "", "no such file", expected)
        del votes[id_]
    flaws.settle()
    return Ava(
        rows=rows,
        ids=np.array(list(votes), np.int64),
        paths=[pictures / f"{id_}.jpg" for id_ in votes],
        votes=np.array(list(votes.values()), np.int64).reshape(-1, GRADES),
        listed=frozenset(listed),
    )


def read_ava_lists(folder: str | Path, pictures: Ava, flaws: Flaws) -> AvaLists | None:
    """Reads the generic lists of training and test pictures.

    Args:
        folder: As for :func:`read_ava`.
        pictures: What that gave.
        flaws: Takes broken lines and ids that are in both lists, which stay in the test list; settled before this
            returns.

    Returns:
        The lists, or ``None`` if there are none.

    Raises:
        DataFormatError: One of the two lists is missing, or entries are bad.

    Example:
        >>> import tempfile
        >>> from monge.data.synthetic.ordinal_layouts import write_fake_ava
        >>> write_fake_ava(root := tempfile.mkdtemp(), train=8, test=2)
        >>> lists = read_ava_lists(root, read_ava(root, Flaws(strict=True)), Flaws(strict=True))
        >>> len(lists.train), len(lists.test), lists.unknown
        (8, 2, 0)
    """
    place = find_place(folder, lambda place: os.path.isfile(place / ANNOTATIONS), ANNOTATIONS)
    roots = (place / LIST_FOLDER, place)
    files = {part: _first_file(roots, name) for part, name in LISTS.items()}
    if not any(files.values()):
        return None
    position = {int(id_): index for index, id_ in enumerate(pictures.ids)}
    parts: dict[str, NDArray[np.int64]] = {}
    taken: set[int] = set()
    for part in ("test", "train"):
        file = files[part]
        if file is None:
            expected = "both lists, or none for a random split"
            raise DataFormatError(shown(place), "", f"no {LISTS[part]}", expected, "the two lists belong together")
        ids = _ids(file, flaws, taken)
        taken |= ids
        parts[part] = np.array(sorted(position[id_] for id_ in ids if id_ in position), np.int64)
    flaws.settle()
    return AvaLists(parts["train"], parts["test"], len(taken - pictures.listed))


def _picture_folder(place: Path) -> Path:
    """The first folder with pictures named by numbers in it."""
    for name in PICTURE_FOLDERS:
        if any(entry[:-4].isdigit() and entry.endswith(".jpg") for entry in names_in(place / name)):
            return place / name
    expected = "pictures <id>.jpg in images/, image/ or beside AVA.txt"
    raise DataFormatError(shown(place), "", "no pictures", expected, "unpack them there")


def _first_file(roots: tuple[Path, ...], name: str) -> Path | None:
    return next((root / name for root in roots if os.path.isfile(root / name)), None)


def _entry(file: Path, where: str, line: str, flaws: Flaws) -> tuple[int, list[int] | None] | None:
    """Id and votes of a line, ``None`` for votes that cannot be used and for a line that cannot be read."""
    try:
        numbers = [int(cell) for cell in line.split()]
    except ValueError:
        numbers = []
    if len(numbers) != _NUMBERS or max(map(abs, numbers)) > _LARGEST:
        expected = "15 whole numbers: index, id, ten votes, two tags, challenge"
        flaws.note("broken lines", file, where, repr(line.strip()[:80]), expected)
        return None
    votes = numbers[2 : 2 + GRADES]
    if min(votes) < 0:
        flaws.note("lines with negative votes", file, where, f"the votes {votes}", "none below 0")
    elif not any(votes):
        flaws.note("lines without votes", file, where, "no vote at all", "at least one")
    else:
        return numbers[1], votes
    return numbers[1], None


def _ids(file: Path, flaws: Flaws, taken: set[int]) -> set[int]:
    """Ids of a list that are in no list read before."""
    ids: set[int] = set()
    for number, line in text_lines(file, "a list of ids"):
        cells = line.split()
        digits = cells[0].removesuffix(".jpg")
        if not (digits.isascii() and digits.isdecimal() and len(digits) < len(str(_LARGEST))):
            flaws.note("broken lines", file, f"line {number}", repr(line.strip()[:80]), "the id of a picture")
            continue
        id_ = int(digits)
        if id_ in taken:
            found = f"{id_}, which is in {LISTS['test']} as well"
            flaws.note("pictures in both lists", file, f"line {number}", found, "another picture")
            continue
        ids.add(id_)
    return ids
