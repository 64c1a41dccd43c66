"""What training needs of data, whatever they are: inputs, labels, and the three parts they are used in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


class Examples(Protocol):
    """Inputs with class labels; images in memory, images on disk and rows of a table all look like this.

    `monge.data.ImageSet` is one. Nothing else is asked of data, so that a set too large for memory can read its inputs
    when they are wanted.
    """

    @property
    def labels(self) -> Tensor:
        """Class numbers, int64 ``(N,)``."""
        ...

    @property
    def targets(self) -> Tensor | None:
        """Distributions over the classes, float32 ``(N, K)``; ``None``: the labels are all there is."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input: ``(C, H, W)`` of an image, ``(V, C, H, W)`` of views, ``(F,)`` of a row."""
        ...

    def __len__(self) -> int: ...

    def inputs(self, indices: Tensor | Sequence[int]) -> Tensor:
        """Inputs at the given positions, in that order.

        Returns:
            uint8 ``(B, C, H, W)`` images or ``(B, V, C, H, W)`` views, or float32 ``(B, F)`` rows.
        """
        ...

    def subset(self, indices: Tensor | Sequence[int]) -> Examples:
        """The examples at the given positions, in that order; positions may repeat."""
        ...


@dataclass(frozen=True)
class Splits:
    """A data set in the three parts that training, choosing and reporting use.

    Args:
        train: What the model learns from.
        val: What settings and epochs are chosen by.
        test: What is reported.
        classes: Class names; label ``k`` is ``classes[k]``.
        source: One sentence that says which data these really are.
        definition: One sentence that says how the parts were made, with their sizes.
        ordered: Whether the classes have an order, the one they are listed in.
        positions: Places of ordered classes on a line (ages, scores), increasing; ``None``: evenly spaced.

    Example:
        >>> from monge.data import load_images
        >>> splits = load_images("mnist", "synthetic")
        >>> len(splits.train), splits.classes[:3]
        (1200, ('0', '1', '2'))
    """

    train: Examples
    val: Examples
    test: Examples
    classes: tuple[str, ...]
    source: str
    definition: str
    ordered: bool = False
    positions: tuple[float, ...] | None = None
