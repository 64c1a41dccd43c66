"""Checkpoints of a run: plain tensors and numbers, read back with ``weights_only=True``, written atomically."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NotRequired, TypedDict

import torch

from monge.errors import MongeError, RunError
from monge.train.atomic import write_atomically

FORMAT = 2
_KEYS = {"format", "monge", "recipe", "step", "seconds", "best", "model", "loss"}


class Best(TypedDict):
    """The best validation so far, by the metric that selects."""

    value: float
    step: int


class Checkpoint(TypedDict):
    """Everything a run needs to go on as if nothing had happened.

    Random numbers, sampler and schedule are functions of seed and step, so they need no entry. ``optimizer`` and
    ``precision`` (the state of a loss scaler) are missing in ``best.ckpt``, which is for evaluation.
    """

    format: int
    monge: str
    recipe: str
    step: int
    seconds: float
    best: Best | None
    model: dict[str, Any]
    loss: dict[str, Any]
    optimizer: NotRequired[dict[str, Any]]
    precision: NotRequired[dict[str, Any]]


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint so that a reader finds either the old or the new one.

    Args:
        path: Its file.
        checkpoint: Tensors, numbers, strings and containers of them.

    Raises:
        RunError: The file cannot be written.
    """
    try:
        write_atomically(path, lambda part: torch.save(dict(checkpoint), part))
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise RunError(f"{path}: cannot be written ({reason})") from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint without unpickling anything but tensors and plain containers.

    Args:
        path: Its file.

    Raises:
        RunError: It is missing, damaged or not a checkpoint of monge.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise RunError(f"{path}: there is no such checkpoint") from error
    except MongeError:  # a request to stop that came meanwhile
        raise
    except Exception as error:  # the restricted unpickler trips over damaged files in many ways
        reason = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
        raise RunError(f"{path}: not a readable checkpoint ({reason})") from error
    if not isinstance(content, dict) or not content.keys() >= _KEYS:
        raise RunError(f"{path}: found a file without {', '.join(sorted(_KEYS))}, expected a checkpoint of monge")
    if content["format"] != FORMAT:
        raise RunError(f"{path}: found checkpoint format {content['format']}, this version of monge reads {FORMAT}")
    return content  # type: ignore[return-value]  # checked above
