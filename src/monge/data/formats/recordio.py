"""RecordIO files (``.rec`` with ``.idx``), as MXNet writes them: mapped into memory, read record by record.

A record is a magic word, a word with its length (low 29 bits) and part number (high 3 bits), its bytes, and zeros up to
a multiple of four. A record whose bytes hold the magic word at a multiple of four is cut there into parts (1 first,
2 middle, 3 last; 0 is a whole record) without the word, which reading puts back.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.sniff import open_data, read_bounded, shown
from monge.errors import DataFormatError

MAGIC = 0xCED7230A
MAGIC_BYTES = MAGIC.to_bytes(4, "little")
LENGTH_BITS = 29
_LENGTH = (1 << LENGTH_BITS) - 1
_HEAD = 8
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)
_MAX_INDEX_BYTES = 2 << 30
_MAX_PARTS = 1 << 16
# Possessive, so that an index of millions of lines is passed once.
_PAIRS = re.compile(rb"(?:\s*+[0-9]{1,18}+[ \t]++[0-9]{1,18}+[ \t]*+(?:[\r\n]++|\Z))*+\s*+")
_PAIR = re.compile(rb"\s*[0-9]{1,18}[ \t]+[0-9]{1,18}\s*")
_INDEX = "an index of lines 'key<tab>offset'"
_RECORDS = "a RecordIO file"
_STALE = "the index belongs to another .rec, or one of the two is damaged: fetch both again"


def read_record_index(path: str | Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Reads an index.

    Args:
        path: The ``.idx`` file.

    Returns:
        Keys and byte offsets in the order of the file, which need not be sorted, int64 ``(N,)``.

    Raises:
        DataFormatError: Not such a file, a line that is not two whole numbers, or a key that is listed twice.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "train.idx"
        >>> _ = file.write_text("1\\t40\\n0\\t0\\n")
        >>> [values.tolist() for values in read_record_index(file)]
        [[1, 0], [40, 0]]
    """
    path = Path(path)
    with open_data(path, _INDEX) as (stream, size):
        if size > _MAX_INDEX_BYTES:
            raise DataFormatError(
                shown(path), "", f"{size:,} bytes", f"at most {_MAX_INDEX_BYTES:,}", "is it the .rec?"
            )
        content = bytes(read_bounded(path, stream, size, _INDEX))
    if not content.strip():
        raise DataFormatError(shown(path), "", "no lines", _INDEX, "fetch the file again")
    if _PAIRS.fullmatch(content) is None:
        raise _bad_line(path, content)
    numbers = np.fromstring(content.decode("ascii"), dtype=np.int64, sep=" ").reshape(-1, 2)
    keys, offsets = np.ascontiguousarray(numbers[:, 0]), np.ascontiguousarray(numbers[:, 1])
    kept, counts = np.unique(keys, return_counts=True)
    if counts.max() > 1:
        repeated = f"it {counts.max()} times ({int((counts > 1).sum()):,} keys are repeated)"
        raise DataFormatError(shown(path), f"key {kept[counts.argmax()]}", repeated, "once", "rebuild the index")
    return keys, offsets


class RecordFile:
    """A ``.rec`` file, opened when something of it is wanted.

    It can be pickled and shared with workers: each opens the file itself.

    Args:
        path: The file.

    Raises:
        DataFormatError: Missing, empty, or something else, such as a web page.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "two.rec"
        >>> _ = file.write_bytes(MAGIC_BYTES + bytes([3, 0, 0, 0]) + b"abc\\0")
        >>> RecordFile(file).payload(0, "key 0")
        b'abc'
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._mapped: NDArray[np.uint8] | None = None
        with open_data(self.path, _RECORDS) as (_, size):
            self.size = size

    def __getstate__(self) -> dict[str, Any]:
        # A mapped file would be pickled as its whole content.
        return {"path": self.path, "size": self.size, "_mapped": None}

    def payload(self, offset: int, name: str) -> bytes:
        """The bytes of one record, its parts joined.

        Args:
            offset: Where it starts.
            name: What the error messages call it, e.g. ``"key 17"``.

        Raises:
            DataFormatError: No record there, or not a whole one.
        """
        parts: list[bytes] = []
        place, wanted = offset, (_WHOLE, _FIRST)
        while len(parts) < _MAX_PARTS:
            kind, length = self._head(place, name)
            if kind not in wanted:
                expected = " or ".join(map(str, wanted))
                raise self._error(place, name, f"part number {kind}", f"part number {expected}", _STALE)
            parts.append(self._view()[place + _HEAD : place + _HEAD + length].tobytes())
            if kind in (_WHOLE, _LAST):
                return MAGIC_BYTES.join(parts)
            place, wanted = place + _HEAD + -(-length // 4) * 4, (_MIDDLE, _LAST)
        raise self._error(offset, name, f"more than {_MAX_PARTS:,} parts", "a picture", _STALE)

    def heads(self, offsets: NDArray[np.int64], keys: NDArray[np.int64], count: int) -> NDArray[np.uint8]:
        """The first bytes of many records at once.

        Args:
            offsets: Where they start, ``(N,)``.
            keys: Their keys, for the error messages.
            count: How many bytes of each, the eight of its head included; zeros where a record has fewer.

        Returns:
            uint8 ``(N, count)``.

        Raises:
            DataFormatError: A record that is not there, or not whole; names the first.
        """
        last = self.size - _HEAD
        if (outside := np.flatnonzero((offsets < 0) | (offsets > last))).size:
            self._head(int(offsets[outside[0]]), f"key {keys[outside[0]]}")
        # Behind the end of the file there is nothing to read; the last byte stands in for it.
        places = np.minimum(offsets[:, None] + np.arange(count), self.size - 1)
        heads: NDArray[np.uint8] = self._view()[places]  # (N, count)
        words = heads[:, :_HEAD].copy().view("<u4")  # (N, 2)
        ends = offsets + _HEAD + (words[:, 1] & _LENGTH)
        if (bad := np.flatnonzero((words[:, 0] != MAGIC) | (ends > self.size))).size:
            self._head(int(offsets[bad[0]]), f"key {keys[bad[0]]}")
        heads[np.arange(count) >= (ends - offsets)[:, None]] = 0
        return heads

    def _head(self, offset: int, name: str) -> tuple[int, int]:
        """Part number and length of what starts here, after the checks."""
        if not 0 <= offset <= self.size - _HEAD:
            found = f"an offset outside of the file of {self.size:,} bytes"
            raise self._error(offset, name, found, f"at most {max(0, self.size - _HEAD):,}", _STALE)
        magic, word = self._view()[offset : offset + _HEAD].copy().view("<u4").tolist()
        if magic != MAGIC:
            raise self._error(offset, name, f"0x{magic:08x}", f"the magic word 0x{MAGIC:08x} of a record", _STALE)
        length = word & _LENGTH
        if offset + _HEAD + length > self.size:
            found = f"a record of {length:,} bytes where {self.size - offset - _HEAD:,} are left"
            raise self._error(offset, name, found, "a whole record", "the file was cut short; fetch it again")
        return word >> LENGTH_BITS, length

    def _view(self) -> NDArray[np.uint8]:
        if self._mapped is None:
            self._mapped = np.memmap(self.path, np.uint8, "r")
        return self._mapped

    def _error(self, offset: int, name: str, found: str, expected: str, hint: str) -> DataFormatError:
        return DataFormatError(shown(self.path), f"{name}, byte {offset}", found, expected, hint)


def _bad_line(path: Path, content: bytes) -> DataFormatError:
    """The first line that is none of an index; there is one."""
    lines = re.split(rb"\r\n|\r|\n", content)
    number, line = next((n, line) for n, line in enumerate(lines, 1) if line.strip() and not _PAIR.fullmatch(line))
    found = repr(line[:40].decode("latin1"))
    return DataFormatError(shown(path), f"line {number}", found, "key<tab>offset", "is it the index?")
