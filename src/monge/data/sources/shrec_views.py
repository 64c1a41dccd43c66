"""SHREC'13 and SHREC'14 for training: sketches read when they are wanted, models rendered from all around."""

from __future__ import annotations

import logging
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from monge.data.cache import workspace
from monge.data.cross_modal import CrossModalSplits
from monge.data.drawing_set import DrawingSet
from monge.data.examples import Examples
from monge.data.formats.flaws import Flaws
from monge.data.formats.labelled_files import LabelledFiles
from monge.data.formats.shrec import EDITIONS, ShrecFolder, read_shrec
from monge.data.formats.sniff import shown
from monge.data.image_files import ImageFiles, PictureCache
from monge.data.images import ImageSet
from monge.data.sources.left_out import tell
from monge.data.sources.rendered import Viewing, view_parts
from monge.data.synthetic.shape_layouts import write_fake_shrec
from monge.data.views.settings import Up
from monge.data.views.sources import MeshFile
from monge.data.views.view_set import ViewSet

VAL_FRACTION = 0.1
# Sketches in memory; those of SHREC'14 take 2 GB at 224 pixels.
_CACHE_BYTES = 1 << 30
_SYNTHETIC: dict[str, Any] = {"classes": 6, "train": 12, "test": 4, "models": 4}
_SYNTHETIC_VAL = 0.25
_LOG = logging.getLogger("monge.data")


def load_shrec(edition: str, folder: str | Path, up: Up | None, viewing: Viewing) -> CrossModalSplits:
    """Every test sketch is a query, and all models are the gallery, in training too; a tenth of every class's training
    sketches is for validation, since the tracks have no such part.

    Args:
        edition: ``"shrec13"`` or ``"shrec14"``.
        folder: Where the folders of the edition are, or the folder above.
        up: The axis of the models that points up; ``None``: y.
        viewing: Size and number of views; the sketches have the same size.

    Raises:
        DataFormatError: Another layout, or bad files.
        MongeError: The view cache cannot be written, or no model is left.

    Warns:
        UserWarning: Entries were left out.
    """
    listed = read_shrec(folder, edition, strict=viewing.strict)
    for line in listed.left_out:
        _LOG.info("%s: left out: %s", edition, line)
    if listed.left_out:
        warnings.warn(f"{edition}: left out {'; '.join(listed.left_out)}", UserWarning, stacklevel=3)
    source = f"official layout: {EDITIONS[edition].title} read from {shown(folder)}"
    return _splits(edition, listed, source, up or "y", viewing, None, VAL_FRACTION)


def synthetic_shrec(edition: str, viewing: Viewing) -> CrossModalSplits:
    """Solids of a few classes and drawings of their edges, written in an edition's layout and read by its reader.

    Args:
        edition: ``"shrec13"`` or ``"shrec14"``.
        viewing: Size and number of views; nothing of it stays on disk.
    """
    with workspace() as work:
        write_fake_shrec(work, "shrec13" if edition == "shrec13" else "shrec14", **_SYNTHETIC)
        listed = read_shrec(work, edition)
        told = f"synthetic: solids of {len(listed.classes)} made-up classes and drawings of their edges"
        quick = replace(viewing, jobs=1, progress=None)
        splits = _splits(edition, listed, told, "z", quick, work / "views", _SYNTHETIC_VAL)
        train, val, test = (_in_memory(splits.part(name)[0]) for name in ("train", "val", "test"))
        gallery = splits.test_gallery
        assert isinstance(gallery, ViewSet)  # said for the type checker: meshes were rendered
        # Without the file that their views are mapped from.
        whole = ViewSet(gallery.inputs(range(len(gallery))).numpy(), gallery.labels, gallery.names)
    parts: dict[str, Any] = {"train_gallery": whole, "val_gallery": whole, "test_gallery": whole}
    return replace(splits, train_queries=train, val_queries=val, test_queries=test, **parts)


def _splits(
    edition: str, listed: ShrecFolder, source: str, up: Up, viewing: Viewing, cache: Path | None, fraction: float
) -> CrossModalSplits:
    """Sketches and rendered models of a folder."""
    flaws = Flaws(viewing.strict)
    models = listed.models
    everything = [np.arange(len(models))]
    meshes = [MeshFile(path) for path in models.paths]
    (gallery,) = view_parts(meshes, models.labels, everything, viewing, up=up, flaws=flaws, folder=cache)
    tell(edition, flaws)
    stay, aside = listed.train_sketches.hold_out(fraction)
    pictures = PictureCache(_CACHE_BYTES)
    train, val, test = (_drawings(part, viewing.size, pictures) for part in (stay, aside, listed.test_sketches))
    held = f"{len(val):,} of the training sketches, {fraction:.0%} of every class, are for validation"
    definition = "; ".join([listed.definition, held, *(f"left out {entries}" for entries in flaws.told())])
    return CrossModalSplits(
        *(train, gallery, val, gallery, test, gallery),
        classes=listed.classes,
        source=f"{source}, {viewing.told()}, {up} up",
        definition=definition,
        query_name="sketch",
        gallery_name="shape",
    )


def _drawings(files: LabelledFiles, size: int, pictures: PictureCache) -> DrawingSet:
    return DrawingSet(ImageFiles(files.paths, torch.from_numpy(files.labels), size, cache=pictures))


def _in_memory(drawings: Examples) -> DrawingSet:
    assert isinstance(drawings, DrawingSet)  # said for the type checker: made here
    return DrawingSet(ImageSet(drawings.pictures(range(len(drawings))), drawings.labels))
