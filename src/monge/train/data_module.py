"""Training batches, each one a function of seed, epoch and position."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import lightning.pytorch as pl
from torch import Tensor

from monge.data import Examples
from monge.data.samplers import ClassBalancedBatchSampler, EpochBatchSampler, RandomBatchSampler
from monge.errors import RecipeError
from monge.recipes import Recipe
from monge.recipes.schema import BalancedSampler
from monge.train.schedules import steps_in_epoch


class Batch(NamedTuple):
    """A training batch as it leaves memory.

    Attributes:
        inputs: uint8 images (B, C, H, W) or views (B, V, C, H, W), or float32 rows (B, F).
        labels: int64 (B,).
        epoch: Epoch it belongs to.
        place: Its position in the epoch.
        targets: Distributions over the classes (B, K), where the data have any.
    """

    inputs: Tensor
    labels: Tensor
    epoch: int
    place: int
    targets: Tensor | None = None


class Batches:
    """The batches of one epoch from a position on; what Lightning iterates over.

    Args:
        examples: The training split.
        sampler: Gives the indices.
        epoch: Which epoch.
        start: Batches of it that are done already.
    """

    def __init__(self, examples: Examples, sampler: EpochBatchSampler, epoch: int, start: int) -> None:
        self.examples, self._sampler, self._epoch, self._start = examples, sampler, epoch, start
        sampler.set_epoch(epoch)
        sampler.set_start(start)
        self._length = len(sampler) - start

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Batch]:
        targets = self.examples.targets
        for place, chosen in enumerate(self._sampler, start=self._start):
            wanted = None if targets is None else targets[chosen]
            yield Batch(self.examples.inputs(chosen), self.examples.labels[chosen], self._epoch, place, wanted)


class TrainingData(pl.LightningDataModule):
    """Training examples and the position in them.

    Args:
        recipe: Its sampler and seed decide the batches.
        train: The training split.
        step: Optimiser steps done already; the first epoch starts behind them.
    """

    def __init__(self, recipe: Recipe, train: Examples, step: int = 0) -> None:
        super().__init__()
        self.recipe, self.train = recipe, train
        self.steps_per_epoch = steps_in_epoch(recipe, len(train))
        self._resumed_epoch, done = divmod(step, self.steps_per_epoch)
        self._done = done * recipe.train.accumulate

    def train_dataloader(self) -> Batches:
        """Batches of the trainer's current epoch, for this process."""
        assert self.trainer is not None
        epoch = self.trainer.current_epoch
        sampler = build_sampler(
            self.recipe, self.train, self.steps_per_epoch, self.trainer.global_rank, self.trainer.world_size
        )
        return Batches(self.train, sampler, epoch, self._done if epoch == self._resumed_epoch else 0)


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
        if isinstance(config, BalancedSampler):
            counts = (config.classes_per_batch, config.samples_per_class)
            return ClassBalancedBatchSampler(train.labels, *counts, steps_per_epoch=batches, **share)
        return RandomBatchSampler(len(train), config.batch_size, steps_per_epoch=batches, **share)
    except ValueError as error:
        raise RecipeError(f"sampler: {error}") from error
