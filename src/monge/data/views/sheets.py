"""Contact sheets: all views of a mesh on one picture, to look at."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.places import folders_in
from monge.data.formats.sniff import names_in, nearest_hint, shown
from monge.data.meshes import MESH_TYPES
from monge.data.views.render import render_views
from monge.data.views.settings import RenderSettings
from monge.data.views.sources import MeshFile
from monge.errors import DataFormatError, MongeError
from monge.extras import require

_TAG = "monge-render"
_GAP = 2


@dataclass(frozen=True)
class Sheet:
    """A contact sheet that is wanted.

    Args:
        mesh: The file of the mesh.
        to: The PNG file.
        settings: How to render it.
    """

    mesh: Path
    to: Path
    settings: RenderSettings


def find_sheets(place: str | Path, out: str | Path, settings: RenderSettings) -> list[Sheet]:
    """The sheets of a mesh, or of all meshes in a folder and below it.

    Args:
        place: A mesh file, or a folder.
        out: Where the sheets go: ``out/a/b.off.png`` for ``place/a/b.off``.
        settings: How to render them.

    Raises:
        DataFormatError: There is nothing there, or no mesh in it.

    Example:
        >>> find_sheets("no/such.off", "sheets", RenderSettings())
        Traceback (most recent call last):
        monge.errors.DataFormatError: no/such.off: found nothing there, expected a mesh or a folder of meshes (...)
    """
    place, out = Path(place), Path(out)
    expected = "a mesh or a folder of meshes"
    if place.is_file():
        return [Sheet(place, out / f"{place.name}.png", settings)]
    if not place.is_dir():
        raise DataFormatError(shown(place), "", "nothing there", expected, nearest_hint(place))
    meshes = _meshes_below(place)
    if not meshes:
        kinds = ", ".join(MESH_TYPES)
        raise DataFormatError(shown(place), "", f"no file that ends in {kinds}", expected, "check the path")
    return [Sheet(mesh, out / mesh.parent.relative_to(place) / f"{mesh.name}.png", settings) for mesh in meshes]


def make_sheet(sheet: Sheet) -> Literal["written", "kept"]:
    """Renders a mesh and writes its sheet, unless the same sheet is there.

    A sheet of the same mesh with other settings is replaced; any other file in its place stays.

    Args:
        sheet: What is wanted.

    Raises:
        DataFormatError: The mesh is bad.
        MongeError: Another file is in the way, or the place cannot be written.
    """
    source = MeshFile(sheet.mesh)
    tag = f"{sheet.settings.key()} {source.digest()}"
    if sheet.to.exists():
        noted = _tag_of(sheet.to)
        if noted == tag:
            return "kept"
        if noted is None:
            raise MongeError(f"{shown(sheet.to)}: is there and is no sheet of monge: move it, or give another --out")
    views = render_views(source.mesh(), sheet.settings)
    try:
        _write(sheet.to, contact_sheet(views), tag)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise MongeError(f"{shown(sheet.to)}: cannot be written ({reason}): give another --out") from None
    return "written"


def try_sheet(sheet: Sheet) -> tuple[Literal["written", "kept", "failed"], str]:
    """`make_sheet` for worker processes: tells what is wrong in place of raising it.

    Args:
        sheet: What is wanted.

    Returns:
        What was done, and what is wrong if that failed.

    Example:
        >>> try_sheet(Sheet(Path("no/such.off"), Path("sheet.png"), RenderSettings()))
        ('failed', 'no/such.off: found no such file, expected an OFF file (there is no folder no)')
    """
    try:
        return make_sheet(sheet), ""
    except MongeError as error:
        return "failed", str(error)


def contact_sheet(views: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Puts views side by side, in rows, the whole about four wide and three high.

    Args:
        views: uint8 ``(V, S, S)``.

    Returns:
        uint8 ``(height, width)``; grey lines between the views.

    Example:
        >>> contact_sheet(np.zeros((12, 10, 10), np.uint8)).shape  # three rows of four
        (34, 46)
    """
    count, size = len(views), views.shape[1]
    columns = max(1, round(math.sqrt(count * 4 / 3)))
    rows = math.ceil(count / columns)
    step = size + _GAP
    sheet = np.full((rows * step - _GAP, columns * step - _GAP), 128, np.uint8)
    for number, view in enumerate(views):
        top, left = number // columns * step, number % columns * step
        sheet[top : top + size, left : left + size] = view
    return sheet


def _meshes_below(folder: Path) -> list[Path]:
    found = []
    for name in names_in(folder):
        is_mesh = name.lower().endswith(tuple(f".{kind}" for kind in MESH_TYPES))
        if is_mesh and not name.startswith(".") and (folder / name).is_file():
            found.append(folder / name)
    # Links are not followed: they may lead round in a circle.
    for below in folders_in(folder):
        if not below.is_symlink():
            found += _meshes_below(below)
    return found


def _tag_of(path: Path) -> str | None:
    """What a sheet says that it shows, or ``None`` if the file is no sheet."""
    images = require("PIL.Image", extra="train", purpose="writing contact sheets")
    try:
        with images.open(path, formats=["PNG"]) as picture:
            noted = picture.text.get(_TAG)
    except (OSError, SyntaxError, ValueError, AttributeError):
        return None
    return noted if isinstance(noted, str) else None


def _write(path: Path, sheet: NDArray[np.uint8], tag: str) -> None:
    images = require("PIL.Image", extra="train", purpose="writing contact sheets")
    chunks = require("PIL.PngImagePlugin", extra="train", purpose="writing contact sheets").PngInfo()
    chunks.add_text(_TAG, tag)
    path.parent.mkdir(parents=True, exist_ok=True)
    neighbour = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        images.fromarray(sheet).save(neighbour, format="PNG", pnginfo=chunks)
        neighbour.replace(path)
    finally:
        neighbour.unlink(missing_ok=True)
