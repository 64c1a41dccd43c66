"""Couplings that say which samples of two modalities belong together: positives from labels, and the mass on each."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from monge.losses.pairs import checked_labels

# Where fewer than one pair in so many is positive a list of them is quicker than a matrix.
_FEW = 4


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
    labels = _checked_sides(n, m, x_labels, y_labels, ignore) or (torch.arange(n), torch.arange(n))
    same = labels[0].to(device).unsqueeze(1) == labels[1].to(device).unsqueeze(0)  # (N, M)
    return same if ignore is None else same & ~ignore.to(same.device, torch.bool)


def _checked_sides(
    n: int, m: int, x_labels: Tensor | None, y_labels: Tensor | None, ignore: Tensor | None
) -> tuple[Tensor, Tensor] | None:
    """Labels of both sides, if there are any."""
    if min(n, m) == 0:
        raise ValueError(f"found {n} samples of x and {m} of y, expected at least one of each")
    if ignore is not None and ignore.shape != (n, m):
        raise ValueError(f"ignore: found shape {tuple(ignore.shape)}, expected {(n, m)}")
    if x_labels is None and y_labels is None:
        if n != m:
            raise ValueError(f"found {n} samples of x and {m} of y without labels, expected as many of each")
        return None
    if x_labels is None or y_labels is None:
        raise ValueError("labels: found those of one side, expected both or neither")
    return checked_labels(n, m, x_labels, y_labels)


class Target(NamedTuple):
    """A wanted coupling, kept on all pairs or on those that belong together alone.

    Attributes:
        weights: Mass of each pair, ``(N, M)``, or of each that is kept, ``(K,)``.
        rows: Mass of each x, ``(N,)``.
        columns: Mass of each y, ``(M,)``.
        places: Row and column of each pair that is kept, ``(K,)`` both, no pair twice; empty where all are.

    Example:
        >>> target = Target(torch.tensor([0.5, 0.5]), *torch.full((2, 2), 0.5), (torch.arange(2), torch.arange(2)))
        >>> target.inner(torch.tensor([[1.0, 9.0], [9.0, 2.0]]))
        tensor(1.5000)
    """

    weights: Tensor
    rows: Tensor
    columns: Tensor
    places: tuple[Tensor, ...] = ()

    @staticmethod
    def of(weights: Tensor) -> Target:
        """From a matrix ``(N, M)``."""
        return Target(weights, weights.sum(1), weights.sum(0))

    def matrix(self) -> Tensor:
        """``(N, M)``."""
        if not self.places:
            return self.weights
        return self.weights.new_zeros(len(self.rows), len(self.columns)).index_put_(self.places, self.weights)

    def at(self, matrix: Tensor) -> Tensor:
        """Entries of ``(N, M)`` where the weights are."""
        return matrix[self.places] if self.places else matrix

    def of_rows(self, values: Tensor) -> Tensor:
        """``(N,)`` values, one for each weight or broadcast with them."""
        return values[self.places[0]] if self.places else values.unsqueeze(1)

    def inner(self, matrix: Tensor) -> Tensor:
        """``sum T A`` of finite A, without a matrix between."""
        weights, values = self.weights, self.at(matrix)
        if not values.is_contiguous():
            weights, values = weights.mT, values.mT
        return torch.dot(weights.reshape(-1), values.reshape(-1))

    def entropy(self) -> Tensor:
        """``sum T log T``."""
        return torch.xlogy(self.weights, self.weights).sum()

    def times(self, factor: float) -> Target:
        """With all mass multiplied."""
        return Target(self.weights * factor, self.rows * factor, self.columns * factor, self.places)

    def transposed(self) -> Target:
        """With both sides exchanged."""
        weights = self.weights if self.places else self.weights.mT
        return Target(weights, self.columns, self.rows, self.places[::-1])


class Positives(NamedTuple):
    """Pairs that belong together, in a matrix or a list.

    Attributes:
        there: 1 at a positive, else 0, ``(N, M)`` or ``(K,)``.
        shape: N and M.
        places: As in `Target`.
        one_each: The i-th of both sides belong together, and nothing else.
    """

    there: Tensor
    shape: tuple[int, int]
    places: tuple[Tensor, ...] = ()
    one_each: bool = False

    @staticmethod
    def find(
        shape: tuple[int, int],
        x_labels: Tensor | None,
        y_labels: Tensor | None,
        ignore: Tensor | None = None,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | None = None,
    ) -> Positives:
        """As `positive_pairs`: a list where there are no labels, or labels on the CPU and few positives.

        On a GPU, and in a compiled graph, the length of a list may not depend on labels.
        """
        labels = _checked_sides(*shape, x_labels, y_labels, ignore)
        if labels is None:
            # Two tensors, since compiled graphs refuse one as two arguments of a function.
            places: tuple[Tensor, ...] | None = tuple(torch.arange(size, device=device) for size in shape)
        else:
            places = _few_equal(*labels, device)
        if places is None:
            return Positives(positive_pairs(*shape, x_labels, y_labels, ignore, device=device).to(dtype), shape)
        there = torch.ones(len(places[0]), dtype=dtype, device=device)
        if ignore is not None:
            there = there.masked_fill(ignore.to(there.device, torch.bool)[places], 0.0)
        return Positives(there, shape, places, one_each=labels is None and ignore is None)

    def target(self, of_x: float = 0.5) -> Target:
        """The coupling in which every x weighs the same and shares its weight evenly among its positives, mixed with
        the one in which every y does. With pairs, and classes of equal size on both sides, these are one.

        Args:
            of_x: Share of the former, from 0 to 1.

        Returns:
            A target of mass 1, or 0 without any positive; a sample without a positive has no mass.

        Example:
            >>> found = Positives.find((3, 2), torch.tensor([7, 7, 9]), torch.tensor([7, 9]))
            >>> found.target().matrix()
            tensor([[0.2917, 0.0000],
                    [0.2917, 0.0000],
                    [0.0000, 0.4167]])
        """
        if self.one_each:
            even = torch.full_like(self.there, 1.0 / len(self.there))
            return Target(even, even, even, self.places)
        share = of_x * self._even(0) + (1.0 - of_x) * self._even(1)
        weights = share * self.there
        return Target(weights, self._sums(weights, 0), self._sums(weights, 1), self.places)

    def _even(self, side: int) -> Tensor:
        """What each positive weighs where all samples of a side that have one weigh the same."""
        counts = self._sums(self.there, side)
        each = 1.0 / (counts.clamp_min(1.0) * (counts > 0).sum().clamp_min(1))
        return each[self.places[side]] if self.places else each.unsqueeze(1 - side)

    def _sums(self, values: Tensor, side: int) -> Tensor:
        if not self.places:
            return values.sum(1 - side)
        return values.new_zeros(self.shape[side]).index_add(0, self.places[side], values)


def _few_equal(x_labels: Tensor, y_labels: Tensor, device: torch.device | None) -> tuple[Tensor, ...] | None:
    """Rows and columns of equal labels, row by row, or ``None`` where a matrix serves better."""
    if not (device is None or device.type == "cpu") or torch.compiler.is_compiling():
        return None
    ordered, order = y_labels.to("cpu", torch.int64).sort(stable=True)
    wanted = x_labels.to("cpu", torch.int64)
    first = torch.searchsorted(ordered, wanted)  # (N,)
    counts = torch.searchsorted(ordered, wanted, right=True) - first  # (N,)
    total = int(counts.sum())
    if _FEW * total > len(x_labels) * len(y_labels):
        return None
    rows = torch.repeat_interleave(counts)  # (K,)
    return rows, order[torch.arange(total) + (first - counts.cumsum(0) + counts)[rows]]
