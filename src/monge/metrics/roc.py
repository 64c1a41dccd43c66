"""Scores of pairs against whether they are the same: ROC curve, area, equal error rate, acceptance at a given rate.

Scores are similarities: a pair is accepted if its score is high enough. Distances go in with a minus sign.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from monge.errors import MongeError
from monge.metrics.undefined import warn_undefined

FarRule = Literal["at_most", "nearest"]


class RocCurve(NamedTuple):
    """Rates of acceptance as the threshold falls from above every score to the lowest one.

    Attributes:
        far: False-accept rate, the share of impostor pairs accepted, float64 ``(T,)``, from 0 to 1.
        tar: True-accept rate, the share of genuine pairs accepted, float64 ``(T,)``, from 0 to 1.
        thresholds: A pair is accepted if its score is at least this; the first is infinite, the rest are the scores.
    """

    far: Tensor
    tar: Tensor
    thresholds: Tensor


def check_pairs(scores: Tensor, same: Tensor) -> tuple[Tensor, Tensor]:
    """Checks scores of pairs, and parts them.

    Args:
        scores: ``(P,)`` finite numbers.
        same: ``(P,)`` bool, or integers 0 and 1.

    Returns:
        Scores of genuine and of impostor pairs, each sorted from the lowest on, without gradient, in the dtype that
        came in, but not less than float32.

    Raises:
        MongeError: Shapes that differ, scores that are not finite, or labels other than 0 and 1.

    Example:
        >>> check_pairs(torch.tensor([0.3, 0.9, 0.1]), torch.tensor([0, 1, 0]))
        (tensor([0.9000]), tensor([0.1000, 0.3000]))
    """
    if scores.dim() != 1 or scores.shape != same.shape or not scores.is_floating_point():
        found = f"{scores.dtype} {tuple(scores.shape)} and {tuple(same.shape)}"
        raise MongeError(f"scores and same: found {found}, expected floating (P,) and (P,), one number a pair")
    if same.dtype != torch.bool:
        if same.is_floating_point() or (same.numel() and not 0 <= int(same.min()) <= int(same.max()) <= 1):
            raise MongeError(f"same: found {same.dtype} values, expected bool, or integers 0 and 1")
        same = same.bool()
    values, same = scores.detach(), same.to(scores.device)
    values = values if values.itemsize >= 4 else values.float()
    if not bool(torch.isfinite(values).all()):
        raise MongeError(f"scores: pair {int((~torch.isfinite(values)).nonzero()[0, 0])} is NaN or infinite")
    return values[same].sort().values, values[~same].sort().values


def roc_curve(scores: Tensor, same: Tensor) -> RocCurve:
    """The ROC curve, one point a distinct score.

    Args:
        scores: ``(P,)`` similarities.
        same: ``(P,)`` bool, or integers 0 and 1.

    Raises:
        MongeError: Pairs that cannot be measured, or of one kind only.

    Example:
        >>> curve = roc_curve(torch.tensor([0.9, 0.8, 0.7, 0.1]), torch.tensor([1, 0, 1, 0]))
        >>> curve.far.tolist(), curve.tar.tolist()
        ([0.0, 0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.5, 1.0, 1.0])
    """
    return _curve(*_both(scores, same))


def auc(scores: Tensor, same: Tensor) -> float:
    """Area under the ROC curve: how often a genuine pair scores above an impostor pair, ties counted half.

    Args:
        scores: ``(P,)`` similarities.
        same: ``(P,)`` bool, or integers 0 and 1.

    Raises:
        MongeError: Pairs that cannot be measured, or of one kind only.

    Example:
        >>> auc(torch.tensor([0.9, 0.5, 0.5, 0.1]), torch.tensor([1, 1, 0, 0]))
        0.875
    """
    genuine, impostor = _both(scores, same)
    below = torch.searchsorted(impostor, genuine).sum()
    not_above = torch.searchsorted(impostor, genuine, right=True).sum()
    return (int(below) + int(not_above)) / (2 * len(genuine) * len(impostor))


def equal_error_rate(scores: Tensor, same: Tensor) -> float:
    """The rate at which as many impostors are accepted as genuine pairs are refused, on the ROC curve's straight lines.

    Args:
        scores: ``(P,)`` similarities.
        same: ``(P,)`` bool, or integers 0 and 1.

    Raises:
        MongeError: Pairs that cannot be measured, or of one kind only.

    Example:
        >>> equal_error_rate(torch.tensor([0.9, 0.8, 0.7, 0.1]), torch.tensor([1, 0, 1, 0]))
        0.5
    """
    curve = roc_curve(scores, same)
    gap = curve.far - (1 - curve.tar)  # from -1 to 1, never falling
    after = int((gap >= 0).to(torch.int8).argmax())
    before = after - 1
    part = float(-gap[before] / (gap[after] - gap[before]))
    return float(curve.far[before] + part * (curve.far[after] - curve.far[before]))


def tar_at_far(
    scores: Tensor, same: Tensor, fars: Sequence[float] = (1e-3,), *, rule: FarRule = "at_most"
) -> dict[float, float]:
    """Share of genuine pairs accepted where at most a given share of impostor pairs is.

    Args:
        scores: ``(P,)`` similarities.
        same: ``(P,)`` bool, or integers 0 and 1.
        fars: False-accept rates, each above 0 and at most 1.
        rule: ``"at_most"``: the largest acceptance whose false-accept rate does not exceed the target. ``"nearest"``:
            what InsightFace's script for IJB does, the corner of the ROC curve whose rate is nearest to the target,
            above it too, and of the corners with this rate the one that accepts most.

    Returns:
        The true-accept rate of each false-accept rate; NaN where there are fewer than 1 / rate impostor pairs.

    Raises:
        MongeError: Pairs that cannot be measured, or a rate outside (0, 1].

    Warns:
        UndefinedMetricWarning: A rate is NaN.

    Example:
        >>> scores, same = torch.tensor([0.9, 0.8, 0.7, 0.1]), torch.tensor([1, 0, 1, 0])
        >>> tar_at_far(scores, same, (0.5, 1.0))
        {0.5: 1.0, 1.0: 1.0}
    """
    if rule not in get_args(FarRule):
        raise MongeError(f"rule: found {rule!r}, expected one of {', '.join(get_args(FarRule))}")
    wrong = [far for far in fars if not 0 < far <= 1]
    if wrong:
        raise MongeError(f"fars: found {wrong[0]}, expected rates above 0 and at most 1")
    genuine, impostor = check_pairs(scores, same)
    corners = _corners(genuine, impostor) if rule == "nearest" and len(genuine) and len(impostor) else None
    found: dict[float, float] = {}
    for far in fars:
        accepted = accepted_impostors(far, len(impostor))
        if accepted < 1 or not len(genuine):
            found[far] = math.nan
        elif corners is not None:
            # The curve is walked from its end, so that of equally near corners the one that accepts most is first.
            found[far] = float(corners[1][(corners[0] - far).abs().argmin()])
        else:
            found[far] = _share_above(genuine, impostor, accepted)
    named = {f"tar@far={far:g}": value for far, value in found.items()}
    warn_undefined(named, f"{len(genuine)} genuine and {len(impostor)} impostor pairs, fewer than 1 / rate impostors")
    return found


def accepted_impostors(far: float, impostors: int) -> int:
    """How many impostor pairs a false-accept rate lets through.

    Args:
        far: The rate.
        impostors: Impostor pairs.

    Example:
        >>> accepted_impostors(1e-3, 1000), accepted_impostors(1e-3, 999)
        (1, 0)
    """
    return math.floor(far * impostors * (1 + 1e-12))  # a product like 1e-3 * 3000 may fall short of its integer


def _both(scores: Tensor, same: Tensor) -> tuple[Tensor, Tensor]:
    genuine, impostor = check_pairs(scores, same)
    if not len(genuine) or not len(impostor):
        found = f"{len(genuine)} genuine and {len(impostor)} impostor pairs"
        raise MongeError(f"same: found {found}, expected at least one of each")
    return genuine, impostor


def _share_above(genuine: Tensor, impostor: Tensor, accepted: int) -> float:
    """Share of genuine scores above the best impostor that must be refused."""
    if accepted >= len(impostor):
        return 1.0
    limit = impostor[len(impostor) - 1 - accepted]
    return (len(genuine) - int(torch.searchsorted(genuine, limit, right=True))) / len(genuine)


def _curve(genuine: Tensor, impostor: Tensor) -> RocCurve:
    false, true, thresholds = _accepted(genuine, impostor)
    start, first = false.new_zeros(1), thresholds.new_full((1,), torch.inf)
    far, tar = torch.cat([start, false]).double() / len(impostor), torch.cat([start, true]).double() / len(genuine)
    return RocCurve(far, tar, torch.cat([first, thresholds]))


def _accepted(genuine: Tensor, impostor: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """How many impostor and genuine pairs have at least each distinct score, from the highest on."""
    thresholds = torch.unique(torch.cat([genuine, impostor])).flip(0)  # (T,)
    false = len(impostor) - torch.searchsorted(impostor, thresholds)
    return false, len(genuine) - torch.searchsorted(genuine, thresholds), thresholds


def _corners(genuine: Tensor, impostor: Tensor) -> tuple[Tensor, Tensor]:
    """FAR and TAR where the curve turns, from its end to its start.

    What is left out in between is what scikit-learn's ``roc_curve`` leaves out, with which the script was run.
    """
    counts = torch.stack(_accepted(genuine, impostor)[:2])  # (2, T)
    turns = torch.ones(counts.shape[1], dtype=torch.bool, device=counts.device)
    turns[1:-1] = (counts.diff(n=2) != 0).any(dim=0) if counts.shape[1] > 2 else True
    kept = torch.cat([counts.new_zeros(2, 1), counts[:, turns]], dim=1).flip(1).double()
    return kept[0] / len(impostor), kept[1] / len(genuine)
