"""What labels and targets of any set of examples must be."""

from __future__ import annotations

import torch
from torch import Tensor


def check_labels(labels: Tensor, count: int, targets: Tensor | None = None, *, each: str = "example") -> None:
    """Refuses labels, and targets where there are any, that do not go with the examples.

    Args:
        labels: Class numbers, int64 ``(count,)``.
        count: How many examples there are.
        targets: Distributions over the classes, ``(count, K)``.
        each: What an example is called.

    Raises:
        ValueError: Another type or shape.

    Example:
        >>> check_labels(torch.tensor([0.0]), 1)
        Traceback (most recent call last):
        ValueError: labels must be int64 (1,), one for each example, got torch.float32 (1,)
    """
    if labels.dtype != torch.int64 or labels.shape != (count,):
        found = f"{labels.dtype} {tuple(labels.shape)}"
        raise ValueError(f"labels must be int64 ({count},), one for each {each}, got {found}")
    if targets is not None and (targets.ndim != 2 or len(targets) != count):
        raise ValueError(f"targets must be ({count}, classes), got {tuple(targets.shape)}")
