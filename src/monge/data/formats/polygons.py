"""Tables of numbers out of lines of text, and triangles out of polygons: what OFF and OBJ files have in common.

What is as it should be goes through NumPy's parser in one piece; a second look, line by line, finds where it is not.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.sniff import shown
from monge.errors import DataFormatError

LineOf = Callable[[int], int]


def table_of(lines: Sequence[bytes], dtype: type, columns: Sequence[int] | None = None) -> NDArray[Any] | None:
    """Numbers of lines that have equally many, or ``None`` if any line is otherwise.

    Args:
        lines: Text, numbers between blanks.
        dtype: ``float`` or ``np.int64``.
        columns: Which numbers of each line; ``None``: all, and then no line may have more than another.

    Example:
        >>> table_of([b"1 2 3", b"4 5 6"], np.int64, (0, 2)).tolist(), table_of([b"1 2", b"3"], float)
        ([[1, 3], [4, 6]], None)
    """
    if not lines:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return np.loadtxt(lines, dtype, comments=None, usecols=columns, ndmin=2, encoding="latin-1")
        except (ValueError, Warning):
            return None


def read_points(path: Path, lines: Sequence[bytes], line_of: LineOf, skip: int = 0) -> NDArray[np.float64]:
    """Coordinates from lines.

    Args:
        path: The file, for the error messages.
        lines: Three numbers or more each; the first three count.
        line_of: Line of the file that an entry of ``lines`` stands on, from 1.
        skip: Words before the numbers.

    Returns:
        float64 ``(N, 3)``, all finite.

    Raises:
        DataFormatError: A line has fewer numbers, a word is no number, or a number is NaN or infinite; names the line.

    Example:
        >>> read_points(Path("a.off"), [b"0 1 2.5"], lambda row: row + 3).tolist()
        [[0.0, 1.0, 2.5]]
    """
    points: NDArray[np.float64] | None = table_of(lines, float, range(skip, skip + 3))
    if points is None:
        points = np.empty((len(lines), 3))
        for row, line in enumerate(lines):
            words = line.split()[skip : skip + 3]
            if len(words) < 3:
                raise _bad_line(path, line_of(row), f"a vertex of {len(words)} numbers", "x, y and z")
            points[row] = [_number(path, line_of(row), word, float, "a number for a coordinate") for word in words]
    wrong = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if wrong.size:
        values = " ".join(f"{value:g}" for value in points[wrong[0]])
        raise _bad_line(path, line_of(int(wrong[0])), f"a vertex at {values}", "finite coordinates")
    return points


def read_polygons(
    path: Path, rows: Sequence[Sequence[bytes]], line_of: LineOf
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices from the words of lines that may differ in length.

    Args:
        path: The file, for the error messages.
        rows: The words of each polygon.
        line_of: Line of the file that a row stands on, from 1.

    Returns:
        The indices of all rows behind each other, and the number of them in each row; both int64.

    Raises:
        DataFormatError: A row has fewer than three words, or a word is no whole number; names the line.

    Example:
        >>> read_polygons(Path("a.off"), [[b"0", b"1", b"2"], [b"3", b"2", b"1", b"0"]], lambda row: row + 3)
        (array([0, 1, 2, 3, 2, 1, 0]), array([3, 4]))
    """
    sizes = np.fromiter(map(len, rows), np.int64, len(rows))
    table = table_of([b" ".join(word for words in rows for word in words)], np.int64)
    if table is not None and (sizes >= 3).all():
        return table[0], sizes
    indices: list[int] = []
    for row, words in enumerate(rows):
        if len(words) < 3:
            raise _bad_line(path, line_of(row), f"a face of {len(words)} vertices", "at least 3")
        indices += [_number(path, line_of(row), word, _index, "a whole number for a vertex") for word in words]
    return np.array(indices, np.int64), sizes


def fan(indices: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cuts polygons into triangles that all share the first corner of theirs.

    Args:
        indices: Corners of all polygons behind each other, ``(sizes.sum(),)``.
        sizes: Corners of each polygon, at least 3, ``(P,)``.

    Returns:
        int64 ``(F, 3)``, in the order of the polygons.

    Example:
        >>> fan(np.array([0, 1, 2, 3, 7, 8, 9]), np.array([4, 3])).tolist()
        [[0, 1, 2], [0, 2, 3], [7, 8, 9]]
    """
    if (sizes == 3).all():
        return indices.reshape(-1, 3)
    starts = np.cumsum(sizes) - sizes
    polygon = np.repeat(np.arange(len(sizes)), sizes - 2)  # of each triangle
    first = np.cumsum(sizes - 2) - (sizes - 2)
    step = np.arange(len(polygon)) - first[polygon]
    corners = starts[polygon]
    return np.stack([indices[corners], indices[corners + step + 1], indices[corners + step + 2]], axis=1)


def _index(word: bytes) -> int:
    value = int(word)
    if abs(value) >= 1 << 62:
        raise ValueError(word)
    return value


def _number(path: Path, line: int, word: bytes, parse: Callable[[bytes], Any], expected: str) -> Any:
    try:
        return parse(word)
    except ValueError:
        raise _bad_line(path, line, quoted(word), expected) from None


def quoted(word: bytes) -> str:
    """The beginning of some text of a file, so that it can be printed.

    Example:
        >>> quoted(b"caf\\xe9")
        "'café'"
    """
    return repr(word[:40].decode("latin-1"))


def _bad_line(path: Path, line: int, found: str, expected: str) -> DataFormatError:
    return DataFormatError(shown(path), f"line {line}", found, expected)
