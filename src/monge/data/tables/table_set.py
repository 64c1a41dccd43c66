"""Rows of numbers with class labels, held in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from monge.data.labels import check_labels


@dataclass(frozen=True)
class TableSet:
    """Rows of features and their class numbers.

    Args:
        features: float32 ``(N, F)``, finite.
        labels: int64 ``(N,)``.
        targets: Distributions over the classes, float32 ``(N, K)``; ``None``: the labels are all there is.

    Raises:
        ValueError: Shapes or dtypes other than these, or features that are not finite.

    Example:
        >>> part = TableSet(torch.zeros(4, 9), torch.tensor([0, 1, 0, 1]))
        >>> part.shape, len(part.subset([0, 2]))
        ((9,), 2)
    """

    features: Tensor
    labels: Tensor
    targets: Tensor | None = None

    def __post_init__(self) -> None:
        if self.features.dtype != torch.float32 or self.features.ndim != 2:
            raise ValueError(f"features must be float32 (N, F), got {self.features.dtype} {tuple(self.features.shape)}")
        check_labels(self.labels, len(self.features), self.targets, each="row")
        if not self.features.isfinite().all():
            raise ValueError("features must be finite, got NaN or infinity")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(F,)``."""
        return tuple(self.features.shape[1:])

    def inputs(self, indices: Tensor | Sequence[int]) -> Tensor:
        """Rows at the given positions, float32 ``(B, F)``."""
        return self.features[torch.as_tensor(indices, dtype=torch.int64)]

    def subset(self, indices: Tensor | Sequence[int]) -> TableSet:
        """The rows of the given positions, in that order.

        Args:
            indices: Positions, int64 ``(n,)``; may repeat.
        """
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        targets = None if self.targets is None else self.targets[chosen]
        return TableSet(self.features[chosen], self.labels[chosen], targets)
