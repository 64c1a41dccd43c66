"""RecordIO files: parts, broken indices, broken records."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from tests.oracles.recordio import read_all

from monge.data.formats.recordio import MAGIC_BYTES, RecordFile, read_record_index
from monge.data.synthetic.record_writer import framed, write_records
from monge.errors import DataFormatError

PAYLOADS = [
    b"",
    b"a",
    b"abcd",
    MAGIC_BYTES,
    MAGIC_BYTES * 3,
    b"abcd" + MAGIC_BYTES + b"efgh" + MAGIC_BYTES,
    b"ab" + MAGIC_BYTES + b"cd",
    bytes(range(256)) * 5 + MAGIC_BYTES + b"tail",
]


@pytest.fixture
def two(tmp_path: Path) -> Path:
    write_records(tmp_path / "two.rec", [(7, b"x" * 40), (3, b"y" * 41)])
    return tmp_path / "two.rec"


def test_every_payload_comes_back_whatever_its_parts(tmp_path: Path) -> None:
    path = tmp_path / "all.rec"
    write_records(path, list(enumerate(PAYLOADS)))
    keys, offsets = read_record_index(path.with_suffix(".idx"))
    assert keys.tolist() == list(range(len(PAYLOADS)))
    expected = read_all(path.read_bytes())
    assert [offset for offset, _ in expected] == offsets.tolist()
    assert [payload for _, payload in expected] == PAYLOADS
    file = RecordFile(path)
    assert [file.payload(int(offset), "it") for offset in offsets] == PAYLOADS


def test_the_magic_word_off_the_grid_makes_no_part() -> None:
    assert framed(b"ab" + MAGIC_BYTES + b"cd")[4:8] == struct.pack("<I", 8)


def test_heads_are_what_the_records_begin_with(tmp_path: Path) -> None:
    path = tmp_path / "all.rec"
    write_records(path, list(enumerate(PAYLOADS)))
    keys, offsets = read_record_index(path.with_suffix(".idx"))
    heads = RecordFile(path).heads(offsets, keys, 16)
    content = path.read_bytes()
    for head, offset in zip(heads, offsets, strict=True):
        length = struct.unpack_from("<I", content, offset + 4)[0] & (2**29 - 1)
        wanted = content[offset : offset + 8 + length][:16]
        assert bytes(head) == wanted.ljust(16, b"\0")


def test_a_file_can_be_pickled_without_its_content(two: Path) -> None:
    file = RecordFile(two)
    assert file.payload(0, "it") == b"x" * 40
    copy = pickle.dumps(file)
    assert len(copy) < 500
    assert pickle.loads(copy).payload(48, "it") == b"y" * 41


def test_an_index_need_not_be_sorted(two: Path) -> None:
    keys, offsets = read_record_index(two.with_suffix(".idx"))
    assert (keys.tolist(), offsets.tolist()) == ([7, 3], [0, 48])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\t0\n2 8 9\n", "line 2: found '2 8 9', expected key<tab>offset"),
        ("1\t0\n\n2\t-8\n", r"line 3: found '2\\t-8'"),
        ("1\t0\n2\n", "line 2: found '2'"),
        ("1\t0.5\n", "line 1"),
        ("1\t0\n2\t8\n1\t16\n", "key 1: found it 2 times .1 keys are repeated., expected once"),
        ("\n \n", "found no lines"),
        ("", "an empty file"),
        ("<html>Sign in</html>", "an HTML page"),
    ],
)
def test_a_broken_index_is_told_by_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "train.idx"
    path.write_text(text)
    with pytest.raises(DataFormatError, match=message) as caught:
        read_record_index(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("offset", "message"),
    [
        (4, "key 7, byte 4: found 0x00000028, expected the magic word 0xced7230a .*belongs to another .rec"),
        (1 << 40, "an offset outside of the file of 100 bytes, expected at most 92"),
        (96, "an offset outside"),
        (-4, "an offset outside"),
    ],
)
def test_a_stale_offset_is_told(two: Path, offset: int, message: str) -> None:
    file = RecordFile(two)
    with pytest.raises(DataFormatError, match=message):
        file.payload(offset, "key 7")
    with pytest.raises(DataFormatError, match=message):
        file.heads(np.array([0, offset]), np.array([1, 7]), 32)


def test_a_truncated_record_is_told(two: Path) -> None:
    two.write_bytes(two.read_bytes()[:-20])
    file = RecordFile(two)
    assert file.payload(0, "key 7") == b"x" * 40
    with pytest.raises(DataFormatError, match=r"key 3, byte 48: found a record of 41 bytes where 24 are left"):
        file.payload(48, "key 3")


@pytest.mark.parametrize(
    ("kinds", "message"),
    [((2,), "part number 2, expected part number 0 or 1"), ((1, 0), "part number 0, expected part number 2 or 3")],
)
def test_a_broken_sequence_of_parts_is_told(tmp_path: Path, kinds: tuple[int, ...], message: str) -> None:
    path = tmp_path / "parts.rec"
    path.write_bytes(b"".join(MAGIC_BYTES + struct.pack("<I", kind << 29 | 4) + b"abcd" for kind in kinds))
    with pytest.raises(DataFormatError, match=message):
        RecordFile(path).payload(0, "key 1")


def test_a_missing_last_part_is_told(tmp_path: Path) -> None:
    path = tmp_path / "parts.rec"
    path.write_bytes(MAGIC_BYTES + struct.pack("<I", 1 << 29 | 4) + b"abcd")
    with pytest.raises(DataFormatError, match=r"an offset outside of the file of 12 bytes"):
        RecordFile(path).payload(0, "key 1")
