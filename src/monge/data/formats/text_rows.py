"""Rows of small CSV files as text, for annotations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from monge.data.formats.csv_table import read_csv_table
from monge.data.formats.sniff import shown
from monge.data.formats.table import TextColumn, names_in_words, nearest_name
from monge.errors import DataFormatError


def text_rows(path: str | Path, needed: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """Place in the file and cells of each row, blanks around them taken off.

    Args:
        path: A CSV file, whose cells are parted by commas, semicolons or tabs.
        needed: Columns that have to be there.

    Raises:
        DataFormatError: Not such a file, or a column is missing.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "test.csv"
        >>> _ = file.write_text("key;video_id\\nret0;video7\\n")
        >>> text_rows(file, ["video_id"])
        [('line 2', {'key': 'ret0', 'video_id': 'video7'})]
    """
    path = Path(path)
    table = read_csv_table(path)
    for name in needed:
        if name not in table.columns:
            found = f"columns {names_in_words(table.columns)}"
            raise DataFormatError(shown(path), "line 1", found, f"a column {name!r}", nearest_name(name, table.columns))
    cells = {
        name: [column.values[code] for code in column.codes.tolist()]
        for name, column in table.columns.items()
        if isinstance(column, TextColumn)
    }
    lines = range(2, len(table) + 2) if table.lines is None else table.lines.tolist()
    return [(f"line {line}", {name: column[row] for name, column in cells.items()}) for row, line in enumerate(lines)]
