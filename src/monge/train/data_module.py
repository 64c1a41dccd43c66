"""Training batches, each one a function of seed, epoch and position."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import lightning.pytorch as pl
from torch import Tensor

from monge.data import Examples
from monge.data.modality_sampler import TwoModalityBatchSampler
from monge.data.samplers import ClassBalancedBatchSampler, EpochBatchSampler, RandomBatchSampler
from monge.errors import RecipeError
from monge.recipes import Recipe
from monge.recipes.schema import BalancedSampler, TwoModalitySampler

if TYPE_CHECKING:
    from monge.train.task import S, Task


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


class PairBatch(NamedTuple):
    """A training batch of two modalities as it leaves memory.

    Attributes:
        queries: Inputs of the modality that is asked with, (B, ...).
        gallery: Inputs of the one that is found, (C, ...).
        query_labels: int64 (B,).
        gallery_labels: int64 (C,).
        epoch: Epoch it belongs to.
        place: Its position in the epoch.
    """

    queries: Tensor
    gallery: Tensor
    query_labels: Tensor
    gallery_labels: Tensor
    epoch: int
    place: int


class EpochBatches(ABC):
    """The batches of one epoch from a position on; what Lightning iterates over.

    Args:
        sampler: Gives the indices.
        epoch: Which epoch.
        start: Batches of it that are done already.
    """

    def __init__(self, sampler: EpochBatchSampler, epoch: int, start: int) -> None:
        self.sampler, self.epoch, self._start = sampler, epoch, start
        sampler.set_epoch(epoch)
        sampler.set_start(start)
        self._length = len(sampler) - start

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Any]:
        for place, chosen in enumerate(self.sampler, start=self._start):
            yield self.read(chosen, place)

    @abstractmethod
    def read(self, chosen: list[int], place: int) -> Any:
        """The batch of the indices that the sampler gave, at its position in the epoch."""


class Batches(EpochBatches):
    """Batches of one kind of inputs.

    Args:
        examples: The training split.
        sampler: Gives the indices.
        epoch: Which epoch.
        start: Batches of it that are done already.
    """

    def __init__(self, examples: Examples, sampler: EpochBatchSampler, epoch: int, start: int) -> None:
        super().__init__(sampler, epoch, start)
        self.examples = examples

    def read(self, chosen: list[int], place: int) -> Batch:
        """The batch at the given indices."""
        targets = self.examples.targets
        wanted = None if targets is None else targets[chosen]
        return Batch(self.examples.inputs(chosen), self.examples.labels[chosen], self.epoch, place, wanted)


class PairBatches(EpochBatches):
    """Batches of two kinds of inputs.

    Args:
        queries: Training queries.
        gallery: Training gallery.
        sampler: Gives indices into both, laid end to end.
        epoch: Which epoch.
        start: Batches of it that are done already.
    """

    def __init__(
        self, queries: Examples, gallery: Examples, sampler: TwoModalityBatchSampler, epoch: int, start: int
    ) -> None:
        super().__init__(sampler, epoch, start)
        self.queries, self.gallery, self._split = queries, gallery, sampler.split

    def read(self, chosen: list[int], place: int) -> PairBatch:
        """The batch at the given indices."""
        asked, found = self._split(chosen)
        labels = (self.queries.labels[asked], self.gallery.labels[found])
        return PairBatch(self.queries.inputs(asked), self.gallery.inputs(found), *labels, self.epoch, place)


class TrainingData(pl.LightningDataModule):
    """Training batches from a position on, the one that the task has reached.

    Args:
        task: Its sampler and seed decide the batches.
        splits: The data.
    """

    def __init__(self, task: Task[S], splits: S) -> None:
        super().__init__()
        self._batches = partial(task.batches, splits)
        self._resumed_epoch, done = divmod(task.step, task.steps_per_epoch)
        self._done = done * task.recipe.train.accumulate

    def train_dataloader(self) -> EpochBatches:
        """Batches of the trainer's current epoch, for this process."""
        assert self.trainer is not None
        epoch = self.trainer.current_epoch
        start = self._done if epoch == self._resumed_epoch else 0
        share = {"rank": self.trainer.global_rank, "world_size": self.trainer.world_size}
        return self._batches(epoch=epoch, start=start, **share)


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
