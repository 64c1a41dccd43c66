"""The protocol files of IJB-B and IJB-C: pictures of templates, pairs of templates, galleries; read in pieces."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.places import text_lines
from monge.data.formats.sniff import open_data, shown
from monge.errors import DataFormatError

Integers = NDArray[np.int64]
_CHUNK = 1 << 25
_MAX_LINE = 1 << 16
_PICTURES = "lines 'picture template medium'"
_PAIRS = "lines 'template template 0|1'"
_POINTS = "lines 'picture x1 y1 ... x5 y5 score'"


@dataclass(frozen=True)
class IjbPictures:
    """Which template and medium each picture belongs to (``ijbc_face_tid_mid.txt``).

    Args:
        names: Files of the loose crops.
        templates: Template of each, int64 ``(N,)``.
        media: Medium of each, a picture or the frames of a video, int64 ``(N,)``.
    """

    names: list[str]
    templates: Integers
    media: Integers


@dataclass(frozen=True)
class IjbPairs:
    """Pairs of templates (``ijbc_template_pair_label.txt``).

    Args:
        first: First template of each, int32 ``(P,)``.
        second: Its second one.
        same: Whether both show the same person, bool ``(P,)``.
    """

    first: NDArray[np.int32]
    second: NDArray[np.int32]
    same: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.same)


@dataclass(frozen=True)
class IjbPoints:
    """Landmarks and detection scores (``ijbc_name_5pts_score.txt``).

    Args:
        names: Files of the loose crops.
        landmarks: float32 ``(N, 5, 2)``.
        scores: Of the detector, which weigh the pictures of a template, float32 ``(N,)``.
    """

    names: list[str]
    landmarks: NDArray[np.float32]
    scores: NDArray[np.float32]


def read_ijb_pictures(path: str | Path) -> IjbPictures:
    """Reads ``ijbb_face_tid_mid.txt`` or ``ijbc_face_tid_mid.txt``.

    Args:
        path: The file.

    Raises:
        DataFormatError: A line of another form.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "ijbc_face_tid_mid.txt"
        >>> _ = file.write_text("1.jpg 1 69544\\n2.jpg 1 69544\\n")
        >>> read = read_ijb_pictures(file)
        >>> read.names, read.templates.tolist(), read.media.tolist()
        (['1.jpg', '2.jpg'], [1, 1], [69544, 69544])
    """
    path = Path(path)
    names, numbers = [], []
    for number, line in text_lines(path, _PICTURES):
        cells = line.split()
        if len(cells) != 3 or not all(cell.isdecimal() and len(cell) < 19 for cell in cells[1:]):
            raise DataFormatError(shown(path), f"line {number}", repr(line[:60]), _PICTURES)
        names.append(cells[0])
        numbers.append((int(cells[1]), int(cells[2])))
    table = np.array(numbers, np.int64).reshape(-1, 2)
    return IjbPictures(names, table[:, 0].copy(), table[:, 1].copy())


def read_ijb_pairs(path: str | Path, *, templates: Integers | None = None, chunk: int = _CHUNK) -> IjbPairs:
    """Reads ``ijbb_template_pair_label.txt`` or ``ijbc_template_pair_label.txt``, 15.7 million lines of the latter.

    Args:
        path: The file.
        templates: Known templates, of which both sides must be; ``None``: not checked.
        chunk: Bytes of text that are looked at at once.

    Raises:
        DataFormatError: A line of another form, a template without pictures, or only one kind of pairs.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "ijbc_template_pair_label.txt"
        >>> _ = file.write_text("1 11065 1\\n1 11066 0\\n")
        >>> pairs = read_ijb_pairs(file)
        >>> pairs.second.tolist(), pairs.same.tolist()
        ([11065, 11066], [True, False])
    """
    path = Path(path)
    parts = list(ijb_pair_chunks(path, templates=templates, chunk=chunk))
    if not parts:
        raise DataFormatError(shown(path), "", "no lines", _PAIRS, "fetch the file again")
    first, second, same = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    if same.all() or not same.any():
        found = f"{int(same.sum()):,} genuine pairs of {len(same):,}"
        raise DataFormatError(shown(path), "", found, "genuine pairs and impostors", "fetch the file again")
    return IjbPairs(first, second, same)


def ijb_pair_chunks(
    path: Path, *, templates: Integers | None = None, chunk: int = _CHUNK
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.bool_]]]:
    """Pairs of templates piece by piece, so that scores of them need never be in memory together.

    Args:
        path: As for :func:`read_ijb_pairs`.
        templates: As there.
        chunk: As there.

    Yields:
        First and second template and whether both show the same person.

    Raises:
        DataFormatError: A line of another form, or a template without pictures.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "pairs.txt"
        >>> _ = file.write_text("1 2 1\\n1 3 0\\n2 3 0\\n")
        >>> [first.tolist() for first, _, _ in ijb_pair_chunks(file, chunk=8)]
        [[1], [1], [2]]
    """
    known = None if templates is None else np.unique(templates)
    lines = 0
    with open_data(path, _PAIRS) as (stream, _):
        rest, block = b"", b"\n"
        while block:
            block = stream.read(chunk)
            content, mark, rest = (rest + block).rpartition(b"\n") if block else (rest, b"", b"")
            if len(rest) > _MAX_LINE:
                raise DataFormatError(shown(path), f"line {lines + 1}", "no line end", _PAIRS, "is it another file?")
            if content.strip():
                table = _triples(path, content, lines)
                if known is not None:
                    _check_known(path, table[:, :2], known, lines)
                yield table[:, 0].astype(np.int32), table[:, 1].astype(np.int32), table[:, 2] == 1
            lines += content.count(b"\n") + len(mark)


def _triples(path: Path, content: bytes, before: int) -> Integers:
    plain = not content.translate(None, b"0123456789 \t\r\n")
    table = np.fromstring(content.decode("ascii"), dtype=np.int64, sep=" ") if plain else np.empty(0, np.int64)
    lines = content.count(b"\n") + 1
    if len(table) == 3 * lines:
        table = table.reshape(-1, 3)
        if table.max() < 1 << 31 and table[:, 2].max() <= 1:
            return table
    # Something is wrong, or lines are empty: line by line.
    rows = []
    for number, line in enumerate(content.split(b"\n"), start=before + 1):
        cells = line.split()
        if not cells:
            continue
        good = len(cells) == 3 and all(cell.isdigit() and len(cell) < 11 for cell in cells)
        if not good or max(map(int, cells)) >= 1 << 31 or int(cells[2]) > 1:
            found = repr(line[:60].decode("latin1"))
            raise DataFormatError(shown(path), f"line {number}", found, _PAIRS, "is it the file of pairs?")
        rows.append([int(cell) for cell in cells])
    return np.array(rows, np.int64).reshape(-1, 3)


def _check_known(path: Path, pairs: Integers, known: Integers, before: int) -> None:
    places = np.minimum(np.searchsorted(known, pairs), len(known) - 1)
    wrong = np.argwhere(known[places] != pairs)
    if wrong.size:
        row, side = wrong[0]
        found = f"template {pairs[row, side]}"
        expected = "templates that have pictures"
        raise DataFormatError(
            shown(path), f"line {before + row + 1}", found, expected, "do both files belong to one data set?"
        )


def read_ijb_points(path: str | Path) -> IjbPoints:
    """Reads ``ijbb_name_5pts_score.txt`` or ``ijbc_name_5pts_score.txt``.

    Args:
        path: The file.

    Raises:
        DataFormatError: A line of another form, numbers that are not finite, or a negative score.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "ijbc_name_5pts_score.txt"
        >>> _ = file.write_text("1.jpg 1 2 3 2 2 3 1 4 3 4 0.99\\n")
        >>> points = read_ijb_points(file)
        >>> points.landmarks.shape, round(float(points.scores[0]), 2)
        ((1, 5, 2), 0.99)
    """
    path = Path(path)
    names, rows = [], []
    for number, line in text_lines(path, _POINTS):
        name, *cells = line.split()
        try:
            values = [float(cell) for cell in cells]
        except ValueError:
            values = []
        if len(values) != 11 or not np.isfinite(values).all() or values[10] < 0:
            raise DataFormatError(shown(path), f"line {number}", repr(line[:60]), _POINTS)
        names.append(name)
        rows.append(values)
    table = np.array(rows, np.float32).reshape(-1, 11)
    return IjbPoints(names, table[:, :10].reshape(-1, 5, 2).copy(), table[:, 10].copy())


def read_ijb_people(path: str | Path) -> tuple[Integers, Integers]:
    """Reads a gallery or the probes of the search (``ijbc_1N_gallery_G1.csv``, ``ijbc_1N_probe_mixed.csv``).

    Args:
        path: The file, whose first two columns are template and subject.

    Returns:
        Template and subject of each template once, int64 ``(T,)``.

    Raises:
        DataFormatError: No such columns, or a template of two people.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "ijbc_1N_gallery_G1.csv"
        >>> _ = file.write_text("TEMPLATE_ID,SUBJECT_ID,FILENAME\\n7,3,img/1.jpg\\n7,3,img/2.jpg\\n9,4,img/3.jpg\\n")
        >>> [values.tolist() for values in read_ijb_people(file)]
        [[7, 9], [3, 4]]
    """
    path = Path(path)
    expected = "columns TEMPLATE_ID,SUBJECT_ID and others"
    subject_of: dict[int, int] = {}
    for row, (number, line) in enumerate(text_lines(path, expected)):
        cells = [cell.strip() for cell in next(csv.reader([line]))]
        if row == 0 and not cells[0].isdecimal():
            continue
        if len(cells) < 2 or not all(cell.isdecimal() and len(cell) < 19 for cell in cells[:2]):
            raise DataFormatError(shown(path), f"line {number}", repr(line[:60]), expected)
        template, subject = int(cells[0]), int(cells[1])
        if subject_of.setdefault(template, subject) != subject:
            found = f"template {template} of subjects {subject_of[template]} and {subject}"
            raise DataFormatError(shown(path), f"line {number}", found, "one subject for a template")
    if not subject_of:
        raise DataFormatError(shown(path), "", "no templates", expected)
    return np.array(list(subject_of), np.int64), np.array(list(subject_of.values()), np.int64)
