"""The IDX format of MNIST and its relatives: big-endian, gzipped or not, checked before anything is allocated."""

from __future__ import annotations

import gzip
import math
import struct
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.sniff import GZIP_MAGIC, HEAD, MAX_DEFLATE_RATIO, open_data, read_bounded, refuse_impostor
from monge.errors import DataFormatError

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CODES = {np.dtype(name).newbyteorder("="): code for code, name in _TYPES.items()}
_MAX_DIMS = 8
MAX_BYTES = 1 << 30


@dataclass(frozen=True)
class IdxHeader:
    """What the first bytes of an IDX file promise.

    Args:
        dtype: Element type as stored (big-endian).
        shape: Every dimension, each at least 1.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def length(self) -> int:
        """Bytes of the header itself."""
        return 4 + 4 * len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of data that must follow the header."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def magic(self) -> int:
        """The first four bytes as a big-endian number, e.g. 2051 for images and 2049 for labels."""
        return _CODES[self.dtype.newbyteorder("=")] << 8 | len(self.shape)


def read_idx_header(path: str | Path) -> IdxHeader:
    """Reads the header alone.

    Args:
        path: An IDX file, gzipped or not.

    Raises:
        DataFormatError: The file is not IDX; the message names the byte.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "labels-idx1-ubyte"
        >>> write_idx(file, np.arange(3, dtype=np.uint8))
        >>> read_idx_header(file).shape
        (3,)
    """
    path = Path(path)
    with ExitStack() as stack:
        stream, _, _ = _open(stack, path)
        return _parse_header(path, stream)


def read_idx(path: str | Path, *, max_bytes: int = MAX_BYTES) -> NDArray[Any]:
    """Reads an IDX file into an array of native byte order.

    Whether the file is gzipped is decided by its first two bytes, never by its name, and no memory is asked for before
    the header's promise has been held against the size of the file.

    Args:
        path: An IDX file, gzipped or not.
        max_bytes: Refuse files whose data are larger than this (1 GiB unless told).

    Returns:
        Array of uint8, int8, int16, int32, float32 or float64 with the shape of the header.

    Raises:
        DataFormatError: Anything that is not a complete IDX file; the message names the byte.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "pair.idx"
        >>> write_idx(file, np.array([[1, 2], [3, 4]], dtype=np.int32), compress=True)
        >>> read_idx(file).tolist()
        [[1, 2], [3, 4]]
    """
    path = Path(path)
    with ExitStack() as stack:
        stream, size, packed = _open(stack, path)
        header = _parse_header(path, stream)
        _check_promise(path, header, size, packed, max_bytes)
        # One byte more than promised: finds surplus data, and makes gzip check its checksum at the end.
        content = read_bounded(path, stream, header.nbytes + 1, "an IDX file")
    if len(content) != header.nbytes:
        raise _wrong_length(path, header, len(content), packed)
    array = np.frombuffer(content, header.dtype).reshape(header.shape)
    return array.astype(header.dtype.newbyteorder("="), copy=False)


def read_idx_pair(
    images: str | Path, labels: str | Path, *, num_classes: int = 10
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Reads images and the labels that belong to them.

    Args:
        images: IDX file of uint8, three dimensions (magic 2051).
        labels: IDX file of uint8, one dimension (magic 2049).
        num_classes: Labels must be below this.

    Returns:
        Images ``(N, H, W)`` and labels ``(N,)``, both uint8.

    Raises:
        DataFormatError: Either file is bad, the two are swapped, their lengths differ or a label is out of range.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_idx(folder / "x", np.zeros((2, 4, 4), np.uint8))
        >>> write_idx(folder / "y", np.array([7, 1], np.uint8))
        >>> read_idx_pair(folder / "x", folder / "y")[1].tolist()
        [7, 1]
    """
    images, labels = Path(images), Path(labels)
    image_header, label_header = read_idx_header(images), read_idx_header(labels)
    if (image_header.magic, label_header.magic) == (0x801, 0x803):
        raise DataFormatError(images, "byte 0", "labels (magic 2049)", "images (magic 2051)", "the files are swapped")
    for path, header, magic in ((images, image_header, 0x803), (labels, label_header, 0x801)):
        if header.magic != magic:
            kind = "images, uint8 of three dimensions" if magic == 0x803 else "labels, uint8 of one dimension"
            raise DataFormatError(path, "byte 0", f"magic {header.magic}", f"{magic} ({kind})", "is it another file?")
    if image_header.shape[0] != label_header.shape[0]:
        expected = f"{image_header.shape[0]}, one for each image of {images.name}"
        raise DataFormatError(labels, "byte 4", f"{label_header.shape[0]} labels", expected, "files of different sets")
    values = read_idx(labels)
    if (bad := np.flatnonzero(values >= num_classes)).size:
        place, found = f"byte {label_header.length + int(bad[0])}", f"label {values[bad[0]]}"
        raise DataFormatError(labels, place, found, f"0 to {num_classes - 1}", "is it another data set?")
    return read_idx(images), values


def write_idx(path: str | Path, array: NDArray[Any], *, compress: bool = False) -> None:
    """Writes an array as IDX.

    Args:
        path: The file to write; its folder must exist.
        array: uint8, int8, int16, int32, float32 or float64, one to eight dimensions.
        compress: Whether to gzip it (without a time stamp, so equal arrays give equal files).

    Raises:
        ValueError: A dtype or number of dimensions that IDX cannot hold.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "a.idx"
        >>> write_idx(file, np.zeros((1, 28, 28), np.uint8))
        >>> file.stat().st_size
        800
    """
    code = _CODES.get(array.dtype.newbyteorder("="))
    if code is None or not 1 <= array.ndim <= _MAX_DIMS:
        raise ValueError(f"IDX cannot hold {array.dtype} with {array.ndim} dimensions")
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    content = head + array.astype(_TYPES[code], copy=False).tobytes()
    Path(path).write_bytes(gzip.compress(content, mtime=0) if compress else content)


def _open(stack: ExitStack, path: Path) -> tuple[BinaryIO, int, bool]:
    """Stream of the (decompressed) content, size of the file in bytes, and whether it is gzipped."""
    stream, size = stack.enter_context(open_data(path, "an IDX file"))
    packed = stream.read(2) == GZIP_MAGIC
    stream.seek(0)
    if not packed:
        return stream, size, False
    inflated = cast(BinaryIO, gzip.GzipFile(fileobj=stream))
    refuse_impostor(path, bytes(read_bounded(path, inflated, HEAD, "an IDX file")), "an IDX file")
    inflated.seek(0)
    return inflated, size, True


def _parse_header(path: Path, stream: BinaryIO) -> IdxHeader:
    magic = bytes(read_bounded(path, stream, 4, "an IDX file"))
    _check_magic(path, magic)
    code, ndim = magic[2], magic[3]
    sizes = bytes(read_bounded(path, stream, 4 * ndim, "an IDX file"))
    if len(sizes) < 4 * ndim:
        expected = f"{4 * ndim} for {ndim} dimensions"
        raise DataFormatError(path, "byte 4", f"{len(sizes)} bytes of sizes", expected, "the file is truncated")
    shape = struct.unpack(f">{ndim}I", sizes)
    if 0 in shape:
        place = f"byte {4 + 4 * shape.index(0)}"
        raise DataFormatError(path, place, f"a dimension of 0 in {shape}", "at least 1", "the file holds no data")
    return IdxHeader(np.dtype(_TYPES[code]), shape)


def _check_magic(path: Path, magic: bytes) -> None:
    if len(magic) < 4:
        raise DataFormatError(
            path, "byte 0", f"only {len(magic)} bytes", "an IDX header of at least 8", "the file is truncated"
        )
    word = f"magic 0x{magic.hex()}"
    if magic[2:] == b"\0\0" and magic[1] in _TYPES and magic[0] in range(1, _MAX_DIMS + 1):
        raise DataFormatError(path, "byte 0", word, f"0x{magic[::-1].hex()}", "little-endian file; IDX is big-endian")
    if magic[:2] == GZIP_MAGIC:
        raise DataFormatError(path, "byte 0", "gzip inside gzip", "an IDX file", "compressed twice; decompress it once")
    if magic[:2] != b"\0\0":
        raise DataFormatError(path, "byte 0", word, "two zero bytes first (0x00000803, 0x00000801)", "not an IDX file")
    if magic[2] not in _TYPES:
        codes = ", ".join(f"0x{code:02x}" for code in _TYPES)
        raise DataFormatError(path, "byte 2", f"type code 0x{magic[2]:02x}", f"one of {codes}", "not an IDX file")
    if not 1 <= magic[3] <= _MAX_DIMS:
        raise DataFormatError(path, "byte 3", f"{magic[3]} dimensions", f"1 to {_MAX_DIMS}", "not an IDX file")


def _check_promise(path: Path, header: IdxHeader, size: int, packed: bool, max_bytes: int) -> None:
    """Holds what the header promises against the size of the file, before any data are read."""
    promised = f"{header.nbytes} bytes promised by shape {header.shape}"
    if not packed and size - header.length != header.nbytes:
        raise _wrong_length(path, header, size - header.length, packed)
    if packed and header.length + header.nbytes > size * MAX_DEFLATE_RATIO:
        raise DataFormatError(path, "byte 4", promised, f"what {size} gzipped bytes can hold", "the header is wrong")
    if header.nbytes > max_bytes:
        raise DataFormatError(
            path, "byte 4", promised, f"at most {max_bytes}", "a larger file needs a larger max_bytes"
        )


def _wrong_length(path: Path, header: IdxHeader, found: int, packed: bool) -> DataFormatError:
    surplus = found > header.nbytes
    count = f"more than {header.nbytes}" if packed and surplus else str(found)
    hint = "the header is wrong or something was appended" if surplus else "the file is truncated; fetch it again"
    expected = f"{header.nbytes} for {header.dtype.name} of shape {header.shape}"
    return DataFormatError(path, f"byte {header.length}", f"{count} bytes of data", expected, hint)
