"""From a recipe and its data to a task: network, loss, and what selects."""

from __future__ import annotations

from typing import Any

import torch

from monge.data.any_splits import AnySplits
from monge.errors import RecipeError
from monge.recipes import Recipe
from monge.train.kinds import KINDS, Kind
from monge.train.seeds import MODEL, mixed_seed
from monge.train.selection import choose_selection
from monge.train.task import Task


def check_data(recipe: Recipe, splits: AnySplits) -> None:
    """Refuses data on which the task of a recipe cannot be measured, before anything is trained on them.

    Args:
        recipe: The recipe.
        splits: Its data.

    Raises:
        RecipeError: The loss is one for data of another kind.
        MongeError: Labels or targets that are none, or parts with nothing to measure.
    """
    _kind_for(recipe, splits).check(splits)


def build_task(recipe: Recipe, splits: AnySplits) -> Task[Any]:
    """Model and loss of a recipe for given data, with weights drawn from the recipe's seed.

    Args:
        recipe: The recipe.
        splits: The shape of their inputs and their classes shape the network.

    Raises:
        RecipeError: The recipe does not fit the data.
    """
    kind, selection = _kind_for(recipe, splits), choose_selection(recipe, splits)
    torch.manual_seed(mixed_seed(MODEL, recipe.seed))
    return kind.build(recipe, splits, selection)


def _kind_for(recipe: Recipe, splits: AnySplits) -> Kind:
    """The kind of task that the loss is for, if the data are of that kind."""
    kind = KINDS[recipe.task]
    if not isinstance(splits, kind.splits):
        found = next(other.called for other in KINDS.values() if isinstance(splits, other.splits))
        raise RecipeError(
            f"loss.name: found {recipe.loss.name}, which learns from {kind.called}, but {recipe.data.name} has {found}"
        )
    return kind
