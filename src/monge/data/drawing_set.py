"""Drawings for training: ink that is bright on a ground of zeros, of pictures in black on white."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from monge.data.examples import Examples


@dataclass(frozen=True)
class DrawingSet:
    """Drawings with their class numbers, turned round so that 0 is paper and 255 is ink.

    So zeros that an augmentation moves in from outside are paper, and a network pads with paper too.

    Args:
        papers: Pictures in black on white, uint8 ``(B, C, H, W)``; of colours the mean is taken.

    Example:
        >>> from monge.data import ImageSet
        >>> white = ImageSet(torch.full((2, 1, 4, 4), 255, dtype=torch.uint8), torch.tensor([0, 1]))
        >>> DrawingSet(white).inputs([1]).unique().tolist(), DrawingSet(white).pictures([1]).unique().tolist()
        ([0], [255])
    """

    papers: Examples

    def __len__(self) -> int:
        return len(self.papers)

    @property
    def labels(self) -> Tensor:
        """Class numbers, int64 ``(N,)``."""
        return self.papers.labels

    @property
    def targets(self) -> Tensor | None:
        """Distributions over the classes, where there are any."""
        return self.papers.targets

    @property
    def shape(self) -> tuple[int, ...]:
        """``(1, H, W)``."""
        return (1, *self.papers.shape[1:])

    def inputs(self, indices: Tensor | Sequence[int]) -> Tensor:
        """Drawings in bright ink at the given positions, uint8 ``(B, 1, H, W)``."""
        return 255 - self.pictures(indices)

    def pictures(self, indices: Tensor | Sequence[int]) -> Tensor:
        """Drawings in black on white at the given positions, uint8 ``(B, 1, H, W)``."""
        given = self.papers.inputs(indices)
        return given if given.shape[1] == 1 else given.float().mean(1, keepdim=True).round().to(torch.uint8)

    def subset(self, indices: Tensor | Sequence[int]) -> DrawingSet:
        """The drawings at the given positions, in that order; positions may repeat."""
        return DrawingSet(self.papers.subset(indices))
