"""Training batches, each one a function of seed, epoch and position."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, NamedTuple

from torch import Tensor

from monge.data import Examples
from monge.data.modality_sampler import TwoModalityBatchSampler
from monge.data.samplers import EpochBatchSampler


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
