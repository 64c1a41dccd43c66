"""Meshes of one's own: a folder for each class, in parts or to be parted, seen from several sides."""

from __future__ import annotations

from pathlib import Path

from monge.data.examples import Splits
from monge.data.formats.flaws import Flaws
from monge.data.formats.sniff import shown
from monge.data.meshes import MESH_TYPES
from monge.data.sources.own_files import read_own_files
from monge.data.sources.rendered import Viewing, definition_of, view_parts
from monge.data.views.settings import Up
from monge.data.views.sources import MeshFile

OWN_MESHES = "meshes"
"""Name of these data."""
_ENDINGS = tuple(f".{kind}" for kind in MESH_TYPES)


def load_own_meshes(folder: str | Path, viewing: Viewing, up: Up) -> Splits:
    """Loads a folder of meshes by class as pictures from several sides.

    Args:
        folder: See `monge.data.formats.class_folders`. Without parts 70/10/20 % of every class are drawn, without a
            part for validation 10 % of training; copies of a mesh stay together.
        viewing: Size and number of views, and whether bad meshes are an error or left out.
        up: The axis of the meshes that points up.

    Raises:
        DataFormatError: Not such a folder, or a bad mesh.
        MongeError: A part is empty, or the view cache cannot be written.

    Warns:
        UserWarning: Entries were left out, or a class misses a part.
    """
    flaws = Flaws(viewing.strict)
    found = read_own_files(folder, _ENDINGS, flaws, each="model")
    sources = [MeshFile(path) for path in found.files.paths]
    train, val, test = parts = view_parts(sources, found.files.labels, found.parts, viewing, up=up, flaws=flaws)
    how = "; ".join([found.how, *([found.others] if found.others else [])])
    definition = definition_of(OWN_MESHES, parts, f"{len(found.classes)} classes, {how}", flaws)
    source = f"meshes of one's own, read from {shown(found.folder)}, {up} up, {viewing.told()}"
    return Splits(train, val, test, found.classes, source, definition)
