"""CSV files: what is read, and that everything else is one line with the place."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monge.data.formats import csv_table
from monge.data.formats.csv_table import read_csv_table
from monge.data.formats.table import Table, TextColumn
from monge.errors import DataFormatError


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "a.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def texts(table: Table, name: str) -> list[str]:
    column = table.columns[name]
    assert isinstance(column, TextColumn)
    return [column.values[code] for code in column.codes]


@pytest.mark.parametrize(
    ("delimiter", "form"), [(",", "comma-separated"), (";", "semicolon-separated"), ("\t", "tab-separated")]
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_separators_line_ends_and_byte_order_marks(
    delimiter: str, form: str, end: str, mark: bytes, tmp_path: Path
) -> None:
    lines = ['carat|"cut"| price ', '0.23|Ideal|"1,5;6\t7"', "", "0.21| Very Good |", ""]
    content = mark + end.join(lines).replace("|", delimiter).encode()
    table = read_csv_table(written(tmp_path, content))
    assert (table.form, list(table.columns), len(table)) == (form, ["carat", "cut", "price"], 2)
    assert texts(table, "cut") == ["Ideal", "Very Good"]
    assert texts(table, "price") == ["1,5;6\t7", ""]
    assert table.place(1, "cut") == "line 4, column 'cut'"


def test_quotes_hold_separators_line_ends_and_quotes(tmp_path: Path) -> None:
    table = read_csv_table(written(tmp_path, 'a,"b;c;\nd"\n"x\ny, ""z""",1\nlast,2\n'))
    assert list(table.columns) == ["a", "b;c;\nd"]
    assert texts(table, "a") == ['x\ny, "z"', "last"]
    assert table.lines is not None
    assert table.lines.tolist() == [3, 5]


CELLS = st.tuples(st.text('aé" ,;\n', max_size=5), st.text("01.", min_size=1))


@given(rows=st.lists(CELLS, min_size=1, max_size=8))
def test_what_pythons_writer_writes_is_read_back(
    rows: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    stream = io.StringIO()
    csv.writer(stream).writerows([("name", "value"), *rows])
    table = read_csv_table(written(tmp_path_factory.mktemp("csv"), stream.getvalue()))
    assert texts(table, "name") == [name.strip() for name, _ in rows]
    assert texts(table, "value") == [value for _, value in rows]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "byte 0: found an empty file"),
        (b"<!DOCTYPE html><html>", "byte 0: found an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "byte 0: found a git-lfs pointer"),
        (b"PK\x03\x04xlsx", "byte 0: found a zip archive"),
        (b"\x1f\x8bxxx", "byte 0: found a gzip file"),
        ("a,b\n1,2\n".encode("utf-16"), "byte 0: found UTF-16 text, expected UTF-8"),
        (b"a,b\n1,2\n3,\x004\n", "line 3: found a NUL byte"),
        (b"a,b\r\n1,2\r\ncaf\xe9,4\r\n", "line 3: found byte 0xe9, which is not UTF-8, expected UTF-8 text"),
        (b"\xef\xbb\xbfa,b\n1,\xff\n", "line 2: found byte 0xff"),
        ("a,b\n1,2\n3\n", "line 3: found 1 field, expected 2 as in the header ('b' is the first without one)"),
        ("a,b\n1,2\n\n3,4,5\n", "line 4: found 3 fields, expected 2 as in the header ('5' is one too many"),
        ("a,b,a\n1,2,3\n", "line 1: found the name 'a' for columns 1 and 3"),
        ("a,,b\n1,2,3\n", "line 1: found no name for column 2 of 3"),
        ("0.23,61.5\n0.21,59.8\n", "line 1: found numbers (0.23, 61.5, ...), expected the names of the columns"),
        ("carat\n0.23\n", "line 1: found no comma, semicolon or tab in the header 'carat'"),
        ("a,b;c\n1,2;3\n", "line 1: found as many comma-separated as semicolon-separated names"),
        ("a,b\n", "found no rows after the header"),
        ('a,b\n1,"2\n3,4\n', "lines 2 to 3: found a quote that is not closed"),
        ('a,b\n1,"2"x\n3,4\n', "line 2: found a quoted field that is not followed by a separator"),
        (f"a,b\n1,{'x' * 100_001}\n", "line 2: found a field that is too long, expected at most 100000"),
        (f'a,b\n1,"{"x," * 200_000}\n', "line 2: found a field that is too long"),
    ],
)
def test_bad_files_are_one_line_with_the_place(content: str | bytes, said: str, tmp_path: Path) -> None:
    path = written(tmp_path, content)
    with pytest.raises(DataFormatError) as caught:
        read_csv_table(path)
    assert str(caught.value).startswith(f"{path}: {said}")
    assert "\n" not in str(caught.value)


def test_files_that_are_not_there_or_too_large(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b\n1,2\n")
    with pytest.raises(DataFormatError, match="8 bytes, expected at most 4"):
        read_csv_table(path, max_bytes=4)
    with pytest.raises(DataFormatError, match=r"no such file.*did you mean .*a\.csv"):
        read_csv_table(tmp_path / "b.csv")
    with pytest.raises(DataFormatError, match="found a folder"):
        read_csv_table(tmp_path)


def test_a_file_that_grows_while_it_is_read_stays_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    read = csv_table.read_bounded
    monkeypatch.setattr(csv_table, "read_bounded", lambda *all_: asked.append(all_[2]) or read(*all_))
    read_csv_table(written(tmp_path, "a,b\n1,2\n"), max_bytes=100)
    assert asked == [101]


@given(content=st.text('ab1,;\t"\r\n \x00é', max_size=40).map(str.encode) | st.binary(max_size=40))
def test_whatever_the_bytes_it_is_a_table_or_one_line(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path, said = written(tmp_path_factory.getbasetemp(), content), ""
    try:
        table = read_csv_table(path)
    except DataFormatError as error:
        said = str(error)
    assert "\n" not in said
    assert said or all(len(texts(table, name)) == len(table) >= 1 for name in table.columns)


def test_distinct_texts_are_kept_once(tmp_path: Path) -> None:
    table = read_csv_table(written(tmp_path, "a,b\n" + "x,1\n x,1\ny ,2\n" * 100))
    column = table.columns["a"]
    assert isinstance(column, TextColumn)
    assert column.values == ("x", "y")
    assert column.counts().tolist() == [200, 100]
    assert column.first_row(1) == 2
    np.testing.assert_array_equal(column.codes[:4], [0, 0, 1, 0])
