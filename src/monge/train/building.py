"""From a recipe and its data to a task: network, loss, and what selects."""

from __future__ import annotations

import torch

from monge.data import Splits
from monge.errors import RecipeError
from monge.nn import build_classifier, build_model
from monge.recipes import Recipe
from monge.recipes.data_sections import PictureData
from monge.train.class_losses import build_class_loss, head_of
from monge.train.class_measures import Classes, check_classes
from monge.train.classification_task import ClassificationTask
from monge.train.embedding_task import EmbeddingTask
from monge.train.losses import build_loss
from monge.train.measures import check_measurable
from monge.train.schedules import steps_in_epoch
from monge.train.seeds import MODEL, mixed_seed
from monge.train.selection import choose_selection
from monge.train.task import Task


def check_data(recipe: Recipe, splits: Splits) -> None:
    """Refuses data on which the task of a recipe cannot be measured, before anything is trained on them.

    Args:
        recipe: The recipe.
        splits: Its data.

    Raises:
        MongeError: Labels or targets that are none, or parts with nothing to measure.
    """
    if recipe.task == "classification":
        check_classes(splits)
    else:
        check_measurable(splits)


def build_task(recipe: Recipe, splits: Splits) -> Task:
    """Model and loss of a recipe for given data, with weights drawn from the recipe's seed.

    Args:
        recipe: The recipe.
        splits: The shape of their inputs and their classes shape the network.

    Raises:
        RecipeError: The recipe does not fit the data.
    """
    shape, steps = _input_shape(recipe, splits), steps_in_epoch(recipe, len(splits.train))
    selection = choose_selection(recipe, splits)
    torch.manual_seed(mixed_seed(MODEL, recipe.seed))
    if recipe.task == "classification":
        classes = Classes.of(splits)
        loss = build_class_loss(recipe.loss, splits)
        classifier = build_classifier(recipe.model, shape, len(classes), head_of(loss))
        return ClassificationTask(recipe, classifier, loss, steps, selection, classes)
    model = build_model(recipe.model, shape=shape)
    embedding_loss = build_loss(recipe.loss, recipe.model.embedding_dim, len(splits.classes))
    return EmbeddingTask(recipe, model, embedding_loss, steps, selection)


def _input_shape(recipe: Recipe, splits: Splits) -> tuple[int, ...]:
    """Shape of one input as the network gets it."""
    data, shape = recipe.data, splits.train.shape
    if not isinstance(data, PictureData):
        return shape
    *views, channels, height, width = shape
    for key, values in (("mean", data.normalize.mean), ("std", data.normalize.std)):
        if len(values) not in (1, channels):
            wanted = f"1 or {channels} numbers" if channels > 1 else "1 number"
            raise RecipeError(f"data.normalize.{key}: found {len(values)} numbers, expected {wanted} for these images")
    if data.image_size is None and height != width:
        raise RecipeError(
            f"data.image_size: missing, and the images are {height} x {width}: networks here take squares"
        )
    return (*views, channels, data.image_size or height, data.image_size or width)
