"""Predicted distributions over classes: their checks, blocks of rows that fit in memory, and their cumulative sums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from monge.errors import MongeError

_BLOCK = 2**22
_TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 5e-2}
"""How far from one a row may sum: softmax in this dtype with up to 100,000 classes stays within."""


def row_blocks(rows: Tensor) -> Iterator[slice]:
    """Consecutive slices of the rows of ``(N, C)`` with about four million numbers each.

    Args:
        rows: ``(N, C)``.

    Example:
        >>> list(row_blocks(torch.zeros(5, 2)))
        [slice(0, 5, None)]
    """
    step = max(1, _BLOCK // max(1, rows.shape[1]))
    for start in range(0, rows.shape[0], step):
        yield slice(start, min(start + step, rows.shape[0]))


def check_probabilities(name: str, probabilities: Tensor) -> None:
    """Checks that every row is a distribution.

    Args:
        name: What to call them in an error message.
        probabilities: ``(N, C)``, any floating dtype, N and C at least 1.

    Raises:
        MongeError: Another shape or dtype, no rows, or a row with a negative or non-finite value or another sum than
            1 (the row is named).

    Example:
        >>> check_probabilities("probabilities", torch.tensor([[0.25, 0.75]]))
    """
    if probabilities.dim() != 2 or not probabilities.is_floating_point():
        found = f"a {probabilities.dtype} tensor of shape {tuple(probabilities.shape)}"
        raise MongeError(f"{name}: found {found}, expected floating probabilities (N, C)")
    if probabilities.numel() == 0:
        raise MongeError(
            f"{name}: found none (shape {tuple(probabilities.shape)}), expected at least one row and class"
        )
    for block in row_blocks(probabilities):
        values = probabilities.detach()[block].double()
        total = values.sum(dim=1)
        # NaN and infinite values carry into the sum, and comparisons with NaN are False.
        good = ((total - 1).abs() <= _TOLERANCE.get(probabilities.dtype, 1e-4)) & (values.amin(dim=1) >= 0)
        if not bool(good.all()):
            row = int((~good).nonzero()[0, 0])
            low, text = float(values[row].amin()), f"{name}: row {block.start + row}"
            if low < 0:
                raise MongeError(f"{text} has the value {low:.4g}, expected probabilities (softmax of the logits)")
            raise MongeError(f"{text} sums to {float(total[row]):.6g}, expected 1 (softmax of the logits)")


def check_classes(name: str, labels: Tensor, length: int, classes: int | None = None) -> None:
    """Checks that labels are one class number an item, from 0 to C - 1.

    Args:
        name: What to call them in an error message.
        labels: ``(N,)`` of any integer dtype.
        length: The N that is expected.
        classes: C; None: any number that is not negative.

    Raises:
        MongeError: Another shape or dtype, none at all, or a number that is no class.

    Example:
        >>> check_classes("labels", torch.tensor([0, 2]), 2, classes=3)
    """
    if labels.shape != (length,):
        raise MongeError(f"{name}: found shape {tuple(labels.shape)}, expected ({length},), one class number an item")
    if labels.is_floating_point() or labels.is_complex():
        raise MongeError(f"{name}: found dtype {labels.dtype}, expected integer class numbers")
    if length == 0:
        raise MongeError(f"{name}: found none, expected at least one item to judge")
    low, high = (int(end) for end in torch.aminmax(labels))
    if low < 0 or (classes is not None and high >= classes):
        most = "" if classes is None else f" to {classes - 1}"
        raise MongeError(f"{name}: found class {low if low < 0 else high}, expected numbers from 0{most}")


def class_positions(positions: Sequence[float] | Tensor | None, classes: int, device: torch.device) -> Tensor:
    """Places of ordered classes on a line.

    Args:
        positions: C increasing numbers; None: 0, 1, ..., C - 1.
        classes: C.
        device: Where they are needed.

    Returns:
        ``(C,)`` float64.

    Raises:
        MongeError: Not C numbers, or not finite and increasing.

    Example:
        >>> class_positions(None, 3, torch.device("cpu"))
        tensor([0., 1., 2.], dtype=torch.float64)
    """
    if positions is None:
        return torch.arange(classes, dtype=torch.float64, device=device)
    placed = torch.as_tensor(positions, dtype=torch.float64).to(device)
    if placed.shape != (classes,):
        raise MongeError(f"positions: found shape {tuple(placed.shape)}, expected ({classes},), one number a class")
    if not bool(placed.isfinite().all()) or not bool((placed.diff() > 0).all()):
        raise MongeError(f"positions: found {placed.tolist()[:8]}, expected finite numbers in increasing order")
    return placed
