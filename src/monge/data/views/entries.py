"""The pictures of one mesh as a file with a checksum."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_MAGIC = b"MONGEVW1"
_HEAD = struct.Struct("<8sIQ")
# Rendered pictures have large even parts: level 1 makes them about ten times smaller, at 300 MB/s.
_LEVEL = 1


def write_entry(path: Path, views: NDArray[np.uint8]) -> None:
    """Writes pictures so that the file is there wholly or not at all.

    Args:
        path: The file; its folder is made if need be.
        views: uint8 ``(V, S, S)``.

    Raises:
        OSError: The disk is full or the folder cannot be written.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "ab" / "abc"
        >>> write_entry(file, np.zeros((12, 8, 8), np.uint8))
        >>> read_entry(file, (12, 8, 8)).shape, checksum_of(file) == checksum(np.zeros((12, 8, 8), np.uint8))
        ((12, 8, 8), True)
    """
    packed = zlib.compress(views.tobytes(), _LEVEL)
    path.parent.mkdir(parents=True, exist_ok=True)
    neighbour = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        neighbour.write_bytes(_HEAD.pack(_MAGIC, checksum(views), len(packed)) + packed)
        neighbour.replace(path)
    finally:
        neighbour.unlink(missing_ok=True)


def read_entry(path: Path, shape: tuple[int, int, int]) -> NDArray[np.uint8] | None:
    """Reads pictures.

    Args:
        path: The file.
        shape: What they must have.

    Returns:
        uint8 of that shape, or ``None`` if the file is missing or damaged.

    Example:
        >>> read_entry(Path("no/such/file"), (12, 8, 8)) is None
        True
    """
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if len(content) < _HEAD.size:
        return None
    magic, expected, length = _HEAD.unpack_from(content)
    if magic != _MAGIC or length != len(content) - _HEAD.size:
        return None
    size = int(np.prod(shape))
    unpacker = zlib.decompressobj()
    try:
        # One byte more than wanted would be too many; a damaged file must not fill the memory.
        pixels = unpacker.decompress(content[_HEAD.size :], size + 1)
    except zlib.error:
        return None
    if len(pixels) != size or zlib.crc32(pixels) != expected:
        return None
    return np.frombuffer(pixels, np.uint8).reshape(shape)


def checksum_of(path: Path) -> int | None:
    """The checksum that a file notes, or ``None`` if it is missing or not as long as it says.

    Example:
        >>> checksum_of(Path("no/such/file")) is None
        True
    """
    try:
        with open(path, "rb") as stream:
            head = stream.read(_HEAD.size)
            size = os.fstat(stream.fileno()).st_size
    except OSError:
        return None
    if len(head) < _HEAD.size:
        return None
    magic, noted, length = _HEAD.unpack(head)
    return int(noted) if magic == _MAGIC and length == size - _HEAD.size else None


def checksum(views: NDArray[np.uint8]) -> int:
    """CRC-32 of the pixels.

    Example:
        >>> checksum(np.zeros((1, 2, 2), np.uint8)) == zlib.crc32(bytes(4))
        True
    """
    return zlib.crc32(np.ascontiguousarray(views).data)
