"""Single predictions worth a look: those farthest from the truth and those nearest to it, with their distributions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from monge.metrics import ranked_probability_scores
from monge.report.distribution_chart import named_bars, ordered_bars
from monge.report.gallery import Picture
from monge.report.stored_predictions import StoredPredictions
from monge.report.svg import Markup
from monge.report.thumbnails import is_tiny, thumbnail

_WORST, _BEST = 12, 6


@dataclass(frozen=True)
class Case:
    """One prediction as it is shown; ``picture`` is ``None`` where the run stored none."""

    picture: Picture | None
    chart: Markup
    true: str
    predicted: str
    score: float
    probability: float
    right: bool


@dataclass(frozen=True)
class Cases:
    """The worst and the best predictions by ``score``, the name of their score, and whether targets are drawn."""

    worst: list[Case]
    best: list[Case]
    score: str
    outlined: bool


def forecast_cases(items: StoredPredictions, predicted: Tensor) -> Cases:
    """Picks the cases: by the ranked probability score of ordered classes, else by the log loss.

    Where the run stored pictures only items with a picture are shown; it stores those of both extremes.

    Args:
        items: What was predicted.
        predicted: Class of each item, int64 ``(N,)``.
    """
    scores = _scores(items)
    free = items.shown if items.images is not None and len(items.shown) else torch.arange(len(items.labels))
    order = free[scores[free].argsort(descending=True, stable=True)].tolist()
    worst = order[:_WORST]
    # Those of the best that the run stored may all be of two or three classes: what was mistaken does not fill them up.
    rest = [i for i in reversed(order) if i not in set(worst)]
    right = (predicted == items.labels).tolist()
    best = _spread([i for i in rest if right[i]] or rest, items.labels, _BEST)
    pictures = {int(row): i for i, row in enumerate(items.shown.tolist())} if items.images is not None else {}
    made = [
        [_case(items, i, int(predicted[i]), float(scores[i]), pictures.get(i)) for i in rows] for rows in (worst, best)
    ]
    return Cases(made[0], made[1], "RPS" if items.ordered else "−log p", items.ordered and items.targets is not None)


def _scores(items: StoredPredictions) -> Tensor:
    if items.ordered:
        return ranked_probability_scores(items.probabilities, items.labels)
    own = items.probabilities.gather(1, items.labels[:, None])[:, 0]
    return own.double().clamp(1e-38, 1).log().abs()


def _spread(rows: list[int], labels: Tensor, count: int) -> list[int]:
    """The first rows, at first one a class."""
    by_class: dict[int, int] = {}
    for row in rows:
        by_class.setdefault(int(labels[row]), row)
        if len(by_class) == count:
            break
    first = list(by_class.values())[:count]
    return first + [row for row in rows[: 2 * count] if row not in first][: count - len(first)]


def _case(items: StoredPredictions, row: int, guess: int, score: float, picture: int | None) -> Case:
    true, names = int(items.labels[row]), list(items.classes)
    shares = items.probabilities[row].tolist()
    if items.ordered:
        target = None if items.targets is None else items.targets[row].tolist()
        chart = ordered_bars(names, shares, true, guess, target)
    else:
        chart = named_bars(names, shares, true)
    shown = None
    if picture is not None and items.images is not None:
        image = items.images[picture]
        shown = Picture(thumbnail(image, 96), names[true], is_tiny(image))
    return Case(shown, chart, names[true], names[guess], score, shares[true], guess == true)
