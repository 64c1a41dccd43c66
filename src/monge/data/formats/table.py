"""What a CSV or Parquet file becomes: named columns of text or numbers, and where in the file each row stood."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_MISSING = frozenset({"", "na", "n/a", "nan", "null", "?"})
_MOST_NAMES = 20


def is_missing(text: str) -> bool:
    """Whether a cell says that there is no value: empty, ``NA``, ``N/A``, ``NaN``, ``null`` or ``?``, in any case.

    Example:
        >>> is_missing("NA"), is_missing("none")
        (True, False)
    """
    return text.lower() in _MISSING


@dataclass(frozen=True)
class TextColumn:
    """A column of text, each distinct text kept once.

    Args:
        values: The distinct texts without blanks around them, in order of first appearance; missing ones are there as
            they were written.
        codes: Position in `values` of each row's text, int64 ``(N,)``.

    Example:
        >>> TextColumn.of(["b", " a", "b "]).values
        ('b', 'a')
    """

    values: tuple[str, ...]
    codes: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Iterable[str]) -> TextColumn:
        """The column of the given texts.

        Args:
            texts: One for each row.
        """
        growing = GrowingTextColumn()
        growing.extend(texts)
        return growing.column()

    @classmethod
    def of_codes(cls, texts: Sequence[str], codes: NDArray[np.int64]) -> TextColumn:
        """The column of texts that are numbered already; those that differ in blanks alone become one.

        Args:
            texts: The distinct ones.
            codes: Which of them each row has, ``(N,)``.
        """
        stripped: dict[str, int] = {}
        renamed = [stripped.setdefault(text.strip(), len(stripped)) for text in texts]
        return cls(tuple(stripped), np.array(renamed, np.int64)[codes])

    def counts(self) -> NDArray[np.int64]:
        """Rows of each distinct text."""
        return np.bincount(self.codes, minlength=len(self.values))

    def first_row(self, value: int) -> int:
        """First row that holds the distinct text of the given position."""
        return int(np.argmax(self.codes == value))


class GrowingTextColumn:
    """A column that is read piece by piece, so that no more than a piece is ever held as text.

    Example:
        >>> growing = GrowingTextColumn()
        >>> for piece in (["b", " a"], ["b "]):
        ...     growing.extend(piece)
        >>> growing.column().codes.tolist()
        [0, 1, 0]
    """

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}
        self._codes: list[NDArray[np.int64]] = []

    def extend(self, texts: Iterable[str]) -> None:
        """Appends rows."""
        seen = self._seen
        self._codes.append(np.fromiter((seen.setdefault(text, len(seen)) for text in texts), np.int64))

    def column(self) -> TextColumn:
        """All rows so far."""
        return TextColumn.of_codes(tuple(self._seen), np.concatenate(self._codes))


Column = TextColumn | NDArray[np.float64]
"""Text, or numbers with NaN where a value is missing."""


@dataclass(frozen=True)
class Table:
    """A table as its file has it; nothing is guessed yet about what the columns mean.

    Args:
        path: The file.
        form: What kind of file, for people: ``"comma-separated"``, ``"Parquet"``.
        columns: Name and content of each column, in the order of the file.
        lines: Line of the file at which each row begins, int64 ``(N,)``; ``None``: the file has no lines.
    """

    path: Path
    form: str
    columns: Mapping[str, Column]
    lines: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        column = next(iter(self.columns.values()))
        return len(column.codes if isinstance(column, TextColumn) else column)

    def place(self, row: int, column: str) -> str:
        """A cell in words, e.g. ``"line 3, column 'carat'"``.

        Args:
            row: Counted from 0.
            column: Its name.
        """
        where = f"row {row + 1}" if self.lines is None else f"line {self.lines[row]}"
        return f"{where}, column {column!r}"


def names_in_words(names: Iterable[str]) -> str:
    """Names in quotes, the first twenty of them.

    Example:
        >>> names_in_words(["cut", "color"])
        "'cut', 'color'"
    """
    every = [repr(name) for name in names]
    more = f" and {len(every) - _MOST_NAMES} more" if len(every) > _MOST_NAMES else ""
    return ", ".join(every[:_MOST_NAMES]) + more


def nearest_name(wanted: str, names: Iterable[str]) -> str:
    """``"did you mean 'cut'?"`` for the nearest of the names, or nothing where none is near.

    Example:
        >>> nearest_name("Cut", ["carat", "cut"])
        "did you mean 'cut'?"
    """
    lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(wanted.lower(), lower, n=1, cutoff=0.5)
    return f"did you mean {lower[near[0]]!r}?" if near else ""
