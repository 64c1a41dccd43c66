"""The smallest version of a recipe that still touches everything it touches."""

from __future__ import annotations

from monge.recipes.data_sections import ShapeData
from monge.recipes.schema import BalancedSampler, Recipe, ShuffleSampler


def smoke_recipe(recipe: Recipe) -> Recipe:
    """Two epochs of two steps on synthetic data, with small batches and few small views; model and loss stay.

    Args:
        recipe: Any recipe.

    Example:
        >>> from monge.recipes import load_recipe
        >>> smoke_recipe(load_recipe("mnist")).data.source
        'synthetic'
    """
    sampler = recipe.sampler
    small = (
        BalancedSampler(classes_per_batch=min(4, sampler.classes_per_batch), samples_per_class=2)
        if isinstance(sampler, BalancedSampler)
        else ShuffleSampler(batch_size=min(8, sampler.batch_size))
    )
    train = recipe.train.model_copy(update={"epochs": 2, "steps_per_epoch": 2, "checkpoint_every": 1, "log_every": 1})
    evaluation = recipe.evaluate.model_copy(update={"every_epochs": 1, "reference_items": 200})
    data = recipe.data.model_copy(update={"source": "synthetic"})
    if isinstance(data, ShapeData):
        data = data.model_copy(update={"image_size": min(64, data.image_size), "views": min(3, data.views)})
    parts = {"data": data, "sampler": small, "train": train, "evaluate": evaluation}
    return recipe.model_copy(update=parts)
