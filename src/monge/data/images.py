"""Images with labels, and the three parts they are used in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ImageSet:
    """Images of one size and their class numbers.

    Args:
        images: uint8 ``(N, C, H, W)``.
        labels: int64 ``(N,)``.

    Raises:
        ValueError: Shapes or dtypes other than these.

    Example:
        >>> part = ImageSet(torch.zeros(4, 1, 28, 28, dtype=torch.uint8), torch.tensor([0, 1, 0, 1]))
        >>> len(part), len(part.subset([0, 2]))
        (4, 2)
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            raise ValueError(f"images must be uint8 (N, C, H, W), got {self.images.dtype} {tuple(self.images.shape)}")
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            found = f"{self.labels.dtype} {tuple(self.labels.shape)}"
            raise ValueError(f"labels must be int64 ({len(self.images)},), got {found}")

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: Tensor | Sequence[int]) -> ImageSet:
        """The images of the given positions, in that order.

        Args:
            indices: Positions, int64 ``(n,)``; may repeat.
        """
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        return ImageSet(self.images[chosen], self.labels[chosen])


@dataclass(frozen=True)
class ImageSplits:
    """A data set in the three parts that training, choosing and reporting use.

    Args:
        train: What the model learns from.
        val: What settings and epochs are chosen by.
        test: What is reported.
        classes: Class names; label ``k`` is ``classes[k]``.
        source: One sentence that says which data these really are.
        definition: One sentence that says how the parts were made, with their sizes.

    Example:
        >>> from monge.data import load_images
        >>> splits = load_images("mnist", "synthetic")
        >>> len(splits.train), splits.classes[:3]
        (1200, ('0', '1', '2'))
    """

    train: ImageSet
    val: ImageSet
    test: ImageSet
    classes: tuple[str, ...]
    source: str
    definition: str
