"""Adience (Eidinger, Enbar, Hassner 2014): faces in eight age groups, in five folds that share no owner of an album.

The layout, as the readme of the data set and its many readers have it: ``fold_0_data.txt`` to ``fold_4_data.txt`` with
columns between tabs (``user_id original_image face_id age gender ...``), and beside them the pictures
``aligned/<user_id>/landmark_aligned_face.<face_id>.<original_image>`` or
``faces/<user_id>/coarse_tilt_aligned_face.<face_id>.<original_image>``. Some thousand rows bear no age, and about 750
an age that is none of the eight groups.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.flaws import Flaws
from monge.data.formats.places import find_place, is_plain_name, text_lines
from monge.data.formats.sniff import shown
from monge.errors import DataFormatError, MongeError

GROUPS = ("0-2", "4-6", "8-12", "15-20", "25-32", "38-43", "48-53", "60-100")
FOLDS = 5
ROWS = 19_370
PREFIXES = {"aligned": "landmark_aligned_face", "faces": "coarse_tilt_aligned_face"}
_NEEDED = ("user_id", "original_image", "face_id", "age")
COLUMNS = (*_NEEDED, "gender", "x", "y", "dx", "dy", "tilt_ang", "fiducial_yaw_angle", "fiducial_score")
# The third group is 8-12 in the files and 8-13 in the paper.
SPELLINGS = {f"({group.replace('-', ',')})": number for number, group in enumerate(GROUPS)} | {"(8,13)": 2}
STRAY: dict[str, int | None] = {
    "2": 0,
    "3": 0,
    "13": 2,
    "(8,23)": None,
    "22": 3,
    "23": 4,
    "29": 4,
    "32": 4,
    "34": 4,
    "35": 4,
    "(27,32)": 4,
    "36": 5,
    "42": 5,
    "45": 5,
    "(38,42)": 5,
    "(38,48)": 5,
    "46": 6,
    "55": 6,
    "56": 6,
    "57": 7,
    "58": 7,
}
"""Ages that are none of the groups, and the group that ``stray="map"`` gives them.

The group that the age lies in or is nearest to, the younger of two equally near; ``(8, 23)`` spans two and has none.
"""
_UNLABELLED = ("None", "")


@dataclass
class AdienceFaces:
    """The faces that can be used, and what became of the others.

    Args:
        crops: ``"aligned"`` or ``"faces"``.
        rows: Rows of the five files.
        paths: Picture of each face.
        users: Owner of the album it is from; folds and splits never part an owner's pictures.
        groups: Age group, index into `GROUPS`.
        folds: Fold, 0 to 4.
        unlabelled: Rows without an age.
        stray: How often each age occurs that is no group.
        repeated: Rows that say again what another says.
    """

    crops: str
    rows: int = 0
    paths: list[Path] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    groups: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    folds: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    unlabelled: int = 0
    stray: Counter[str] = field(default_factory=Counter)
    repeated: int = 0


@dataclass(frozen=True)
class _Row:
    """One face of a fold file."""

    file: Path
    line: int
    user: str
    image: str
    face: str
    age: str

    @property
    def where(self) -> str:
        return f"line {self.line}"


def read_adience(folder: str | Path, flaws: Flaws, *, crops: str | None = None, stray: str = "drop") -> AdienceFaces:
    """Reads the five fold files and finds the pictures that they list.

    Args:
        folder: Where the fold files are, or the folder above; they may also be in ``folds/``.
        flaws: Takes unknown ages, broken rows, rows given twice and missing pictures; settled before this returns.
        crops: ``"aligned"`` or ``"faces"``; ``None``: what is there, ``aligned`` if both.
        stray: What becomes of the ages in `STRAY`: ``"drop"`` them, or ``"map"`` them as it says.

    Raises:
        DataFormatError: Fold files or pictures are missing or bad.
        MongeError: An option that there is not.

    Example:
        >>> import tempfile
        >>> from monge.data.synthetic.ordinal_layouts import write_fake_adience
        >>> write_fake_adience(root := tempfile.mkdtemp(), users=5)
        >>> faces = read_adience(root, Flaws(strict=True))
        >>> faces.crops, sorted(set(faces.folds.tolist()))
        ('aligned', [0, 1, 2, 3, 4])
    """
    if stray not in ("drop", "map"):
        raise MongeError(f"adience: found stray={stray!r}, expected 'drop' or 'map'")
    files, pictures = _layout(Path(folder), crops)
    faces = AdienceFaces(crops=pictures.name)
    groups: list[int] = []
    folds: list[int] = []
    seen: dict[Path, tuple[int, int]] = {}
    for fold, file in enumerate(files):
        for row in _rows(file, flaws):
            faces.rows += 1
            group = _group(row, faces, flaws, stray == "map")
            path = pictures / row.user / f"{PREFIXES[pictures.name]}.{row.face}.{row.image}"
            if group is None or _is_repeated(row, path, (fold, group), seen, faces, flaws):
                continue
            if not os.path.isfile(path):
                flaws.note("missing pictures", path, "", "no such file", f"every picture that {file.name} lists")
                continue
            faces.paths.append(path)
            faces.users.append(row.user)
            groups.append(group)
            folds.append(fold)
    flaws.settle()
    faces.groups, faces.folds = np.array(groups, np.int64), np.array(folds, np.int64)
    return faces


def _layout(folder: Path, crops: str | None) -> tuple[list[Path], Path]:
    """The five fold files, and the folder with the pictures."""
    if crops not in (None, *PREFIXES):
        raise MongeError(f"adience: found crops={crops!r}, expected 'aligned' or 'faces'")
    names = [f"fold_{fold}_data.txt" for fold in range(FOLDS)]
    place = find_place(folder, lambda place: any(_fold_files(place, names)), f"Adience's {names[0]} to {names[-1]}")
    files = _fold_files(place, names)
    if lacking := [name for name, file in zip(names, files, strict=True) if file is None]:
        there = ", ".join(file.name for file in files if file is not None)
        expected = f"{', '.join(lacking)} as well"
        raise DataFormatError(shown(place), "", f"only {there}", expected, "the protocol needs all five folds")
    roots = [root / name for name in ((crops,) if crops else PREFIXES) for root in (place, place.parent)]
    for root in roots:
        if os.path.isdir(root):
            return [file for file in files if file is not None], root
    wanted = f"a folder {crops}/" if crops else "a folder aligned/ or faces/"
    hint = "unpack aligned.tar.gz or faces.tar.gz beside the fold files"
    raise DataFormatError(shown(place), "", "no pictures", wanted, hint)


def _fold_files(place: Path, names: list[str]) -> list[Path | None]:
    """The fold files in a folder or its ``folds/``, ``None`` for each that is not there."""
    best: list[Path | None] = [None] * len(names)
    for root in (place / "folds", place):
        files = [root / name if os.path.isfile(root / name) else None for name in names]
        if sum(file is not None for file in files) >= sum(file is not None for file in best):
            best = files
    return best


def _rows(file: Path, flaws: Flaws) -> list[_Row]:
    """Faces of one fold file; its header may be repeated where files were joined."""
    lines = list(text_lines(file, "a fold file of Adience"))
    header = [name.strip() for name in lines[0][1].split("\t")] if lines else []
    if lacking := [name for name in _NEEDED if name not in header]:
        found = f"a header without {', '.join(lacking)}"
        expected = f"columns between tabs: {' '.join(COLUMNS)}"
        raise DataFormatError(shown(file), "line 1", found, expected, "is it another file?")
    places = [header.index(name) for name in _NEEDED]
    rows = []
    for number, line in lines[1:]:
        cells = [cell.strip() for cell in line.split("\t")]
        if cells == header:
            continue
        if len(cells) <= max(places):
            expected = f"at least {max(places) + 1} between tabs"
            flaws.note("broken rows", file, f"line {number}", f"{len(cells)} columns", expected)
            continue
        user, image, face, age = (cells[place] for place in places)
        if not all(map(is_plain_name, (user, image, face))):
            names = f"user {user!r}, image {image!r}, face {face!r}"
            flaws.note("broken rows", file, f"line {number}", names, "names of files and folders")
            continue
        rows.append(_Row(file, number, user, image, face, age))
    return rows


def _group(row: _Row, faces: AdienceFaces, flaws: Flaws, mapped: bool) -> int | None:
    """Age group of a row, or ``None`` if it has none; counts what is not one of the eight."""
    age = "".join(row.age.split())
    if age in SPELLINGS:
        return SPELLINGS[age]
    if age in _UNLABELLED:
        faces.unlabelled += 1
        return None
    if age in STRAY:
        faces.stray[age] += 1
        return STRAY[age] if mapped else None
    expected = f"one of {', '.join(SPELLINGS)}, or a stray age that is known ({', '.join(STRAY)})"
    flaws.note("rows with an unknown age", row.file, row.where, f"age {row.age!r}", expected)
    return None


def _is_repeated(
    row: _Row,
    path: Path,
    mine: tuple[int, int],
    seen: dict[Path, tuple[int, int]],
    faces: AdienceFaces,
    flaws: Flaws,
) -> bool:
    """Whether the picture came before; in another fold or with another age that is a flaw of the set."""
    if (before := seen.setdefault(path, mine)) is mine:
        return False
    if before == mine:
        faces.repeated += 1
    else:
        found = f"{shown(path.name)} in fold {mine[0]} as {GROUPS[mine[1]]}"
        expected = f"once: it is in fold {before[0]} as {GROUPS[before[1]]}"
        flaws.note("pictures listed twice", row.file, row.where, found, expected)
    return True
