"""What the building of a network asks of a recipe and of its data."""

from __future__ import annotations

from typing import get_args

from monge.data import Examples
from monge.errors import RecipeError
from monge.nn import ModelConfig
from monge.recipes import Recipe
from monge.train.task import pixels_of


def input_shape(recipe: Recipe, train: Examples) -> tuple[int, ...]:
    """Shape of one input as the network gets it.

    Args:
        recipe: Its data section says how large pictures are made.
        train: The training split.

    Raises:
        RecipeError: The data section does not fit such inputs.
    """
    pixels = pixels_of(recipe)
    return train.shape if pixels is None else pixels.shape_of(train.shape)


def single_model(recipe: Recipe) -> ModelConfig:
    """The network of a recipe for one kind of inputs.

    Args:
        recipe: Its model section.

    Raises:
        RecipeError: It is one for two kinds, or for faces.
    """
    if not isinstance(recipe.model, ModelConfig):
        known = ", ".join(config.name for config in get_args(ModelConfig))
        found = f"found {recipe.model.name} with the loss {recipe.loss.name}"
        raise RecipeError(f"model.name: {found}, expected one of {known}")
    return recipe.model
