"""Arrays in ``.npy`` files and ``.npz`` archives, held to the sizes they declare before any memory is taken."""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.sniff import MAX_DEFLATE_RATIO, open_data, shown
from monge.errors import DataFormatError

MAX_BYTES = 32 << 30
"""Of one array; more than any published set of features has."""
_ZIP_MAGIC = b"PK\x03\x04"
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_KINDS = "fiubUS"


def read_npy(path: str | Path) -> NDArray[Any]:
    """Reads a ``.npy`` file of numbers or strings.

    Args:
        path: The file.

    Raises:
        DataFormatError: Not such a file, an array of objects, or more or fewer bytes than its shape needs.

    Example:
        >>> import tempfile
        >>> np.save(file := Path(tempfile.mkdtemp()) / "rows.npy", np.ones((2, 3)))
        >>> read_npy(file).shape
        (2, 3)
    """
    path = Path(path)
    with open_data(path, "a .npy file") as (stream, size):
        return _array(path, "", stream, size)


def npz_arrays(path: str | Path) -> Iterator[tuple[str, NDArray[Any]]]:
    """Arrays of an ``.npz`` archive with their names, one in memory at a time.

    Args:
        path: The file.

    Raises:
        DataFormatError: Not such an archive, a damaged entry, an array of objects, or an entry whose declared size
            does not fit its shape or could not have been compressed so well.

    Example:
        >>> import tempfile
        >>> np.savez(file := Path(tempfile.mkdtemp()) / "clips.npz", video0=np.ones((4, 8)), video1=np.ones((2, 8)))
        >>> [(name, array.shape) for name, array in npz_arrays(file)]
        [('video0', (4, 8)), ('video1', (2, 8))]
    """
    path = Path(path)
    _require_zip(path)
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if info.is_dir():
                    continue
                name, where = info.filename.removesuffix(".npy"), f"entry {shown(info.filename)[:60]}"
                if info.file_size > max(1, info.compress_size) * MAX_DEFLATE_RATIO:
                    found = f"{info.compress_size:,} bytes that claim to unpack to {info.file_size:,}"
                    raise DataFormatError(shown(path), where, found, f"at most {MAX_DEFLATE_RATIO} times as many")
                with archive.open(info) as stream:
                    yield name, _array(path, where, stream, info.file_size)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        found = f"a damaged archive ({' '.join(str(error).split())[:80]})"
        raise DataFormatError(shown(path), "", found, "an .npz archive, whole", "write or fetch it again") from None


def npz_names(path: str | Path) -> set[str]:
    """Names of the arrays of an archive.

    Raises:
        DataFormatError: Not an archive.
    """
    path = Path(path)
    _require_zip(path)
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy") for name in archive.namelist()}
    except zipfile.BadZipFile as error:
        found = f"a damaged archive ({' '.join(str(error).split())[:80]})"
        raise DataFormatError(shown(path), "", found, "an .npz archive, whole", "write or fetch it again") from None


def _require_zip(path: Path) -> None:
    """Says what a file is that is no archive."""
    if os.path.isfile(path) and os.access(path, os.R_OK):
        with open(path, "rb") as stream:
            if stream.read(4) == _ZIP_MAGIC:
                return
    with open_data(path, "an .npz archive") as (stream, _):
        found = f"a file that begins with {stream.read(4)!r}"
    raise DataFormatError(shown(path), "byte 0", found, "an .npz archive")


def _array(path: Path, where: str, stream: IO[bytes], size: int) -> NDArray[Any]:
    """The array of an open ``.npy`` stream of `size` bytes."""
    before = stream.tell()
    try:
        version = np.lib.format.read_magic(stream)
        if version not in _HEADERS:
            raise ValueError(f"version {version}")
        shape, fortran, dtype = _HEADERS[version](stream)
    except (ValueError, UnicodeDecodeError, SyntaxError) as error:
        found = f"no array ({' '.join(str(error).split())[:80]})"
        raise DataFormatError(shown(path), where, found, "an array in .npy form") from None
    if dtype.kind not in _KINDS:
        found = "an array of objects" if dtype.hasobject else f"an array of {dtype}"
        raise DataFormatError(shown(path), where, found, "numbers or strings", "it was not loaded")
    needed, left = math.prod(shape) * dtype.itemsize, size - (stream.tell() - before)
    if needed != left or needed > MAX_BYTES:
        expected = f"{needed:,}, as its shape {shape} and type {dtype} need (at most {MAX_BYTES:,})"
        raise DataFormatError(shown(path), where, f"{left:,} bytes of data", expected, "the file is damaged")
    raw = stream.read(needed)
    if len(raw) != needed:
        raise DataFormatError(shown(path), where, f"{len(raw):,} bytes of data", f"{needed:,}", "the file is cut short")
    flat: NDArray[Any] = np.frombuffer(raw, dtype)
    return flat.reshape(shape, order="F" if fortran else "C")
