"""Batches of a shuffled epoch, for recipes that do not balance classes."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from monge.train.seeds import SHUFFLE, mixed_seed


class ShuffledBatchSampler:
    """Draws batches without replacement from a shuffled list, started anew when it runs short.

    The order is a function of seed, epoch and step alone; every rank knows the global batch and takes its share.

    Args:
        images: How many images there are.
        batch_size: Images in a global batch.
        steps_per_epoch: Batches in an epoch.
        seed: Seed of the run.
        rank: This process.
        world_size: Processes.

    Example:
        >>> sampler = ShuffledBatchSampler(6, batch_size=3, steps_per_epoch=2, seed=0)
        >>> sorted(index for batch in sampler for index in batch)
        [0, 1, 2, 3, 4, 5]
    """

    def __init__(
        self, images: int, batch_size: int, *, steps_per_epoch: int, seed: int = 0, rank: int = 0, world_size: int = 1
    ) -> None:
        self.images, self.batch_size, self.steps_per_epoch = images, batch_size, steps_per_epoch
        self.seed, self.rank, self.world_size = seed, rank, world_size
        self._epoch = self._start = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch that the next iteration draws."""
        self._epoch = epoch

    def set_start(self, step: int) -> None:
        """Lets the next iteration begin at this batch of the epoch."""
        self._start = step

    def __len__(self) -> int:
        return self.steps_per_epoch - self._start

    def __iter__(self) -> Iterator[list[int]]:
        per_pass = self.images // self.batch_size
        order, held = torch.empty(0, dtype=torch.long), -1
        for step in range(self._start, self.steps_per_epoch):
            turn, place = divmod(step, max(1, per_pass))
            if turn != held:
                generator = torch.Generator().manual_seed(mixed_seed(SHUFFLE, self.seed, self._epoch, turn))
                order, held = torch.randperm(self.images, generator=generator), turn
            batch = order[place * self.batch_size : (place + 1) * self.batch_size]
            yield batch[self.rank :: self.world_size].tolist()
