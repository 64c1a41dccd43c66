"""Furniture to be found by drawings of it: icons of `monge.data.sources.sketches`, models of the furniture."""

from __future__ import annotations

import numpy as np
import torch

from monge.data.cross_modal import CrossModalSplits
from monge.data.drawing_set import DrawingSet
from monge.data.examples import Examples
from monge.data.images import ImageSet
from monge.data.sources.furniture_views import FurnitureSplit, load_furniture
from monge.data.sources.rendered import Viewing
from monge.data.sources.sketches import SKETCH_CLASSES, SKETCHES, Part, sketch_drawings
from monge.data.views.view_set import ViewSet


def load_sketch_furniture(split: FurnitureSplit, viewing: Viewing) -> CrossModalSplits:
    """Drawings and views of the classes that both have; neither a drawing's maker nor a shape is in two parts.

    Args:
        split: How the shapes are parted, see `monge.data.sources.furniture.split_models`.
        viewing: Size and number of views; the drawings have the same size.

    Raises:
        MongeError: Not fetched yet, or the view cache cannot be written.
        DataFormatError: A library or the icons are damaged.
    """
    drawn = [_drawings(part, viewing.size) for part in ("train", "val", "test")]
    shapes = load_furniture(None, split, viewing)
    found = [_of_both(part, shapes.classes) for part in (shapes.train, shapes.val, shapes.test)]
    queries, gallery = ("{:,} / {:,} / {:,}".format(*map(len, parts)) for parts in (drawn, found))
    lost = ", ".join(name for name in shapes.classes if name not in SKETCH_CLASSES)
    return CrossModalSplits(
        train_queries=drawn[0],
        train_gallery=found[0],
        val_queries=drawn[1],
        val_gallery=found[1],
        test_queries=drawn[2],
        test_gallery=found[2],
        classes=SKETCH_CLASSES,
        source=f"packaged: icons of {SKETCHES.title}; {shapes.source.removeprefix('packaged: ')}",
        definition=(
            f"{len(SKETCH_CLASSES)} classes that drawings and shapes have ({lost} left out); {queries} drawings in "
            f"train / val / test, makers of icon sets in one part alone; {gallery} shapes, each in one part alone: "
            f"{shapes.definition.partition(': ')[2]}"
        ),
        query_name="drawing",
        gallery_name="shape",
    )


def _drawings(part: Part, size: int) -> DrawingSet:
    drawings = sketch_drawings(size, part)
    return DrawingSet(ImageSet(drawings.images, drawings.labels))


def _of_both(part: Examples, classes: tuple[str, ...]) -> ViewSet:
    """The shapes of classes that drawings have too, numbered as the drawings are."""
    assert isinstance(part, ViewSet)  # said for the type checker: furniture is rendered
    numbers = np.array([SKETCH_CLASSES.index(name) if name in SKETCH_CLASSES else -1 for name in classes])
    labels = torch.from_numpy(numbers)[part.labels]
    kept = torch.nonzero(labels >= 0).flatten()
    chosen = part.subset(kept)
    return ViewSet(chosen.views, labels[kept], chosen.names, chosen.rows)
