"""Confusion of a classifier: true against predicted classes, with how far apart the confused classes are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from monge.report.matrix_chart import heat_map
from monge.report.stored_predictions import StoredPredictions
from monge.report.svg import Markup

MOST_CLASSES = 24
_WORST = 8


@dataclass(frozen=True)
class Mistake:
    """A true class, the class it is taken for, how often, of how many, and how far the two are apart."""

    true: str
    predicted: str
    count: int
    total: int
    distance: float | None


@dataclass(frozen=True)
class ClassConfusion:
    """The chart, the mistakes that cost most, and what they cost on average.

    Args:
        chart: Heat map of shares by true class.
        worst: Largest number times distance first; by number alone where no distance is known.
        note: What was left out or put together; empty if nothing was.
        mean_distance: Mean distance of the mistakes, ``None`` without distances or mistakes.
        chance_distance: The same if every wrong class were as likely.
        mistakes: Number of mistakes.
    """

    chart: Markup
    worst: list[Mistake]
    note: str
    mean_distance: float | None
    chance_distance: float | None
    mistakes: int


def class_confusion(
    items: StoredPredictions, predicted: Tensor, distances: Tensor | None, order: list[int] | None
) -> ClassConfusion:
    """Counts predictions by true class.

    Of more than 24 classes without an order the chart keeps those with most mistakes; ordered ones are put together.

    Args:
        items: What was predicted.
        predicted: Class of each item, int64 ``(N,)``.
        distances: Between the classes, ``(C, C)``, or ``None``.
        order: Order of the rows, near classes side by side; ``None``: the order of the classes.
    """
    count = len(items.classes)
    wrong = predicted != items.labels
    groups, note = _groups(items, predicted, order)
    place = torch.full((count,), -1, dtype=torch.long)
    for i, group in enumerate(groups):
        place[torch.tensor(group)] = i
    between = None
    if distances is not None:
        between = [[float(distances[a][:, b].mean()) if a != b else 0.0 for b in groups] for a in groups]
    chart = heat_map(
        "Predicted class, % of the items of each true class",
        "predicted class",
        "true class",
        [_group_name(items, group) for group in groups],
        _table(place[items.labels], place[predicted], len(groups)).tolist(),
        between,
    )
    mean = chance = None
    if distances is not None and bool(wrong.any()) and count > 1:
        true, found = items.labels[wrong], predicted[wrong]
        mean = float(distances[true, found].double().mean())
        chance = float((distances.double().sum(dim=1) / (count - 1))[true].mean())
    return ClassConfusion(chart, _worst(items, predicted, distances), note, mean, chance, int(wrong.sum()))


def _groups(items: StoredPredictions, predicted: Tensor, order: list[int] | None) -> tuple[list[list[int]], str]:
    """Classes of each row of the chart, and a sentence where they are not all classes one by one."""
    count = len(items.classes)
    rows = order or list(range(count))
    if count <= MOST_CLASSES:
        return [[i] for i in rows], ""
    if items.ordered and order is None:
        size = math.ceil(count / MOST_CLASSES)
        groups = [rows[i : i + size] for i in range(0, count, size)]
        return groups, f"{size} neighbouring classes of {count} are put together in each row and column."
    wrong = predicted != items.labels
    mistakes = torch.bincount(items.labels[wrong], minlength=count) + torch.bincount(predicted[wrong], minlength=count)
    kept = set(mistakes.argsort(descending=True, stable=True)[:MOST_CLASSES].tolist())
    note = f"The {MOST_CLASSES} of {count} classes with most mistakes; shares are of the predictions shown."
    return [[i] for i in rows if i in kept], note


def _group_name(items: StoredPredictions, group: list[int]) -> str:
    first, last = items.classes[group[0]], items.classes[group[-1]]
    return first if len(group) == 1 else f"{first}–{last}"


def _table(rows: Tensor, columns: Tensor, size: int) -> Tensor:
    """Counts ``(size, size)`` of the pairs that are both in the chart."""
    inside = (rows >= 0) & (columns >= 0)
    return torch.bincount(rows[inside] * size + columns[inside], minlength=size * size).view(size, size)


def _worst(items: StoredPredictions, predicted: Tensor, distances: Tensor | None) -> list[Mistake]:
    count, wrong = len(items.classes), predicted != items.labels
    pairs, often = torch.unique((items.labels * count + predicted)[wrong], return_counts=True)
    true, found = pairs // count, pairs % count
    apart = None if distances is None else distances[true, found]
    cost = often.double() if apart is None else often.double() * apart.double()
    total = torch.bincount(items.labels, minlength=count)
    return [
        Mistake(
            items.classes[int(true[k])],
            items.classes[int(found[k])],
            int(often[k]),
            int(total[true[k]]),
            None if apart is None else float(apart[k]),
        )
        for k in cost.argsort(descending=True, stable=True)[:_WORST].tolist()
    ]
