"""Arrays in HDF5 files, read by h5py, without links that lead out of the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.features_npy import MAX_BYTES
from monge.data.formats.sniff import open_data, shown
from monge.errors import DataFormatError
from monge.extras import require

_MAGIC = b"\x89HDF\r\n\x1a\n"
_KINDS = "fiub"


def hdf5_arrays(path: str | Path) -> Iterator[tuple[str, NDArray[Any]]]:
    """Arrays of an HDF5 file with their names, groups and name joined by slashes, one in memory at a time.

    Args:
        path: The file.

    Raises:
        DataFormatError: Not such a file, damaged, a link to another file, or an array of something else than numbers
            and strings.
        MissingExtraError: h5py is not installed.

    Example:
        >>> import tempfile
        >>> h5py = require("h5py", extra="text", purpose="the example")
        >>> with h5py.File(path := Path(tempfile.mkdtemp()) / "clips.h5", "w") as file:
        ...     file["video0"] = np.ones((4, 8), np.float32)
        >>> [(name, array.shape) for name, array in hdf5_arrays(path)]
        [('video0', (4, 8))]
    """
    path = Path(path)
    with open_data(path, "an HDF5 file") as (stream, size):
        head = stream.read(len(_MAGIC))
        if head != _MAGIC:
            raise DataFormatError(shown(path), "byte 0", f"{head!r}", "the signature of an HDF5 file")
    h5py = require("h5py", extra="text", purpose="reading HDF5 files")
    try:
        with h5py.File(path, "r") as file:
            yield from _arrays(h5py, path, file, "", size)
    except (OSError, KeyError, RuntimeError) as error:
        found = f"a damaged file ({' '.join(str(error).split())[:100]})"
        raise DataFormatError(shown(path), "", found, "an HDF5 file, whole", "write or fetch it again") from None


def _arrays(h5py: Any, path: Path, group: Any, prefix: str, size: int) -> Iterator[tuple[str, NDArray[Any]]]:
    """Arrays of a group and of those within it."""
    for key in group:
        name = f"{prefix}{key}"
        if not isinstance(group.get(key, getlink=True), h5py.HardLink):
            raise DataFormatError(shown(path), shown(name)[:60], "a link", "the array itself", "it was not followed")
        item = group[key]
        if isinstance(item, h5py.Group):
            yield from _arrays(h5py, path, item, f"{name}/", size)
        else:
            _check(h5py, path, name, item, size)
            yield name, _strings(item) if item.dtype.kind == "O" else np.asarray(item[()])


def _check(h5py: Any, path: Path, name: str, item: Any, size: int) -> None:
    """Refuses what reaches out of the file, is no array, or claims more than the file can hold."""
    where = shown(name)[:60]
    if not isinstance(item, h5py.Dataset) or item.is_virtual or item.external:
        raise DataFormatError(shown(path), where, "data that lie in other files", "the array itself")
    text = item.dtype.kind == "S" or h5py.check_string_dtype(item.dtype) is not None
    if item.dtype.kind not in _KINDS and not text:
        raise DataFormatError(shown(path), where, f"an array of {item.dtype}", "numbers or strings")
    # What was never written reads as zeros and takes no room in the file, so that a header alone could ask for all of
    # the memory; compressed chunks are the reason for the factor.
    if item.nbytes > MAX_BYTES or (not text and item.nbytes > 1032 * size):
        expected = f"at most {min(MAX_BYTES, 1032 * size):,} in a file of {size:,}"
        raise DataFormatError(shown(path), where, f"an array of {item.nbytes:,} bytes", expected)


def _strings(item: Any) -> NDArray[Any]:
    """Strings of any length as an array of text."""
    return np.asarray(item.asstr()[()], dtype=np.str_)
