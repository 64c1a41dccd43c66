"""`fit`: from a recipe to a finished run folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.strategies import DDPStrategy

from monge.data.any_splits import AnySplits
from monge.recipes import Recipe
from monge.train.building import build_task, check_data
from monge.train.checkpoints import Checkpoint, load_checkpoint
from monge.train.data_module import TrainingData
from monge.train.devices import choose_device, device_in_words, own_torch_state
from monge.train.keeper import RunKeeper
from monge.train.loading import load_splits
from monge.train.loggers import build_loggers, check_loggers
from monge.train.metrics_log import MetricsLog
from monge.train.progress import Progress
from monge.train.quiet import quiet_lightning
from monge.train.run_files import RunFiles, is_main_process, say
from monge.train.signals import StopSignals
from monge.train.task import Task


def fit(
    recipe: Recipe,
    out: str | Path,
    *,
    device: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    loggers: Sequence[str] = ("jsonl",),
    devices: int = 1,
    progress: bool = True,
    test: bool = True,
) -> dict[str, float]:
    """Trains a recipe, or goes on with it, and tests the model that was best on validation data.

    On a CPU the result is a function of recipe, data and software alone: a run that was killed at any point and resumed
    ends with the same numbers as one that was not. Ctrl-C and SIGTERM finish the step and save first.

    Args:
        recipe: What to run.
        out: The run's folder; the names of its files are part of monge's interface, see the documentation.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:N"`` or ``"mps"``.
        resume: Go on from the last checkpoint in `out`.
        overwrite: Drop the run that is in `out`.
        loggers: Any of ``"csv"``, ``"tensorboard"``, ``"wandb"`` beside ``"jsonl"``, which is always on.
        devices: Processes, each with a device (or a share of the CPU); each takes its share of every batch, computes
            the loss among its own examples alone, and the gradients are averaged. So with 2 devices the loss compares
            half as many pairs as with 1. Lightning starts the further processes by running the same command again.
        progress: Show progress on standard error.
        test: Measure the test split at the end; False leaves it untouched.

    Returns:
        The test metrics, named ``test/...``; with ``test=False`` those of the last validation, ``val/...``.
        Processes other than the first return nothing.

    Raises:
        RunError: The folder or the device cannot be used.
        DivergedError: The loss stopped being a finite number; the message names the step.
        Interrupted: The run was asked to stop; it can be resumed.
        MongeError: The data cannot be had.
    """
    check_loggers(loggers)
    files = RunFiles(Path(out))
    accelerator, chosen = choose_device(device, recipe, devices)
    words = device_in_words(chosen, devices)
    with quiet_lightning(), own_torch_state(recipe.train.threads), StopSignals() as signals:
        splits = load_splits(recipe, progress=progress)
        # What cannot be is refused before files are touched.
        check_data(recipe, splits)
        task = build_task(recipe, splits)
        task.batches(splits, epoch=0, world_size=devices)
        checkpoint = _open(files, recipe, resume=resume, overwrite=overwrite)
        signals.resume_command = files.resume_command(*_flags(device, devices, loggers))
        if progress:
            say(f"data: {splits.source}; {splits.definition}")
        if resume:
            files.check_same_classes(splits)
            files.check_same_data(splits)
        if checkpoint is not None:
            task.restore(checkpoint)
        if resume and progress:
            say(f"resuming {files.folder} at step {task.step}")
        if is_main_process():
            MetricsLog(files.metrics).truncate(task.step)
            files.write_environment(recipe, splits, words, task.selection, resumed=resume)
        shown = Progress(task.last_step, recipe.train.epochs, progress)
        keeper = RunKeeper(files, splits, signals, shown, checkpoint)
        if task.step < task.last_step:
            trainer = _trainer(recipe, files, accelerator, chosen, devices, loggers, keeper)
            _train_from(trainer, task, splits)
        if not is_main_process():
            return {}
        metrics = _finish(files, task.to(chosen), splits, keeper, test)
        files.write_environment(recipe, splits, words, task.selection, resumed=False, finished=keeper.seconds)
        return metrics


def _finish(files: RunFiles, task: Task[Any], splits: AnySplits, keeper: RunKeeper, test: bool) -> dict[str, float]:
    """Tests the best model, or without a test looks up the last validation."""
    if not test:
        last = [record for record in keeper.written.read() if task.selection.metric in record][-1]
        return {name: value for name, value in last.items() if name.startswith("val/")}
    task.model.load_state_dict(load_checkpoint(files.best)["model"])
    metrics = task.run_test(splits, files)
    keeper.written.append(task.step, task.recipe.train.epochs - 1, keeper.seconds, metrics)
    return metrics


def _flags(device: str, devices: int, loggers: Sequence[str]) -> list[str]:
    """Words of the command line that a resumed run needs beside its recipe."""
    flags = ["--device", device] if device != "auto" else []
    flags += ["--devices", str(devices)] if devices > 1 else []
    return flags + [word for name in loggers if name != "jsonl" for word in ("--logger", name)]


def _train_from(trainer: pl.Trainer, task: Task[Any], splits: AnySplits) -> None:
    """Trains from the task's step on, then leaves the group of processes that Lightning may have formed."""
    done: Any = trainer.fit_loop.epoch_progress.current
    done.processed = done.completed = task.step // task.steps_per_epoch
    try:
        trainer.fit(task, TrainingData(task, splits))
    finally:  # a process that ends inside of the group aborts and takes the others along
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _open(files: RunFiles, recipe: Recipe, *, resume: bool, overwrite: bool) -> Checkpoint | None:
    """The folder is made ready by the first process; the others find it so."""
    if is_main_process():
        return files.open(recipe, resume=resume, overwrite=overwrite)
    return load_checkpoint(files.last) if resume and files.last.is_file() else None


def _trainer(
    recipe: Recipe,
    files: RunFiles,
    accelerator: str,
    device: torch.device,
    devices: int,
    loggers: Sequence[str],
    keeper: RunKeeper,
) -> pl.Trainer:
    """Lightning with everything off that the keeper does itself."""
    backend = "gloo" if accelerator == "cpu" else None
    strategy: Any = DDPStrategy(process_group_backend=backend) if devices > 1 else "auto"
    single = [device.index or 0] if accelerator == "cuda" else 1
    return pl.Trainer(
        accelerator=accelerator,
        devices=devices if devices > 1 else single,
        strategy=strategy,
        precision=recipe.train.precision if recipe.train.precision != "32" else "32-true",
        max_epochs=recipe.train.epochs,
        accumulate_grad_batches=recipe.train.accumulate,
        gradient_clip_val=recipe.train.grad_clip,
        callbacks=[keeper],
        logger=build_loggers(loggers, files.folder, files.folder.name) or False,
        default_root_dir=files.folder,
        # The batches are told their rank and position, and every epoch begins with fresh ones.
        use_distributed_sampler=False,
        reload_dataloaders_every_n_epochs=1,
        limit_val_batches=0,
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
