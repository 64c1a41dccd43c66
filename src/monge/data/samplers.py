"""Batch samplers whose batches depend on nothing but (seed, epoch, step), so that a run can stop and go on anywhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler


class EpochBatchSampler(Sampler[list[int]], ABC):
    """The contract of this module's samplers: the same global batches on every rank, of which each takes its share.

    Rank ``r`` of ``W`` takes every ``W``-th index of the global batch, beginning at the ``r``-th; shares differ by at
    most one index and together are the global batch.

    Args:
        batch_size: Indices in a global batch.
        steps_per_epoch: Global batches in an epoch.
        seed: Not negative.
        rank: This process.
        world_size: Processes that share each batch.

    Raises:
        ValueError: A number out of range, or a batch with fewer indices than processes.
    """

    def __init__(self, batch_size: int, steps_per_epoch: int, seed: int, rank: int, world_size: int) -> None:
        if not 0 <= rank < world_size:
            raise ValueError(f"rank must be 0 to world_size - 1, got rank {rank} of {world_size}")
        if batch_size < world_size:
            raise ValueError(f"a batch of {batch_size} cannot be shared by {world_size} processes")
        if steps_per_epoch < 1 or seed < 0:
            raise ValueError(f"need steps_per_epoch >= 1 and seed >= 0, got {steps_per_epoch} and {seed}")
        self.batch_size, self.steps_per_epoch, self.seed = batch_size, steps_per_epoch, seed
        self.rank, self.world_size = rank, world_size
        self._epoch = self._start = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch; one that differs from the present one begins at step 0.

        Args:
            epoch: Not negative.
        """
        if epoch != self._epoch:
            self._epoch, self._start = epoch, 0

    def set_start(self, step: int) -> None:
        """Begins the present epoch at a later step: the batches are the tail of the whole epoch.

        Args:
            step: Steps to leave out; holds until another epoch is set.

        Raises:
            ValueError: Not a step of an epoch.
        """
        if not 0 <= step <= self.steps_per_epoch:
            raise ValueError(f"start must be 0 to {self.steps_per_epoch}, got {step}")
        self._start = step

    def __len__(self) -> int:
        """Steps of a whole epoch, wherever it begins, as progress bars and resumed training loops count them."""
        return self.steps_per_epoch

    def __iter__(self) -> Iterator[list[int]]:
        for batch in islice(self.global_batches(self._epoch), self._start, self.steps_per_epoch):
            yield batch[self.rank :: self.world_size]

    @abstractmethod
    def global_batches(self, epoch: int) -> Iterator[list[int]]:
        """The batches of an epoch before they are shared out, without end.

        Args:
            epoch: Any epoch, whatever :meth:`set_epoch` said.
        """


class ClassBalancedBatchSampler(EpochBatchSampler):
    """Batches of P classes with K samples each.

    Over an epoch the classes come up equally often (give or take one), and a class's samples are used up in random
    order before any of them comes again. A class with fewer than K samples repeats them within a batch, as evenly as
    possible; no other class does. Every epoch draws anew, from a stream of its own.

    Args:
        labels: Class of each sample, ``(N,)``.
        classes_per_batch: P; at most the number of classes.
        samples_per_class: K.
        steps_per_epoch: Batches in an epoch; as many as N samples fill if left out, at least one.
        seed: Not negative.
        rank: This process.
        world_size: Processes that share each batch of P * K.

    Raises:
        ValueError: No labels, fewer than P classes, or a number out of range.

    Example:
        >>> sampler = ClassBalancedBatchSampler([0, 0, 0, 1, 1, 1, 2, 2, 2], classes_per_batch=2, samples_per_class=2)
        >>> [len(batch) for batch in sampler]
        [4, 4]
        >>> sampler.set_epoch(3)
        >>> whole = list(sampler)
        >>> sampler.set_start(1)
        >>> list(sampler) == whole[1:]
        True
    """

    def __init__(
        self,
        labels: Tensor | Sequence[int],
        classes_per_batch: int,
        samples_per_class: int,
        *,
        steps_per_epoch: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        values = torch.as_tensor(labels).reshape(-1).cpu().numpy()
        self._members = [np.flatnonzero(values == name) for name in np.unique(values)]
        if not 1 <= classes_per_batch <= len(self._members) or samples_per_class < 1:
            found = f"{classes_per_batch} classes of {samples_per_class} samples"
            most = f"classes_per_batch is at most {len(self._members)}"
            raise ValueError(f"cannot make batches of {found} from {len(self._members)} classes: {most}")
        batch_size = classes_per_batch * samples_per_class
        steps = max(1, len(values) // batch_size) if steps_per_epoch is None else steps_per_epoch
        super().__init__(batch_size, steps, seed, rank, world_size)
        self.classes_per_batch, self.samples_per_class = classes_per_batch, samples_per_class

    def global_batches(self, epoch: int) -> Iterator[list[int]]:
        """The batches of an epoch before they are shared out, without end; each is grouped by class.

        Args:
            epoch: Any epoch, whatever :meth:`set_epoch` said.
        """
        classes = _draws(np.arange(len(self._members)), self.classes_per_batch, [self.seed, epoch, 0])
        # A stream of its own for each class, so that what one class draws does not depend on when others come up.
        samples = [
            _draws(members, self.samples_per_class, [self.seed, epoch, 1, number])
            for number, members in enumerate(self._members)
        ]
        for chosen in classes:
            yield [index for number in chosen for index in next(samples[number])]


class RandomBatchSampler(EpochBatchSampler):
    """Batches of random samples, each used once before any comes again; a remainder that fills no batch is left out.

    Args:
        num_samples: N; at least the batch size.
        batch_size: Samples in a global batch.
        steps_per_epoch: Batches in an epoch; ``N // batch_size`` if left out.
        seed: Not negative.
        rank: This process.
        world_size: Processes that share each batch.

    Raises:
        ValueError: A number out of range.

    Example:
        >>> sorted(index for batch in RandomBatchSampler(6, 2) for index in batch)
        [0, 1, 2, 3, 4, 5]
    """

    def __init__(
        self,
        num_samples: int,
        batch_size: int,
        *,
        steps_per_epoch: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if not 1 <= batch_size <= num_samples:
            raise ValueError(f"batch_size must be 1 to {num_samples}, the number of samples, got {batch_size}")
        steps = num_samples // batch_size if steps_per_epoch is None else steps_per_epoch
        super().__init__(batch_size, steps, seed, rank, world_size)
        self.num_samples = num_samples

    def global_batches(self, epoch: int) -> Iterator[list[int]]:
        """The batches of an epoch before they are shared out, without end.

        Args:
            epoch: Any epoch, whatever :meth:`set_epoch` said.
        """
        return _draws(np.arange(self.num_samples), self.batch_size, [self.seed, epoch])


def _draws(items: np.ndarray[tuple[int], np.dtype[np.int64]], size: int, seed: list[int]) -> Iterator[list[int]]:
    """Deals hands of ``size`` from a shuffled deck for ever, with a new shuffle whenever the deck runs out.

    A hand that spans two shuffles first takes from the new one what it holds least of, and what it passes over stays
    in the deck. So no item comes up more than once more often than another, neither within a hand nor over all hands.
    """
    random = np.random.default_rng(seed)
    deck: list[int] = []
    while True:
        hand, deck = deck[:size], deck[size:]
        while len(hand) < size:
            deck = deck or random.permutation(items).tolist()
            held = Counter(hand)
            least = min(held[item] for item in items.tolist())
            taken = [item for item in deck if held[item] == least][: size - len(hand)]
            hand += taken
            gone = set(taken)
            deck = [item for item in deck if item not in gone]
        yield hand
