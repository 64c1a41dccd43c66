"""Which examples make the batches of a recipe."""

from __future__ import annotations

from monge.data import Examples
from monge.data.modality_sampler import TwoModalityBatchSampler
from monge.data.samplers import ClassBalancedBatchSampler, EpochBatchSampler, RandomBatchSampler
from monge.errors import RecipeError
from monge.recipes import Recipe
from monge.recipes.schema import BalancedSampler, TwoModalitySampler
from monge.train.batches import Batches


def example_batches(
    recipe: Recipe, train: Examples, steps_per_epoch: int, epoch: int, start: int, rank: int, world_size: int
) -> Batches:
    """Batches of one kind of inputs, as `monge.train.task.Task.batches` gives them.

    Args:
        recipe: The recipe.
        train: The training split.
        steps_per_epoch: Optimiser steps in an epoch.
        epoch: Which epoch.
        start: Batches of it that are done already.
        rank: This process.
        world_size: Processes that share each batch.

    Raises:
        RecipeError: As for `build_sampler`.
    """
    return Batches(train, build_sampler(recipe, train, steps_per_epoch, rank, world_size), epoch, start)


def build_sampler(
    recipe: Recipe, train: Examples, steps_per_epoch: int, rank: int = 0, world_size: int = 1
) -> EpochBatchSampler:
    """The batch sampler of a recipe.

    Args:
        recipe: The recipe.
        train: The training split.
        steps_per_epoch: Optimiser steps in an epoch.
        rank: This process.
        world_size: Processes that share each batch.

    Raises:
        RecipeError: The examples cannot fill such batches, or a process's share would hold no pair of a class.
    """
    config, share = recipe.sampler, {"seed": recipe.seed, "rank": rank, "world_size": world_size}
    batches = steps_per_epoch * recipe.train.accumulate
    pairs = recipe.task == "embedding"  # a loss of classes is content with any share
    if isinstance(config, BalancedSampler) and pairs and config.samples_per_class < 2 * world_size:
        found = f"sampler.samples_per_class: found {config.samples_per_class}"
        raise RecipeError(f"{found}, expected at least {2 * world_size}: each of {world_size} processes needs pairs")
    try:
        if isinstance(config, TwoModalitySampler):
            raise RecipeError(f"sampler.name: found {config.name}, expected balanced or shuffle for data of one kind")
        if isinstance(config, BalancedSampler):
            counts = (config.classes_per_batch, config.samples_per_class)
            return ClassBalancedBatchSampler(train.labels, *counts, steps_per_epoch=batches, **share)
        return RandomBatchSampler(len(train), config.batch_size, steps_per_epoch=batches, **share)
    except ValueError as error:
        raise RecipeError(f"sampler: {error}") from error


def build_pair_sampler(
    recipe: Recipe,
    queries: Examples,
    gallery: Examples,
    steps_per_epoch: int | None,
    rank: int = 0,
    world_size: int = 1,
) -> TwoModalityBatchSampler:
    """The batch sampler of a recipe for two modalities.

    Args:
        recipe: The recipe.
        queries: Training queries.
        gallery: Training gallery.
        steps_per_epoch: Optimiser steps in an epoch; ``None``: as many as the modality that takes longer fills.
        rank: This process.
        world_size: Processes that share each batch.

    Raises:
        RecipeError: The examples cannot fill such batches, or in a process's share something has nothing to go with.
    """
    config = recipe.sampler
    if not isinstance(config, TwoModalitySampler):
        raise RecipeError(f"sampler.name: found {config.name}, expected two_modality for queries and a gallery")
    counts = {"queries_per_class": config.queries_per_class, "gallery_per_class": config.gallery_per_class}
    _check_shares(config, world_size)
    steps = None if steps_per_epoch is None else steps_per_epoch * recipe.train.accumulate
    share = {"seed": recipe.seed, "rank": rank, "world_size": world_size}
    try:
        return TwoModalityBatchSampler(
            queries.labels, gallery.labels, config.classes_per_batch, steps_per_epoch=steps, **counts, **share
        )
    except ValueError as error:
        raise RecipeError(f"sampler: {error}") from error


def _check_shares(config: TwoModalitySampler, world_size: int) -> None:
    """Refuses batches of which a process's share has classes on one side alone: each takes every so-manyth example."""
    queries = [number for number in range(config.classes_per_batch) for _ in range(config.queries_per_class)]
    gallery = [number for number in range(config.classes_per_batch) for _ in range(config.gallery_per_class)]
    for rank in range(world_size):
        first = (rank - len(queries)) % world_size  # the gallery comes behind the queries
        if set(queries[rank::world_size]) != set(gallery[first::world_size]):
            found = f"{config.classes_per_batch} classes of {config.queries_per_class} and {config.gallery_per_class}"
            raise RecipeError(
                f"sampler: found {found} for {world_size} processes, expected shares with the same classes on both "
                f"sides: make queries_per_class and gallery_per_class multiples of {world_size}, or with one of each "
                "classes_per_batch"
            )
