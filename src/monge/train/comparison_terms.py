"""The terms of a comparison: its seeds, its search, the value to race to, and the budget every run had."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from monge.errors import RecipeError
from monge.recipes import LossConfig, Recipe, Task, task_of
from monge.recipes.data_sections import PictureData
from monge.recipes.sketch_data import SketchData
from monge.train.compared_run import Outcome
from monge.train.comparison import LossResult
from monge.train.selection import Selection

# The seed of the search lies this far from the recipe's own, so that no reported seed is searched on.
_SEARCH_SEED_OFFSET = 1000
# Share of the best loss's final validation value that all losses race to, where no target is given.
_TARGET_SHARE = 0.95
# What the losses of a task are losses of.
_TOLD: dict[Task, str] = {
    "embedding": "of embeddings",
    "classification": "of classes",
    "cross-modal": "between two modalities",
    "face": "of identities",
}


def seed_list(seeds: int | Sequence[int], first: int) -> list[int]:
    """The seeds to report.

    Args:
        seeds: How many, or which.
        first: Where to count from.

    Raises:
        RecipeError: None, one twice, or a negative one.

    Example:
        >>> seed_list(3, 10)
        [10, 11, 12]
    """
    found = list(range(first, first + seeds)) if isinstance(seeds, int) else list(seeds)
    if not found or len(set(found)) < len(found) or min(found) < 0:
        raise RecipeError(f"--seeds: found {seeds}, expected at least 1 (or different seeds from 0)")
    return found


def search_seed(first: int, seeds: Sequence[int]) -> int:
    """A seed for the search that is not reported.

    Example:
        >>> search_seed(0, [0, 1, 1000])
        1001
    """
    seed = first + _SEARCH_SEED_OFFSET
    while seed in seeds:
        seed += 1
    return seed


def search_terms(grid: list[float], seed: int, selection: Selection) -> dict[str, object]:
    """What is told about the search.

    Args:
        grid: Learning rates tried.
        seed: Seed of the search.
        selection: What chose.
    """
    searched = len(grid) > 1
    best = f"{selection.best_word} {selection.metric}"
    rule = f"{best}, one step beyond the grid tried too where the best lies at its edge"
    return {
        "lrs": grid,
        "on": selection.metric,
        "seed": seed if searched else None,
        "rule": rule if searched else "a single rate, taken without a search",
    }


def check_same_task(losses: Mapping[str, LossConfig]) -> None:
    """Refuses losses that have no metric in common.

    Args:
        losses: By label.

    Raises:
        RecipeError: Losses of different tasks, such as of embeddings beside losses of classes.
    """
    first = {task_of(config.name): label for label, config in reversed(list(losses.items()))}
    if len(first) > 1:
        (one, is_of), (other, is_for) = [(first[task], said) for task, said in _TOLD.items() if task in first][:2]
        raise RecipeError(
            f"--losses: {one} is a loss {is_of} and {other} one {is_for}, which no metric measures alike: compare them "
            "apart"
        )


def check_target(target: float | None) -> None:
    """Refuses a target that no run could have.

    Raises:
        RecipeError: Not a positive number.
    """
    if target is not None and not 0 < target < math.inf:
        raise RecipeError(f"--target: found {target}, expected a number above 0")


def choose_target(asked: float | None, results: Sequence[LossResult], selection: Selection) -> tuple[float | None, str]:
    """The validation value to reach, and where it comes from.

    Args:
        asked: By the user.
        results: What came out.
        selection: Which value, and which way is better.
    """
    if asked is not None:
        return asked, "given"
    best = selection.best(result.final_value() for result in results)
    higher = selection.higher_is_better
    amount = f"{_TARGET_SHARE:.0%} of" if higher else f"1/{_TARGET_SHARE:g} of"
    rule = f"{amount} the {selection.best_word} final {selection.metric}"
    return (None if math.isnan(best) else best * _TARGET_SHARE if higher else best / _TARGET_SHARE), rule


def budget_of(recipe: Recipe, outcomes: Iterable[Outcome]) -> dict[str, int | str]:
    """What every run had.

    Args:
        recipe: Settings that all runs share.
        outcomes: What came of them.
    """
    steps = max((one.curve[-1][0] for one in outcomes if one.curve and not one.diverged), default=0)
    return {
        "steps": steps,
        "epochs": recipe.train.epochs,
        "batch": recipe.sampler.batch_size * recipe.train.accumulate,
        "model": recipe.model.name,
        "optimizer": recipe.optimizer.name,
        "schedule": recipe.schedule.name,
        "augment": _augmentations(recipe),
    }


def _augmentations(recipe: Recipe) -> str:
    """Names of the training augmentations."""
    data = recipe.data
    if isinstance(data, SketchData):
        sides = (("queries", data.queries.augment), ("gallery", data.gallery.augment))
        return "; ".join(f"{side}: {', '.join(names) or 'none'}" for side, names in sides)
    return ", ".join(data.augment) or "none" if isinstance(data, PictureData) else "none"
