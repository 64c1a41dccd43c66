"""How well the classes are kept apart: distance histograms and the confusion of nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from monge.metrics import Distance
from monge.report.charts import histogram_chart
from monge.report.matrix_chart import heat_map
from monge.report.neighbours import Retrieved, pair_distances
from monge.report.stored_embeddings import StoredEmbeddings
from monge.report.svg import Markup

_MOST_CLASSES = 24
_BINS = 48


@dataclass(frozen=True)
class Confusion:
    """Classes of the nearest neighbours: the chart, the most frequent confusions, what was left out."""

    chart: Markup
    worst: list[tuple[str, str, int, int]]
    note: str


@dataclass(frozen=True)
class Distances:
    """Histograms of same-class and different-class distances and how far they overlap."""

    chart: Markup
    overlap: float
    same_mean: float
    other_mean: float
    pairs: int


def distance_histograms(items: StoredEmbeddings, distance: Distance) -> Distances | None:
    """Histograms of positives and negatives, or ``None`` where one of the two has no pair.

    The overlap is the area under the lower of the two histograms: 0 for classes apart, 1 for no difference.
    """
    same, other = pair_distances(items.vectors, items.labels, distance)
    if not len(same) or not len(other):
        return None
    top = max(float(same.max()), float(other.max())) or 1.0
    shares = [torch.histc(part, _BINS, 0.0, top) / len(part) for part in (same, other)]
    edges = torch.linspace(0.0, top, _BINS + 1).tolist()
    chart = histogram_chart(
        "Distances between test items",
        f"{distance} distance",
        "share of the pairs",
        edges,
        [("same class", shares[0].tolist()), ("different class", shares[1].tolist())],
    )
    overlap = float(torch.minimum(*shares).sum())
    return Distances(chart, overlap, float(same.mean()), float(other.mean()), len(same) + len(other))


def neighbour_confusion(items: StoredEmbeddings, retrieved: Retrieved) -> Confusion:
    """Counts the class of the nearest neighbour by class of the query.

    Of more than 24 classes, the chart keeps those with most confusions.
    """
    n = len(items.classes)
    queries, found = items.labels[retrieved.queries], items.labels[retrieved.nearest[:, 0]]
    wrong = queries != found
    pairs, counts = torch.unique((queries * n + found)[wrong], return_counts=True)
    ranked = sorted(zip(counts.tolist(), pairs.tolist()), key=lambda item: (-item[0], item[1]))
    total = torch.bincount(queries, minlength=n)
    worst = [(items.classes[p // n], items.classes[p % n], c, int(total[p // n])) for c, p in ranked[:6]]
    kept = torch.arange(n)
    note = ""
    if n > _MOST_CLASSES:
        mistakes = torch.bincount(queries[wrong], minlength=n) + torch.bincount(found[wrong], minlength=n)
        kept = mistakes.argsort(descending=True, stable=True)[:_MOST_CLASSES].sort().values
        note = f"The {_MOST_CLASSES} of {n} classes with most confusions; shares are of the neighbours shown."
    chart = heat_map(
        "Class of the nearest neighbour, % of the queries",
        "class of the nearest neighbour",
        "class of the query",
        [items.classes[i] for i in kept.tolist()],
        _table(queries, found, kept).tolist(),
    )
    return Confusion(chart, worst, note)


def _table(queries: Tensor, found: Tensor, kept: Tensor) -> Tensor:
    """Counts ``(K, K)`` of the pairs whose two classes are both among ``kept``."""
    place = torch.full((int(max(queries.max(), found.max(), kept.max())) + 1,), -1, dtype=torch.long)
    place[kept] = torch.arange(len(kept))
    rows, columns = place[queries], place[found]
    inside = (rows >= 0) & (columns >= 0)
    flat = rows[inside] * len(kept) + columns[inside]
    return torch.bincount(flat, minlength=len(kept) ** 2).view(len(kept), len(kept))
