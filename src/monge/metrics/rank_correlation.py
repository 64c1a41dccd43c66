"""Agreement of two orders: Pearson, Spearman, Kendall's tau-b and the C-index, in O(N log N) time."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from monge.errors import MongeError
from monge.metrics.undefined import warn_undefined

_CONSTANT = "all values of one side are equal"


class PairCounts(NamedTuple):
    """How the pairs of items are ordered by two sets of values.

    Attributes:
        concordant: Pairs in the same order.
        discordant: Pairs in opposite order.
        first_tied: Pairs equal in the first values only.
        second_tied: Pairs equal in the second values only.
    """

    concordant: int
    discordant: int
    first_tied: int
    second_tied: int

    @property
    def tau_b(self) -> float:
        """(concordant - discordant) / sqrt(pairs not tied in the first · pairs not tied in the second); NaN for 0/0."""
        strict = self.concordant + self.discordant
        first, second = strict + self.second_tied, strict + self.first_tied
        if not first or not second:
            return math.nan
        value = (self.concordant - self.discordant) / math.sqrt(first) / math.sqrt(second)
        return max(-1.0, min(1.0, value))  # rounding

    @property
    def c_index(self) -> float:
        """Share of the pairs not tied in the second values that are concordant, ties in the first ½; NaN for 0/0."""
        pairs = self.concordant + self.discordant + self.first_tied
        return (self.concordant + 0.5 * self.first_tied) / pairs if pairs else math.nan


def pair_counts(first: Tensor, second: Tensor) -> PairCounts:
    """Counts all N(N - 1)/2 pairs in O(N log N) time and O(N) memory.

    Args:
        first: ``(N,)`` finite values of any real dtype.
        second: ``(N,)`` finite values of any real dtype.

    Returns:
        The four counts; pairs tied on both sides are in none.

    Raises:
        MongeError: Shapes that differ or are not ``(N,)``, no values, or values that are not finite.

    Example:
        >>> pair_counts(torch.tensor([0, 1, 1]), torch.tensor([5, 6, 7]))
        PairCounts(concordant=2, discordant=0, first_tied=1, second_tied=0)
    """
    x, y = _level(first, "first"), _level(second, "second", first)
    order = y.argsort(stable=True)
    order = order[x[order].argsort(stable=True)]  # by x, then by y: pairs tied in x are no inversions
    discordant = _inversions(y[order])
    pairs = x.numel() * (x.numel() - 1) // 2
    both = _tied_pairs(x * (int(y.amax()) + 1) + y)
    first_tied, second_tied = _tied_pairs(x) - both, _tied_pairs(y) - both
    return PairCounts(pairs - discordant - first_tied - second_tied - both, discordant, first_tied, second_tied)


def _level(values: Tensor, name: str, like: Tensor | None = None) -> Tensor:
    """Ranks from 0 without gaps, equal values equal, int64 ``(N,)``."""
    _check(values, name, like)
    device = values.device if like is None else like.device
    level: Tensor = torch.unique(values.detach().to(device), return_inverse=True)[1]
    return level


def _check(values: Tensor, name: str, like: Tensor | None) -> None:
    if values.dim() != 1 or values.numel() == 0 or (like is not None and values.shape != like.shape):
        expected = "(N,) with N at least 1" if like is None else f"{tuple(like.shape)} as the first values"
        raise MongeError(f"{name} values: found shape {tuple(values.shape)}, expected {expected}")
    if values.is_complex() or not bool(values.isfinite().all()):
        raise MongeError(f"{name} values: found complex, NaN or infinite values, expected finite real numbers")


def _tied_pairs(level: Tensor) -> int:
    count = torch.unique(level, return_counts=True)[1]
    return int((count * (count - 1)).sum()) // 2


def _inversions(levels: Tensor) -> int:
    """Pairs i < j with levels[i] > levels[j], one binary digit at a time.

    Two levels compare as their highest digit that differs: among items that agree in all higher digits, an inversion
    is a 1 before a 0. Items are kept sorted by their higher digits, and in place otherwise.
    """
    total, rows = 0, torch.arange(levels.numel(), device=levels.device)
    for digit in range(int(levels.amax()).bit_length() - 1, -1, -1):
        ones = (levels >> digit) & 1
        before = ones.cumsum(0) - ones  # ones before each row, in all groups
        starts = torch.unique_consecutive(levels >> (digit + 1), return_counts=True)[1]
        group = torch.repeat_interleave(starts)
        begin = (starts.cumsum(0) - starts)[group]
        before = before - before[begin]
        total += int((before * (1 - ones)).sum())
        zeros = starts.new_zeros(starts.shape[0]).index_add_(0, group, 1 - ones)[group]
        place = torch.where(ones == 1, begin + zeros + before, rows - before)
        levels = torch.empty_like(levels).scatter_(0, place, levels)
    return total


def pearson(first: Tensor, second: Tensor) -> float:
    """Pearson's linear correlation (PLCC).

    Args:
        first: ``(N,)`` finite values of any real dtype.
        second: ``(N,)`` finite values of any real dtype.

    Returns:
        A float in [-1, 1]; NaN with a warning where all values of one side are equal.

    Raises:
        MongeError: As `pair_counts`.

    Example:
        >>> round(pearson(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 4.0, 6.5])), 4)
        0.9979
    """
    value = pearson_or_nan(first, second)
    warn_undefined({"pearson": value}, _CONSTANT)
    return value


def pearson_or_nan(first: Tensor, second: Tensor) -> float:
    """`pearson` without its warning.

    Args:
        first: See `pearson`.
        second: See `pearson`.

    Example:
        >>> pearson_or_nan(torch.tensor([1.0, 1.0]), torch.tensor([2.0, 3.0]))
        nan
    """
    _check(first, "first", None)
    _check(second, "second", first)
    sides = []
    for values in (first.detach(), second.detach().to(first.device)):
        if bool((values == values[0]).all()):  # exactly constant; its deviations may be rounding errors
            return math.nan
        deviation = values.double() - values.double().mean()
        scaled = deviation / deviation.abs().amax()
        sides.append(scaled / scaled.norm())
    return min(1.0, max(-1.0, float(sides[0] @ sides[1])))


def spearman(first: Tensor, second: Tensor) -> float:
    """Spearman's rank correlation (SRCC): Pearson of the ranks, equal values at their mean rank.

    Args:
        first: ``(N,)`` finite values of any real dtype.
        second: ``(N,)`` finite values of any real dtype.

    Returns:
        A float in [-1, 1]; NaN with a warning where all values of one side are equal.

    Raises:
        MongeError: As `pair_counts`.

    Example:
        >>> round(spearman(torch.tensor([0, 1, 1, 4, 4, 2]), torch.tensor([0, 0, 1, 2, 4, 4])), 6)
        0.818182
    """
    value = spearman_or_nan(first, second)
    warn_undefined({"spearman": value}, _CONSTANT)
    return value


def spearman_or_nan(first: Tensor, second: Tensor) -> float:
    """`spearman` without its warning.

    Args:
        first: See `spearman`.
        second: See `spearman`.

    Example:
        >>> spearman_or_nan(torch.tensor([1, 1]), torch.tensor([2, 3]))
        nan
    """
    return pearson_or_nan(*(_mean_ranks(level) for level in (_level(first, "first"), _level(second, "second", first))))


def _mean_ranks(level: Tensor) -> Tensor:
    count = torch.bincount(level)
    return (count.cumsum(0).double() - (count - 1).double() / 2)[level]


def kendall_tau_b(first: Tensor, second: Tensor) -> float:
    """Kendall's tau-b, with its correction for ties.

    Args:
        first: ``(N,)`` finite values of any real dtype.
        second: ``(N,)`` finite values of any real dtype.

    Returns:
        A float in [-1, 1]; NaN with a warning where all values of one side are equal.

    Raises:
        MongeError: As `pair_counts`.

    Example:
        >>> round(kendall_tau_b(torch.tensor([0, 1, 1, 4, 4, 2]), torch.tensor([0, 0, 1, 2, 4, 4])), 6)
        0.692308
    """
    value = pair_counts(first, second).tau_b
    warn_undefined({"kendall": value}, _CONSTANT)
    return value


def concordance_index(predictions: Tensor, labels: Tensor) -> float:
    """C-index: share of the pairs with different labels that the predictions order alike; their ties count ½.

    Args:
        predictions: ``(N,)`` finite values of any real dtype.
        labels: ``(N,)`` finite values of any real dtype.

    Returns:
        A float in [0, 1], 0.5 for no relation; NaN with a warning where all labels are equal.

    Raises:
        MongeError: As `pair_counts`.

    Example:
        >>> concordance_index(torch.tensor([0.1, 0.9, 0.9]), torch.tensor([0, 1, 2]))
        0.8333333333333334
    """
    value = pair_counts(predictions, labels).c_index
    warn_undefined({"c_index": value}, "all labels are equal")
    return value
