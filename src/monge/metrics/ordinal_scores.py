"""Scores of predicted levels against true ones: absolute errors, shares near the truth, quadratic weighted kappa."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from monge.metrics.probabilities import check_classes, class_positions
from monge.metrics.undefined import warn_undefined


def mean_absolute_error(
    predictions: Tensor, labels: Tensor, *, positions: Sequence[float] | Tensor | None = None
) -> float:
    """MAE: mean of |y - ŷ|, in levels or in the unit of `positions`.

    Args:
        predictions: ``(N,)`` class numbers.
        labels: ``(N,)`` class numbers.
        positions: Places of the classes on a line (ages, scores); None: the class numbers.

    Returns:
        A float of at least 0.

    Raises:
        MongeError: Not one class number an item, none at all, or positions that do not increase.

    Example:
        >>> mean_absolute_error(torch.tensor([0, 1, 4]), torch.tensor([0, 2, 2]))
        1.0
    """
    return float(_errors(predictions, labels, positions).mean())


def within_one_accuracy(predictions: Tensor, labels: Tensor) -> float:
    """Share of predictions at most one level from the truth (1-off accuracy).

    Args:
        predictions: ``(N,)`` class numbers.
        labels: ``(N,)`` class numbers.

    Returns:
        A float in [0, 1].

    Raises:
        MongeError: Not one class number an item, or none at all.

    Example:
        >>> within_one_accuracy(torch.tensor([0, 1, 4, 2]), torch.tensor([0, 2, 2, 2]))
        0.75
    """
    return float((_errors(predictions, labels, None) <= 1).double().mean())


def average_mae(predictions: Tensor, labels: Tensor, *, positions: Sequence[float] | Tensor | None = None) -> float:
    """AMAE: mean over the true classes that occur of the MAE of each (Baccianella et al. 2009).

    Args:
        predictions: ``(N,)`` class numbers.
        labels: ``(N,)`` class numbers.
        positions: See `mean_absolute_error`.

    Returns:
        A float of at least 0; differs from MAE where classes differ in size.

    Raises:
        MongeError: As `mean_absolute_error`.

    Example:
        >>> average_mae(torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 0, 2]))
        0.5
    """
    return float(_class_maes(predictions, labels, positions).mean())


def maximum_mae(predictions: Tensor, labels: Tensor, *, positions: Sequence[float] | Tensor | None = None) -> float:
    """MMAE: MAE of the true class that has the largest (Cruz-Ramírez et al. 2014).

    Args:
        predictions: ``(N,)`` class numbers.
        labels: ``(N,)`` class numbers.
        positions: See `mean_absolute_error`.

    Returns:
        A float of at least 0.

    Raises:
        MongeError: As `mean_absolute_error`.

    Example:
        >>> maximum_mae(torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 0, 2]))
        1.0
    """
    return float(_class_maes(predictions, labels, positions).amax())


def quadratic_weighted_kappa(predictions: Tensor, labels: Tensor) -> float:
    """QWK (Cohen 1968): 1 - Σ w O / Σ w E, weights w = (i - j)², O the observed shares, E those of its marginals.

    The class numbers are the levels: one that does not occur keeps its place, as in scikit-learn with
    ``labels=range(C)``. (Without it, scikit-learn closes the gaps and changes the weights.)

    Args:
        predictions: ``(N,)`` class numbers.
        labels: ``(N,)`` class numbers.

    Returns:
        A float in [-1, 1]; 0 for a constant prediction of several classes; NaN with a warning where predictions and
        labels are all the same class (0/0).

    Raises:
        MongeError: Not one class number an item, or none at all.

    Example:
        >>> round(quadratic_weighted_kappa(torch.tensor([0, 1, 1, 4, 4, 2]), torch.tensor([0, 0, 1, 2, 4, 4])), 6)
        0.709677
    """
    _errors(predictions, labels, None)
    kappa = kappa_or_nan(predictions, labels)
    warn_undefined({"qwk": kappa}, "predictions and labels are all the same class")
    return kappa


def kappa_or_nan(predictions: Tensor, labels: Tensor) -> float:
    """`quadratic_weighted_kappa` of class numbers that are known to be good, without its warning.

    Args:
        predictions: ``(N,)`` class numbers.
        labels: ``(N,)`` class numbers.

    Example:
        >>> kappa_or_nan(torch.tensor([1, 1]), torch.tensor([1, 1]))
        nan
    """
    y, z = labels.long(), predictions.to(labels.device).long()
    # Both sums over the C x C tables follow from moments, in whole numbers: exact, and without the tables.
    observed = y.numel() * int((y - z).square().sum())
    chance = y.numel() * (int(y.square().sum()) + int(z.square().sum())) - 2 * int(y.sum()) * int(z.sum())
    return 1 - observed / chance if chance else math.nan


def _errors(predictions: Tensor, labels: Tensor, positions: Sequence[float] | Tensor | None) -> Tensor:
    """|y - ŷ| of every item, float64 ``(N,)``."""
    classes = None if positions is None else len(positions)
    check_classes("labels", labels, labels.numel(), classes)
    check_classes("predictions", predictions, labels.numel(), classes)
    found, true = predictions.to(labels.device).long(), labels.long()
    if positions is None:
        return (found - true).abs().double()
    places = class_positions(positions, len(positions), labels.device)
    return (places[found] - places[true]).abs()


def _class_maes(predictions: Tensor, labels: Tensor, positions: Sequence[float] | Tensor | None) -> Tensor:
    """MAE of each true class that occurs, float64 ``(P,)``."""
    errors = _errors(predictions, labels, positions)
    _, index, count = torch.unique(labels, return_inverse=True, return_counts=True)
    total = torch.zeros(count.shape[0], dtype=torch.float64, device=errors.device).index_add_(0, index, errors)
    return torch.div(total, count)
