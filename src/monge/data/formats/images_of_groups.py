"""The Images of Groups (Gallagher, Chen; CVPR 2009): photographs of several people, each face with its age group.

The layout, as the ``README.txt`` of the data set describes it: eleven folders (``Fam2a``, ``Group4a``, ``Wed3a`` and
so on), each with its photographs and a ``PersonData.txt``. A line of that file is the name of a photograph, or, below
it, one of its faces: six numbers between tabs. That these are x and y of the left eye, x and y of the right eye, the
age category (1, 5, 10, 16, 28, 51 or 75 for the seven groups) and the gender is told by those who use the set; the
sentence of the README that says so could not be seen. An age category that is none of the seven is refused, which
would show another order.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.flaws import Flaws
from monge.data.formats.places import PICTURE_ENDINGS, find_place, folders_in, is_plain_name, text_lines

GROUPS = ("0-2", "3-7", "8-12", "13-19", "20-36", "37-65", "66+")
CATEGORIES = (1, 5, 10, 16, 28, 51, 75)
ANNOTATIONS = "PersonData.txt"
PHOTOGRAPHS, FACES = 5_080, 28_231
Box = tuple[float, float, float]

SIDE = 3.0
"""Side of the square that is cut out around a face, in distances between its eyes."""
EYE_LINE = 0.4
"""Height of the eyes in it, from the top."""


@dataclass
class GroupFaces:
    """The faces that can be used.

    Args:
        photographs: Photographs that were listed.
        paths: Photograph of each face.
        boxes: Left, top and side of the square around each face, float32 ``(N, 3)``.
        groups: Age group, index into `GROUPS`.
        repeated: Lines that say again what another says.
    """

    photographs: int = 0
    paths: list[Path] = field(default_factory=list)
    boxes: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 3), np.float32))
    groups: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    repeated: int = 0


def read_images_of_groups(folder: str | Path, flaws: Flaws) -> GroupFaces:
    """Reads every ``PersonData.txt`` in a folder and one level below.

    Args:
        folder: The folder that holds ``Fam2a`` and the others, or one of them.
        flaws: Takes broken lines, unknown ages, photographs listed twice and missing ones; settled before this returns.

    Raises:
        DataFormatError: No annotations, or entries are bad.

    Example:
        >>> import tempfile
        >>> from monge.data.synthetic.ordinal_layouts import write_fake_images_of_groups
        >>> write_fake_images_of_groups(root := tempfile.mkdtemp(), photographs=6)
        >>> faces = read_images_of_groups(root, Flaws(strict=True))
        >>> faces.photographs, faces.boxes.shape[1]
        (6, 3)
    """
    place = find_place(folder, lambda place: bool(_annotations(place)), f"{ANNOTATIONS} in Fam2a/, Group4a/ and so on")
    faces = GroupFaces()
    boxes: dict[tuple[Path, Box, int], None] = {}
    for file in _annotations(place):
        photograph: Path | None = None
        named = False
        for number, line in text_lines(file, f"a {ANNOTATIONS}"):
            where = f"line {number}"
            if line.strip().lower().endswith(PICTURE_ENDINGS):
                named = True
                faces.photographs += 1
                photograph = _photograph(file, where, line.strip(), flaws)
                continue
            if not named:
                expected = "the name of a photograph before its faces"
                flaws.note("faces of no photograph", file, where, repr(line.strip()), expected)
            face = _face(file, where, line, flaws)
            if face is None or photograph is None:
                continue
            faces.repeated += (photograph, *face) in boxes
            boxes[(photograph, *face)] = None
    flaws.settle()
    faces.paths = [path for path, _, _ in boxes]
    faces.boxes = np.array([box for _, box, _ in boxes], np.float32).reshape(-1, 3)
    faces.groups = np.array([group for _, _, group in boxes], np.int64)
    return faces


def face_box(left: tuple[float, float], right: tuple[float, float]) -> Box:
    """The square around a face.

    Args:
        left: x and y of one eye.
        right: x and y of the other.

    Returns:
        Left, top and side: `SIDE` times as wide as the eyes are apart, their middle at `EYE_LINE` of its height.

    Example:
        >>> face_box((40, 50), (60, 50))
        (20.0, 26.0, 60.0)
    """
    side = SIDE * math.dist(left, right)
    x, y = (left[0] + right[0]) / 2, (left[1] + right[1]) / 2
    return x - side / 2, y - EYE_LINE * side, side


def _annotations(place: Path) -> list[Path]:
    return [root / ANNOTATIONS for root in (place, *folders_in(place)) if os.path.isfile(root / ANNOTATIONS)]


def _photograph(file: Path, where: str, name: str, flaws: Flaws) -> Path | None:
    """The file of a photograph, or ``None`` if there is none."""
    if not is_plain_name(name):
        flaws.note("broken lines", file, where, f"the name {name!r}", "a name without folders")
        return None
    path = file.parent / name
    if os.path.isfile(path):
        return path
    flaws.note("missing pictures", path, "", "no such file", f"every photograph that {ANNOTATIONS} names")
    return None


def _face(file: Path, where: str, line: str, flaws: Flaws) -> tuple[Box, int] | None:
    """The square and the age group of a line, or ``None`` if it cannot be used."""
    try:
        values = [float(cell) for cell in line.split()]
    except ValueError:
        values = []
    if len(values) != 6 or not all(map(math.isfinite, values)):
        expected = "the name of a photograph, or six numbers: x y of both eyes, age category, gender"
        flaws.note("broken lines", file, where, repr(line.strip()), expected)
        return None
    if values[4] not in CATEGORIES:
        expected = f"one of {', '.join(map(str, CATEGORIES))}"
        flaws.note("faces of an unknown age", file, where, f"age category {values[4]:g}", expected)
        return None
    box = face_box((values[0], values[1]), (values[2], values[3]))
    if box[2] < 1:
        flaws.note("broken lines", file, where, "both eyes at one place", "two places")
        return None
    return box, CATEGORIES.index(int(values[4]))
