"""A folder for each person with pictures of it (LFW, and most people's own), and landmarks of the pictures."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.pairs_txt import Picture
from monge.data.formats.places import folders_in, pictures_in, text_lines
from monge.data.formats.sniff import nearest_hint, shown
from monge.errors import DataFormatError

LANDMARKS = "landmarks.txt"
_EXPECTED = "a folder for each person with pictures in it"
_NUMBER = re.compile(r"(\d+)$")


@dataclass(frozen=True)
class IdentityFolders:
    """Pictures person by person.

    Args:
        folder: Where the folders of the people are.
        people: Their names, sorted.
        paths: The pictures, sorted by person and name.
        labels: Place in ``people`` of each, int64 ``(N,)``.
    """

    folder: Path
    people: tuple[str, ...]
    paths: list[Path]
    labels: NDArray[np.int64]
    _places: dict[Picture, int] = field(default_factory=dict, repr=False, compare=False)

    def find(self, picture: Picture) -> int | None:
        """Place of a picture in ``paths``.

        Args:
            picture: ``"person/file"``, the name of a file alone where only one person has it, or a person with the
                number that ends the file's name.

        Returns:
            Its place; ``None`` where it is missing or not told from another.
        """
        if not self._places:
            self._places.update(self._named())
        name = picture.replace("\\", "/") if isinstance(picture, str) else picture
        place = self._places.get(name, -1)
        return None if place < 0 else place

    def _named(self) -> dict[Picture, int]:
        """Every name a picture goes by; those of several pictures lead to none (-1)."""
        places: dict[Picture, int] = {}
        for place, path in enumerate(self.paths):
            number = _NUMBER.search(path.stem)
            person = path.parent.name
            names: list[Picture] = [path.name, f"{person}/{path.name}", path.stem, f"{person}/{path.stem}"]
            if number is not None:
                names.append((person, int(number[1])))
            for name in names:
                places[name] = place if name not in places else -1
        return places


def read_identity_folders(folder: str | Path) -> IdentityFolders:
    """Lists the pictures of people; a doubled level (``lfw/lfw/<person>``) is passed through.

    Args:
        folder: Where the folders of the people are.

    Raises:
        DataFormatError: Not a folder, no people with pictures, only one of them, pictures that lie beside the folders,
            or names that differ only in capitals.

    Example:
        >>> import tempfile
        >>> from monge.data.synthetic.face_layouts import write_fake_identities
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = write_fake_identities(folder, ["Ann_Lee", "Bob_Ray"], each=2, size=16)
        >>> read = read_identity_folders(folder)
        >>> read.people, read.labels.tolist(), read.find(("Bob_Ray", 2))
        (('Ann_Lee', 'Bob_Ray'), [0, 0, 1, 1], 3)
    """
    folder = Path(folder)
    if not os.path.isdir(folder):
        found, hint = ("a file", "give the folder") if folder.exists() else ("nothing there", nearest_hint(folder))
        raise DataFormatError(shown(folder), "", found, _EXPECTED, hint)
    below = folders_in(folder)
    if len(below) == 1 and not pictures_in(below[0]) and folders_in(below[0]):
        folder, below = below[0], folders_in(below[0])
    if beside := pictures_in(folder):
        found = f"{len(beside):,} pictures beside the folders, such as {shown(beside[0])}"
        raise DataFormatError(shown(folder), "", found, _EXPECTED, "put each into the folder of its person")
    lower: dict[str, Path] = {}
    for place in below:
        if (other := lower.setdefault(place.name.lower(), place)) != place:
            both = f"{shown(other.name)} and {shown(place.name)}"
            raise DataFormatError(shown(folder), "", both, "one of them", "the names differ only in capitals")
    people = [(place, names) for place in below if (names := pictures_in(place))]
    if len(people) < 2:
        found = f"{len(people)} people with pictures in {len(below)} folders"
        raise DataFormatError(shown(folder), "", found, f"two or more: {_EXPECTED}", "check the path")
    paths = [place / name for place, names in people for name in names]
    counts = [len(names) for _, names in people]
    labels = np.arange(len(people), dtype=np.int64).repeat(counts)
    return IdentityFolders(folder, tuple(shown(place.name) for place, _ in people), paths, labels)


def read_landmarks(path: str | Path, faces: IdentityFolders) -> NDArray[np.float32]:
    """Reads five points for each picture: lines ``person/file x1 y1 ... x5 y5``.

    Args:
        path: The file; its order is free.
        faces: The pictures.

    Returns:
        Left eye, right eye, tip of the nose, left and right corner of the mouth, x and y in pixels of each, the middle
        of the first pixel at 0, left and right as in the picture, float32 ``(N, 5, 2)``.

    Raises:
        DataFormatError: A line of another form, a picture that is not there or listed twice, a picture without
            landmarks, points that are all in one place, or the two eyes swapped.

    Example:
        >>> import tempfile
        >>> from monge.data.synthetic.face_layouts import write_fake_identities
        >>> folder = Path(tempfile.mkdtemp())
        >>> drawn = write_fake_identities(folder, ["Ann", "Bob"], each=1, size=16, landmarks=True)
        >>> read_landmarks(folder / "landmarks.txt", read_identity_folders(folder)).shape
        (2, 5, 2)
    """
    path = Path(path)
    expected = "a line 'person/file x1 y1 x2 y2 x3 y3 x4 y4 x5 y5' for each picture"
    points = np.full((len(faces.paths), 5, 2), np.nan, np.float32)
    for number, line in text_lines(path, expected):
        name, *cells = line.split("\t") if "\t" in line else line.rsplit(maxsplit=10)
        where = f"line {number}"
        try:
            values = np.array([float(cell) for cell in cells], np.float32).reshape(5, 2)
        except ValueError:
            raise DataFormatError(shown(path), where, repr(line[:60]), expected) from None
        if (place := faces.find(name.strip())) is None:
            found = f"{shown(name)}, which is no picture there"
            raise DataFormatError(shown(path), where, found, f"pictures of {shown(faces.folder)}")
        if not np.isnan(points[place]).all():
            raise DataFormatError(shown(path), where, f"{shown(name)} a second time", "every picture once")
        if not np.isfinite(values).all() or np.ptp(values, axis=0).max() < 1:
            raise DataFormatError(shown(path), where, "points that are all in one place", "five points of a face")
        if values[0, 0] > values[1, 0] and values[3, 0] > values[4, 0]:
            hint = "left and right are those of the picture, not of the person"
            raise DataFormatError(shown(path), where, "the left eye to the right of the right one", expected, hint)
        points[place] = values
    if (lacking := np.flatnonzero(np.isnan(points).any(axis=(1, 2)))).size:
        found = f"{lacking.size:,} pictures without landmarks, such as {shown(faces.paths[lacking[0]].name)}"
        raise DataFormatError(shown(path), "", found, expected, "take these pictures out, or the file")
    return points
