"""Scores of predicted distributions: log loss, the ranked probability score and the EMD_r of image quality."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from monge.errors import MongeError
from monge.metrics.probabilities import check_classes, check_probabilities, row_blocks


def negative_log_likelihood(probabilities: Tensor, labels: Tensor) -> float:
    """Mean of -log p of the true class.

    A probability below the smallest normal number of its dtype counts as that number (87.3 nats in float32), so that a
    single underflow does not make the mean infinite.

    Args:
        probabilities: ``(N, C)``, any floating dtype.
        labels: ``(N,)`` class numbers.

    Returns:
        A float of at least 0.

    Raises:
        MongeError: Rows that are no distributions, or labels that are no classes.

    Example:
        >>> round(negative_log_likelihood(torch.tensor([[0.5, 0.5], [0.25, 0.75]]), torch.tensor([0, 0])), 4)
        1.0397
    """
    _check(probabilities, labels)
    rows = labels.to(probabilities.device).long()
    picked = probabilities.detach().gather(1, rows[:, None])[:, 0]
    return float(-picked.clamp_min(torch.finfo(picked.dtype).tiny).double().log().mean())


def top_k_accuracy(probabilities: Tensor, labels: Tensor, k: int = 5) -> float:
    """Share of items whose true class is among the k most probable; of equally probable ones the first count.

    Args:
        probabilities: ``(N, C)``, any floating dtype.
        labels: ``(N,)`` class numbers.
        k: At least 1; with k >= C the result is 1.

    Returns:
        A float in [0, 1].

    Raises:
        MongeError: Rows that are no distributions, labels that are no classes, or k below 1.

    Example:
        >>> top_k_accuracy(torch.tensor([[0.2, 0.5, 0.3], [0.1, 0.8, 0.1]]), torch.tensor([2, 0]), k=2)
        1.0
    """
    if k < 1:
        raise MongeError(f"k: found {k}, expected at least 1")
    _check(probabilities, labels)
    true, right = labels.to(probabilities.device).long(), 0
    columns = torch.arange(probabilities.shape[1], device=probabilities.device)
    for block in row_blocks(probabilities):
        values, label = probabilities.detach()[block], true[block, None]
        own = values.gather(1, label)
        ahead = (values > own) | ((values == own) & (columns < label))
        right += int((ahead.sum(dim=1) < k).sum())
    return right / probabilities.shape[0]


def ranked_probability_score(probabilities: Tensor, labels: Tensor, *, normalised: bool = False) -> float:
    """RPS (Epstein 1969): mean over items of Σ_{k < C} (F_k - 1[y <= k])², F the cumulative probabilities.

    Args:
        probabilities: ``(N, C)``, any floating dtype.
        labels: ``(N,)`` class numbers.
        normalised: Divide by C - 1, as weather services do; the default is the plain sum, as in dlordinal and as the
            squared EMD of Hou et al.

    Returns:
        A float from 0 to C - 1 (to 1 if normalised).

    Raises:
        MongeError: Rows that are no distributions, labels that are no classes, or one class and `normalised`.

    Example:
        >>> uniform, labels = torch.full((5, 5), 0.2), torch.tensor([0, 0, 1, 2, 4])
        >>> round(ranked_probability_score(uniform, labels), 4)
        0.92
    """
    per_item = ranked_probability_scores(probabilities, labels)
    if not normalised:
        return float(per_item.mean())
    if probabilities.shape[1] < 2:
        raise MongeError("normalised: found one class, expected at least two to divide by C - 1")
    return float(per_item.mean()) / (probabilities.shape[1] - 1)


def ranked_probability_scores(probabilities: Tensor, labels: Tensor) -> Tensor:
    """The RPS of every item, not normalised.

    Args:
        probabilities: ``(N, C)``, any floating dtype.
        labels: ``(N,)`` class numbers.

    Returns:
        ``(N,)`` float64.

    Raises:
        MongeError: As `ranked_probability_score`.

    Example:
        >>> ranked_probability_scores(torch.tensor([[0.0, 1.0], [0.5, 0.5]]), torch.tensor([0, 0]))
        tensor([1.0000, 0.2500], dtype=torch.float64)
    """
    if labels.is_floating_point():
        raise MongeError(f"labels: found dtype {labels.dtype}, expected integer class numbers")
    # The last class is left out: there both sums are 1 up to rounding.
    return torch.cat([gap[:, :-1].square().sum(dim=1) for gap in _cumulative_gaps(probabilities, labels)])


def distribution_emd(probabilities: Tensor, targets: Tensor, *, r: float = 1.0) -> float:
    """EMD_r of the image quality literature: mean of (1/C · Σ_k |F_k - T_k|^r)^{1/r}, F and T cumulative sums.

    NIMA reports r = 1 and trains with r = 2. Times C, r = 1 is the transport cost between levels a unit apart.

    Args:
        probabilities: ``(N, C)``, any floating dtype.
        targets: ``(N, C)`` distributions, or ``(N,)`` class numbers.
        r: At least 1.

    Returns:
        A float in [0, 1].

    Raises:
        MongeError: Rows that are no distributions, targets of another shape, or r below 1.

    Example:
        >>> distribution_emd(torch.tensor([[0.5, 0.0, 0.5, 0.0]]), torch.tensor([1]))
        0.25
    """
    if not r >= 1:
        raise MongeError(f"r: found {r}, expected at least 1")
    total = 0.0
    for gap in _cumulative_gaps(probabilities, targets):
        total += float(gap.abs().pow(r).mean(dim=1).pow(1 / r).sum())
    return total / probabilities.shape[0]


def _cumulative_gaps(probabilities: Tensor, targets: Tensor) -> Iterator[Tensor]:
    """F - T of the rows, float64 ``(n, C)`` a block."""
    soft = targets.is_floating_point()
    if soft:
        check_probabilities("probabilities", probabilities)
        check_probabilities("targets", targets)
        if targets.shape != probabilities.shape:
            shapes = f"{tuple(targets.shape)}, expected {tuple(probabilities.shape)}"
            raise MongeError(f"targets: found shape {shapes} as the probabilities")
    else:
        _check(probabilities, targets)
    wanted = targets.detach().to(probabilities.device)
    columns = torch.arange(probabilities.shape[1], device=probabilities.device)
    for block in row_blocks(probabilities):
        goal = wanted[block].double().cumsum(dim=1) if soft else (wanted[block, None] <= columns).double()
        yield probabilities.detach()[block].double().cumsum(dim=1) - goal


def _check(probabilities: Tensor, labels: Tensor) -> None:
    check_probabilities("probabilities", probabilities)
    check_classes("labels", labels, probabilities.shape[0], probabilities.shape[1])
