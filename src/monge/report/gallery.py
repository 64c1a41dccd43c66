"""The retrieval gallery: queries of a run with their nearest items, hits and misses."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from monge.report.neighbours import Retrieved
from monge.report.stored_embeddings import StoredEmbeddings
from monge.report.thumbnails import is_tiny, thumbnail, view_strip

_GROUPS = (("Worst", 4), ("Median", 3), ("Best", 2))


@dataclass(frozen=True)
class Picture:
    """One item as it is shown.

    Args:
        uri: Its picture as a data URI, or its views side by side in one; empty if the run stored none.
        name: Its class, or what it says.
        tiny: Whether it is shown with sharp pixels.
        views: How many views the picture holds.
    """

    uri: str
    name: str
    tiny: bool
    views: int = 1


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


def turning(views: Tensor) -> str:
    """Views ``(V, C, H, W)`` as a strip that begins with the second, a half profile, which says more than a front."""
    return view_strip(views.roll(-1, 0))


def picture_of(items: StoredEmbeddings, index: int) -> Picture:
    """One stored item as a picture of the page, all its views if it has any."""
    views = items.strip(index)
    if views is not None and len(views) > 1:
        return Picture(turning(views), items.name(index), is_tiny(views[0]), len(views))
    images = items.pictures(torch.tensor([index]))
    if images is None:
        return Picture("", items.name(index), False)
    return Picture(thumbnail(images[0]), items.name(index), is_tiny(images[0]))


def retrieval_gallery(items: StoredEmbeddings, retrieved: Retrieved) -> list[Query]:
    """Worst, median and best queries by average precision, median and best ones from different classes."""
    precision = retrieved.average_precision
    usable = precision.isfinite().nonzero()[:, 0]
    if not len(usable):
        return []
    order = usable[precision[usable].argsort(stable=True)]
    middle = (precision[order] - precision[order].median()).abs().argsort(stable=True)
    wanted = {"Worst": order, "Median": order[middle], "Best": order.flip(0)}
    taken: set[int] = set()
    made = []
    for group, count in _GROUPS:
        for row in _pick(wanted[group], items.labels[retrieved.queries], count, taken, spread=group != "Worst"):
            taken.add(row)
            made.append(_query(items, retrieved, row, group))
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


def _query(items: StoredEmbeddings, retrieved: Retrieved, row: int, group: str) -> Query:
    index = int(retrieved.queries[row])
    found = zip(retrieved.nearest[row].tolist(), retrieved.distances[row].tolist())
    hits = [Hit(picture_of(items, j), bool(items.labels[j] == items.labels[index]), d) for j, d in found]
    return Query(group, picture_of(items, index), float(retrieved.average_precision[row]), hits)
