"""What a ground distance is: a price D[i, k] for moving mass from class i to class k."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor, nn

# Most entries of a block of distances that is made only to be summed up.
_BLOCK = 1 << 22


class Ground(nn.Module):
    """Distances between classes, asked for column by column so that large sets of classes need no square matrix.

    A subclass gives `_columns`. What it was made from is held in buffers that move with the module but are no part
    of its ``state_dict``, because they are given anew with the settings; only `Learned` has a state.

    Args:
        num_classes: How many classes it knows distances for; ``None``: any number.
    """

    # Whether a column takes enough work that one asked for several times should be made once.
    _costly: ClassVar[bool] = False

    def __init__(self, num_classes: int | None) -> None:
        super().__init__()
        self.num_classes = num_classes

    @property
    def device(self) -> torch.device:
        """Where its distances are kept; the CPU if there are none to keep."""
        return next((tensor.device for tensor in self.buffers()), torch.device("cpu"))

    def columns(self, labels: Tensor, num_classes: int) -> Tensor:
        """Distances from every class to the class of each label.

        Args:
            labels: Integers from 0 to C - 1, shape ``(...)``.
            num_classes: C.

        Returns:
            ``D[i, label]`` at ``[..., i]``, shape ``(..., C)``, float32 or float64, without gradient.

        Raises:
            ValueError: Labels that are no integers, or a distance between another number of classes.
        """
        self.check(num_classes)
        if labels.is_floating_point() or labels.is_complex():
            raise ValueError(f"labels have dtype {labels.dtype}: expected integers, the numbers of classes")
        flat = labels.reshape(-1).long()
        if self._costly and len(flat) > num_classes:
            every = torch.arange(num_classes, device=labels.device)
            found = self._columns(every, num_classes).index_select(0, flat)  # (N, C)
        else:
            found = self._columns(flat, num_classes)  # (N, C)
        return found.reshape(*labels.shape, num_classes)

    def matrix(self, num_classes: int | None = None) -> Tensor:
        """All distances, ``D[i, k]`` for moving mass from class i to class k.

        Args:
            num_classes: C; needed only where the distance goes with any number.

        Returns:
            Shape ``(C, C)``, float32 or float64.

        Raises:
            ValueError: The number of classes is missing or another one.
        """
        size = self.num_classes if num_classes is None else num_classes
        if size is None:
            raise ValueError(f"{type(self).__name__} goes with any number of classes: matrix() needs num_classes")
        self.check(size)
        return torch.cat([block for _, block in self._blocks(size, self.device)]).t().contiguous()

    def expected(self, probabilities: Tensor) -> Tensor:
        """Mean distance of every class to a class drawn from a distribution, ``sum_k t_k D[i, k]``.

        Args:
            probabilities: t, shape ``(..., C)``, float32 or float64.

        Returns:
            Shape ``(..., C)``; differentiable in ``probabilities``. For one-hot t it equals :meth:`columns`.

        Raises:
            ValueError: As :meth:`columns`.
        """
        size = probabilities.shape[-1]
        self.check(size)
        total = torch.zeros_like(probabilities)  # (..., C)
        for labels, block in self._blocks(size, probabilities.device):
            total = total + probabilities[..., labels] @ block.to(probabilities.dtype)
        return total

    def _columns(self, labels: Tensor, num_classes: int) -> Tensor:
        """Distances of all classes to each of ``labels (N,)``, shape ``(N, C)``."""
        raise NotImplementedError

    def _blocks(self, size: int, device: torch.device) -> Iterator[tuple[slice, Tensor]]:
        """Columns of neighbouring classes, ``(c, C)``, so many at a time that a block stays small."""
        step = max(1, _BLOCK // size)
        for first in range(0, size, step):
            labels = torch.arange(first, min(first + step, size), device=device)
            yield slice(first, first + step), self._columns(labels, size)

    def check(self, num_classes: int) -> None:
        """Compares a number of classes with its own.

        Args:
            num_classes: That of the logits.

        Raises:
            ValueError: They differ.
        """
        if self.num_classes not in (None, num_classes):
            raise ValueError(
                f"{type(self).__name__} ground holds distances between {self.num_classes} classes, found {num_classes}"
            )

    def extra_repr(self) -> str:
        """Number of classes, where it is fixed."""
        return "" if self.num_classes is None else f"num_classes={self.num_classes}"
