"""From the ``data:`` section of a recipe to data, in one place."""

from __future__ import annotations

from monge.data import Splits, load_images, load_shapes, load_table, options_of
from monge.errors import RecipeError
from monge.recipes import Recipe
from monge.recipes.data_sections import ShapeData, TableData
from monge.train.rendering import rendering_progress


def load_splits(recipe: Recipe, *, progress: bool = False) -> Splits:
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
    data = recipe.data
    if isinstance(data, TableData):
        given = data.model_dump(exclude={"name", "source"}, exclude_defaults=True)
        return load_table(data.name, data.source, **given)
    if isinstance(data, ShapeData):
        with rendering_progress(progress) as shown:
            given = {"size": data.image_size, "views": data.views, "split": data.split, "strict": data.strict}
            return load_shapes(data.name, data.source, progress=shown, **given)
    options, known = data.options(), options_of(data.name)
    for name in options:
        if name not in known:
            raise RecipeError(f"data.{name}: {data.name} leaves no such choice; leave it out")
    if data.image_size is not None and "size" in known:
        options["size"] = data.image_size
    return load_images(data.name, data.source, **options)
