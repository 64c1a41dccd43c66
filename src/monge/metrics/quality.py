"""Scores of predicted rating distributions, as reported on AVA: correlations of means and of standard deviations."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from monge.errors import MongeError
from monge.metrics.forecasts import distribution_emd
from monge.metrics.probabilities import check_probabilities, class_positions, row_blocks
from monge.metrics.rank_correlation import pearson_or_nan, spearman_or_nan
from monge.metrics.undefined import warn_undefined


def ava_scores(
    probabilities: Tensor, targets: Tensor, positions: Sequence[float] | Tensor | None = None, *, cut: float = 5.0
) -> dict[str, float]:
    """Compares predicted distributions of ratings with those that people gave (Talebi and Milanfar 2018).

    * ``srcc_mean``, ``plcc_mean``: Spearman and Pearson correlation of predicted and given mean ratings;
    * ``srcc_std``, ``plcc_std``: the same of the standard deviations;
    * ``accuracy``: share of items whose predicted and given means are on the same side of `cut` (good: above it);
    * ``emd``: EMD_1, and ``emd2``: EMD_2 of the distributions (see `distribution_emd`).

    Args:
        probabilities: ``(N, K)``, any floating dtype.
        targets: ``(N, K)`` distributions.
        positions: The K ratings, increasing; None: 1, 2, ..., K.
        cut: The mean rating above which an item is good: 5 on AVA's scale of 1 to 10.

    Returns:
        One float a key; a correlation of values that are all equal is NaN, with a warning.

    Raises:
        MongeError: Rows that are no distributions, shapes that differ, or positions that do not increase.

    Example:
        >>> p = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.25, 0.5, 0.25]])
        >>> round(ava_scores(p, p.flip(1), cut=2.0)["srcc_mean"], 4)
        -1.0
    """
    check_probabilities("probabilities", probabilities)
    check_probabilities("targets", targets)
    if probabilities.shape != targets.shape:
        shapes = f"{tuple(targets.shape)}, expected {tuple(probabilities.shape)} as the probabilities"
        raise MongeError(f"targets: found shape {shapes}")
    classes = probabilities.shape[1]
    ratings = class_positions(range(1, classes + 1) if positions is None else positions, classes, probabilities.device)
    mean, std = rating_moments(probabilities, ratings)
    true_mean, true_std = rating_moments(targets.to(probabilities.device), ratings)
    scores = {
        "srcc_mean": spearman_or_nan(mean, true_mean),
        "plcc_mean": pearson_or_nan(mean, true_mean),
        "srcc_std": spearman_or_nan(std, true_std),
        "plcc_std": pearson_or_nan(std, true_std),
        "accuracy": float(((mean > cut) == (true_mean > cut)).double().mean()),
        "emd": distribution_emd(probabilities, targets),
        "emd2": distribution_emd(probabilities, targets, r=2),
    }
    warn_undefined(scores, "all predicted or all given values are equal")
    return scores


def rating_moments(probabilities: Tensor, ratings: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each distribution of ratings.

    Args:
        probabilities: ``(N, K)`` distributions.
        ratings: ``(K,)`` float64.

    Returns:
        Two ``(N,)`` float64 tensors.

    Example:
        >>> rating_moments(torch.tensor([[0.5, 0.5]]), torch.tensor([1.0, 3.0]).double())
        (tensor([2.], dtype=torch.float64), tensor([1.], dtype=torch.float64))
    """
    means, deviations = [], []
    for block in row_blocks(probabilities):
        p = probabilities.detach()[block].double()
        p = p / p.sum(dim=1, keepdim=True)
        mean = p @ ratings
        means.append(mean)
        deviations.append((p * (ratings - mean[:, None]).square()).sum(dim=1).sqrt())
    return torch.cat(means), torch.cat(deviations)
