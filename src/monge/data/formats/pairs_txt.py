"""Lists of pairs as text: LFW's ``pairs.txt`` and its kin, and the lists of two files and a flag.

LFW counts pictures of a person from 1. Its list has a head of the number of folds and of genuine pairs in each (10 and
300), or of the number of pairs alone (``pairsDevTrain.txt``), then for each fold lines ``name n1 n2`` of genuine pairs
and lines ``nameA nA nameB nB`` of impostors. CALFW and CPLFW have a line for each picture, ``file flag``, two lines a
pair, 1 or a fold's number from 1 on for the genuine and 0 for impostors; other lists have ``file1 file2 flag``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.places import text_lines
from monge.data.formats.sniff import shown
from monge.data.formats.verification_bin import FOLDS, check_folds, contiguous_folds
from monge.errors import DataFormatError

_EXPECTED = "a list of pairs"
_FORMS = "name n1 n2, nameA nA nameB nB, file1 file2 flag, or file flag"
Picture = str | tuple[str, int]
"""The name of a file, or of a person with a number."""


@dataclass(frozen=True)
class ListedPairs:
    """A list of pairs as it stands.

    Args:
        first: First picture of each pair: the name of a file, or of a person with a number.
        second: Its second one.
        same: Whether both show the same person, bool ``(P,)``.
        folds: Fold of each, from 0, int64 ``(P,)``.
        lines: Line of each in the file, from 1.
    """

    first: list[Picture]
    second: list[Picture]
    same: NDArray[np.bool_]
    folds: NDArray[np.int64]
    lines: list[int]

    def __len__(self) -> int:
        return len(self.lines)


def read_pairs_txt(path: str | Path, *, folds: int = FOLDS) -> ListedPairs:
    """Reads a list of pairs in any of these forms.

    Args:
        path: The file.
        folds: Number of folds where the head does not tell it; the pairs are parted in their order. A list of fewer
            pairs, or one that a fold would leave without genuine pairs or impostors, is one fold.

    Raises:
        DataFormatError: A line of no such form, other numbers than the head tells, a pair of a picture with itself, or
            a fold with only genuine pairs or only impostors.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "pairs.txt"
        >>> _ = file.write_text("1\\t1\\nAnn_Lee\\t1\\t2\\nAnn_Lee\\t1\\tBob_Ray\\t3\\n")
        >>> pairs = read_pairs_txt(file)
        >>> pairs.first, pairs.second[1], pairs.same.tolist()
        ([('Ann_Lee', 1), ('Ann_Lee', 1)], ('Bob_Ray', 3), [True, False])
    """
    path = Path(path)
    rows = [(number, _cells(line)) for number, line in text_lines(path, _EXPECTED)]
    if not rows:
        raise DataFormatError(shown(path), "", "no lines", _EXPECTED, f"lines are {_FORMS}")
    head = rows[0][1]
    if len(head) in (1, 2) and all(cell.isdecimal() for cell in head):
        return _with_head(path, [int(cell) for cell in head], rows[0][0], rows[1:])
    if len(head) == 2:
        return _picture_by_picture(path, rows, folds)
    first, second, same, lines = _parsed(path, rows)
    return ListedPairs(first, second, same, _folds(path, same, folds), lines)


def _cells(line: str) -> list[str]:
    """Parted by tabs, or else by commas, or by blanks; names of files may have blanks in them where tabs part."""
    for mark in ("\t", ","):
        if mark in line:
            return [cell.strip() for cell in line.split(mark) if cell.strip()]
    return line.split()


def _with_head(path: Path, head: list[int], number: int, rows: list[tuple[int, list[str]]]) -> ListedPairs:
    """LFW's own form."""
    sets, each = (head[0], head[1]) if len(head) == 2 else (1, head[0])
    first, second, same, lines = _parsed(path, rows)
    if len(same) != 2 * sets * each or not len(same):
        told = f"{sets} folds of {each}" if len(head) == 2 else f"{each}"
        expected = f"{2 * sets * each:,}: {told} genuine pairs and as many impostors, as line {number} says"
        raise DataFormatError(shown(path), "", f"{len(same):,} pairs", expected, "fetch the file again")
    place = np.arange(len(same))
    folds = place // (2 * each)
    wrong = np.flatnonzero(same != (place % (2 * each) < each))
    if wrong.size:
        kind = "a genuine pair" if same[wrong[0]] else "two people"
        expected = f"{each} genuine pairs and then {each} impostors in every fold"
        raise DataFormatError(shown(path), f"line {lines[wrong[0]]}", kind, expected, "are lines missing above?")
    return ListedPairs(first, second, same, folds, lines)


def _parsed(
    path: Path, rows: Sequence[tuple[int, list[str]]]
) -> tuple[list[Picture], list[Picture], NDArray[np.bool_], list[int]]:
    """Lines of three or four cells."""
    first: list[Picture] = []
    second: list[Picture] = []
    same, lines = [], []
    for number, cells in rows:
        one, other, genuine = _pair(path, number, cells)
        if one == other:
            hint = "such a pair says nothing; take the line out"
            raise DataFormatError(shown(path), f"line {number}", f"{_told(one)} twice", "two pictures", hint)
        first.append(one)
        second.append(other)
        same.append(genuine)
        lines.append(number)
    return first, second, np.array(same, bool), lines


def _pair(path: Path, number: int, cells: list[str]) -> tuple[Picture, Picture, bool]:
    if len(cells) == 4 and cells[1].isdecimal() and cells[3].isdecimal():
        return (cells[0], int(cells[1])), (cells[2], int(cells[3])), cells[0] == cells[2]
    if len(cells) == 3 and cells[1].isdecimal() and cells[2].isdecimal():
        return (cells[0], int(cells[1])), (cells[0], int(cells[2])), True
    if len(cells) == 3 and cells[2] in ("0", "1", "-1"):
        return cells[0], cells[1], cells[2] == "1"
    hint = "put tabs between names with blanks, and leave out a heading"
    raise DataFormatError(shown(path), f"line {number}", _in_words(cells), _FORMS, hint)


def _in_words(cells: list[str]) -> str:
    """What stands in a line, cut to fit one."""
    told = " | ".join(cells)
    return f"{len(cells)} entries ({told if len(told) <= 60 else told[:57] + '...'})"


def _picture_by_picture(path: Path, rows: list[tuple[int, list[str]]], folds: int) -> ListedPairs:
    """Two lines a pair: the form of CALFW and CPLFW."""
    for number, cells in rows:
        if len(cells) != 2 or not cells[1].isdecimal():
            found = repr(" ".join(cells)[:60])
            raise DataFormatError(shown(path), f"line {number}", found, "file flag", "as in the lines above it")
    if len(rows) % 2:
        found = f"{len(rows):,} lines"
        raise DataFormatError(shown(path), "", found, "an even number, two for each pair", "fetch the file again")
    first: list[Picture] = [cells[0] for _, cells in rows[::2]]
    second: list[Picture] = [cells[0] for _, cells in rows[1::2]]
    for (number, (name, flag)), (_, (other, second_flag)) in zip(rows[::2], rows[1::2], strict=True):
        if flag != second_flag:
            found = f"flags {flag} and {second_flag}"
            raise DataFormatError(shown(path), f"line {number}", found, "the same flag on both lines of a pair")
        if name == other:
            raise DataFormatError(shown(path), f"line {number}", f"{shown(name)} twice", "two pictures")
    same = np.array([cells[1] != "0" for _, cells in rows[::2]], bool)
    return ListedPairs(first, second, same, _folds(path, same, folds), [number for number, _ in rows[::2]])


def _folds(path: Path, same: NDArray[np.bool_], folds: int) -> NDArray[np.int64]:
    if len(same) < 2 * folds or _sorted_by_kind(same):
        # All genuine pairs first: parted in this order, a fold would hold one kind alone.
        numbers = np.zeros(len(same), np.int64)
        for kind in (True, False):
            places = np.flatnonzero(same == kind)
            if min(int(same.sum()), int((~same).sum())) >= folds:
                numbers[places] = np.arange(len(places)) * folds // len(places)
        check_folds(path, same, numbers)
        return numbers
    return contiguous_folds(path, same, folds)


def _sorted_by_kind(same: NDArray[np.bool_]) -> bool:
    return int((same[1:] != same[:-1]).sum()) == 1


def _told(picture: Picture) -> str:
    return shown(picture) if isinstance(picture, str) else f"{shown(picture[0])} {picture[1]}"


def resolve_pictures(
    listed: ListedPairs, path: Path, find: Callable[[Picture], int | None], where: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of both pictures of each pair.

    Args:
        listed: The list.
        path: Its file, for the error messages.
        find: Place of a picture, or ``None`` where it is missing.
        where: Where the pictures should be, for the error messages.

    Returns:
        Twice int64 ``(P,)``.

    Raises:
        DataFormatError: A picture is missing; names the first and says how many are.
    """
    sides, missing = [], []
    for pictures in (listed.first, listed.second):
        places = [find(picture) for picture in pictures]
        missing += [(line, picture) for line, picture, place in zip(listed.lines, pictures, places) if place is None]
        sides.append(np.array([-1 if place is None else place for place in places], np.int64))
    if missing:
        line, picture = min(missing, key=lambda entry: entry[0])
        others = f" ({len(missing):,} pictures of the list are missing)" if len(missing) > 1 else ""
        found = f"no picture {_told(picture)}{others}"
        raise DataFormatError(shown(path), f"line {line}", found, f"one in {where}", "is it the folder of this list?")
    return sides[0], sides[1]
