"""Images of one size, held in memory, with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from monge.data.labels import check_labels


@dataclass(frozen=True)
class ImageSet:
    """Images of one size and their class numbers.

    Args:
        images: uint8 ``(N, C, H, W)``.
        labels: int64 ``(N,)``.
        targets: Distributions over the classes, float32 ``(N, K)``; ``None``: the labels are all there is.

    Raises:
        ValueError: Shapes or dtypes other than these.

    Example:
        >>> part = ImageSet(torch.zeros(4, 1, 28, 28, dtype=torch.uint8), torch.tensor([0, 1, 0, 1]))
        >>> len(part), len(part.subset([0, 2]))
        (4, 2)
    """

    images: Tensor
    labels: Tensor
    targets: Tensor | None = None

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            raise ValueError(f"images must be uint8 (N, C, H, W), got {self.images.dtype} {tuple(self.images.shape)}")
        check_labels(self.labels, len(self.images), self.targets, each="image")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(C, H, W)``."""
        return tuple(self.images.shape[1:])

    def inputs(self, indices: Tensor | Sequence[int]) -> Tensor:
        """Images at the given positions, uint8 ``(B, C, H, W)``."""
        return self.images[torch.as_tensor(indices, dtype=torch.int64)]

    def subset(self, indices: Tensor | Sequence[int]) -> ImageSet:
        """The images of the given positions, in that order.

        Args:
            indices: Positions, int64 ``(n,)``; may repeat.
        """
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        targets = None if self.targets is None else self.targets[chosen]
        return ImageSet(self.images[chosen], self.labels[chosen], targets)
