"""Sets of views for training: several pictures of each object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monge.data.labels import check_labels


@dataclass(frozen=True, eq=False)
class ViewSet:
    """Objects seen from several sides, and their class numbers.

    Args:
        views: uint8 ``(N, V, C, H, W)``, in memory or memory-mapped; of the latter only what is asked for is read.
        labels: int64 ``(M,)``.
        names: Names of the objects, for reports, ``(M,)``.
        rows: Which of the ``N`` each example is, int64 ``(M,)``; ``None``: each is one. Subsets share the views.
        targets: Distributions over the classes, float32 ``(M, K)``; ``None``: the labels are all there is.

    Raises:
        ValueError: Shapes or dtypes other than these.

    Example:
        >>> part = ViewSet(np.zeros((4, 12, 1, 8, 8), np.uint8), torch.tensor([0, 1, 0, 1]), names=list("abcd"))
        >>> part.shape, part.inputs([2, 0]).shape, part.subset([3, 1]).names
        ((12, 1, 8, 8), torch.Size([2, 12, 1, 8, 8]), ('d', 'b'))
    """

    views: NDArray[np.uint8] | Tensor
    labels: Tensor
    names: Sequence[str] | None = None
    rows: Tensor | None = None
    targets: Tensor | None = None

    def __post_init__(self) -> None:
        views = self.views
        if views.dtype not in (np.uint8, torch.uint8) or views.ndim != 5:
            raise ValueError(f"views must be uint8 (N, V, C, H, W), got {views.dtype} {tuple(views.shape)}")
        rows = torch.arange(len(views)) if self.rows is None else self.rows
        if rows.dtype != torch.int64 or rows.ndim != 1 or (len(rows) and not 0 <= int(rows.min()) <= int(rows.max())):
            raise ValueError(f"rows must be int64 (M,), not negative, got {rows.dtype} {tuple(rows.shape)}")
        if len(rows) and int(rows.max()) >= len(views):
            raise ValueError(f"rows must be below {len(views)}, the number of objects, got {int(rows.max())}")
        check_labels(self.labels, len(rows), self.targets, each="object")
        if self.names is not None and len(self.names) != len(rows):
            raise ValueError(f"names must be {len(rows)}, one for each object, got {len(self.names)}")
        object.__setattr__(self, "rows", rows)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(V, C, H, W)``."""
        return tuple(self.views.shape[1:])

    def inputs(self, indices: Tensor | Sequence[int]) -> Tensor:
        """Views at the given positions, uint8 ``(B, V, C, H, W)``."""
        rows = self._rows[torch.as_tensor(indices, dtype=torch.int64)]
        if isinstance(self.views, Tensor):
            return self.views[rows]
        return torch.from_numpy(np.asarray(self.views[rows.numpy()]))

    def subset(self, indices: Tensor | Sequence[int]) -> ViewSet:
        """The objects at the given positions, in that order; positions may repeat."""
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        names = None if self.names is None else tuple(self.names[index] for index in chosen.tolist())
        targets = None if self.targets is None else self.targets[chosen]
        return ViewSet(self.views, self.labels[chosen], names, self._rows[chosen], targets)

    @property
    def _rows(self) -> Tensor:
        assert self.rows is not None  # set when made
        return self.rows
