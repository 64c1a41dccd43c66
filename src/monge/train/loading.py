"""From the ``data:`` section of a recipe to data, in one place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from monge.data import Splits, load_faces, load_images, load_shapes, load_sketch_shapes, load_table, options_of
from monge.data.any_splits import AnySplits
from monge.data.cross_modal import CrossModalSplits
from monge.data.drawing_features import encode_drawings_and_shapes
from monge.data.face_pairs import FaceSplits
from monge.data.pairs import load_pairs
from monge.data.view_features import encode_views
from monge.errors import RecipeError
from monge.recipes import Recipe
from monge.recipes.data_sections import ImageData, ShapeData, TableData
from monge.recipes.face_data import FaceData
from monge.recipes.pair_data import PairData
from monge.recipes.sketch_data import SketchData
from monge.train.rendering import rendering_progress
from monge.train.run_files import say


def load_splits(recipe: Recipe, *, progress: bool = False) -> AnySplits:
    """Loads the data that a recipe names.

    Args:
        recipe: Its ``data`` section.
        progress: Show on standard error how far the rendering of shapes is, where that is to be done first.

    Raises:
        MongeError: The data cannot be had, are not what their name says, or do not have what the section asks for.

    Example:
        >>> from monge.recipes import load_recipe
        >>> len(load_splits(load_recipe("mnist", ["data.source=synthetic"])).train)
        1200
    """
    return _LOADERS[recipe.data.kind](recipe.data, progress)


def _images(data: ImageData, progress: bool) -> Splits:
    """Images, with the choices that their data set leaves."""
    options, known = data.options(), options_of(data.name)
    for name in options:
        if name not in known:
            raise RecipeError(f"data.{name}: {data.name} leaves no such choice; leave it out")
    if data.image_size is not None and "size" in known:
        options["size"] = data.image_size
    return load_images(data.name, data.source, **options)


def _shapes(data: ShapeData, progress: bool) -> Splits:
    """Views of shapes."""
    with rendering_progress(progress) as shown:
        given: dict[str, Any] = {"size": data.image_size, "views": data.views, "split": data.split}
        given |= {"per_class": data.per_class, "up": data.up, "strict": data.strict}
        splits = load_shapes(data.name, data.source, progress=shown, **given)
    if data.features is None:
        return splits
    with rendering_progress(progress, f"describing shapes by {data.features}") as shown:
        return encode_views(splits, data.features, background=data.background, progress=shown)


def _rows(data: TableData, progress: bool) -> Splits:
    """Rows of a table."""
    given = data.model_dump(exclude={"name", "source"}, exclude_defaults=True)
    return load_table(data.name, data.source, **given)


def _sketches(data: SketchData, progress: bool) -> CrossModalSplits:
    """Drawings, and views of the shapes that they are to find."""
    with rendering_progress(progress) as shown:
        given: dict[str, Any] = {"size": data.image_size, "views": data.views, "up": data.up}
        splits = load_sketch_shapes(data.name, data.source, strict=data.strict, progress=shown, **given)
    if data.features is None:
        return splits
    with rendering_progress(progress, f"describing drawings and shapes by {data.features}") as shown:
        return encode_drawings_and_shapes(splits, data.features, background=data.background, progress=shown)


def _pairs(data: PairData, progress: bool) -> CrossModalSplits:
    """Captions, and what they describe."""
    with rendering_progress(progress, "encoding captions and pictures") as shown:
        return load_pairs(data.name, data.source, progress=shown, **data.options())


def _faces(data: FaceData, progress: bool) -> FaceSplits:
    """Identities, and pairs of pictures of others."""
    return load_faces(
        data.name,
        data.source,
        size=data.image_size,
        pairs=data.pairs,
        val_identities=data.val_identities,
        progress=say if progress else _unsaid,
    )


def _unsaid(sentence: str) -> None:
    """What nobody wants to read."""


_LOADERS: dict[str, Callable[[Any, bool], AnySplits]] = {
    ImageData.kind: _images,
    ShapeData.kind: _shapes,
    TableData.kind: _rows,
    SketchData.kind: _sketches,
    PairData.kind: _pairs,
    FaceData.kind: _faces,
}
"""What loads the data of a section, by the section's kind."""
