"""AADB (Kong, Shen, Lin, Mech, Fowlkes 2016): photographs with a score from 0 to 1 for how they please.

The layout: three lists (``imgListTrainRegression_score.txt`` and so on) of lines ``<name> <score>``, often with blanks
after them, in the folder itself or in ``imgListFiles_label/``; the pictures in ``datasetImages_originalSize/`` with
those of the new test list in ``AADB_newtest_originalSize/``, or all of them in ``datasetImages_warp256/``.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path

from monge.data.formats.flaws import Flaws
from monge.data.formats.places import find_place, is_plain_name, text_lines
from monge.data.formats.sniff import shown
from monge.errors import DataFormatError, MongeError

LISTS = {
    "train": "imgListTrainRegression_score.txt",
    "val": "imgListValidationRegression_score.txt",
    "test": "imgListTestNewRegression_score.txt",
}
OLD_TEST = "imgListTestRegression_score.txt"
COUNTS = (8_458, 500, 1_000)
LIST_FOLDER = "imgListFiles_label"
PICTURES = {
    "originalSize": ("datasetImages_originalSize", "AADB_newtest_originalSize"),
    "warp256": ("datasetImages_warp256",),
}


@dataclass
class ScoredPictures:
    """One list of AADB.

    Args:
        paths: The pictures.
        scores: Score of each, 0 to 1.
    """

    paths: list[Path] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Aadb:
    """The three lists, and which editions of pictures and test list they are.

    Args:
        train: To learn from.
        val: To choose by.
        test: To report.
        pictures: ``"originalSize"`` or ``"warp256"``.
        test_list: ``"new"`` or ``"old"``.
    """

    train: ScoredPictures
    val: ScoredPictures
    test: ScoredPictures
    pictures: str
    test_list: str


def read_aadb(folder: str | Path, flaws: Flaws, *, pictures: str | None = None, test_list: str = "new") -> Aadb:
    """Reads the three lists and finds their pictures.

    Args:
        folder: Where the lists are, or ``imgListFiles_label/`` with them in it.
        flaws: Takes broken lines, scores outside of 0 to 1, names listed twice or in two lists, and missing pictures;
            settled before this returns. A name in two lists stays in the later one: training gives way to validation,
            both to test.
        pictures: ``"originalSize"`` or ``"warp256"``; ``None``: what is there, the former if both.
        test_list: ``"new"``, or ``"old"`` for the list that circulated before.

    Raises:
        DataFormatError: Lists or pictures are missing or bad.
        MongeError: An option that there is not.

    Example:
        >>> import tempfile
        >>> from monge.data.synthetic.ordinal_layouts import write_fake_aadb
        >>> write_fake_aadb(root := tempfile.mkdtemp(), counts=(6, 2, 2))
        >>> lists = read_aadb(root, Flaws(strict=True))
        >>> lists.pictures, len(lists.train.paths)
        ('originalSize', 6)
    """
    if test_list not in ("new", "old"):
        raise MongeError(f"aadb: found test_list={test_list!r}, expected 'new' or 'old'")
    names = LISTS if test_list == "new" else LISTS | {"test": OLD_TEST}
    place = find_place(folder, lambda place: _list_file(place, names["train"]) is not None, f"AADB's {names['train']}")
    edition, roots = _roots(place, pictures)
    taken: set[str] = set()
    parts = {}
    for part in ("test", "val", "train"):
        file = _list_file(place, names[part])
        if file is None:
            hint = _other_test(place, names) if part == "test" else "the three lists belong together"
            raise DataFormatError(shown(place), "", f"no {names[part]}", "all three lists", hint)
        parts[part] = _read_list(file, roots, taken, flaws)
    flaws.settle()
    return Aadb(parts["train"], parts["val"], parts["test"], edition, test_list)


def _list_file(place: Path, name: str) -> Path | None:
    candidates = (place / name, place / LIST_FOLDER / name)
    return next((path for path in candidates if os.path.isfile(path)), None)


def _other_test(place: Path, names: dict[str, str]) -> str:
    other = {LISTS["test"]: "new", OLD_TEST: "old"}
    there = [f"{name} is there: test_list={word}" for name, word in other.items() if _list_file(place, name)]
    return there[0] if there else "the three lists belong together"


def _roots(place: Path, pictures: str | None) -> tuple[str, list[Path]]:
    """Which edition of the pictures there is, and the folders they are in."""
    if pictures not in (None, *PICTURES):
        raise MongeError(f"aadb: found pictures={pictures!r}, expected 'originalSize' or 'warp256'")
    for edition in (pictures,) if pictures else PICTURES:
        roots = [root / name for root in (place, place.parent) for name in PICTURES[edition]]
        if found := [root for root in roots if os.path.isdir(root)]:
            return edition, found
    wanted = " or ".join(f"{PICTURES[edition][0]}/" for edition in ((pictures,) if pictures else PICTURES))
    raise DataFormatError(shown(place), "", "no pictures", f"a folder {wanted}", "unpack them beside the lists")


def _read_list(file: Path, roots: list[Path], taken: set[str], flaws: Flaws) -> ScoredPictures:
    """The pictures of one list that are not in the lists read before, whose names it adds to."""
    listed, mine = ScoredPictures(), set[str]()
    for number, line in text_lines(file, "a list of AADB"):
        where = f"line {number}"
        name, score = _entry(line)
        if name is None:
            expected = "a name and a score from 0 to 1"
            flaws.note("broken lines", file, where, repr(line.strip()), expected)
        elif not 0 <= score <= 1:
            flaws.note("scores out of range", file, where, f"the score {score:g}", "0 to 1")
        elif name in mine or name in taken:
            again = "twice in this list" if name in mine else "in another list as well"
            flaws.note("pictures listed twice", file, where, f"{name} {again}", "every picture once")
        else:
            mine.add(name)
            path = next((root / name for root in roots if os.path.isfile(root / name)), None)
            if path is None:
                expected = f"every picture that {file.name} lists"
                flaws.note("missing pictures", roots[0] / name, "", "no such file", expected)
                continue
            listed.paths.append(path)
            listed.scores.append(score)
    taken |= mine
    return listed


def _entry(line: str) -> tuple[str | None, float]:
    """Name and score of a line; ``None`` for the name of one that has another form."""
    cells = line.rsplit(maxsplit=1)
    try:
        score = float(cells[1])
    except (IndexError, ValueError):
        return None, 0.0
    name = cells[0].strip()
    return (name if is_plain_name(name) and not math.isnan(score) else None), score
