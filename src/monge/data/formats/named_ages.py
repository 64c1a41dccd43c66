"""Faces whose age is in the name of their file: FG-NET (``001A02.JPG``) and UTKFace (``25_0_2_20170116174525125.jpg``).

FG-NET names a person, ``A``, the age, and a letter where there are several pictures of an age. UTKFace names age,
gender (0, 1), race (0 to 4) and the time of collection; a few of its own names lack a field, which is why such names
are counted and passed over, and not refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.places import PICTURE_ENDINGS, find_place, pictures_in
from monge.data.formats.sniff import names_in

FGNET_COUNTS = (1_002, 82)
UTKFACE_COUNT = 23_708
_FGNET = re.compile(r"(\d{3})[Aa](\d{2})[A-Za-z]?\.\w+", re.ASCII)
_UTKFACE = re.compile(r"(\d{1,3})_[01]_[0-4]_\d+.*", re.ASCII)
_UTKFACE_PARTS = ("part1", "part2", "part3")
_OLDEST = 116


@dataclass(frozen=True)
class NamedAges:
    """Faces and their ages.

    Args:
        paths: The pictures.
        ages: In years.
        people: Number of the person; all 0 where the names do not say.
        passed_over: Names of pictures that have another form.
    """

    paths: list[Path]
    ages: NDArray[np.int64]
    people: NDArray[np.int64]
    passed_over: tuple[str, ...]


def read_fgnet(folder: str | Path) -> NamedAges:
    """Reads the names of FG-NET.

    Args:
        folder: The folder with the pictures, or one above it (``images/``).

    Raises:
        DataFormatError: No such names there, or two that differ only in capitals.

    Example:
        >>> import tempfile
        >>> from monge.data.synthetic.ordinal_layouts import write_fake_fgnet
        >>> write_fake_fgnet(root := tempfile.mkdtemp(), people=3)
        >>> sorted(set(read_fgnet(root).people.tolist()))
        [1, 2, 3]
    """
    place = find_place(folder, lambda place: _any(place, _fgnet), "FG-NET's pictures (001A02.JPG)")
    return _read([place], _fgnet)


def read_utkface(folder: str | Path) -> NamedAges:
    """Reads the names of UTKFace, of its aligned faces or of the folders ``part1`` to ``part3``.

    Args:
        folder: The folder with the pictures, or the one above it.

    Raises:
        DataFormatError: No such names there, in several folders, or two that differ only in capitals.

    Example:
        >>> import tempfile
        >>> from monge.data.synthetic.ordinal_layouts import write_fake_utkface
        >>> write_fake_utkface(root := tempfile.mkdtemp(), count=9)
        >>> faces = read_utkface(root)
        >>> len(faces.paths), len(faces.passed_over)
        (9, 1)
    """
    folder = Path(folder)
    if parts := [folder / name for name in _UTKFACE_PARTS if _any(folder / name, _utkface)]:
        return _read(parts, _utkface)
    expected = "UTKFace's pictures (25_0_2_20170116174525125.jpg)"
    return _read([find_place(folder, lambda place: _any(place, _utkface), expected)], _utkface)


Parse = Callable[[str], tuple[int, int] | None]
"""Person and age of a name, or ``None``."""


def _fgnet(name: str) -> tuple[int, int] | None:
    match = _FGNET.fullmatch(name)
    return (int(match[1]), int(match[2])) if match else None


def _utkface(name: str) -> tuple[int, int] | None:
    match = _UTKFACE.fullmatch(name)
    return (0, int(match[1])) if match and int(match[1]) <= _OLDEST else None


def _any(place: Path, parse: Parse) -> bool:
    return any(parse(name) for name in names_in(place) if name.lower().endswith(PICTURE_ENDINGS))


def _read(places: list[Path], parse: Parse) -> NamedAges:
    found, other = [], []
    for place in places:
        for name in pictures_in(place):
            parsed = parse(name)
            if parsed is None:
                other.append(name)
            else:
                found.append((place / name, *parsed))
    return NamedAges(
        paths=[path for path, _, _ in found],
        ages=np.array([age for _, _, age in found], np.int64),
        people=np.array([person for _, person, _ in found], np.int64),
        passed_over=tuple(other),
    )
