"""``ground.safetensors``: the distance between classes that a run works with, and how it changed if it was learned."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from monge.extras import require
from monge.ground import Ground, Learned, Power
from monge.losses import CrossEntropyEMDLoss, WassersteinLoss
from monge.losses.ground_loss import GroundLoss
from monge.train.atomic import write_atomically

MOST_CLASSES = 512
# More than this is thinned out: every second epoch is kept, then every fourth ...
_HISTORY_BYTES = 64 << 20


def ground_of(loss: nn.Module) -> Ground | None:
    """The distance a loss was given, without the power that the loss itself raises it to; ``None``: it has none.

    Args:
        loss: From `monge.train.class_losses.build_class_loss`.

    Example:
        >>> ground_of(CrossEntropyEMDLoss.xemd2())
        Line()
    """
    if not isinstance(loss, GroundLoss):
        return None
    raised = (isinstance(loss, CrossEntropyEMDLoss) and loss.omega != 1) or (
        isinstance(loss, WassersteinLoss) and loss.power != 1
    )
    return loss.ground.ground if raised and isinstance(loss.ground, Power) else loss.ground


def record_ground(file: Path, ground: Ground, classes: tuple[str, ...], epoch: int) -> None:
    """Writes the distance as it is at the end of an epoch; of one that is learned, what was written before stays.

    Args:
        file: The record of the run.
        ground: The distance; nothing is written beyond `MOST_CLASSES` classes, or while there is none yet.
        classes: Their names.
        epoch: The epoch that has just ended, from 0; entries of later ones, from before a resumption, are dropped.
    """
    learned = next((part for part in ground.modules() if isinstance(part, Learned)), None)
    if len(classes) > MOST_CLASSES or (learned is not None and not learned.ready):
        return
    tensors = {"matrix": ground.matrix(len(classes)).float().cpu().contiguous()}
    if learned is not None:
        tensors |= _with_epoch(_history(file), tensors["matrix"], epoch)
    safetensors = require("safetensors.torch", extra="train", purpose="Storing the ground distance")
    metadata = {"kind": type(ground).__name__.lower(), "classes": json.dumps(list(classes))}
    write_atomically(file, lambda part: safetensors.save_file(tensors, part, metadata=metadata))


def _history(file: Path) -> dict[int, Tensor]:
    """Distances by epoch from a record; none where there is no whole one."""
    safetensors = require("safetensors", extra="train", purpose="Reading the ground distance")
    try:
        with safetensors.safe_open(file, framework="pt") as record:
            epochs, history = record.get_tensor("epochs"), record.get_tensor("history")
    except (OSError, safetensors.SafetensorError):
        return {}
    return dict(zip(epochs.tolist(), history.unbind()))


def _with_epoch(history: dict[int, Tensor], matrix: Tensor, epoch: int) -> dict[str, Tensor]:
    """The history with one more epoch, thinned so that it stays small whatever the number of epochs.

    Which epochs stay depends on the last one alone, so a run that was resumed keeps the same.
    """
    most = max(2, _HISTORY_BYTES // (4 * matrix.numel()))
    stride = 1
    while epoch // stride + 2 > most:
        stride *= 2
    kept = [one for one in sorted(history) if one < epoch and one % stride == 0]
    chosen = [*(history[one] for one in kept), matrix]
    return {"history": torch.stack(chosen), "epochs": torch.tensor([*kept, epoch])}
