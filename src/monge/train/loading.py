"""From the ``data:`` section of a recipe to data, in one place."""

from __future__ import annotations

from monge.data import Splits, load_images
from monge.recipes import Recipe
from monge.recipes.data_sections import TableData


def load_splits(recipe: Recipe) -> Splits:
    """Loads the data that a recipe names.

    Args:
        recipe: Its ``data`` section.

    Raises:
        MongeError: The data cannot be had, are not what their name says, or do not have what the section asks for.

    Example:
        >>> from monge.recipes import load_recipe
        >>> len(load_splits(load_recipe("mnist", ["data.source=synthetic"])).train)
        1200
    """
    data = recipe.data
    if isinstance(data, TableData):
        from monge.data.tables import load_table

        given = data.model_dump(exclude={"name", "source"}, exclude_defaults=True)
        return load_table(data.name, data.source, **given)
    options = {} if data.fold is None else {"fold": data.fold}
    return load_images(data.name, data.source, **options)
