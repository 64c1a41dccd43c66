"""Couplings that say which samples of two modalities belong together: positives from labels, and the mass on each."""

from __future__ import annotations

import torch
from torch import Tensor

from monge.losses.pairs import checked_labels


def positive_pairs(
    n: int,
    m: int,
    x_labels: Tensor | None,
    y_labels: Tensor | None,
    ignore: Tensor | None = None,
    *,
    device: torch.device | None = None,
) -> Tensor:
    """Which pairs belong together.

    Args:
        n: Samples of x.
        m: Samples of y.
        x_labels: Classes or pair identities, integers ``(N,)``; ``None`` on both sides: the i-th x and the i-th y.
        y_labels: ``(M,)``.
        ignore: Pairs that do not count, bool ``(N, M)``.
        device: Where the mask goes.

    Returns:
        Bool ``(N, M)``.

    Raises:
        ValueError: No samples on a side, labels on one side only, or shapes that do not fit.

    Example:
        >>> positive_pairs(3, 2, torch.tensor([7, 7, 9]), torch.tensor([7, 9])).int()
        tensor([[1, 0],
                [1, 0],
                [0, 1]], dtype=torch.int32)
    """
    if min(n, m) == 0:
        raise ValueError(f"found {n} samples of x and {m} of y, expected at least one of each")
    if ignore is not None and ignore.shape != (n, m):
        raise ValueError(f"ignore: found shape {tuple(ignore.shape)}, expected {(n, m)}")
    if x_labels is None and y_labels is None:
        if n != m:
            raise ValueError(f"found {n} samples of x and {m} of y without labels, expected as many of each")
        x_labels = y_labels = torch.arange(n)
    if x_labels is None or y_labels is None:
        raise ValueError("labels: found those of one side, expected both or neither")
    x_labels, y_labels = checked_labels(n, m, x_labels, y_labels)
    same = x_labels.to(device).unsqueeze(1) == y_labels.to(device).unsqueeze(0)  # (N, M)
    return same if ignore is None else same & ~ignore.to(same.device, torch.bool)


def target_of_queries(positive: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Coupling in which every query weighs the same and shares its weight evenly among its positives.

    Args:
        positive: Bool ``(N, M)``.
        dtype: Of the result.

    Returns:
        ``(N, M)``, of mass 1; rows without a positive are empty, and without any positive all is 0.

    Example:
        >>> target_of_queries(torch.tensor([[True, True], [False, True], [False, False]]))
        tensor([[0.2500, 0.2500],
                [0.0000, 0.5000],
                [0.0000, 0.0000]])
    """
    wanted = positive.to(dtype)
    return wanted * _weights(wanted, 1).unsqueeze(1)


def target_of_both(positive: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Mean of the coupling in which queries weigh the same and of the one in which gallery items do.

    With classes that have equally many samples on both sides, and with pairs, all three are one.

    Args:
        positive: Bool ``(N, M)``.
        dtype: Of the result.

    Returns:
        ``(N, M)``, of mass 1, or 0 without any positive.

    Example:
        >>> target_of_both(torch.tensor([[True, False], [True, False], [False, True]]))
        tensor([[0.2917, 0.0000],
                [0.2917, 0.0000],
                [0.0000, 0.4167]])
    """
    wanted = positive.to(dtype)
    return wanted * (0.5 * _weights(wanted, 1).unsqueeze(1) + 0.5 * _weights(wanted, 0))


def _weights(wanted: Tensor, side: int) -> Tensor:
    """What each positive of a row (side 1) or column (side 0) weighs where all rows weigh the same."""
    counts = wanted.sum(side)
    return 1.0 / (counts.clamp_min(1.0) * (counts > 0).sum().clamp_min(1))
