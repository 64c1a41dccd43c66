"""Further places for the numbers of ``metrics.jsonl``, by flag: CSV, TensorBoard, Weights & Biases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from monge.errors import RunError
from monge.extras import require

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

LOGGERS = ("jsonl", "csv", "tensorboard", "wandb")


def build_loggers(names: Sequence[str], folder: Path, run_name: str) -> list[Logger]:
    """Lightning loggers that write below ``logs/`` of a run; ``metrics.jsonl`` is written in any case.

    Args:
        names: Any of `LOGGERS`.
        folder: The run's folder.
        run_name: What Weights & Biases calls the run.

    Raises:
        RunError: An unknown name.
        MissingExtraError: The logger's package is not installed.

    Example:
        >>> build_loggers(["jsonl"], Path("runs/a"), "a")
        []
    """
    unknown = [name for name in names if name not in LOGGERS]
    if unknown:
        raise RunError(f"--logger: found {unknown[0]!r}, expected one of {', '.join(LOGGERS)}")
    from lightning.pytorch import loggers

    logs = folder / "logs"
    built: list[Logger] = []
    if "csv" in names:
        built.append(loggers.CSVLogger(logs, name="csv"))
    if "tensorboard" in names:
        require("tensorboard", extra="loggers", purpose="The logger tensorboard")
        built.append(loggers.TensorBoardLogger(logs, name="tensorboard"))
    if "wandb" in names:
        require("wandb", extra="loggers", purpose="The logger wandb")
        logs.mkdir(parents=True, exist_ok=True)
        built.append(loggers.WandbLogger(name=run_name, project="monge", save_dir=logs))
    return built
