"""Rows of a set, frames of a clip or words of a caption, pooled; rows that are NaN are not there."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

RowPool = Literal["mean", "max"]


def present(features: Tensor) -> tuple[Tensor, Tensor]:
    """Features with 0 for NaN, and which rows hold any number at all.

    Args:
        features: ``(..., F)``.

    Returns:
        ``(..., F)`` without NaN, and bool ``(...)``.

    Example:
        >>> rows, there = present(torch.tensor([[1.0, torch.nan], [torch.nan, torch.nan]]))
        >>> rows.tolist(), there.tolist()
        ([[1.0, 0.0], [0.0, 0.0]], [True, False])
    """
    missing = features.isnan()
    return features.masked_fill(missing, 0.0), ~missing.all(-1)


def pooled(rows: Tensor, there: Tensor, pool: RowPool) -> Tensor:
    """Mean or largest value of the rows that are there; zeros where none is.

    Args:
        rows: ``(N, T, F)``, no NaN.
        there: bool ``(N, T)``.
        pool: ``"mean"`` or ``"max"``.

    Returns:
        ``(N, F)``.
    """
    known = there[:, :, None]  # (N, T, 1)
    if pool == "mean":
        return (rows * known).sum(1) / known.sum(1).clamp(min=1)
    largest = rows.masked_fill(~known, -torch.inf).amax(1)
    return torch.where(known.any(1), largest, 0.0)


class MaskedPool(nn.Module):
    """Pools rows into one vector.

    Args:
        pool: ``"mean"`` or ``"max"``.

    Raises:
        ValueError: Another pool.

    Example:
        >>> clip = torch.tensor([[[1.0, 2.0], [3.0, 6.0], [torch.nan, torch.nan]]])
        >>> MaskedPool()(clip)
        tensor([[2., 4.]])
    """

    def __init__(self, pool: RowPool = "mean") -> None:
        super().__init__()
        if pool not in get_args(RowPool):
            raise ValueError(f"pool: found {pool!r}, expected one of {', '.join(get_args(RowPool))}")
        self.pool = pool

    def forward(self, features: Tensor) -> Tensor:
        """Vectors ``(N, F)`` of rows ``(N, T, F)``."""
        return pooled(*present(features), self.pool)
