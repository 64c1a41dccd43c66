"""The ``data:`` section: images, or the rows of a table."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, NonNegativeInt, PositiveFloat, Tag

from monge.recipes.section import Floats, Section

TABLES = ("diamonds", "table")
"""Names of data that are tables; every other name is that of a set of images."""


class NormalizeSection(Section):
    """Subtracted from and divided into pixel values in [0, 1]; one number a channel, or one for all."""

    mean: Floats = (0.0,)
    std: Annotated[tuple[PositiveFloat, ...], Field(strict=False, min_length=1)] = (1.0,)


class ImageData(Section):
    """Which images.

    Attributes:
        name: A data set that `monge.data.load_images` knows.
        source: ``"packaged"``, ``"synthetic"`` or the path of the official files.
        image_size: Images are resized to this height and width; unset: as they come.
        normalize: Pixel scaling.
        augment: Training augmentations of `monge.data.augment`, applied in this order.
        fold: Which fold is tested, of data sets whose protocol has folds; unset: their first.
    """

    kind: ClassVar[str] = "images"
    name: str
    source: str = "packaged"
    image_size: Annotated[int, Field(ge=4, le=1024)] | None = None
    normalize: NormalizeSection = NormalizeSection()
    augment: Annotated[tuple[Literal["shift", "flip", "affine"], ...], Field(strict=False)] = ()
    fold: NonNegativeInt | None = None


class TableData(Section):
    """Which table, and which of its columns is learned.

    Attributes:
        name: ``"diamonds"``, or ``"table"`` for a CSV or Parquet file of one's own.
        source: ``"packaged"``, ``"synthetic"`` or the path of the file.
        target: Column with the classes; unset: the data set's own.
        levels: The classes in their order; unset: those of the data set, or as they sort.
        drop: Columns that are left out.
    """

    kind: ClassVar[str] = "rows"
    name: Literal["diamonds", "table"]
    source: str = "packaged"
    target: str | None = None
    levels: Annotated[tuple[str, ...], Field(strict=False)] | None = None
    drop: Annotated[tuple[str, ...], Field(strict=False)] = ()


def _kind(value: Any) -> str:
    """Tables go by their names."""
    name = value.get("name") if isinstance(value, dict) else getattr(value, "name", None)
    return TableData.kind if name in TABLES else ImageData.kind


DataSection = Annotated[
    Annotated[ImageData, Tag(ImageData.kind)] | Annotated[TableData, Tag(TableData.kind)], Discriminator(_kind)
]
"""Which data a recipe works on."""
