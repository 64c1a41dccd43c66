"""Parquet files: plain columns come as numbers or text, everything else is refused by name."""

from __future__ import annotations

import datetime
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from monge.data.formats import parquet_table
from monge.data.formats.parquet_table import read_parquet_table
from monge.data.formats.table import TextColumn
from monge.data.tables.files import read_table
from monge.errors import DataFormatError, MissingExtraError


def written(folder: Path, columns: dict[str, Any], **options: Any) -> Path:
    parquet.write_table(pa.table(columns), folder / "a.parquet", **options)
    return folder / "a.parquet"


def test_numbers_stay_numbers_and_all_else_is_text(tmp_path: Path) -> None:
    columns = {
        "int": pa.array([1, None, 3], pa.int32()),
        "float": pa.array([0.5, float("nan"), None], pa.float32()),
        "decimal": pa.array([Decimal("1.25"), None, Decimal("2.50")]),
        "text": pa.array(["b", None, " a "]),
        "level": pa.array(["x", "y", "x"]).dictionary_encode(),
        "flag": pa.array([True, None, False]),
        "day": pa.array([datetime.date(2026, 1, 2)] * 3),
        "nothing": pa.nulls(3),
    }
    table = read_parquet_table(written(tmp_path, columns, row_group_size=2))
    assert (table.form, len(table), table.place(2, "int")) == ("Parquet", 3, "row 3, column 'int'")
    for name, expected in {
        "int": [1, np.nan, 3],
        "float": [0.5, np.nan, np.nan],
        "decimal": [1.25, np.nan, 2.5],
    }.items():
        np.testing.assert_array_equal(table.columns[name], expected)
    found = {}
    for name, column in table.columns.items():
        if isinstance(column, TextColumn):
            found[name] = [column.values[code] for code in column.codes]
    assert found == {
        "text": ["b", "", "a"],
        "level": ["x", "y", "x"],
        "flag": ["true", "", "false"],
        "day": ["2026-01-02"] * 3,
        "nothing": ["", "", ""],
    }


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"ok": [1], "l": [[1, 2]]}, "column 'l': found type list"),
        ({"s": [{"a": 1}]}, "column 's': found type struct"),
        ({"b": [b"\x00\x01"]}, "column 'b': found type binary, expected numbers or text"),
        ({"b": pa.array([b"x"]).dictionary_encode()}, "column 'b': found type dictionary"),
        ({" ": [1]}, "found no name for column 1 of 1"),
        ({}, "found no columns"),
        ({"a": pa.array([], pa.int64())}, "found no rows"),
    ],
)
def test_columns_with_no_place_in_a_table(columns: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = written(tmp_path, columns)
    with pytest.raises(DataFormatError) as caught:
        read_parquet_table(path)
    assert str(caught.value).startswith(f"{path}: {said}")


def test_names_of_rows_by_pandas_are_no_column(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"size": [3.0, 1.0, 2.0], "grade": ["a", "b", "a"]}, index=[17, 4, 9])
    frame.to_parquet(tmp_path / "rows.parquet")
    assert "__index_level_0__" in parquet.read_schema(tmp_path / "rows.parquet").names
    assert list(read_parquet_table(tmp_path / "rows.parquet").columns) == ["size", "grade"]
    frame[[]].to_parquet(tmp_path / "none.parquet")
    with pytest.raises(DataFormatError, match="found no columns"):
        read_parquet_table(tmp_path / "none.parquet")


def test_repeated_names_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), path)
    with pytest.raises(DataFormatError, match="column 'a': found this name more than once"):
        read_parquet_table(path)


def test_damaged_files_are_one_line(tmp_path: Path) -> None:
    columns = {"a": list(range(1000)), "b": ["secret"] * 1000}
    path = written(tmp_path, columns, compression="none", write_statistics=False)
    content = path.read_bytes()
    bad_text = content.replace(b"secret", b"se\xffret")
    assert bad_text != content
    for bad in (
        bad_text,
        content[:-20],
        content[: len(content) // 2],
        b"PAR1",
        content[:4] + bytes(200) + content[204:],
    ):
        path.write_bytes(bad)
        with pytest.raises(DataFormatError) as caught:
            read_parquet_table(path)
        assert "expected a whole Parquet file" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_sizes_are_checked_before_anything_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, {"a": np.random.default_rng(0).random(1000)})
    with pytest.raises(DataFormatError, match="bytes unpacked, expected at most 100"):
        read_parquet_table(path, max_bytes=100)
    monkeypatch.setattr(parquet_table, "MAX_CELLS", 999)
    with pytest.raises(DataFormatError, match="found 1000 cells, expected at most 999"):
        read_parquet_table(path)


def test_the_content_decides_and_not_the_name(tmp_path: Path) -> None:
    path = written(tmp_path, {"a": [1.0]}).rename(tmp_path / "a.csv")
    assert read_table(path).form == "Parquet"
    (tmp_path / "b.parquet").write_text("a,b\n1,2\n")
    assert read_table(tmp_path / "b.parquet").form == "comma-separated"


def test_without_pyarrow_the_pip_command_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, {"a": [1.0]})
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"reading the Parquet file a\.parquet .*pip install 'monge\[tables\]'"):
        read_parquet_table(path)
