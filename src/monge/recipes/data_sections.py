"""The ``data:`` section, whose kind follows from the name of the data."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Discriminator, Field, NonNegativeInt, PositiveFloat, PositiveInt, Tag, model_validator

from monge.recipes.face_data import FACES, FaceData
from monge.recipes.pair_data import PAIRS, PairData
from monge.recipes.picture_data import NormalizeSection as NormalizeSection
from monge.recipes.picture_data import PictureData as PictureData
from monge.recipes.section import Section
from monge.recipes.sketch_data import SKETCHES, SketchData

TableName = Literal["diamonds", "table"]
TABLES: tuple[TableName, ...] = get_args(TableName)
"""Names of data that are tables."""
ShapeName = Literal["furniture", "kicad", "modelnet10", "modelnet40", "meshes"]
SHAPES: tuple[ShapeName, ...] = get_args(ShapeName)
"""Names of data that are 3D shapes."""

_Ages = Annotated[tuple[int, int], Field(strict=False)]


class ImageData(PictureData):
    """Which images: a data set that `monge.data.load_images` knows.

    Attributes:
        fold: Which fold is tested, of data sets whose protocol has folds; unset: their first.
        levels: Classes of data sets that leave them to the user: their number (aadb), first and last age of each
            (fg-net, utkface), or their names from low to high (images), which gives them an order.
        crops: Which of its crops, of data sets that come in several (adience).
        stray: What becomes of ages that are no group (adience): ``"drop"`` or ``"map"``.
        split: Which of its splits, of data sets that have several (ava).
        strict: False: entries that are missing or damaged are left out and counted; unset: they are an error.
    """

    kind: ClassVar[str] = "images"
    fold: NonNegativeInt | None = None
    levels: int | Annotated[tuple[_Ages | str | int, ...], Field(strict=False)] | None = None
    crops: str | None = None
    stray: Literal["drop", "map"] | None = None
    split: str | None = None
    strict: bool | None = None

    def options(self) -> dict[str, Any]:
        """The choices that only some data sets give, as far as they are made."""
        names = ("fold", "levels", "crops", "stray", "split", "strict")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


class ShapeData(PictureData):
    """Which 3D shapes, and how many pictures of each: a data set that `monge.data.load_shapes` knows.

    Attributes:
        image_size: Height and width of a view.
        views: Pictures of each shape, from all around.
        train_views: How many of them, drawn anew each time, a training step sees of a shape; unset: all.
        background: Grey level from 0 to 255 behind the shapes, which the renderer leaves at 0.
        features: A packaged network that describes each view once and for all; its vectors are the inputs, kept in the
            data cache. Unset: the views themselves are.
        split: Which of its splits (furniture): ``"model"``, or ``"author"``, which holds whole authors out.
        per_class: At most so many models of each class (kicad), families of near-copies taking turns; unset: all.
        up: The axis of the meshes that points up (meshes); unset: z.
        strict: False: entries that are missing or damaged are left out and counted.
    """

    kind: ClassVar[str] = "shapes"
    name: ShapeName
    image_size: Annotated[int, Field(ge=4, le=1024)] = 64
    views: Annotated[int, Field(ge=1, le=360)] = 12
    train_views: PositiveInt | None = None
    background: Annotated[int, Field(ge=0, le=255)] = 0
    features: Literal["efficientnet-lite0"] | None = None
    split: Literal["model", "author"] | None = None
    per_class: PositiveInt | None = None
    up: Literal["x", "y", "z"] | None = None
    strict: bool = True

    @model_validator(mode="after")
    def _choices_go_together(self) -> ShapeData:
        if self.train_views is not None and self.train_views > self.views:
            raise ValueError(f"train_views: found {self.train_views}, expected at most views, which are {self.views}")
        if self.features is not None and self.augment:
            raise ValueError("augment: found it with features, expected none: the views are described only once")
        return self


class TableData(Section):
    """Which table, and which of its columns is learned.

    Attributes:
        name: ``"diamonds"``, or ``"table"`` for a CSV or Parquet file of one's own.
        source: ``"packaged"``, ``"synthetic"`` or the path of the file.
        target: Column with the classes; unset: the data set's own.
        levels: The classes from low to high; unset: those of the data set, and not needed where they are numbers.
        ordered: Whether the order of the classes means anything.
        drop: Columns that are no features.
        kinds: ``"numeric"`` or ``"categorical"`` for columns that say it badly themselves.
        split: Shares of training, validation and test, where the file is one.
    """

    kind: ClassVar[str] = "rows"
    name: TableName
    source: str = "packaged"
    target: str | None = None
    levels: Annotated[tuple[str | int | float, ...], Field(strict=False)] | None = None
    ordered: bool = True
    drop: Annotated[tuple[str, ...], Field(strict=False)] = ()
    kinds: dict[str, Literal["numeric", "categorical"]] | None = None
    split: Annotated[tuple[PositiveFloat, PositiveFloat, PositiveFloat], Field(strict=False)] = (0.7, 0.1, 0.2)


_KINDS: dict[str, str] = {
    **dict.fromkeys(SHAPES, ShapeData.kind),
    **dict.fromkeys(TABLES, TableData.kind),
    **dict.fromkeys(SKETCHES, SketchData.kind),
    **dict.fromkeys(PAIRS, PairData.kind),
    **dict.fromkeys(FACES, FaceData.kind),
}


def _kind(value: Any) -> str:
    """Kind of the data by their name; a name that is not in the table is that of a set of images."""
    name = value.get("name") if isinstance(value, dict) else getattr(value, "name", None)
    return _KINDS.get(name, ImageData.kind) if isinstance(name, str) else ImageData.kind


DataSection = Annotated[
    Annotated[ImageData, Tag(ImageData.kind)]
    | Annotated[ShapeData, Tag(ShapeData.kind)]
    | Annotated[TableData, Tag(TableData.kind)]
    | Annotated[SketchData, Tag(SketchData.kind)]
    | Annotated[PairData, Tag(PairData.kind)]
    | Annotated[FaceData, Tag(FaceData.kind)],
    Discriminator(_kind),
]
"""Which data a recipe works on."""
