"""Drawings and the 3D shapes that they are to find, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from monge.data.cross_modal import CrossModalSplits
from monge.data.sources.registry import folder_of
from monge.data.sources.rendered import Progress, Viewing
from monge.data.sources.shrec_views import load_shrec, synthetic_shrec
from monge.data.sources.sketch_furniture import load_sketch_furniture
from monge.data.sources.sketch_sources import SKETCH_SHAPES
from monge.data.views.settings import Up
from monge.errors import MongeError


def load_sketch_shapes(
    name: str,
    source: str = "packaged",
    *,
    size: int = 64,
    views: int = 12,
    split: Literal["model", "author"] | None = None,
    up: Up | None = None,
    strict: bool = True,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> CrossModalSplits:
    """Loads drawings as queries and 3D shapes, as pictures from several sides, as the gallery they look in.

    Drawings have bright ink on a ground of zeros, as the views have bright shapes. Each mesh is rendered once for a
    size and number of views; the pictures stay in the data cache.

    Args:
        name: ``"sketch-furniture"``, ``"shrec13"`` or ``"shrec14"``.
        source: ``"packaged"`` (sketch-furniture, both parts of it fetched before), ``"synthetic"`` (solids of a few
            classes in the layout of SHREC), or the path of the folders of SHREC.
        size: Height and width of a drawing and of a view.
        views: Pictures of each shape, from all around at 30 degrees above the horizon.
        split: Of sketch-furniture alone: how its shapes are parted, ``"model"`` (the default) or ``"author"``.
        up: Of SHREC alone: the axis of the models that points up, y unless given.
        strict: Whether damaged and contradictory entries are an error, or left out, counted and told.
        jobs: Processes that render; ``None``: one for each core. A script that is run by itself needs
            ``if __name__ == "__main__":`` around its work, or ``jobs=1``.
        progress: Called with the number of shapes rendered and of all, where any must be rendered.

    Returns:
        Queries and galleries of the three parts, with sentences on their source and on the parts.

    Raises:
        DataFormatError: A file that is not good; one line that names the place.
        MongeError: Unknown name or option, not fetched yet, or no package has it.
        MissingExtraError: embreex or what draws icons is not installed.

    Warns:
        UserWarning: Entries were left out.

    Example:
        >>> splits = load_sketch_shapes("shrec13", "synthetic", size=16, views=2)
        >>> splits.train_queries.shape, splits.test_gallery.shape, len(splits.test_queries)
        ((1, 16, 16), (2, 1, 16, 16), 24)
    """
    if name not in SKETCH_SHAPES:
        raise MongeError(f"no drawings and shapes are called {name!r}, expected one of {', '.join(SKETCH_SHAPES)}")
    packaged = name == "sketch-furniture"
    if split not in (None, "model", "author"):
        raise MongeError(f"data.split: found {split!r}, expected model or author")
    for option, value, left in (("split", split, packaged), ("up", up, not packaged)):
        if value is not None and not left:
            raise MongeError(f"data.{option}: {name} leaves no such choice; leave it out")
    viewing = Viewing(size, views, strict, jobs, progress)
    if source == "synthetic":
        return synthetic_shrec("shrec13" if packaged else name, viewing)
    if packaged:
        if source != "packaged":
            raise MongeError(f"data.source: found {source!r}, expected packaged or synthetic for {name}")
        return load_sketch_furniture(split or "model", viewing)
    # No package has it; to ask for its folder says so, and where it is to be had.
    folder = folder_of(name) if source == "packaged" else Path(source).expanduser()
    return load_shrec(name, folder, up, viewing)
