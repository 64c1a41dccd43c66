"""Features that were extracted beforehand: of clips, one file for each expert, and of their captions.

An expert is a network that looked at all clips: at single frames, at motion, at faces, at sound. Its file gives each
clip one vector ``(D,)`` or several in the order of time ``(T, D)``. What an expert could not see (no face, no sound) is
NaN, or the clip is not in its file. A caption has one vector ``(D,)`` or one for each of its words ``(L, D)``.

Four forms are read, and a fifth that holds no names:

* ``.npz``, ``.safetensors``, ``.h5`` / ``.hdf5``: an array for each clip, named like it; or three arrays, ``ids``
  ``(N,)``, ``features`` ``(N, D)`` or ``(N, T, D)``, and ``lengths`` ``(N,)`` where ``T`` is not that of every clip;
* ``.pickle`` / ``.pkl``: a dictionary from ids to arrays, as the collaborative experts are published (Liu, Albanie,
  Nagrani, Zisserman; BMVC 2019); read without running any code;
* ``.npy``: rows ``(N, D)`` or ``(N, T, D)`` whose ids are the numbers from 0 on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.features_hdf5 import hdf5_arrays
from monge.data.formats.features_npy import npz_arrays, read_npy
from monge.data.formats.features_safetensors import safetensors_arrays
from monge.data.formats.pickles import load_pickle
from monge.data.formats.sniff import shown
from monge.errors import DataFormatError

FEATURE_ENDINGS = (".npz", ".safetensors", ".h5", ".hdf5", ".pickle", ".pkl", ".npy")
Value = NDArray[Any] | np.floating[Any] | list[Any] | float
_READERS = {
    ".npz": npz_arrays,
    ".safetensors": safetensors_arrays,
    ".h5": hdf5_arrays,
    ".hdf5": hdf5_arrays,
}
_PACKED = ("ids", "features", "lengths")
_MAX_PICKLE_BYTES = 32 << 30


def feature_entries(path: str | Path) -> Iterator[tuple[str, Value]]:
    """What a feature file has, id by id, in whichever of the forms above.

    Args:
        path: The file.

    Raises:
        DataFormatError: A file of another kind, a damaged one, or one whose parts contradict one another.
        MissingExtraError: The package that reads its form is not installed.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "rgb.npz"
        >>> np.savez(file, ids=np.array(["a", "b"]), features=np.zeros((2, 5, 4)), lengths=np.array([5, 3]))
        >>> [(name, value.shape) for name, value in feature_entries(file)]
        [('a', (5, 4)), ('b', (3, 4))]
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending in (".pickle", ".pkl"):
        yield from _pickled(path)
    elif ending == ".npy":
        yield from ((str(number), row) for number, row in enumerate(_rows(path, read_npy(path))))
    elif ending in _READERS:
        yield from _named(path, _READERS[ending](path))
    else:
        expected = f"features in one of {', '.join(FEATURE_ENDINGS)}"
        raise DataFormatError(shown(path), "", f"a file that ends in {ending or 'nothing'}", expected)


def _pickled(path: Path) -> Iterator[tuple[str, Value]]:
    content = load_pickle(path, max_bytes=_MAX_PICKLE_BYTES)
    if not isinstance(content, dict):
        found = f"a {type(content).__name__}"
        raise DataFormatError(shown(path), "", found, "a dictionary from the ids of clips to arrays")
    for key, value in content.items():
        name = key.decode("utf-8", "backslashreplace") if isinstance(key, bytes) else str(key)
        if not isinstance(value, (np.ndarray, list, tuple, float, np.floating)):
            found = f"a {type(value).__name__}"
            raise DataFormatError(shown(path), shown(name)[:60], found, "an array, a list of arrays, or NaN")
        yield name, list(value) if isinstance(value, tuple) else value


def _named(path: Path, arrays: Iterator[tuple[str, NDArray[Any]]]) -> Iterator[tuple[str, Value]]:
    """An array for each id, or the three arrays that hold them all."""
    packed: dict[str, NDArray[Any]] = {}
    for name, array in arrays:
        if name in _PACKED:
            packed[name] = array
        else:
            yield name, array
    if "ids" not in packed or "features" not in packed:
        yield from packed.items()
        return
    rows, ids = _rows(path, packed["features"]), [str(one) for one in packed["ids"].ravel()]
    lengths = packed.get("lengths")
    if len(ids) != len(rows) or (lengths is not None and lengths.shape != (len(rows),)):
        found = f"{len(ids):,} ids, {len(rows):,} features" + ("" if lengths is None else f", {lengths.size:,} lengths")
        raise DataFormatError(shown(path), "", found, "equally many")
    if lengths is None:
        yield from zip(ids, rows)
        return
    if rows.ndim != 3 or lengths.dtype.kind not in "iu" or (lengths < 0).any() or (lengths > rows.shape[1]).any():
        found = f"lengths for features of shape {rows.shape}, up to {lengths.max(initial=0)}"
        raise DataFormatError(shown(path), "lengths", found, "features (N, T, D) and whole numbers from 0 to T")
    for name, row, length in zip(ids, rows, lengths.tolist()):
        yield name, row[:length]


def _rows(path: Path, array: NDArray[Any]) -> NDArray[Any]:
    if array.ndim not in (2, 3):
        raise DataFormatError(shown(path), "", f"an array of shape {array.shape}", "rows (N, D) or (N, T, D)")
    return array
