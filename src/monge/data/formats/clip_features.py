"""What the feature files of clips and captions say, checked number by number; see `monge.data.formats.features`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.clip_ids import clip_id, distinct_ids
from monge.data.formats.features import Value, feature_entries
from monge.data.formats.flaws import Flaws
from monge.data.formats.sniff import shown
from monge.errors import DataFormatError

Rows = NDArray[np.float32]
"""``(T, D)``, finite, at least one row."""
Length = int | Literal["mean"] | None
"""How many rows are kept: so many, evenly spaced; their mean; or all."""


@dataclass(frozen=True)
class ClipFeatures:
    """What one expert saw.

    Args:
        path: Its file.
        width: Length of a vector.
        rows: Vectors of each clip in the order of time; clips that the expert says nothing on are left out.
        silent: Clips that are in the file and have NaN there.
    """

    path: Path
    width: int
    rows: dict[str, Rows]
    silent: frozenset[str]


@dataclass(frozen=True)
class CaptionFeatures:
    """Features of captions.

    Args:
        path: Their file.
        width: Length of a vector.
        rows: For each clip its captions in the order of the annotations; ``None`` for one without features.
    """

    path: Path
    width: int
    rows: dict[str, list[Rows | None]]


def read_clip_features(
    path: str | Path, flaws: Flaws, *, width: int | None = None, length: Length = None
) -> ClipFeatures:
    """Reads the file of one expert.

    Args:
        path: The file.
        flaws: Takes clips with no rows, with vectors of another width, or with numbers that are not finite.
        width: Length of a vector; ``None``: that of the first clip.
        length: Most rows of a clip that are kept, evenly spaced, or ``"mean"``.

    Raises:
        DataFormatError: The file is not good, a clip is in it twice, or no clip in it has features.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "rgb.npz"
        >>> np.savez(file, a=np.ones((9, 4)), b=np.full((1, 4), np.nan))
        >>> seen = read_clip_features(file, Flaws(strict=True), length=3)
        >>> seen.width, seen.rows["a"].shape, sorted(seen.silent)
        (4, (3, 4), ['b'])
    """
    path = Path(path)
    reader = _Reader(path, flaws, width, length)
    rows: dict[str, Rows] = {}
    silent: list[str] = []
    names: list[str] = []
    for name, value in feature_entries(path):
        names.append(name)
        if (found := reader.read(name, value)) is not None:
            rows[clip_id(name)] = found
        else:
            silent.append(clip_id(name))
    distinct_ids(names, path)
    return ClipFeatures(path, reader.settled(len(rows), len(silent)), rows, frozenset(silent))


def read_caption_features(
    path: str | Path, flaws: Flaws, *, width: int | None = None, length: Length = None
) -> CaptionFeatures:
    """Reads features of captions: a list for each clip, an array with a row for each caption, or ``clip/number``.

    Args:
        path: The file. Of a clip it has a list of ``(L, D)`` or ``(D,)`` (pickles alone), an array ``(C, D)`` with a
            vector for each caption, ``(C, L, D)`` with NaN after the last word; or each caption has an entry of its
            own, ``video7/0``, ``video7/1`` and so on.
        flaws: Takes captions with no rows, with vectors of another width, or with numbers that are not finite.
        width: Length of a vector; ``None``: that of the first caption.
        length: Most rows of a caption that are kept, from the front, or ``"mean"``.

    Raises:
        DataFormatError: The file is not good, a clip is in it twice, or no caption in it has features.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "text.npz"
        >>> np.savez(file, **{"a/0": np.ones((5, 3)), "a/1": np.ones((2, 3)), "b": np.ones((4, 3))})
        >>> read = read_caption_features(file, Flaws(strict=True))
        >>> [rows.shape for rows in read.rows["a"]], len(read.rows["b"])
        ([(5, 3), (2, 3)], 4)
    """
    path = Path(path)
    reader = _Reader(path, flaws, width, length, spaced=False)
    rows: dict[str, list[Rows | None]] = {}
    for name, values in _caption_lists(path):
        rows[name] = [
            reader.read(f"{name}/{number}", value, silent_is_flaw=True) for number, value in enumerate(values)
        ]
    kept = sum(one is not None for captions in rows.values() for one in captions)
    return CaptionFeatures(path, reader.settled(kept, 0), rows)


class _Reader:
    """Turns the entries of one file into rows, all of one width."""

    def __init__(self, path: Path, flaws: Flaws, width: int | None, length: Length, *, spaced: bool = True) -> None:
        self._path, self._flaws, self._width, self._length, self._spaced = path, flaws, width, length, spaced

    def read(self, name: str, value: Value | None, *, silent_is_flaw: bool = False) -> Rows | None:
        """Finite rows of one entry; ``None`` where there are none."""
        array = _as_array(value)
        if array is None:
            self._note("features of the wrong shape", name, _kind(value), "numbers (D,) or (T, D)")
            return None
        if array.ndim == 0:
            if not np.isnan(array) or silent_is_flaw:
                self._note("features of the wrong shape", name, f"the number {array}", "numbers (D,) or (T, D)")
            return None
        rows = array.reshape(1, -1) if array.ndim == 1 else array
        if not rows.size:
            hint = "numbers (D,) or (T, D), or NaN where there is nothing"
            self._note("empty features", name, f"shape {array.shape}", hint)
            return None
        missing = np.isnan(rows).all(1)
        if missing.all():
            if silent_is_flaw:
                self._note("features that are all NaN", name, "NaN alone", "numbers")
            return None
        # Where an expert says nothing, some files have a NaN of another width.
        self._width = rows.shape[1] if self._width is None else self._width
        if rows.shape[1] != self._width:
            found = f"vectors of {rows.shape[1]:,} numbers"
            self._note("features of the wrong width", name, found, f"{self._width:,}, as the others have")
            return None
        rows = rows[~missing]
        if not np.isfinite(rows).all():
            self._note("features that are not finite", name, "NaN or infinity within a vector", "finite numbers")
            return None
        return self._shortened(rows.astype(np.float32, copy=False))

    def settled(self, kept: int, silent: int) -> int:
        """The width, once it is sure that there is anything to use."""
        self._flaws.settle()
        if not kept or self._width is None:
            found = f"features of {silent:,} clips, all of them NaN" if silent else "no features"
            raise DataFormatError(shown(self._path), "", found, "features of at least one clip")
        return self._width

    def _shortened(self, rows: Rows) -> Rows:
        if self._length is None or len(rows) == 1:
            return rows
        if self._length == "mean":
            mean: Rows = rows.mean(0, keepdims=True, dtype=np.float64).astype(np.float32)
            return mean
        if len(rows) <= self._length:
            return rows
        if not self._spaced:
            return rows[: self._length].copy()
        # The middles of equal stretches.
        return rows[(2 * np.arange(self._length) + 1) * len(rows) // (2 * self._length)]

    def _note(self, kind: str, name: str, found: str, expected: str) -> None:
        self._flaws.note(kind, self._path, shown(name)[:60], found, expected)


def _caption_lists(path: Path) -> list[tuple[str, list[Value | None]]]:
    """For each clip the values of its captions."""
    whole: list[tuple[str, Value]] = []
    single: dict[str, dict[int, Value]] = {}
    for name, value in feature_entries(path):
        clip, slash, number = name.rpartition("/")
        if slash and clip and number.isascii() and number.isdigit() and len(number) < 7:
            if int(number) in single.setdefault(clip, {}):
                raise DataFormatError(shown(path), shown(name)[:60], "a caption twice", "each caption once")
            single[clip][int(number)] = value
        else:
            whole.append((name, value))
    distinct_ids([name for name, _ in whole] + list(single), path)
    lists: list[tuple[str, list[Value | None]]] = [(clip_id(name), _listed(path, name, value)) for name, value in whole]
    for clip, numbered in single.items():
        lists.append((clip_id(clip), [numbered.get(number) for number in range(max(numbered) + 1)]))
    return lists


def _listed(path: Path, name: str, value: Value) -> list[Value | None]:
    if isinstance(value, list):
        return list(value)
    if isinstance(value, np.ndarray) and value.ndim in (2, 3):
        return list(value)
    found = f"shape {value.shape}" if isinstance(value, np.ndarray) else f"the number {value}"
    expected = "captions as a list, (C, D) or (C, L, D)"
    raise DataFormatError(shown(path), shown(name)[:60], found, expected, "a caption alone is called clip/0")


def _as_array(value: Value | None) -> NDArray[Any] | None:
    """Numbers with up to two dimensions; ``None`` for anything else."""
    if isinstance(value, list):
        if not value or not all(isinstance(row, np.ndarray) and row.shape == value[0].shape for row in value):
            value = [] if not value else None
        value = None if value is None else np.stack(value) if value else np.empty((0, 0))
    if value is None:
        return None
    array = np.asarray(value)
    return array if array.ndim <= 2 and array.dtype.kind in "fiu" else None


def _kind(value: Value | None) -> str:
    if value is None:
        return "nothing"
    return f"shape {value.shape} of {value.dtype}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
