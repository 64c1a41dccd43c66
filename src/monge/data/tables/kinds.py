"""Whether a column holds numbers or categories, decided from every value in it."""

from __future__ import annotations

import math
import re
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.table import Column, Table, TextColumn, is_missing
from monge.errors import DataFormatError

Kind = Literal["numeric", "categorical"]

# A text column with at most one stranger in so many values is one of numbers with mistakes in it.
_ONE_IN = 10
# Squares of larger ones would not fit when the column is standardised.
_LARGEST = 1e100
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?inf(?:inity)?", re.IGNORECASE)
_COMMA_NUMBER = re.compile(r"[+-]?[0-9]+(?:,[0-9]+)*(?:\.[0-9]+)?|[+-]?[0-9]+(?:\.[0-9]{3})*,[0-9]+")


def kind_of(table: Table, name: str) -> Kind | None:
    """Decides what a column holds.

    * Numbers in the file (Parquet) are numeric.
    * Text is numeric if every value that is not missing is a number such as ``-1.5e3``.
    * Text is categorical if fewer than nine in ten of them are. What lies between is refused, because a few wrong
      cells would otherwise turn measurements into categories unseen; so are numbers with a decimal comma.

    Args:
        table: The table.
        name: A column of it.

    Returns:
        ``"numeric"``, ``"categorical"``, or ``None`` where the column holds no value at all.

    Raises:
        DataFormatError: A text among numbers, or numbers with commas; names the cell.

    Example:
        >>> from pathlib import Path
        >>> kind_of(Table(Path("a.csv"), "comma-separated", {"size": TextColumn.of(["1", "", "2.5"])}), "size")
        'numeric'
    """
    column = table.columns[name]
    if not isinstance(column, TextColumn):
        return "numeric" if not np.isnan(column).all() else None
    counts = column.counts()
    present = [place for place, text in enumerate(column.values) if not is_missing(text)]
    strange = [place for place in present if not is_number(column.values[place])]
    if not present:
        return None
    if not strange:
        return "numeric"
    advice = f"correct it, or declare kinds: {{{name}: categorical}}"
    if counts[strange].sum() * _ONE_IN <= counts[present].sum():
        others = int(counts[present].sum() - counts[strange].sum())
        expected = f"a number like {others} others of this column"
        raise _bad_cell(table, name, column, strange[0], expected, advice)
    if all(_COMMA_NUMBER.fullmatch(column.values[place]) for place in present):
        raise _bad_cell(table, name, column, strange[0], "a number with a point and without thousands marks", advice)
    return "categorical"


def numbers_of(table: Table, name: str) -> NDArray[np.float64]:
    """The numbers of a column, NaN where they are missing.

    Args:
        table: The table.
        name: A column of it.

    Returns:
        float64 ``(N,)``.

    Raises:
        DataFormatError: A value that is not a number, or not below 1e100; names the cell.

    Example:
        >>> from pathlib import Path
        >>> numbers_of(Table(Path("a.csv"), "comma-separated", {"size": TextColumn.of(["1", "NA"])}), "size")
        array([ 1., nan])
    """
    column = table.columns[name]
    if isinstance(column, TextColumn):
        for place, text in enumerate(column.values):
            if not is_missing(text) and not is_number(text):
                raise _bad_cell(table, name, column, place, "a number")
        parsed = [math.nan if is_missing(text) else float(text) for text in column.values]
        numbers = np.array(parsed, np.float64)[column.codes]
    else:
        numbers = column
    too_large = np.abs(numbers) > _LARGEST
    if too_large.any():
        row = int(np.argmax(too_large))
        raise DataFormatError(table.path, table.place(row, name), f"{numbers[row]:g}", "a number below 1e100")
    return numbers


def texts_of(table: Table, name: str) -> TextColumn:
    """A column as text; numbers are written the short way, missing ones are empty.

    Example:
        >>> from pathlib import Path
        >>> texts_of(Table(Path("a.parquet"), "Parquet", {"floor": np.array([2.0, 2.5])}), "floor").values
        ('2', '2.5')
    """
    column: Column = table.columns[name]
    if isinstance(column, TextColumn):
        return column
    distinct, codes = np.unique(column, return_inverse=True)
    texts = ["" if math.isnan(number) else number_in_words(number) for number in distinct]
    return TextColumn.of_codes(texts, codes.astype(np.int64))


def number_in_words(number: float) -> str:
    """A number without a needless point.

    Example:
        >>> number_in_words(3.0), number_in_words(0.5)
        ('3', '0.5')
    """
    return str(int(number)) if float(number).is_integer() and abs(number) < 1e15 else repr(float(number))


def is_number(text: str) -> bool:
    """Whether a text is a decimal number or an infinity; NaN is none.

    Example:
        >>> is_number("-1.5e3"), is_number("1_000")
        (True, False)
    """
    return _NUMBER.fullmatch(text) is not None


def _bad_cell(
    table: Table, name: str, column: TextColumn, value: int, expected: str, hint: str = ""
) -> DataFormatError:
    text = column.values[value]
    found = repr(text if len(text) <= 40 else text[:37] + "...")
    return DataFormatError(table.path, table.place(column.first_row(value), name), found, expected, hint)
