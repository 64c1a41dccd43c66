"""The callback that keeps a run: counts steps, logs, validates, saves, and stops when asked to."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl
import torch

from monge import __version__
from monge.data.any_splits import AnySplits
from monge.train.checkpoints import FORMAT, Best, Checkpoint, save_checkpoint
from monge.train.divergence import DivergedError as DivergedError
from monge.train.metrics_log import MetricsLog
from monge.train.progress import Progress
from monge.train.run_files import RunFiles
from monge.train.signals import StopSignals
from monge.train.task import Task


class RunKeeper(pl.Callback):
    """Everything around the steps of a run; the position in it is `Task.step`.

    A checkpoint is written every ``train.checkpoint_every`` steps and at the end of each epoch, always after whatever
    was logged at that step, so that cutting ``metrics.jsonl`` back to a checkpoint's step leaves exactly what stood
    there when it was written.

    Args:
        files: The run's folder.
        splits: The data.
        signals: Active stop signals.
        progress: What the user sees.
        resumed: The checkpoint to go on from.
    """

    def __init__(
        self, files: RunFiles, splits: AnySplits, signals: StopSignals, progress: Progress, resumed: Checkpoint | None
    ) -> None:
        self.files, self.splits, self.signals, self.progress, self._resumed = files, splits, signals, progress, resumed
        self.written = MetricsLog(files.metrics)
        self.best: Best | None = resumed["best"] if resumed else None
        self._seconds = resumed["seconds"] if resumed else 0.0
        self._began: float | None = None
        self._not_finite = torch.tensor(-1)

    @property
    def seconds(self) -> float:
        """Time spent on training and validation, interruptions left out."""
        return self._seconds + (time.monotonic() - self._began if self._began is not None else 0.0)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restores what Lightning has just made anew, and takes the signals back from it."""
        task = _task(pl_module)
        if self._resumed is not None:
            trainer.optimizers[0].load_state_dict(self._resumed["optimizer"])
            trainer.precision_plugin.load_state_dict(self._resumed["precision"])
            # Once more: what a loss has summed up goes to one process, and only now do they know which they are.
            task.loss.load_state_dict(self._resumed["loss"])
        self._resumed = None  # frees the memory
        self._not_finite = torch.tensor(-1, device=task.device)
        self._began = time.monotonic()
        self.signals.install()
        self.signals.patient = True
        self.progress.start(task.step)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """After each optimiser step: count, guard against NaN, log, save, stop."""
        task = _task(pl_module)
        if (batch_idx + 1) % task.recipe.train.accumulate:
            return
        task.step += 1
        loss = torch.stack(task.step_losses).mean()
        # Noted on the device and read only when something else waits for it, so that a GPU is not held up each step.
        bad = (self._not_finite < 0) & ~loss.isfinite()
        self._not_finite = torch.where(bad, task.step, self._not_finite)
        ends_epoch = task.step % task.steps_per_epoch == 0
        logs = task.step % task.recipe.train.log_every == 0
        saves = task.step % task.recipe.train.checkpoint_every == 0 or ends_epoch
        stops = self._asked_to_stop(trainer)
        if logs or saves or stops:
            self._check_finite(trainer, task)
        if logs:
            self._log_step(trainer, task, loss)
        else:
            self.progress.stepped(task.step, None)
        if (saves or stops) and not ends_epoch:  # the end of an epoch is saved after its validation
            self._save(trainer, task)
            if stops:
                self._stop(task)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Ends the epoch for the loss, validates if that is due, saves, stops if that was asked for."""
        task = _task(pl_module)
        epoch = trainer.current_epoch
        task.end_epoch()
        if trainer.is_global_zero:
            task.keep_epoch(self.files, epoch)
        due = (epoch + 1) % task.recipe.evaluate.every_epochs == 0 or epoch + 1 == task.recipe.train.epochs
        metrics = self._validate(trainer, task, epoch) if due else {}
        metric = task.selection.metric
        self.progress.epoch_ended(epoch, task.step, self.seconds, metric, metrics.get(metric))
        self._save(trainer, task)
        if self._asked_to_stop(trainer):
            self._stop(task)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """From here on a signal stops at once: the last checkpoint holds all there is."""
        self._seconds, self._began = self.seconds, None
        self.signals.patient = False
        self.progress.stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Puts the terminal in order before the error is shown."""
        self.progress.stop()

    def _validate(self, trainer: pl.Trainer, task: Task[Any], epoch: int) -> dict[str, float]:
        """Measures the validation split; the best model so far is kept."""
        metrics = task.validate(self.splits)
        if not trainer.is_global_zero:
            return {}
        self._write(trainer, task.step, epoch, metrics)
        value = metrics[task.selection.metric]
        if self.best is None or task.selection.better(value, self.best["value"]):
            self.best = Best(value=value, step=task.step)
            save_checkpoint(self.files.best, self._checkpoint(task))
        return metrics

    def _log_step(self, trainer: pl.Trainer, task: Task[Any], loss: torch.Tensor) -> None:
        """Writes ``train/...``: loss and its terms (means over processes), learning rate, figures on the plan."""
        mean = float(trainer.strategy.reduce(loss, reduce_op="mean"))
        metrics = {"train/loss": mean, "train/lr": float(trainer.optimizers[0].param_groups[0]["lr"])}
        for name, value in task.figures().items():
            shared = trainer.strategy.reduce(value, reduce_op="mean") if isinstance(value, torch.Tensor) else value
            metrics[name] = float(shared)
        self._write(trainer, task.step, (task.step - 1) // task.steps_per_epoch, metrics)
        self.progress.stepped(task.step, mean)

    def _write(self, trainer: pl.Trainer, step: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """One line in ``metrics.jsonl``, the same to every logger."""
        if trainer.is_global_zero:
            self.written.append(step, epoch, self.seconds, metrics)
            for logger in trainer.loggers:
                logger.log_metrics({**metrics, "epoch": epoch}, step=step)

    def _check_finite(self, trainer: pl.Trainer, task: Task[Any]) -> None:
        """Stops a run whose loss is no number, before that is saved."""
        step = int(self._not_finite)
        if trainer.strategy.reduce_boolean_decision(step >= 0, all=False):
            epoch = (max(step, 1) - 1) // task.steps_per_epoch
            raise DivergedError.at(step, epoch, task.recipe.optimizer.lr)

    def _asked_to_stop(self, trainer: pl.Trainer) -> bool:
        """Whether any process was; all of them get the same answer."""
        asked = self.signals.requested is not None
        return bool(trainer.strategy.reduce_boolean_decision(asked, all=False)) if trainer.world_size > 1 else asked

    def _stop(self, task: Task[Any]) -> None:
        """Ends the run, which has just been saved."""
        raise self.signals.interruption(f"at step {task.step}, saved")

    def _save(self, trainer: pl.Trainer, task: Task[Any]) -> None:
        """Writes ``last.ckpt``."""
        gather = getattr(task.loss, "gather_state", None)
        if callable(gather):  # what the processes have seen of the epoch so far goes to the one that saves
            gather()
        if trainer.is_global_zero:
            checkpoint = self._checkpoint(task)
            checkpoint["optimizer"] = trainer.optimizers[0].state_dict()
            checkpoint["precision"] = trainer.precision_plugin.state_dict()
            save_checkpoint(self.files.last, checkpoint)
        trainer.strategy.barrier("checkpoint")

    def _checkpoint(self, task: Task[Any]) -> Checkpoint:
        """Model, loss and position."""
        return Checkpoint(
            format=FORMAT,
            monge=__version__,
            recipe=task.recipe.to_yaml(),
            step=task.step,
            seconds=self.seconds,
            best=self.best,
            model=task.model.state_dict(),
            loss=task.loss.state_dict(),
        )


def _task(module: pl.LightningModule) -> Task[Any]:
    """The module as what it is."""
    assert isinstance(module, Task)
    return module
