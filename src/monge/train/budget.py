"""A recipe cut or stretched to a number of optimiser steps."""

from __future__ import annotations

from monge.errors import RecipeError
from monge.recipes import Recipe


def with_steps(recipe: Recipe, steps: int | None) -> Recipe:
    """The recipe with another number of optimiser steps in as many epochs, as nearly as that divides.

    Schedules and validations count in epochs, so a schedule keeps its shape over the new length.

    Args:
        recipe: The recipe.
        steps: Optimiser steps of the whole run; ``None``: as the recipe says.

    Raises:
        RecipeError: The steps do not divide into between half and twice as many epochs.

    Example:
        >>> from monge.recipes import load_recipe
        >>> train = with_steps(load_recipe("mnist", ["train.epochs=20"]), 950).train
        >>> train.epochs, train.steps_per_epoch
        (19, 50)
    """
    if steps is None:
        return recipe
    if steps < 1:
        raise RecipeError(f"--steps: found {steps}, expected at least 1")
    wanted = recipe.train.epochs
    possible = [epochs for epochs in range((wanted + 1) // 2, 2 * wanted + 1) if steps % epochs == 0]
    if not possible:
        near = max(1, round(steps / wanted)) * wanted
        raise RecipeError(
            f"--steps: found {steps}, which does not divide into about {wanted} epochs (the recipe's); try {near}"
        )
    epochs = min(possible, key=lambda number: (abs(number - wanted), number))
    train = recipe.train.model_copy(update={"epochs": epochs, "steps_per_epoch": steps // epochs})
    return recipe.model_copy(update={"train": train})
