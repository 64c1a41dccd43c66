"""Training batches as Lightning takes them."""

from __future__ import annotations

from functools import partial

import lightning.pytorch as pl

from monge.train.batches import EpochBatches
from monge.train.task import S, Task


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
