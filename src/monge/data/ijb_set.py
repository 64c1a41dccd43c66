"""A folder of IJB-B or IJB-C: which pictures make a template, which templates are compared, who is looked for where."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from monge.data.aligned_files import AlignedFiles
from monge.data.formats.ijb import (
    IjbPairs,
    IjbPictures,
    IjbPoints,
    read_ijb_pairs,
    read_ijb_people,
    read_ijb_pictures,
    read_ijb_points,
)
from monge.data.formats.places import find_place, is_plain_name
from monge.data.formats.sniff import names_in, shown
from monge.errors import DataFormatError

PICTURES = "loose_crop"
_META = "meta"
_LISTED = "_face_tid_mid.txt"
_EXPECTED = f"{_META}/ijbc{_LISTED} (or ijbb) and {PICTURES}"
_AGAIN = "do all files belong to one data set?"


@dataclass(frozen=True)
class IjbSet:
    """What `open_ijb` found.

    Attributes:
        name: ``"ijbb"`` or ``"ijbc"``.
        folder: Where it lies.
        meta: The folder of its protocol files.
        names: Files of the pictures in ``loose_crop``.
        templates: Template of each picture, int64 ``(N,)``.
        media: Medium of each, int64 ``(N,)``.
        landmarks: Five points of each, float32 ``(N, 5, 2)``.
        scores: Detection score of each, float32 ``(N,)``.
    """

    name: str
    folder: Path
    meta: Path
    names: tuple[str, ...]
    templates: Tensor
    media: Tensor
    landmarks: Tensor
    scores: Tensor

    def __len__(self) -> int:
        return len(self.names)

    def faces(self, size: int) -> AlignedFiles:
        """The pictures, aligned by their landmarks when they are asked for; all labels are 0.

        Args:
            size: Height and width of the faces.
        """
        paths = [self.folder / PICTURES / name for name in self.names]
        return AlignedFiles(paths, self.landmarks, torch.zeros(len(paths), dtype=torch.int64), size)

    def pairs(self) -> IjbPairs:
        """Pairs of templates for verification.

        Raises:
            DataFormatError: No such file, or one that is not good.
        """
        path = self.meta / f"{self.name}_template_pair_label.txt"
        return read_ijb_pairs(path, templates=self.templates.numpy())

    def searches(self) -> tuple[tuple[Tensor, Tensor], list[tuple[Tensor, Tensor]]] | None:
        """Probes and the galleries that they are searched in: templates and subjects of each, int64 ``(T,)``.

        Returns:
            ``None`` where the folder has none of these files.

        Raises:
            DataFormatError: Some of them are missing, or a file that is not good.
        """
        letter = "G" if self.name == "ijbc" else "S"
        paths = [
            self.meta / f"{self.name}_1N_{part}.csv"
            for part in ("probe_mixed", f"gallery_{letter}1", f"gallery_{letter}2")
        ]
        if not any(path.exists() for path in paths):
            return None
        probes, *galleries = (self._people(path) for path in paths)
        return probes, galleries

    def _people(self, path: Path) -> tuple[Tensor, Tensor]:
        templates, subjects = read_ijb_people(path)
        unknown = templates[~np.isin(templates, self.templates.numpy())]
        if unknown.size:
            found = f"template {unknown[0]}"
            raise DataFormatError(shown(path), "", found, "templates that have pictures", _AGAIN)
        return torch.from_numpy(templates), torch.from_numpy(subjects)


def open_ijb(folder: str | Path) -> IjbSet:
    """Opens a folder of IJB-B or IJB-C: ``meta`` with the protocol files and ``loose_crop`` with the pictures.

    Args:
        folder: The folder, or the one above it.

    Raises:
        DataFormatError: Not such a folder, a file that is not good, files that do not fit together, or missing
            pictures; one line that names the place.

    Example:
        >>> import tempfile
        >>> from monge.data.synthetic.face_layouts import write_fake_ijb
        >>> write_fake_ijb(folder := tempfile.mkdtemp(), size=32)
        >>> ijb = open_ijb(folder)
        >>> ijb.name, len(ijb), len(ijb.pairs()), ijb.faces(24).inputs([0]).shape
        ('ijbc', 48, 66, torch.Size([1, 3, 24, 24]))
    """
    place = find_place(Path(folder).expanduser(), lambda one: bool(_listed(one)), _EXPECTED)
    listed = _listed(place)
    if len(listed) > 1:
        both = " and ".join(path.name for path in listed)
        raise DataFormatError(shown(place / _META), "", both, "one data set a folder", "part them")
    name = listed[0].name.removesuffix(_LISTED)
    pictures, file = read_ijb_pictures(listed[0]), place / _META / f"{name}_name_5pts_score.txt"
    points = _in_order(pictures, read_ijb_points(file), file)
    _check_names(pictures, listed[0], place / PICTURES)
    return IjbSet(
        name=name,
        folder=place,
        meta=place / _META,
        names=tuple(pictures.names),
        templates=torch.from_numpy(pictures.templates),
        media=torch.from_numpy(pictures.media),
        landmarks=torch.from_numpy(points.landmarks),
        scores=torch.from_numpy(points.scores),
    )


def _listed(place: Path) -> list[Path]:
    return sorted(path for prefix in ("ijbb", "ijbc") if (path := place / _META / f"{prefix}{_LISTED}").is_file())


def _in_order(pictures: IjbPictures, points: IjbPoints, file: Path) -> IjbPoints:
    """Landmarks in the order of the pictures; published files have both in one order, which is then all there is."""
    if pictures.names == points.names:
        return points
    row_of = {name: row for row, name in enumerate(points.names)}
    missing = [name for name in pictures.names if name not in row_of]
    if missing or len(row_of) < len(points.names):
        found = f"no line for {shown(missing[0])}" if missing else "a picture twice"
        raise DataFormatError(shown(file), "", found, "one line for each picture of a template", _AGAIN)
    rows = np.array([row_of[name] for name in pictures.names])
    return IjbPoints(pictures.names, points.landmarks[rows], points.scores[rows])


def _check_names(pictures: IjbPictures, listed: Path, folder: Path) -> None:
    """Tells names that lead out of the folder, and missing pictures, before hours are spent on the others."""
    there = set(names_in(folder))
    if not there:
        found = "nothing there" if not os.path.isdir(folder) else "an empty folder"
        raise DataFormatError(shown(folder), "", found, "the loose crops that the protocol names")
    wrong = next((name for name in pictures.names if not is_plain_name(name)), None)
    if wrong is not None:
        raise DataFormatError(shown(listed), "", f"the picture {wrong!r}", f"a file of {PICTURES}")
    missing = [name for name in pictures.names if name not in there]
    if missing:
        found = f"no {shown(missing[0])}, and {len(missing):,} of {len(pictures.names):,} pictures missing in all"
        raise DataFormatError(shown(folder), "", found, "all pictures that the protocol names", "unpack it anew")
