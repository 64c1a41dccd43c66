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


def check_loggers(names: Sequence[str]) -> None:
    """Refuses what `build_loggers` would refuse, before a run begins.

    Args:
        names: Any of `LOGGERS`.

    Raises:
        RunError: An unknown name.
        MissingExtraError: The logger's package is not installed.

    Example:
        >>> check_loggers(["jsonl", "csv"])
    """
    for name in names:
        if name not in LOGGERS:
            raise RunError(f"--logger: found {name!r}, expected one of {', '.join(LOGGERS)}")
        if name in ("tensorboard", "wandb"):
            require(name, extra="loggers", purpose=f"The logger {name}")


def build_loggers(names: Sequence[str], folder: Path, run_name: str) -> list[Logger]:
    """Lightning loggers that write below ``logs/`` of a run; ``metrics.jsonl`` is written in any case.

    Args:
        names: Any of `LOGGERS`.
        folder: The run's folder.
        run_name: What Weights & Biases calls the run.

    Example:
        >>> build_loggers(["jsonl"], Path("runs/a"), "a")
        []
    """
    from lightning.pytorch import loggers

    logs = folder / "logs"
    built: list[Logger] = []
    if "csv" in names:
        built.append(loggers.CSVLogger(logs, name="csv"))
    if "tensorboard" in names:
        built.append(loggers.TensorBoardLogger(logs, name="tensorboard"))
    if "wandb" in names:
        logs.mkdir(parents=True, exist_ok=True)
        built.append(loggers.WandbLogger(name=run_name, project="monge", save_dir=logs))
    return built
