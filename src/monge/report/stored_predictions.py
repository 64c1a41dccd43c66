"""The test predictions a classification run stored: probabilities, labels, and pictures of a few items."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from monge.report.stored_tensors import StoredTensors, are_pictures, class_names, parsed, read_tensors
from monge.report.svg import clean

_MOST_NUMBERS = 50_000_000
"""Of a larger table of probabilities some rows are sampled: it would take gigabytes and tell nothing more."""
_SUM_SLACK = 0.02


@dataclass(frozen=True)
class StoredPredictions:
    """Predictions of a run.

    Args:
        probabilities: float32 ``(N, C)``, rows that sum to one.
        labels: True classes, int64 ``(N,)``.
        classes: Printable names of all C classes.
        ordered: Whether the classes have an order, the one they are in.
        positions: Places of ordered classes on a line, increasing; ``None``: evenly spaced.
        targets: True distributions ``(N, C)`` where the data have any.
        images: Pictures of some items, uint8 ``(S, channels, H, W)``, or ``None``.
        shown: Item of each picture, int64 ``(S,)``.
        total: Items in the file, ``N`` or more.
        source: Which data they are of, as the file says; empty if it does not.
        problem: What is wrong with the file; empty if nothing is.
    """

    probabilities: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    ordered: bool
    positions: tuple[float, ...] | None
    targets: Tensor | None
    images: Tensor | None
    shown: Tensor
    total: int
    source: str
    problem: str = ""


def load_predictions(path: Path) -> StoredPredictions | str:
    """Reads ``predictions.safetensors``; returns a sentence where that is not possible."""
    stored = read_tensors(path, prefix="test/")
    if isinstance(stored, str):
        return stored
    probabilities, labels = stored.tensors.get("test/probabilities"), stored.tensors.get("test/labels")
    if probabilities is None or labels is None:
        return f"{path.name}: found no test/probabilities with test/labels in it"
    right = probabilities.ndim == 2 and probabilities.is_floating_point() and labels.shape == probabilities.shape[:1]
    if not right or labels.is_floating_point() or labels.is_complex() or not probabilities.numel():
        shapes = f"{tuple(probabilities.shape)} {probabilities.dtype} and {tuple(labels.shape)} {labels.dtype}"
        wanted = "float (N, C) and integer (N,)"
        return f"{path.name}: found test/probabilities and test/labels of {shapes}, expected {wanted}"
    return _checked(path.name, probabilities, labels, stored)


def _checked(name: str, table: Tensor, labels: Tensor, stored: StoredTensors) -> StoredPredictions | str:
    total, count = table.shape
    problems: list[str] = []
    images, shown = _pictures(stored.tensors, total, problems)
    rows = _sampled(total, count, shown)
    # Indexing comes before conversion: the file is mapped into memory, and only the sampled rows are then read.
    probabilities, true = table[rows].float(), labels[rows].long()
    sums = probabilities.sum(dim=1, keepdim=True)
    good = ((sums[:, 0] - 1).abs() < _SUM_SLACK) & (probabilities >= 0).all(dim=1) & (true >= 0) & (true < count)
    if not good.all():
        bad = int((~good).sum())
        problems.append(f"{bad} items left out whose probabilities do not sum to one or whose label is no class")
    if not bool(good.any()):
        return f"{name}: found no item whose probabilities sum to one and whose label is a class"
    place = torch.full((total,), -1, dtype=torch.long)
    place[rows[good]] = torch.arange(int(good.sum()))
    seen = place[shown] >= 0
    positions = _positions(stored.metadata, count, problems)
    return StoredPredictions(
        (probabilities / sums)[good],
        true[good],
        class_names(stored.metadata.get("classes", ""), list(range(count))),
        parsed(stored.metadata.get("ordered", "")) is True,
        positions,
        _targets(stored.tensors, table, rows[good], problems),
        None if images is None else images[seen],
        place[shown][seen],
        total,
        clean(stored.metadata.get("source", ""), 400),
        f"{name}: " + "; ".join(problems) if problems else "",
    )


def _pictures(tensors: Mapping[str, Tensor], total: int, problems: list[str]) -> tuple[Tensor | None, Tensor]:
    """Pictures and the rows they are of."""
    images, shown = tensors.get("test/images"), tensors.get("test/shown")
    nothing = torch.zeros(0, dtype=torch.long)
    if images is None or shown is None:
        return None, nothing
    rows = (
        shown.ndim == 1 and shown.dtype in (torch.int64, torch.int32) and bool(((shown >= 0) & (shown < total)).all())
    )
    if not rows or not are_pictures(images, len(shown)):
        shapes = f"{tuple(images.shape)} {images.dtype} and {tuple(shown.shape)} {shown.dtype}"
        problems.append(f"test/images and test/shown of {shapes} are no pictures of test items, left out")
        return None, nothing
    return images, shown.long()


def _sampled(total: int, count: int, shown: Tensor) -> Tensor:
    """All rows, or as many as fit the budget, those with pictures among them."""
    most = max(1, _MOST_NUMBERS // count)
    if total <= most:
        return torch.arange(total)
    drawn = torch.randperm(total, generator=torch.Generator().manual_seed(0))[:most]
    wanted = torch.zeros(total, dtype=torch.bool)
    wanted[drawn] = wanted[shown] = True
    return wanted.nonzero()[:, 0]


def _positions(metadata: Mapping[str, str], count: int, problems: list[str]) -> tuple[float, ...] | None:
    text = metadata.get("positions", "null")
    found = parsed(text)
    if found is None and text == "null":
        return None
    try:
        numbers = [float(v) for v in found] if isinstance(found, list) else []
    except (TypeError, ValueError, OverflowError):
        numbers = []
    finite = len(numbers) == count and all(math.isfinite(v) for v in numbers)
    if finite and all(low < high for low, high in pairwise(numbers)):
        return tuple(numbers)
    problems.append(f"positions are not {count} increasing numbers, left out")
    return None


def _targets(tensors: Mapping[str, Tensor], table: Tensor, rows: Tensor, problems: list[str]) -> Tensor | None:
    targets = tensors.get("test/targets")
    if targets is None:
        return None
    if targets.shape == table.shape and targets.is_floating_point():
        kept = targets[rows].float()
        if bool(((kept.sum(dim=1) - 1).abs() < _SUM_SLACK).all()) and bool((kept >= 0).all()):
            return kept
    problems.append("test/targets are no distributions over the classes, left out")
    return None
