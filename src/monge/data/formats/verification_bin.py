"""InsightFace's verification sets (``lfw.bin``, ``agedb_30.bin``): a pickle of pictures two by two, and flags."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.pickles import load_pickle
from monge.data.formats.sniff import shown
from monge.errors import DataFormatError

FOLDS = 10
_MAX_BYTES = 4 << 30
_EXPECTED = "encoded pictures two by two, and a flag for each pair"


@dataclass(frozen=True)
class Pictures:
    """Encoded pictures that are held in memory.

    Args:
        path: The file that they are from.
        contents: Each of them.
    """

    path: Path
    contents: list[bytes]

    def __len__(self) -> int:
        return len(self.contents)

    def content(self, index: int) -> bytes:
        """One encoded picture."""
        return self.contents[index]

    def where(self, index: int) -> str:
        """Its place."""
        return f"image {index} (pair {index // 2})"


@dataclass(frozen=True)
class VerificationBin:
    """A verification set.

    Args:
        pictures: Images ``2 i`` and ``2 i + 1`` are pair ``i``.
        same: Whether both show the same person, bool ``(P,)``.
        folds: Fold of each pair: the contiguous tenths, int64 ``(P,)``.
    """

    pictures: Pictures
    same: NDArray[np.bool_]
    folds: NDArray[np.int64]


def read_verification_bin(path: str | Path, *, folds: int = FOLDS) -> VerificationBin:
    """Reads a set; its pictures stay encoded.

    Args:
        path: The ``.bin`` file, pickled by Python 2 or 3, with pictures as byte strings or arrays of bytes.
        folds: Number of folds.

    Raises:
        DataFormatError: A pickle that holds anything else than data, an odd number of pictures, another number of
            flags than of pairs, a picture that is none, or a fold without genuine pairs or without impostors.

    Warns:
        UserWarning: The pairs cannot be parted into folds of equal size.

    Example:
        >>> import tempfile
        >>> from monge.data.synthetic.face_layouts import write_fake_bin
        >>> write_fake_bin(file := Path(tempfile.mkdtemp()) / "lfw.bin", folds=2, per_fold=1, size=16)
        >>> read = read_verification_bin(file, folds=2)
        >>> len(read.pictures), read.same.tolist(), read.folds.tolist()
        (8, [True, False, True, False], [0, 0, 1, 1])
    """
    path = Path(path)
    content = load_pickle(path, max_bytes=_MAX_BYTES)
    if not isinstance(content, (tuple, list)) or len(content) != 2:
        found = f"{_kind(content)}" + (f" of {len(content)}" if isinstance(content, (tuple, list)) else "")
        raise DataFormatError(shown(path), "", found, _EXPECTED, "is it a verification set?")
    pictures, flags = content
    if not isinstance(pictures, (tuple, list)):
        raise DataFormatError(shown(path), "", f"{_kind(pictures)} first", _EXPECTED, "is it a verification set?")
    contents = [_bytes(path, place, picture) for place, picture in enumerate(pictures)]
    same = _flags(path, flags)
    if len(contents) % 2:
        raise DataFormatError(shown(path), "", f"{len(contents):,} pictures", "an even number", "fetch the file again")
    if len(contents) != 2 * len(same) or not len(same):
        found = f"{len(contents):,} pictures with {len(same):,} flags"
        raise DataFormatError(shown(path), "", found, "a flag for every two pictures", "fetch the file again")
    return VerificationBin(Pictures(path, contents), same, contiguous_folds(path, same, folds))


def contiguous_folds(path: Path, same: NDArray[np.bool_], folds: int) -> NDArray[np.int64]:
    """Parts pairs into folds in their order, as every script of the field does.

    Args:
        path: The file, for the messages.
        same: Whether each pair is genuine, ``(P,)``.
        folds: Number of folds; the first ones are larger by one pair where they cannot be equal.

    Raises:
        DataFormatError: Fewer pairs than folds, or a fold has only genuine pairs or only impostors.

    Warns:
        UserWarning: They cannot be equal.

    Example:
        >>> contiguous_folds(Path("a.bin"), np.array([True, False, True, False]), 2).tolist()
        [0, 0, 1, 1]
    """
    if len(same) < folds:
        raise DataFormatError(shown(path), "", f"{len(same)} pairs", f"at least one for each of {folds} folds")
    if len(same) % folds:
        warnings.warn(f"{shown(path)}: {len(same):,} pairs are no multiple of {folds} folds", UserWarning, stacklevel=3)
    sizes = [len(part) for part in np.array_split(same, folds)]
    numbers = np.arange(folds).repeat(sizes)
    check_folds(path, same, numbers)
    return numbers


def check_folds(path: Path, same: NDArray[np.bool_], folds: NDArray[np.int64]) -> None:
    """Raises where an accuracy would mean nothing.

    Args:
        path: The file, for the messages.
        same: Whether each pair is genuine, ``(P,)``.
        folds: Fold of each, ``(P,)``.

    Raises:
        DataFormatError: A fold has only genuine pairs, or only impostors.

    Example:
        >>> check_folds(Path("a.bin"), np.array([True, True]), np.array([0, 0]))
        Traceback (most recent call last):
        monge.errors.DataFormatError: a.bin: fold 0: found 2 genuine pairs and 0 impostors, expected both...
    """
    genuine, pairs = np.bincount(folds, same), np.bincount(folds)
    for fold in np.flatnonzero((genuine == 0) | (genuine == pairs)):
        found = f"{int(genuine[fold])} genuine pairs and {int(pairs[fold] - genuine[fold])} impostors"
        hint = "an accuracy would mean nothing; is the order of the pairs the protocol's?"
        raise DataFormatError(shown(path), f"fold {fold}", found, "both in every fold", hint)


def _bytes(path: Path, place: int, picture: Any) -> bytes:
    if isinstance(picture, np.ndarray) and picture.dtype == np.uint8 and picture.ndim == 1:
        picture = picture.tobytes()
    if not isinstance(picture, bytes) or not picture:
        found = f"{_kind(picture)}" if not isinstance(picture, bytes) else "an empty picture"
        raise DataFormatError(shown(path), f"image {place}", found, "the bytes of an encoded picture")
    return picture


def _flags(path: Path, flags: Any) -> NDArray[np.bool_]:
    try:
        values = np.asarray(flags)
    except (ValueError, TypeError):
        values = np.empty((0, 0))
    if values.ndim != 1 or values.dtype.kind not in "biuf" or not np.isin(values, (0, 1)).all():
        raise DataFormatError(shown(path), "", "flags that are not true or false", _EXPECTED, "fetch the file again")
    return values.astype(bool)


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array {value.dtype} {value.shape}"
    return f"a {type(value).__name__}"
