"""The ground distance a run stored, and how a learned one was in earlier epochs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from monge.report.stored_tensors import StoredTensors, class_names, read_tensors
from monge.report.svg import clean

_MOST_CLASSES = 2048


@dataclass(frozen=True)
class StoredGround:
    """Distances between the classes of a run.

    Args:
        matrix: Distances, float32 ``(C, C)``, finite and not negative.
        classes: Printable names.
        kind: What it is, e.g. ``"learned"``; empty if the file does not say.
        history: Earlier distances ``(E, C, C)``, oldest first; ``E`` is 0 for a distance that does not change.
        epochs: Epoch of each of them.
        problem: What is wrong with the file; empty if nothing is.
    """

    matrix: Tensor
    classes: tuple[str, ...]
    kind: str
    history: Tensor
    epochs: tuple[int, ...]
    problem: str = ""


def load_ground(path: Path) -> StoredGround | str:
    """Reads ``ground.safetensors``; returns a sentence where that is not possible."""
    stored = read_tensors(path)
    if isinstance(stored, str):
        return stored
    matrix = stored.tensors.get("matrix")
    if matrix is None or not matrix.is_floating_point() or matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        found = "no matrix" if matrix is None else f"a matrix of {tuple(matrix.shape)} {matrix.dtype}"
        return f"{path.name}: found {found}, expected float (C, C)"
    count = len(matrix)
    if not 1 <= count <= _MOST_CLASSES:
        return f"{path.name}: found distances between {count} classes, expected 1 to {_MOST_CLASSES}"
    matrix = matrix.float()
    if not _good(matrix):
        return f"{path.name}: found NaN, infinite or negative distances, expected finite ones from 0 on"
    history, epochs, problem = _history(stored, count)
    names = class_names(stored.metadata.get("classes", ""), list(range(count)))
    kind = clean(stored.metadata.get("kind", ""), 40)
    return StoredGround(matrix, names, kind, history, epochs, f"{path.name}: {problem}" if problem else "")


def _good(distances: Tensor) -> bool:
    return bool((distances.isfinite() & (distances >= 0)).all())


def _history(stored: StoredTensors, count: int) -> tuple[Tensor, tuple[int, ...], str]:
    nothing: tuple[Tensor, tuple[int, ...]] = (torch.zeros(0, count, count), ())
    history, epochs = stored.tensors.get("history"), stored.tensors.get("epochs")
    if history is None and epochs is None:
        return *nothing, ""
    if (
        history is None
        or epochs is None
        or history.shape != (len(epochs) if epochs.ndim == 1 else -1, count, count)
        or not history.is_floating_point()
        or epochs.is_floating_point()
    ):
        return *nothing, "history and epochs are not float (E, C, C) and integer (E,), left out"
    good = torch.tensor([_good(step) for step in history], dtype=torch.bool)
    problem = (
        "" if bool(good.all()) else f"{int((~good).sum())} epochs with NaN, infinite or negative distances left out"
    )
    kept = [i for i in epochs.argsort(stable=True).tolist() if bool(good[i])]
    return history[kept].float(), tuple(epochs[kept].tolist()), problem
