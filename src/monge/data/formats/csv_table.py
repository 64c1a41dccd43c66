"""CSV files with a header line, read strictly: what does not fit is refused with its line and column."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from monge.data.formats.sniff import GZIP_MAGIC, open_data, read_bounded
from monge.data.formats.table import GrowingTextColumn, Table
from monge.errors import DataFormatError

MAX_BYTES = 512 << 20
MAX_FIELD = 100_000
_PIECE = 10_000
_EXPECTED = "a CSV table"
_DELIMITERS = {",": "comma-separated", ";": "semicolon-separated", "\t": "tab-separated"}
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_NUMBER = re.compile(r"[+-]?[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?")


def read_csv_table(path: str | Path, *, max_bytes: int = MAX_BYTES) -> Table:
    """Reads a CSV file into columns of text.

    The first line holds the names of the columns. Fields are separated by commas, semicolons or tabs, whichever the
    header has most of, and may be quoted. UTF-8, with or without a byte order mark; any line ends; blank lines are
    passed over, and blanks around a field are not part of it.

    Args:
        path: The file.
        max_bytes: Refuse files larger than this (512 MiB unless told), since all of it is held in memory.

    Raises:
        DataFormatError: Anything else; the message names the line.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "stones.csv"
        >>> _ = file.write_text('carat;cut\\n0.23;Ideal\\n0.21;"Very Good"\\n')
        >>> table = read_csv_table(file)
        >>> table.form, table.columns["cut"].values
        ('semicolon-separated', ('Ideal', 'Very Good'))
    """
    path = Path(path)
    content = _content(path, max_bytes)
    delimiter = _delimiter(path, content)
    records = _records(path, content, delimiter)
    names = _names(path, *next(records))
    growing = [GrowingTextColumn() for _ in names]
    lines: list[int] = []
    while rows := list(islice(records, _PIECE)):
        for line, fields in rows:
            if len(fields) != len(names):
                raise _ragged(path, line, fields, names)
            lines.append(line)
        for column, texts in zip(growing, zip(*(fields for _, fields in rows)), strict=True):
            column.extend(texts)
    if not lines:
        raise DataFormatError(path, "", "no rows after the header", "at least one row", "is the file truncated?")
    columns = {name: column.column() for name, column in zip(names, growing)}
    return Table(path, _DELIMITERS[delimiter], columns, np.array(lines, np.int64))


def _content(path: Path, max_bytes: int) -> bytes:
    """The whole file; NUL bytes and other encodings than UTF-8 are refused."""
    with open_data(path, _EXPECTED) as (stream, size):
        if size > max_bytes:
            hint = "a larger file needs a larger max_bytes, or Parquet"
            raise DataFormatError(path, "", f"{size} bytes", f"at most {max_bytes}", hint)
        content = bytes(read_bounded(path, stream, max_bytes + 1, _EXPECTED))
    if content.startswith(GZIP_MAGIC):
        raise DataFormatError(path, "byte 0", "a gzip file", _EXPECTED, "unpack it first")
    if content.startswith(_UTF16):
        raise DataFormatError(path, "byte 0", "UTF-16 text", "UTF-8", "save it as UTF-8")
    if (place := content.find(0)) >= 0:
        where = f"line {_line_of(content, place)}"
        raise DataFormatError(path, where, "a NUL byte", "text", "the file is binary, UTF-16 or damaged")
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # With a byte order mark the positions are counted after it.
        place = error.start + (3 if content.startswith(b"\xef\xbb\xbf") else 0)
        found = f"byte 0x{content[place]:02x}, which is not UTF-8"
        raise DataFormatError(
            path, f"line {_line_of(content, place)}", found, "UTF-8 text", "save the file as UTF-8"
        ) from None
    return content


def _lines(content: bytes) -> io.TextIOWrapper:
    """The lines as text, decoded as they are asked for, with their ends."""
    return io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", newline="")


def _line_of(content: bytes, place: int) -> int:
    """Line number of a byte, whatever the line ends."""
    before = content[:place].replace(b"\r\n", b"\n")
    return before.count(b"\n") + before.count(b"\r") + 1


def _delimiter(path: Path, content: bytes) -> str:
    """What separates the names in the header line, outside of quotes."""
    head = _lines(content).read(MAX_FIELD).lstrip()
    # Names in quotes may hold anything, line ends as well.
    bare = re.split("[\r\n]", re.sub(r'"(?:[^"]|"")*"', "name", head))[0]
    counts = {delimiter: bare.count(delimiter) for delimiter in _DELIMITERS}
    most = max(counts.values())
    chosen = [delimiter for delimiter, count in counts.items() if count == most]
    if most == 0:
        found = f"no comma, semicolon or tab in the header {_short(head.splitlines()[0] if head else head)}"
        raise DataFormatError(path, "line 1", found, "the names of at least two columns", "is it a CSV file?")
    if len(chosen) > 1:
        found = f"as many {' as '.join(_DELIMITERS[delimiter] for delimiter in chosen)} names"
        raise DataFormatError(path, "line 1", found, "one kind of separator", "put names with separators in quotes")
    return chosen[0]


def _records(path: Path, content: bytes, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Line at which each record begins, and its fields."""
    reader = csv.reader(_lines(content), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _bad_quoting(path, line, reader.line_num, str(error)) from None
        if any(len(field) > MAX_FIELD for field in fields):
            raise _bad_quoting(path, line, reader.line_num, "field larger")
        if any(fields) or len(fields) > 1:
            yield line, fields


def _bad_quoting(path: Path, line: int, end: int, reason: str) -> DataFormatError:
    """What Python's reader ran into, in the words of someone who looks at the file."""
    where = f"line {line}" if line == end else f"lines {line} to {end}"
    if "field larger" in reason:
        found, expected = "a field that is too long", f"at most {MAX_FIELD} characters"
        return DataFormatError(path, where, found, expected, "a quote that is not closed?")
    if "end of data" in reason:
        return DataFormatError(path, where, "a quote that is not closed", "a second quote", "is the file truncated?")
    return DataFormatError(
        path, where, f"a quoted field that is not followed by a separator ({reason})", 'quotes inside doubled ("")'
    )


def _names(path: Path, line: int, fields: list[str]) -> list[str]:
    """The column names of the header; empty, repeated and numeric ones are refused."""
    names = [field.strip() for field in fields]
    where = f"line {line}"
    if all(_NUMBER.fullmatch(name) for name in names):
        found = f"numbers ({', '.join(names[:3])}, ...)"
        raise DataFormatError(path, where, found, "the names of the columns", "add a header line")
    if "" in names:
        number = names.index("") + 1
        hint = "name it; if it numbers the rows, remove it or leave it out with drop"
        raise DataFormatError(path, where, f"no name for column {number} of {len(names)}", "a name", hint)
    for number, name in enumerate(names, start=1):
        first = names.index(name) + 1
        if first != number:
            found = f"the name {name!r} for columns {first} and {number}"
            raise DataFormatError(path, where, found, "different names", "is the header line missing?")
    return names


def _ragged(path: Path, line: int, fields: list[str], names: list[str]) -> DataFormatError:
    found, expected = f"{len(fields)} field{'s' * (len(fields) != 1)}", f"{len(names)} as in the header"
    if len(fields) < len(names):
        return DataFormatError(
            path, f"line {line}", found, expected, f"{names[len(fields)]!r} is the first without one"
        )
    extra = _short(fields[len(names)])
    return DataFormatError(path, f"line {line}", found, expected, f"{extra} is one too many; are texts quoted?")


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
