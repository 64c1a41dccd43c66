"""Parquet files of plain columns, by pyarrow."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from monge.data.formats.sniff import open_data
from monge.data.formats.table import Column, Table, TextColumn
from monge.errors import DataFormatError
from monge.extras import require

PARQUET_MAGIC = b"PAR1"
MAX_BYTES = 2 << 30
# A column of one repeated value takes no room in the file, so bytes alone do not bound the memory.
MAX_CELLS = 200_000_000
_EXPECTED = "a Parquet table"
# Where pandas writes the names of rows; it does not count them among the columns, and they are often row numbers.
_ROW_NAMES = re.compile(r"__index_level_\d+__")


def read_parquet_table(path: str | Path, *, max_bytes: int = MAX_BYTES) -> Table:
    """Reads a Parquet file: numbers as numbers; text, truth values and dates as text; pandas' names of rows not at all.

    Args:
        path: The file.
        max_bytes: Refuse files whose columns are larger than this unpacked (2 GiB unless told).

    Raises:
        MissingExtraError: pyarrow is not installed.
        DataFormatError: Not a whole Parquet file, or nested, binary, unnamed or repeated columns.
    """
    path = Path(path)
    parquet = require("pyarrow.parquet", extra="tables", purpose=f"reading the Parquet file {path.name}")
    arrow = require("pyarrow", extra="tables", purpose=f"reading the Parquet file {path.name}")
    with open_data(path, _EXPECTED) as (stream, _):
        try:
            file = parquet.ParquetFile(stream)
            _check_columns(path, file.schema_arrow, arrow.types)
            _check_size(path, file.metadata, max_bytes)
            content = file.read()
            names = [name for name in content.column_names if not _ROW_NAMES.fullmatch(name)]
            columns = {name: _column(content[name], arrow) for name in names}
        except (arrow.ArrowException, OSError, ValueError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise DataFormatError(path, "", reason, "a whole Parquet file", "fetch or write it again") from None
    return Table(path, "Parquet", columns)


def _check_columns(path: Path, schema: Any, types: Any) -> None:
    """Refuses what has no place in a table of features, before anything is read."""
    plain = (
        types.is_integer, types.is_floating, types.is_decimal, types.is_boolean, types.is_string, types.is_large_string,
        types.is_temporal, types.is_null,
    )  # fmt: skip
    if all(_ROW_NAMES.fullmatch(name) for name in schema.names):
        raise DataFormatError(path, "", "no columns", _EXPECTED)
    for number, field in enumerate(schema, start=1):
        if not field.name.strip():
            raise DataFormatError(path, "", f"no name for column {number} of {len(schema)}", "a name", "name it")
        if schema.names.count(field.name) > 1:
            raise DataFormatError(path, f"column {field.name!r}", "this name more than once", "different names")
        kind = field.type.value_type if types.is_dictionary(field.type) else field.type
        if not any(check(kind) for check in plain):
            hint = "flatten it or remove it from the file"
            raise DataFormatError(path, f"column {field.name!r}", f"type {field.type}", "numbers or text", hint)


def _check_size(path: Path, metadata: Any, max_bytes: int) -> None:
    if not metadata.num_rows:
        raise DataFormatError(path, "", "no rows", "at least one row")
    if (cells := metadata.num_rows * metadata.num_columns) > MAX_CELLS:
        raise DataFormatError(path, "", f"{cells} cells", f"at most {MAX_CELLS}", "use fewer rows or columns")
    size = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    if size > max_bytes:
        raise DataFormatError(path, "", f"{size} bytes unpacked", f"at most {max_bytes}", "it needs a larger max_bytes")


def _column(chunks: Any, arrow: Any) -> Column:
    """Numbers become float64 with NaN where they are missing, everything else text."""
    kind = chunks.type.value_type if arrow.types.is_dictionary(chunks.type) else chunks.type
    plain = chunks.cast(kind) if kind != chunks.type else chunks
    if arrow.types.is_integer(kind) or arrow.types.is_floating(kind) or arrow.types.is_decimal(kind):
        numbers = plain.cast(arrow.float64(), safe=False)
        return np.asarray(numbers.to_numpy(), np.float64)
    numbered = plain.cast(arrow.string()).dictionary_encode().combine_chunks()
    codes = np.asarray(numbered.indices.fill_null(len(numbered.dictionary)), np.int64)
    return TextColumn.of_codes([*numbered.dictionary.to_pylist(), ""], codes)
