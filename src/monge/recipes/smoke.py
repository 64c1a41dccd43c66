"""The smallest version of a recipe that still touches everything it touches."""

from __future__ import annotations

from monge.recipes.data_sections import ShapeData
from monge.recipes.schema import BalancedSampler, Recipe, ShuffleSampler, TwoModalitySampler
from monge.recipes.section import Section
from monge.recipes.sketch_data import SketchData


def smoke_recipe(recipe: Recipe) -> Recipe:
    """Two epochs of two steps on synthetic data, with small batches and few small views; model and loss stay.

    Args:
        recipe: Any recipe.

    Example:
        >>> from monge.recipes import load_recipe
        >>> smoke_recipe(load_recipe("mnist")).data.source
        'synthetic'
    """
    train = recipe.train.model_copy(update={"epochs": 2, "steps_per_epoch": 2, "checkpoint_every": 1, "log_every": 1})
    evaluation = recipe.evaluate.model_copy(update={"every_epochs": 1, "reference_items": 200})
    data = recipe.data.model_copy(update={"source": "synthetic"})
    if isinstance(data, ShapeData | SketchData):
        data = data.model_copy(update={"image_size": min(64, data.image_size), "views": min(3, data.views)})
        if data.train_views is not None:
            data = data.model_copy(update={"train_views": min(2, data.train_views)})
    parts = {"data": data, "sampler": _small(recipe.sampler), "train": train, "evaluate": evaluation}
    return recipe.model_copy(update=parts)


def _small(sampler: BalancedSampler | ShuffleSampler | TwoModalitySampler) -> Section:
    """The same kind of sampler with small batches."""
    if isinstance(sampler, ShuffleSampler):
        return ShuffleSampler(batch_size=min(8, sampler.batch_size))
    classes = min(4, sampler.classes_per_batch)
    if isinstance(sampler, BalancedSampler):
        return BalancedSampler(classes_per_batch=classes, samples_per_class=2)
    return TwoModalitySampler(
        classes_per_batch=classes,
        queries_per_class=min(2, sampler.queries_per_class),
        gallery_per_class=min(2, sampler.gallery_per_class),
    )
