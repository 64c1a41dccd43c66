"""The retrieval gallery, the distance histograms and the confusion of nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from monge.report.charts import heat_map, histogram_chart
from monge.report.neighbours import Neighbours, pair_distances
from monge.report.stored_embeddings import StoredEmbeddings
from monge.report.svg import Markup
from monge.report.thumbnails import is_tiny, thumbnail

_GROUPS = (("Worst", 4), ("Median", 3), ("Best", 2))
_MOST_CLASSES = 24
_BINS = 48


@dataclass(frozen=True)
class Picture:
    """One item as it is shown: a data URI (empty if the run stored no pictures), its class, sharp pixels or not."""

    uri: str
    name: str
    tiny: bool


@dataclass(frozen=True)
class Hit:
    """One result of a query."""

    picture: Picture
    hit: bool
    distance: float


@dataclass(frozen=True)
class Query:
    """A query of the gallery with its nearest items."""

    group: str
    picture: Picture
    average_precision: float
    hits: list[Hit]


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


def picture_of(items: StoredEmbeddings, index: int) -> Picture:
    """One stored item as a picture of the page."""
    images = items.pictures(torch.tensor([index]))
    if images is None:
        return Picture("", items.name(index), False)
    return Picture(thumbnail(images[0]), items.name(index), is_tiny(images[0]))


def retrieval_gallery(items: StoredEmbeddings, neighbours: Neighbours) -> list[Query]:
    """Worst, median and best queries by average precision, median and best ones from different classes."""
    precision = neighbours.average_precision
    usable = precision.isfinite().nonzero()[:, 0]
    if not len(usable):
        return []
    order = usable[precision[usable].argsort(stable=True)]
    middle = (precision[order] - precision[order].median()).abs().argsort(stable=True)
    wanted = {"Worst": order, "Median": order[middle], "Best": order.flip(0)}
    taken: set[int] = set()
    made = []
    for group, count in _GROUPS:
        for row in _pick(wanted[group], items.labels[neighbours.queries], count, taken, spread=group != "Worst"):
            taken.add(row)
            made.append(_query(items, neighbours, row, group))
    return made


def _pick(rows: Tensor, labels: Tensor, count: int, taken: set[int], *, spread: bool) -> list[int]:
    """The first ``count`` rows not taken yet; with ``spread`` at first one a class."""
    free = [row for row in rows.tolist() if row not in taken]
    if not spread:
        return free[:count]
    by_class: dict[int, int] = {}
    for row in free:
        by_class.setdefault(int(labels[row]), row)
    first = list(by_class.values())[:count]
    return first + [row for row in free if row not in first][: count - len(first)]


def _query(items: StoredEmbeddings, neighbours: Neighbours, row: int, group: str) -> Query:
    index = int(neighbours.queries[row])
    found = zip(neighbours.nearest[row].tolist(), neighbours.distances[row].tolist())
    hits = [Hit(picture_of(items, j), bool(items.labels[j] == items.labels[index]), d) for j, d in found]
    return Query(group, picture_of(items, index), float(neighbours.average_precision[row]), hits)


def distance_histograms(items: StoredEmbeddings, distance: str) -> Distances | None:
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


def neighbour_confusion(items: StoredEmbeddings, neighbours: Neighbours) -> Confusion:
    """Counts the class of the nearest neighbour by class of the query.

    Of more than 24 classes, the chart keeps those with most confusions.
    """
    n = len(items.classes)
    queries, found = items.labels[neighbours.queries], items.labels[neighbours.nearest[:, 0]]
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
