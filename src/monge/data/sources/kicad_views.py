"""Views of the packaged electronic parts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from monge.data.examples import Splits
from monge.data.formats.flaws import Flaws
from monge.data.formats.sniff import shown
from monge.data.meshes import Mesh, read_mesh
from monge.data.sources.kicad import KICAD, KicadModel, kicad_classes, kicad_models, split_kicad
from monge.data.sources.rendered import Viewing, definition_of, view_parts
from monge.data.splits import SPLIT_SEED


@dataclass(frozen=True)
class KicadMesh:
    """A model of the list as a mesh, z up.

    Args:
        model: Which one.
    """

    model: KicadModel

    @property
    def name(self) -> str:
        """Its name in its library."""
        return shown(self.model.name)

    def digest(self) -> str:
        """SHA-256 of its file."""
        return hashlib.sha256(self.model.content()).hexdigest()

    def mesh(self) -> Mesh:
        """Reads it.

        Raises:
            DataFormatError: It is missing or damaged.
        """
        return read_mesh(self.model.content(), file_type="wrl", name=self.model.name)


def load_kicad(folder: str | Path | None, viewing: Viewing, per_class: int | None = None) -> Splits:
    """Renders the electronic parts.

    Args:
        folder: Where the libraries are; ``None``: the data cache.
        viewing: Size and number of views.
        per_class: At most so many of each class; ``None``: all.

    Raises:
        MongeError: Not fetched yet, or the view cache cannot be written.
        DataFormatError: A model is missing or damaged.
    """
    models, flaws = kicad_models(folder, per_class=per_class), Flaws(viewing.strict)
    labels = np.array([model.label for model in models], np.int64)
    sources = [KicadMesh(model) for model in models]
    train, val, test = view_parts(sources, labels, split_kicad(per_class), viewing, up="z", flaws=flaws)
    listed = "listed" if per_class is None else f"of at most {per_class} a class"
    whence = f"packaged: from {KICAD.title}" if folder is None else f"official layout: read from {shown(folder)}"
    rule = f"60/15/25 % of every class, whole families in the same part (fixed draw, seed {SPLIT_SEED})"
    return Splits(
        train=train,
        val=val,
        test=test,
        classes=kicad_classes(),
        source=f"{whence}, {len(models):,} models of electronic parts, {listed}, {viewing.told()}",
        definition=definition_of(KICAD.name, (train, val, test), rule, flaws),
    )
