"""The files of a table: one that is split here, or a folder with a file for each part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from monge.data.formats.class_folders import PART_NAMES
from monge.data.formats.csv_table import read_csv_table
from monge.data.formats.parquet_table import PARQUET_MAGIC, read_parquet_table
from monge.data.formats.sniff import names_in, open_data, shown
from monge.data.formats.table import Table, names_in_words, nearest_name
from monge.errors import DataFormatError

_ENDINGS = (".csv", ".tsv", ".txt", ".parquet", ".pq")


def read_table(path: str | Path) -> Table:
    """Reads a CSV or Parquet file; which of the two it is, is decided by how it begins, not by its name.

    Args:
        path: The file.

    Raises:
        DataFormatError: The file is neither, or not a good one.
        MissingExtraError: A Parquet file without pyarrow.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "stones.csv"
        >>> _ = file.write_text("carat,cut\\n0.23,Ideal\\n")
        >>> len(read_table(file))
        1
    """
    path = Path(path)
    with open_data(path, "a CSV or Parquet table") as (stream, _):
        begins = stream.read(len(PARQUET_MAGIC))
    return read_parquet_table(path) if begins == PARQUET_MAGIC else read_csv_table(path)


def part_files(folder: Path) -> tuple[Path, Path | None, Path]:
    """The files of the training, validation and test part in a folder.

    Args:
        folder: Holds ``train`` and ``test``, perhaps ``val``, each ``.csv``, ``.tsv``, ``.txt``, ``.parquet`` or
            ``.pq``; other files do not matter.

    Returns:
        The three files; ``None`` where there is none for validation.

    Raises:
        DataFormatError: A part is missing, or there are two files for it.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("train.csv", "test.csv"):
        ...     (folder / name).touch()
        >>> [path and path.name for path in part_files(folder)]
        ['train.csv', None, 'test.csv']
    """
    train, val, test = (_part_file(folder, part) for part in PART_NAMES)
    for part, file in (("train", train), ("test", test)):
        if file is None:
            held = names_in_words(shown(name) for name in names_in(folder)) or "nothing"
            expected = f"{part}.csv or {part}.parquet"
            raise DataFormatError(folder, "", held, expected, "or give a single file, which is then split")
    assert train is not None
    assert test is not None
    return train, val, test


def _part_file(folder: Path, part: str) -> Path | None:
    """The file of one part, if there is one."""
    paths = [folder / name for name in names_in(folder)]
    found = [path for path in paths if path.stem.lower() in PART_NAMES[part] and path.suffix.lower() in _ENDINGS]
    if len(found) > 1:
        names = names_in_words(shown(path.name) for path in found)
        raise DataFormatError(
            folder, "", f"{len(found)} files for the part {part} ({names})", "one", "remove the others"
        )
    return found[0] if found else None


def check_same_columns(tables: Sequence[Table]) -> None:
    """Refuses parts that do not have the columns of the first one, in whatever order.

    Args:
        tables: The training table first.

    Raises:
        DataFormatError: A column that one has and another has not.
    """
    first = tables[0]
    for table in tables[1:]:
        for one, other in ((first, table), (table, first)):
            lacking = [name for name in one.columns if name not in other.columns]
            if lacking:
                expected = f"{names_in_words(lacking)} as in {one.path.name}"
                require_columns(other, lacking, expected)


def require_columns(table: Table, names: Sequence[str], expected: str) -> None:
    """Refuses a table that lacks a column, with the columns there are and the one whose name is nearest.

    Args:
        table: The table.
        names: Columns it must have.
        expected: What they are for, e.g. ``"the target"``.

    Raises:
        DataFormatError: One of them is not there.
    """
    for name in names:
        if name not in table.columns:
            where = "" if table.lines is None else "line 1"
            found = f"no column {name!r} among {names_in_words(table.columns)}"
            raise DataFormatError(table.path, where, found, expected, nearest_name(name, table.columns))
