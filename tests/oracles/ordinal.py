"""Slow scores of ordered classes: loops over items, pairs and tables, as the formulas are printed.

Formulas: Cohen 1968 (weighted kappa), Kendall 1945 (tau-b), Harrell et al. 1982 (C-index), Epstein 1969 (RPS),
Guo et al. 2017 (calibration), Talebi and Milanfar 2018 (EMD_r).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Numbers = Sequence[float]


def class_maes(predictions: Sequence[int], labels: Sequence[int]) -> list[float]:
    means = []
    for k in sorted(set(labels)):
        errors = [abs(z - y) for z, y in zip(predictions, labels) if y == k]
        means.append(sum(errors) / len(errors))
    return means


def weighted_kappa(predictions: Sequence[int], labels: Sequence[int], classes: int) -> float:
    n = len(labels)
    observed = expected = 0.0
    for i in range(classes):
        for j in range(classes):
            weight = (i - j) ** 2 / (classes - 1) ** 2
            cell = sum(y == i and z == j for y, z in zip(labels, predictions)) / n
            observed += weight * cell
            expected += weight * sum(y == i for y in labels) / n * sum(z == j for z in predictions) / n
    return 1 - observed / expected


def sign(value: float) -> int:
    return (value > 0) - (value < 0)


def tau_b(x: Numbers, y: Numbers) -> float:
    total = in_x = in_y = 0
    for i in range(len(x)):
        for j in range(i):
            a, b = sign(x[i] - x[j]), sign(y[i] - y[j])
            total, in_x, in_y = total + a * b, in_x + a * a, in_y + b * b
    return total / math.sqrt(in_x * in_y)


def c_index(predictions: Numbers, labels: Numbers) -> float:
    good = pairs = 0.0
    for i in range(len(labels)):
        for j in range(len(labels)):
            if labels[i] < labels[j]:
                pairs += 1
                good += 1.0 if predictions[i] < predictions[j] else 0.5 if predictions[i] == predictions[j] else 0.0
    return good / pairs


def ranked_probability(forecast: Numbers, label: int) -> float:
    total = reached = 0.0
    for k in range(len(forecast) - 1):
        reached += forecast[k]
        total += (reached - (1.0 if label <= k else 0.0)) ** 2
    return total


def emd_r(p: Numbers, q: Numbers, r: float) -> float:
    total = 0.0
    for k in range(len(p)):
        total += abs(sum(p[: k + 1]) - sum(q[: k + 1])) ** r
    return (total / len(p)) ** (1 / r)


def calibration_error(probabilities: Sequence[Numbers], labels: Sequence[int], bins: int) -> float:
    total = 0.0
    for b in range(bins):
        inside = [i for i, p in enumerate(probabilities) if b / bins < max(p) <= (b + 1) / bins]
        if inside:
            confidence = sum(max(probabilities[i]) for i in inside) / len(inside)
            right = sum(list(probabilities[i]).index(max(probabilities[i])) == labels[i] for i in inside) / len(inside)
            total += len(inside) / len(labels) * abs(right - confidence)
    return total


def decoded(p: Numbers, how: str, positions: Numbers | None = None) -> int:
    places = list(positions) if positions is not None else list(range(len(p)))
    if how == "argmax":
        return list(p).index(max(p))
    if how == "median":
        return next(k for k in range(len(p)) if sum(p[: k + 1]) >= 0.5 * sum(p))
    mean = sum(a * b for a, b in zip(p, places)) / sum(p)
    gaps = [abs(mean - place) for place in places]
    return gaps.index(min(gaps))
