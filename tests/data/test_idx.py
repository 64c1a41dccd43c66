"""IDX files: every type reads back, every kind of bad file is refused with its byte."""

from __future__ import annotations

import contextlib
import gzip
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torchvision.datasets.mnist import read_sn3_pascalvincent_tensor

from monge.data.formats.idx import read_idx, read_idx_header, read_idx_pair, write_idx
from monge.errors import DataFormatError

DTYPES = ["uint8", "int8", "int16", "int32", "float32", "float64"]
GOOD = b"\0\0\x08\x01" + struct.pack(">I", 3) + b"abc"


def stored(tmp_path: Path, content: bytes, name: str = "data-idx3-ubyte") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), dtype=st.sampled_from(DTYPES), compress=st.booleans())
def test_every_type_and_shape_reads_back(
    tmp_path_factory: pytest.TempPathFactory, data: Any, dtype: str, compress: bool
) -> None:
    array = data.draw(
        hnp.arrays(
            dtype, hnp.array_shapes(max_dims=4, max_side=5), elements={"allow_nan": False} if dtype[0] == "f" else None
        )
    )
    path = tmp_path_factory.getbasetemp() / "round.idx"
    write_idx(path, array, compress=compress)
    loaded = read_idx(path)
    assert loaded.dtype == array.dtype
    assert loaded.dtype.isnative
    assert loaded.flags.writeable
    np.testing.assert_array_equal(loaded, array)


@pytest.mark.parametrize("dtype", DTYPES)
def test_torchvision_reads_the_same(tmp_path: Path, dtype: str) -> None:
    """A reader that nobody here wrote agrees on what the file holds."""
    array = (np.arange(24) * 5 - 7).astype(dtype).reshape(2, 3, 4)
    write_idx(tmp_path / "a", array)
    other = read_sn3_pascalvincent_tensor(str(tmp_path / "a"), strict=False)
    np.testing.assert_array_equal(other.numpy(), read_idx(tmp_path / "a"))


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_are_big_endian_on_disk(tmp_path: Path, dtype: str) -> None:
    write_idx(tmp_path / "a", np.array([1], dtype))
    assert (tmp_path / "a").read_bytes()[8:] == np.array([1], np.dtype(dtype).newbyteorder(">")).tobytes()


def test_gzip_is_told_by_content_not_by_name(tmp_path: Path) -> None:
    plain = stored(tmp_path, GOOD, "a.gz")
    packed = stored(tmp_path, gzip.compress(GOOD), "a")
    assert read_idx(plain).tolist() == read_idx(packed).tolist() == [97, 98, 99]


def test_file_of_several_gzip_members(tmp_path: Path) -> None:
    assert read_idx(stored(tmp_path, gzip.compress(GOOD[:6]) + gzip.compress(GOOD[6:]))).tolist() == [97, 98, 99]


HUGE = struct.pack(">BBBBIII", 0, 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1)
BAD = {
    "empty": (b"", "byte 0", "an empty file"),
    "html": (b"\n  <!DOCTYPE HTML><html>", "byte 0", "HTML page"),
    "html with a byte order mark": (b"\xef\xbb\xbf<html>", "byte 0", "HTML page"),
    "lfs pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "byte 0", "git-lfs pointer"),
    "zip": (b"PK\x03\x04....", "byte 0", "zip archive"),
    "three bytes": (b"\0\0\x08", "byte 0", "only 3 bytes"),
    "little-endian magic": (
        b"\x01\x08\0\0" + struct.pack("<I", 3) + b"abc",
        "byte 0",
        "0x01080000, expected 0x00000801",
    ),
    "wrong magic": (b"\x89PNG\r\n\x1a\n", "byte 0", "magic 0x89504e47"),
    "unknown type": (b"\0\0\x0a\x01" + GOOD[4:], "byte 2", "type code 0x0a"),
    "no dimensions": (b"\0\0\x08\x00" + GOOD[4:], "byte 3", "0 dimensions"),
    "too many dimensions": (b"\0\0\x08\x09" + b"\0\0\0\1" * 9 + b"a", "byte 3", "9 dimensions"),
    "sizes cut off": (b"\0\0\x08\x03" + b"\0\0\0\1" * 2, "byte 4", "8 bytes of sizes"),
    "dimension of zero": (b"\0\0\x08\x02" + struct.pack(">II", 3, 0), "byte 8", "a dimension of 0"),
    "one byte short": (GOOD[:-1], "byte 8", "2 bytes of data, expected 3"),
    "header alone": (GOOD[:8], "byte 8", "0 bytes of data, expected 3"),
    "one byte more": (GOOD + b"d", "byte 8", "4 bytes of data, expected 3"),
    "more than memory": (HUGE + b"abc", "byte 16", "3 bytes of data"),
    "three GiB promised": (b"\0\0\x08\x01" + struct.pack(">I", 3 << 30) + b"abc", "byte 8", "3 bytes of data"),
    "gz one byte short": (gzip.compress(GOOD[:-1]), "byte 8", "2 bytes of data, expected 3"),
    "gz one byte more": (gzip.compress(GOOD + b"d"), "byte 8", "more than 3 bytes of data"),
    "gz promises more than deflate can": (
        gzip.compress(b"\0\0\x08\x01" + struct.pack(">I", 1 << 30)),
        "byte 4",
        "gzipped bytes can hold",
    ),
    "gz more than memory": (gzip.compress(HUGE), "byte 4", "bytes promised"),
    "gz of nothing": (gzip.compress(b""), "byte 0", "an empty file"),
    "gz of a web page": (gzip.compress(b"<html>no</html>"), "byte 0", "HTML page"),
    "gz in gz": (gzip.compress(gzip.compress(GOOD)), "byte 0", "gzip inside gzip"),
    "gz cut in its data": (gzip.compress(GOOD)[:-12], "", "gzip stream that stops"),
    "gz cut in its checksum": (gzip.compress(GOOD)[:-2], "", "gzip stream that stops"),
    "gz cut in its header": (b"\x1f\x8b\x08", "", "gzip stream that stops"),
    "gz wrong checksum": (gzip.compress(GOOD)[:-8] + b"\0" * 4 + gzip.compress(GOOD)[-4:], "", "damaged gzip stream"),
    "gz then rubbish": (gzip.compress(GOOD) + b"rubbish", "", "damaged gzip stream"),
    "gz damaged data": (gzip.compress(GOOD)[:10] + b"\xff" * 20, "", "damaged gzip stream"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_file_is_refused_with_its_byte(tmp_path: Path, name: str) -> None:
    content, where, found = BAD[name]
    with pytest.raises(DataFormatError) as caught:
        read_idx(stored(tmp_path, content))
    assert caught.value.where == where
    assert found in str(caught.value)
    assert "data-idx3-ubyte" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_truncated_large_gz_and_bomb_stay_within_memory(tmp_path: Path) -> None:
    """A gzip bomb (1 GB of zeros in 1 MB) under a header of three bytes, read with 200 MB to spare."""
    if not Path("/proc/self/statm").exists():
        pytest.skip("needs /proc")
    zeros = gzip.compress(bytes(50_000_000), compresslevel=1)
    bomb = stored(tmp_path, gzip.compress(GOOD) + zeros * 20, "bomb")
    lie = stored(tmp_path, gzip.compress(b"\0\0\x08\x01" + struct.pack(">I", 2**32 - 1) + bytes(10**7)), "lie")
    program = """
import resource, sys
from monge.data.formats.idx import read_idx
from monge.errors import DataFormatError
limit = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + 200_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for path in sys.argv[1:]:
    try:
        read_idx(path)
    except DataFormatError as error:
        print(error)
    else:
        raise SystemExit(f"{path} was read")
"""
    command = [sys.executable, "-c", program, str(bomb), str(lie)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert "more than 3 bytes of data" in told[0]
    assert "promised" in told[1]


def test_max_bytes_refuses_an_honest_file_that_is_too_large(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match="at most 2 "):
        read_idx(stored(tmp_path, GOOD), max_bytes=2)


def test_things_that_are_not_files(tmp_path: Path) -> None:
    stored(tmp_path, GOOD, "train-labels-idx1-ubyte")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "gone").symlink_to("nowhere")
    for name, found in [
        ("train-labels-idx1-ubyt", r"no such file.*did you mean .*train-labels-idx1-ubyte\?"),
        (".", "a folder"),
        ("loop", "unreadable file .*symbolic links"),
        ("pipe", "a device or pipe"),
        ("gone", "no such file"),
        ("train-labels-idx1-ubyte/x", "unreadable file"),
        ("none/x", "there is no folder"),
    ]:
        with pytest.raises(DataFormatError, match=found):
            read_idx(tmp_path / name)


def test_permission_denied_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = stored(tmp_path, GOOD)

    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", denied)
    with pytest.raises(DataFormatError, match="unreadable file \\(permission denied\\)"):
        read_idx(path)


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9")
    path.write_bytes(GOOD)
    assert read_idx(path).size == 3
    with pytest.raises(DataFormatError, match=r"did you mean .*caf\\xe9"):
        read_idx(tmp_path / "cafe")


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    write_idx(tmp_path / "images", np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
    write_idx(tmp_path / "labels", np.array([9, 0], np.uint8))
    return tmp_path / "images", tmp_path / "labels"


def test_pair_reads_images_and_labels(pair: tuple[Path, Path]) -> None:
    images, labels = read_idx_pair(*pair)
    assert images.shape == (2, 3, 4)
    assert labels.tolist() == [9, 0]
    assert [hex(read_idx_header(path).magic) for path in pair] == ["0x803", "0x801"]


def test_pair_that_does_not_belong_together(pair: tuple[Path, Path]) -> None:
    images, labels = pair
    with pytest.raises(DataFormatError, match="swapped"):
        read_idx_pair(labels, images)
    with pytest.raises(DataFormatError, match="magic 2051, expected 2049"):
        read_idx_pair(images, images)
    with pytest.raises(DataFormatError, match="byte 8: found label 9, expected 0 to 8"):
        read_idx_pair(images, labels, num_classes=9)
    write_idx(labels, np.array([1, 2, 3], np.uint8))
    with pytest.raises(DataFormatError, match="byte 4: found 3 labels, expected 2"):
        read_idx_pair(images, labels)
    write_idx(labels, np.array([1, 2], np.int32))
    with pytest.raises(DataFormatError, match="expected 2049"):
        read_idx_pair(images, labels)


def test_write_refuses_what_idx_cannot_hold(tmp_path: Path) -> None:
    for array in (np.zeros(3, np.int64), np.zeros(3, bool), np.array(1, np.uint8), np.zeros((1,) * 9, np.uint8)):
        with pytest.raises(ValueError, match="IDX cannot hold"):
            write_idx(tmp_path / "x", array)


RAW = b"\0\0\x0d\x02" + struct.pack(">II", 4, 3) + np.arange(12, dtype=">f4").tobytes()


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(packed=st.booleans(), data=st.data())
def test_random_damage_never_raises_anything_else(
    tmp_path_factory: pytest.TempPathFactory, packed: bool, data: Any
) -> None:
    content = bytearray(gzip.compress(RAW, mtime=0) if packed else RAW)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.idx"
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]) + data.draw(st.binary(max_size=4)))
    with contextlib.suppress(DataFormatError):
        assert read_idx(path).dtype.kind in "iuf"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(content=st.binary(max_size=64))
def test_random_bytes_never_raise_anything_else(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "random.idx"
    path.write_bytes(content)
    with contextlib.suppress(DataFormatError):
        read_idx(path)
