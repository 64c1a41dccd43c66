"""Views of the packaged furniture."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from monge.data.cache import sha256_of
from monge.data.examples import Splits
from monge.data.formats.flaws import Flaws
from monge.data.formats.sniff import shown
from monge.data.meshes import Mesh, read_mesh
from monge.data.sources.furniture import (
    FURNITURE,
    FURNITURE_CLASSES,
    FurnitureModel,
    furniture_models,
    read_obj,
    split_models,
)
from monge.data.sources.rendered import Viewing, definition_of, view_parts
from monge.data.splits import SPLIT_SEED

FurnitureSplit = Literal["model", "author"]
_SPLITS = {
    "model": f"70/10/20 % of every class, near-copies in the same part (fixed draw, seed {SPLIT_SEED})",
    "author": f"whole authors held out, about 65/10/25 % of every class (fixed draw, seed {SPLIT_SEED})",
}


@dataclass(frozen=True)
class FurnitureMesh:
    """A model of the list as a mesh that stands upright, y up, its front towards +z.

    Args:
        model: Which one.
    """

    model: FurnitureModel

    @property
    def name(self) -> str:
        """What the catalogue calls it."""
        return shown(self.model.name or self.model.key)

    def digest(self) -> str:
        """SHA-256 of the library's own, the name inside of it and the rotation."""
        status = self.model.archive.stat()
        library = _library_digest(self.model.archive, status.st_size, status.st_mtime_ns)
        return hashlib.sha256(f"{library}\0{self.model.key}\0{self.model.rotation}".encode()).hexdigest()

    def mesh(self) -> Mesh:
        """Reads it and sets it upright.

        Raises:
            DataFormatError: The library or the model is damaged.
        """
        mesh = read_mesh(read_obj(self.model), file_type="obj", name=self.model.key)
        rotation = np.array(self.model.rotation).reshape(3, 3)
        return Mesh(mesh.vertices @ rotation.T, mesh.faces, mesh.name)


def load_furniture(folder: str | Path | None, split: FurnitureSplit, viewing: Viewing) -> Splits:
    """Renders the furniture, which takes some two minutes of two cores the first time.

    Args:
        folder: Where the five ``.sh3f`` files are; ``None``: the data cache.
        split: See `monge.data.sources.furniture.split_models`.
        viewing: Size and number of views.

    Raises:
        MongeError: Not fetched yet, or the view cache cannot be written.
        DataFormatError: A library is missing or damaged.
    """
    models = furniture_models(folder)
    flaws = Flaws(viewing.strict)
    labels = np.array([model.label for model in models], np.int64)
    sources = [FurnitureMesh(model) for model in models]
    parts = view_parts(sources, labels, split_models(split), viewing, up="y", flaws=flaws)
    whence = f"packaged: from {FURNITURE.title}" if folder is None else f"official layout: read from {shown(folder)}"
    train, val, test = parts
    return Splits(
        train=train,
        val=val,
        test=test,
        classes=FURNITURE_CLASSES,
        source=f"{whence}, {len(models)} reviewed models of furniture, {viewing.told()}",
        definition=definition_of(FURNITURE.name, parts, _SPLITS[split], flaws),
    )


@cache
def _library_digest(path: Path, size: int, changed: int) -> str:
    """SHA-256 of a library, computed once while its size and time stay; the five have 120 MB."""
    return sha256_of(path)
