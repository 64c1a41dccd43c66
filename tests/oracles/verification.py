"""Face verification in slow loops, from the description of the protocols (Huang et al. 2007; InsightFace's program)."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np


def folds_without_shuffling(pairs: int, folds: int) -> list[list[int]]:
    """Contiguous folds, the first ones longer by one pair where the number does not divide."""
    starts, at = [], 0
    for fold in range(folds):
        size = pairs // folds + (1 if fold < pairs % folds else 0)
        starts.append(list(range(at, at + size)))
        at += size
    return starts


def insightface(distances: np.ndarray, same: np.ndarray, folds: int = 10, target: float = 1e-3) -> dict[str, list]:
    """Accuracies, thresholds, VAL and FAR of each fold, one comparison at a time."""
    thresholds, fine = np.arange(0, 4, 0.01), np.arange(0, 4, 0.001)
    out: dict[str, list] = {"accuracy": [], "threshold": [], "val": [], "far": []}
    for inside in folds_without_shuffling(len(distances), folds):
        train = [i for i in range(len(distances)) if i not in set(inside)]
        best, best_right = thresholds[0], -1
        for t in thresholds:
            right = sum((distances[i] < t) == same[i] for i in train)
            if right > best_right:
                best, best_right = t, right
        out["threshold"].append(best)
        out["accuracy"].append(sum((distances[i] < best) == same[i] for i in inside) / len(inside))
        impostors = [distances[i] for i in train if not same[i]]
        far = [sum(d < t for d in impostors) / len(impostors) for t in fine]
        limit = 0.0
        if max(far) >= target:
            limit = float(np.interp(target, far, fine))
        accepted = [i for i in inside if distances[i] < limit]
        genuine = sum(bool(same[i]) for i in inside)
        out["val"].append(sum(bool(same[i]) for i in accepted) / genuine)
        out["far"].append(sum(not same[i] for i in accepted) / (len(inside) - genuine))
    return out


def best_cut(distances: np.ndarray, same: np.ndarray) -> int:
    """Pairs decided rightly by the best threshold of all."""
    cuts = [-1.0, *sorted(distances)]
    return max(sum((d <= cut) == s for d, s in zip(distances, same)) for cut in cuts)


def tar_at_far(scores: np.ndarray, same: np.ndarray, target: Fraction) -> float:
    """The largest share of genuine pairs that any threshold accepts while it accepts at most the target of the rest."""
    genuine, impostor = scores[same], scores[~same]
    if len(impostor) * target < 1:
        return math.nan
    best = 0.0
    for t in [*scores, np.inf]:
        if Fraction(int((impostor >= t).sum()), len(impostor)) <= target:
            best = max(best, float((genuine >= t).mean()))
    return best


def auc(scores: np.ndarray, same: np.ndarray) -> float:
    """Share of (genuine, impostor) pairs of pairs in the right order, ties half."""
    won = [(g > i) + 0.5 * (g == i) for g in scores[same] for i in scores[~same]]
    return float(np.mean(won))


def equal_error_rate(scores: np.ndarray, same: np.ndarray) -> float:
    """Where a fine walk along the straight lines of the ROC curve meets FAR = FRR."""
    points = [(0.0, 1.0)]
    for t in sorted(set(scores), reverse=True):
        points.append((float((scores[~same] >= t).mean()), float((scores[same] < t).mean())))
    for (far0, frr0), (far1, frr1) in pairwise(points):
        if far1 >= frr1:
            low, high = 0.0, 1.0
            for _ in range(80):
                middle = (low + high) / 2
                far, frr = far0 + middle * (far1 - far0), frr0 + middle * (frr1 - frr0)
                low, high = (middle, high) if far < frr else (low, middle)
            return far0 + low * (far1 - far0)
    raise AssertionError("the last point has FAR 1 and FRR 0")


def ijb_script(scores: np.ndarray, same: np.ndarray, targets: list[float]) -> list[float]:
    """The rule of InsightFace's IJB script, on scikit-learn's ROC curve as the script calls it."""
    from sklearn.metrics import roc_curve

    far, tar, _ = roc_curve(same, scores)
    walked = list(zip(far, tar))[::-1]
    found = []
    for target in targets:
        nearest = min(abs(f - target) for f, _ in walked)
        found.append(next(float(t) for f, t in walked if abs(f - target) == nearest))
    return found
