"""All scores of a classifier from its probabilities: of ordered classes, and of classes without an order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from monge.errors import MongeError
from monge.metrics.calibration import expected_calibration_error
from monge.metrics.classify import accuracy, mean_class_accuracy
from monge.metrics.forecasts import (
    distribution_emd,
    negative_log_likelihood,
    ranked_probability_score,
    top_k_accuracy,
)
from monge.metrics.ordinal_scores import (
    average_mae,
    kappa_or_nan,
    maximum_mae,
    mean_absolute_error,
    within_one_accuracy,
)
from monge.metrics.probabilities import check_classes, check_probabilities, class_positions, row_blocks
from monge.metrics.rank_correlation import pair_counts, spearman_or_nan
from monge.metrics.undefined import warn_undefined

Decoding = Literal["argmax", "expectation", "median"]


def decode(
    probabilities: Tensor, how: Decoding = "argmax", *, positions: Sequence[float] | Tensor | None = None
) -> Tensor:
    """One class of every predicted distribution.

    * ``"argmax"``: the most probable class, the choice that is right most often;
    * ``"expectation"``: the class nearest to the expected position Σ p_k x_k;
    * ``"median"``: the first class whose cumulative probability reaches ½, the choice of least absolute error.

    Every tie (two largest, half way between two classes, exactly ½) goes to the lower class.

    Args:
        probabilities: ``(N, C)``, any floating dtype.
        how: ``"argmax"``, ``"expectation"`` or ``"median"``.
        positions: Places x_k of the classes on a line, for the expectation; None: 0, 1, ..., C - 1.

    Returns:
        ``(N,)`` int64 on the device of the probabilities.

    Raises:
        MongeError: Rows that are no distributions, an unknown decoding, or positions that do not increase.

    Example:
        >>> p = torch.tensor([[0.4, 0.1, 0.1, 0.1, 0.3]])
        >>> [decode(p, how).item() for how in ("argmax", "expectation", "median")]
        [0, 2, 1]
    """
    if how not in get_args(Decoding):
        raise MongeError(f"decode: found {how!r}, expected 'argmax', 'expectation' or 'median'")
    check_probabilities("probabilities", probabilities)
    places = class_positions(positions, probabilities.shape[1], probabilities.device)
    middles = (places[1:] + places[:-1]) / 2
    if how == "argmax":
        return probabilities.detach().argmax(dim=1)
    parts = []
    for block in row_blocks(probabilities):
        p = probabilities.detach()[block].double()
        p = p / p.sum(dim=1, keepdim=True)
        # 0.1 is not 0.1 in float32: sums that would be a tie in decimals are one here.
        slack = 4 * torch.finfo(probabilities.dtype).eps
        if how == "expectation":
            parts.append(torch.searchsorted(middles, p @ places - slack * places.abs().amax()))
        else:
            parts.append((p.cumsum(dim=1) < 0.5 - slack).sum(dim=1).clamp_max(p.shape[1] - 1))
    return torch.cat(parts)


def ordinal_metrics(
    probabilities: Tensor,
    labels: Tensor,
    *,
    decode: Decoding = "argmax",
    ordered: bool = True,
    targets: Tensor | None = None,
    positions: Sequence[float] | Tensor | None = None,
) -> dict[str, float]:
    """All scores of a classifier of ordered classes.

    Of the decoded classes: ``accuracy`` (exact), ``mae``, ``within_one``, ``amae``, ``mmae``, ``qwk``, ``spearman``,
    ``kendall`` (tau-b), ``c_index``. Of the distributions: ``rps`` (plain sum, not divided by C - 1), ``emd`` (EMD_1,
    divided by C), ``ece`` (15 bins), ``nll``. Each is the function of that name in `monge.metrics`.

    Args:
        probabilities: ``(N, C)``, any floating dtype.
        labels: ``(N,)`` class numbers, on any device.
        decode: How a class is read from a distribution, see `decode`; no effect on ``rps``, ``emd``, ``ece``, ``nll``.
        ordered: False: the scores of `classification_metrics`.
        targets: ``(N, C)`` true distributions, for ``emd``; None: all mass on the label.
        positions: Places of the classes on a line (ages, scores): the unit of ``mae``, ``amae`` and ``mmae`` and of
            the expectation; None: 0, 1, ..., C - 1.

    Returns:
        One float a key; scores that are 0/0 on these data are NaN, with one warning that names them.

    Raises:
        MongeError: Rows that are no distributions, labels that are no classes, or a wrong option.

    Example:
        >>> p = torch.tensor([[0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.1, 0.6, 0.3]])
        >>> scores = ordinal_metrics(p, torch.tensor([0, 1, 2]))
        >>> round(scores["mae"], 4), scores["within_one"], round(scores["rps"], 4)
        (0.3333, 1.0, 0.2267)
    """
    if not ordered:
        return classification_metrics(probabilities, labels)
    predicted, true = _decoded(probabilities, labels, decode, positions)
    pairs = pair_counts(predicted, true)
    scores = {
        "accuracy": accuracy(predicted, true),
        "mae": mean_absolute_error(predicted, true, positions=positions),
        "within_one": within_one_accuracy(predicted, true),
        "amae": average_mae(predicted, true, positions=positions),
        "mmae": maximum_mae(predicted, true, positions=positions),
        "qwk": kappa_or_nan(predicted, true),
        "rps": ranked_probability_score(probabilities, true),
        "spearman": spearman_or_nan(predicted, true),
        "kendall": pairs.tau_b,
        "c_index": pairs.c_index,
        "emd": distribution_emd(probabilities, true if targets is None else targets),
        "ece": expected_calibration_error(probabilities, true),
        "nll": negative_log_likelihood(probabilities, true),
    }
    warn_undefined(scores, "all predictions or all labels are the same class")
    return scores


def classification_metrics(probabilities: Tensor, labels: Tensor) -> dict[str, float]:
    """All scores of a classifier of classes without an order, by its most probable class.

    ``accuracy``, ``mean_class_accuracy`` (over the true classes that occur), ``nll``, ``ece`` (15 bins), ``top5``.

    Args:
        probabilities: ``(N, C)``, any floating dtype.
        labels: ``(N,)`` class numbers, on any device.

    Returns:
        One float a key.

    Raises:
        MongeError: Rows that are no distributions, or labels that are no classes.

    Example:
        >>> p = torch.tensor([[0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.1, 0.6, 0.3]])
        >>> round(classification_metrics(p, torch.tensor([0, 1, 2]))["accuracy"], 4)
        0.6667
    """
    predicted, true = _decoded(probabilities, labels, "argmax", None)
    return {
        "accuracy": accuracy(predicted, true),
        "mean_class_accuracy": mean_class_accuracy(predicted, true),
        "nll": negative_log_likelihood(probabilities, true),
        "ece": expected_calibration_error(probabilities, true),
        "top5": top_k_accuracy(probabilities, true),
    }


def _decoded(
    probabilities: Tensor, labels: Tensor, how: Decoding, positions: Sequence[float] | Tensor | None
) -> tuple[Tensor, Tensor]:
    """Decoded classes and checked labels, on one device."""
    predicted = decode(probabilities, how, positions=positions)
    check_classes("labels", labels, *probabilities.shape)
    return predicted, labels.to(predicted.device).long()
