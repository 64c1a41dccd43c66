"""The ``data:`` section of drawings that 3D shapes are found by."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from monge.recipes.picture_data import SideSection
from monge.recipes.section import Section

SKETCHES = ("sketch-furniture", "shrec13", "shrec14")
"""Names of data that are drawings and 3D shapes."""


class SketchData(Section):
    """Which drawings and shapes: a data set that `monge.data.load_sketch_shapes` knows.

    Attributes:
        name: Name of the data set.
        source: ``"packaged"`` (sketch-furniture), ``"synthetic"`` or the path of the official files (SHREC).
        image_size: Height and width of a drawing and of a view.
        views: Pictures of each shape, from all around.
        up: The axis of the models that points up (SHREC); unset: that of the edition.
        strict: False: entries that are missing or damaged are left out and counted.
        queries: How drawings become inputs.
        gallery: How views of shapes do.
    """

    kind: ClassVar[str] = "sketches"
    name: Literal["sketch-furniture", "shrec13", "shrec14"]
    source: str = "packaged"
    image_size: Annotated[int, Field(ge=4, le=1024)] = 64
    views: Annotated[int, Field(ge=1, le=360)] = 12
    up: Literal["x", "y", "z"] | None = None
    strict: bool = True
    queries: SideSection = SideSection()
    gallery: SideSection = SideSection()
