"""Rows of small CSV files as text, for annotations; a single column is enough."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from monge.data.formats.places import text_lines
from monge.data.formats.sniff import shown
from monge.data.formats.table import names_in_words, nearest_name
from monge.errors import DataFormatError

_DELIMITERS = ",;\t"


def text_rows(path: str | Path, needed: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """Place in the file and cells of each row, blanks around them taken off.

    Args:
        path: A CSV file; cells are parted by commas, semicolons or tabs, whichever the first line has most of, and may
            be quoted.
        needed: Columns that have to be there.

    Raises:
        DataFormatError: Not such a file, a column is missing or there twice, a row of another length, or no row.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "test.csv"
        >>> _ = file.write_text("key;video_id\\nret0;video7\\n")
        >>> text_rows(file, ["video_id"])
        [('line 2', {'key': 'ret0', 'video_id': 'video7'})]
    """
    path = Path(path)
    lines = list(text_lines(path, "a CSV file"))
    delimiter = max(_DELIMITERS, key=lines[0][1].count) if lines else ","
    try:
        rows = [
            (f"line {number}", [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, strict=True))])
            for number, line in lines
        ]
    except csv.Error as error:
        raise DataFormatError(shown(path), "", f"no CSV file ({error})", "cells that are quoted rightly") from None
    if len(rows) < 2:
        raise DataFormatError(shown(path), "", "no rows after the header", "at least one row", "is the file truncated?")
    names = rows[0][1]
    for name in needed:
        if names.count(name) != 1:
            found = f"columns {names_in_words(names)}"
            raise DataFormatError(shown(path), rows[0][0], found, f"a column {name!r}", nearest_name(name, names))
    for where, cells in rows[1:]:
        if len(cells) != len(names):
            raise DataFormatError(shown(path), where, f"{len(cells)} cells", f"{len(names)}, as the header has")
    return [(where, dict(zip(names, cells))) for where, cells in rows[1:]]
