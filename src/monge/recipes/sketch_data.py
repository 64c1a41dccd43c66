"""The ``data:`` section of drawings that 3D shapes are found by."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field, PositiveInt, model_validator

from monge.recipes.picture_data import SideSection
from monge.recipes.section import Section

SketchName = Literal["sketch-furniture", "shrec13", "shrec14"]
SKETCHES: tuple[SketchName, ...] = get_args(SketchName)
"""Names of data that are drawings and 3D shapes."""


class SketchData(Section):
    """Which drawings and shapes: a data set that `monge.data.load_sketch_shapes` knows.

    Attributes:
        name: Name of the data set.
        source: ``"packaged"`` (sketch-furniture), ``"synthetic"`` or the path of the official files (SHREC).
        image_size: Height and width of a drawing and of a view.
        views: Pictures of each shape, from all around.
        train_views: How many of them, drawn anew each time, a training step sees of a shape; unset: all.
        background: Grey level from 0 to 255 behind the shapes, which the renderer leaves at 0.
        features: A packaged network that describes each drawing and each view once and for all; its vectors are the
            inputs, kept in the data cache. Unset: the pictures themselves are.
        up: The axis of the models that points up (SHREC); unset: that of the edition.
        strict: False: entries that are missing or damaged are left out and counted.
        queries: How drawings become inputs.
        gallery: How views of shapes do.
    """

    kind: ClassVar[str] = "sketches"
    name: SketchName
    source: str = "packaged"
    image_size: Annotated[int, Field(ge=4, le=1024)] = 64
    views: Annotated[int, Field(ge=1, le=360)] = 12
    train_views: PositiveInt | None = None
    background: Annotated[int, Field(ge=0, le=255)] = 0
    features: Literal["efficientnet-lite0"] | None = None
    up: Literal["x", "y", "z"] | None = None
    strict: bool = True
    queries: SideSection = SideSection()
    gallery: SideSection = SideSection()

    @model_validator(mode="after")
    def _choices_go_together(self) -> SketchData:
        if self.train_views is not None and self.train_views > self.views:
            raise ValueError(f"train_views: found {self.train_views}, expected at most views, which are {self.views}")
        for name, side in (("queries", self.queries), ("gallery", self.gallery)):
            if self.features is not None and side.augment:
                raise ValueError(f"{name}.augment: found it with features, expected none: pictures are described once")
        return self
