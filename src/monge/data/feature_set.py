"""Extracted features with labels, held in memory: of captions, of clips seen by several experts, of anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

Pictures = Callable[[Tensor], Tensor]
"""From positions, int64 ``(B,)``, to pictures, uint8 ``(B, C, H, W)``."""


@dataclass(frozen=True)
class RowsOf:
    """Rows of numbers, some of them of each example, laid end to end: no memory goes to what is missing.

    Args:
        rows: float32 ``(R, D)``.
        starts: First row of each example, and R at the end, int64 ``(N + 1,)``, never falling.

    Raises:
        ValueError: Shapes or dtypes other than these.

    Example:
        >>> two = RowsOf(torch.ones(3, 2), torch.tensor([0, 1, 3]))
        >>> two.padded(torch.tensor([1, 0]), 2)[:, :, 0]
        tensor([[1., 1.],
                [1., nan]])
    """

    rows: Tensor
    starts: Tensor

    def __post_init__(self) -> None:
        if self.rows.dtype != torch.float32 or self.rows.ndim != 2:
            raise ValueError(f"rows must be float32 (R, D), got {self.rows.dtype} {tuple(self.rows.shape)}")
        good = self.starts.dtype == torch.int64 and self.starts.ndim == 1 and len(self.starts) > 0
        if not good or int(self.starts[0]) or int(self.starts[-1]) != len(self.rows) or bool((self.counts < 0).any()):
            raise ValueError(f"starts must be int64 and rise from 0 to {len(self.rows)}, got {self.starts.dtype}")

    @classmethod
    def of(cls, pieces: Sequence[Tensor], width: int) -> RowsOf:
        """The rows of each example, one after the other.

        Args:
            pieces: float32 ``(T, D)``, with T from 0 on.
            width: D, for the case that there are none.
        """
        starts = torch.tensor([0, *(len(piece) for piece in pieces)]).cumsum(0)
        return cls(torch.cat([torch.zeros(0, width), *pieces]), starts)

    @property
    def width(self) -> int:
        """D."""
        return self.rows.shape[1]

    @property
    def counts(self) -> Tensor:
        """Rows of each example, ``(N,)``."""
        return self.starts.diff()

    def padded(self, indices: Tensor, length: int) -> Tensor:
        """The first rows of the examples at the given positions, with NaN behind the last, ``(B, length, D)``.

        Args:
            indices: int64 ``(B,)``.
            length: Rows.
        """
        first, counts = self.starts[indices], self.counts[indices]
        place = torch.arange(length)
        there = place < counts[:, None]  # (B, length)
        found = torch.full((len(indices), length, self.width), torch.nan)
        found[there] = self.rows[(first[:, None] + place)[there]]
        return found

    def subset(self, indices: Tensor) -> RowsOf:
        """The rows of the examples at the given positions."""
        first, counts = self.starts[indices], self.counts[indices]
        starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        chosen = torch.arange(int(starts[-1])) + (first - starts[:-1]).repeat_interleave(counts)
        return RowsOf(self.rows[chosen], starts)


@dataclass(frozen=True)
class FeatureSet:
    """Features with the numbers of the pairs, or of the classes, that they belong to.

    Several experts stand side by side in one input; where an expert has nothing, or fewer rows than others, there is
    NaN.

    Args:
        experts: Rows of each expert, for the same examples.
        labels: int64 ``(N,)``.
        length: Rows of an input ``(length, F)``; ``None``: an input is a vector ``(F,)``, and nothing is missing.
        texts: What the examples say, for reports; as many as there are labels.
        images: Their pictures, for reports.
        names: What the experts are called.

    Raises:
        ValueError: Sizes that do not go together, or vectors that are not there.

    Example:
        >>> clips = FeatureSet.of(torch.zeros(4, 6, 8), torch.tensor([0, 1, 2, 3]))
        >>> clips.shape, clips.inputs([0, 2]).shape, len(clips.subset([1]))
        ((6, 8), torch.Size([2, 6, 8]), 1)
    """

    experts: tuple[RowsOf, ...]
    labels: Tensor
    length: int | None = None
    texts: tuple[str, ...] | None = None
    images: Pictures | None = None
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.labels)
        if self.labels.dtype != torch.int64 or self.labels.ndim != 1:
            raise ValueError(f"labels must be int64 (N,), got {self.labels.dtype} {tuple(self.labels.shape)}")
        if not self.experts or any(len(rows.counts) != count for rows in self.experts):
            found = [len(rows.counts) for rows in self.experts]
            raise ValueError(f"experts must have rows for {count} examples, got {found}")
        if self.texts is not None and len(self.texts) != count:
            raise ValueError(f"texts must be {count}, one for each example, got {len(self.texts)}")
        if self.length is None and any(bool((rows.counts != 1).any()) for rows in self.experts):
            raise ValueError("without a length every expert must have one row for each example")
        if self.length is not None and self.length < 1:
            raise ValueError(f"length must be at least 1, got {self.length}")

    @classmethod
    def of(
        cls,
        features: Tensor,
        labels: Tensor,
        *,
        texts: Sequence[str] | None = None,
        images: Pictures | None = None,
    ) -> FeatureSet:
        """Features that are in one tensor already.

        Args:
            features: float32 vectors ``(N, F)``, or ``(N, T, F)`` with rows of NaN where there is nothing.
            labels: int64 ``(N,)``.
            texts: See the class.
            images: See the class.

        Raises:
            ValueError: As for the class.
        """
        told = None if texts is None else tuple(texts)
        if features.ndim == 2:
            rows = RowsOf(features, torch.arange(len(features) + 1))
            return cls((rows,), labels, None, told, images)
        there = ~features.isnan().all(2)  # (N, T)
        starts = torch.cat([torch.zeros(1, dtype=torch.int64), there.sum(1).cumsum(0)])
        return cls((RowsOf(features[there], starts),), labels, features.shape[1], told, images)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def targets(self) -> None:
        """The labels are all there is."""
        return None

    @property
    def widths(self) -> tuple[int, ...]:
        """Length of a vector of each expert; they add up to F."""
        return tuple(rows.width for rows in self.experts)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(F,)`` or ``(length, F)``."""
        width = sum(self.widths)
        return (width,) if self.length is None else (self.length, width)

    def inputs(self, indices: Tensor | Sequence[int]) -> Tensor:
        """Features at the given positions, float32 ``(B, F)`` or ``(B, length, F)``."""
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        rows = torch.cat([expert.padded(chosen, self.length or 1) for expert in self.experts], 2)
        return rows[:, 0] if self.length is None else rows

    def pictures(self, indices: Tensor | Sequence[int]) -> Tensor | None:
        """Pictures at the given positions, uint8 ``(B, C, H, W)``; ``None`` where there are none at all."""
        return None if self.images is None else self.images(torch.as_tensor(indices, dtype=torch.int64))

    def subset(self, indices: Tensor | Sequence[int]) -> FeatureSet:
        """The examples at the given positions, in that order; positions may repeat.

        Args:
            indices: int64 ``(n,)``.
        """
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        images, texts = self.images, self.texts
        return replace(
            self,
            experts=tuple(rows.subset(chosen) for rows in self.experts),
            labels=self.labels[chosen],
            texts=None if texts is None else tuple(texts[place] for place in chosen.tolist()),
            images=None if images is None else lambda places: images(chosen[places]),
        )
