"""Queries of a cross-modal run with what they find: hits and misses, drawings beside turning shapes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from monge.report.cross_modal_search import Search
from monge.report.gallery import Hit, Picture, turning
from monge.report.stored_cross_modal import StoredCrossModal, StoredSide
from monge.report.thumbnails import is_tiny, thumbnail

GROUPS = (("Worst", 4), ("Median", 3), ("Best", 3))
"""Which queries are shown, and how many."""

_WORST_CLASSES = 5
_MISTAKES = 3


@dataclass(frozen=True)
class CrossQuery:
    """A query with what it finds.

    Args:
        group: Worst, median or best.
        picture: The query.
        name: Its class; empty where labels name pairs.
        text: What it says; empty for pictures.
        score: Its average precision or rank in words.
        hits: Items found, nearest first.
        wanted: What a query of a pair should have found, where none of that is among the hits.
    """

    group: str
    picture: Picture
    name: str
    text: str
    score: str
    hits: list[Hit]
    wanted: Picture | None


@dataclass(frozen=True)
class WorstClass:
    """A class whose queries find little: what is found in its place, and a query just below its mean."""

    name: str
    precision: float
    queries: int
    taken_for: list[tuple[str, int]]
    example: CrossQuery


def shown(side: StoredSide, index: int, name: str) -> Picture:
    """One stored item as a picture of the page, all its views if it has any.

    Args:
        side: The side it is of.
        index: Which item.
        name: Its class or what it says.
    """
    views = side.strip(index)
    if views is None:
        return Picture("", name, False)
    uri = thumbnail(views[0]) if len(views) == 1 else turning(views)
    return Picture(uri, name, is_tiny(views[0]), len(views))


def cross_modal_gallery(
    items: StoredCrossModal, found: Search, groups: tuple[tuple[str, int], ...] = GROUPS
) -> list[CrossQuery]:
    """Worst, median and best queries: by average precision, of pairs by rank; median and best from several classes.

    Args:
        items: What the run stored.
        found: One direction of the search.
        groups: How many of each group.
    """
    rows = found.answerable
    if not len(rows):
        return []
    worse = found.ranks if items.paired else -found.precision
    order = rows[worse[rows].argsort(stable=True, descending=True)]
    middle = (worse[order] - worse[order].median()).abs().argsort(stable=True)
    wanted = {"Worst": order, "Median": order[middle], "Best": order.flip(0)}
    taken: set[int] = set()
    made = []
    for group, count in groups:
        for row in _spread(wanted[group], found.asking.labels[found.queries], count, taken):
            taken.add(row)
            made.append(query_of(items, found, row, group))
    return made


def query_of(items: StoredCrossModal, found: Search, row: int, group: str = "") -> CrossQuery:
    """One query of a search as it is shown."""
    index = int(found.queries[row])
    label = int(found.asking.labels[index])
    hits = []
    for j, distance in zip(found.nearest[row].tolist(), found.distances[row].tolist()):
        picture = shown(found.asked, j, name_of(items, found.asked, j))
        hits.append(Hit(picture, int(found.asked.labels[j]) == label, distance))
    score = f"rank {float(found.ranks[row]):.4g}" if items.paired else f"AP {float(found.precision[row]):.3f}"
    name = "" if items.paired else items.classes[label]
    text = found.asking.text(index)
    wanted = None
    if items.paired and not any(hit.hit for hit in hits):
        own = int((found.asked.labels == label).nonzero()[0, 0])
        wanted = shown(found.asked, own, name_of(items, found.asked, own))
    return CrossQuery(group, shown(found.asking, index, name or text), name, text, score, hits, wanted)


def name_of(items: StoredCrossModal, side: StoredSide, index: int) -> str:
    """Class of an item; of pairs what it says, or the name or number of its pair."""
    name = items.classes[int(side.labels[index])]
    if not items.paired:
        return name
    return side.text(index) or (f"{side.name} {name}" if name.isdigit() else name)


def worst_classes(items: StoredCrossModal, found: Search) -> list[WorstClass]:
    """The classes of lowest mean average precision, each with the best of its queries that are not above that mean.

    Args:
        items: What the run stored.
        found: The search of the queries.
    """
    rows = found.answerable
    labels = found.asking.labels[found.queries]
    by_class = {c: rows[labels[rows] == c] for c in torch.unique(labels[rows]).tolist()}
    means = {c: float(found.precision[own].mean()) for c, own in by_class.items()}
    made = []
    for c in sorted(means, key=lambda c: means[c])[:_WORST_CLASSES]:
        own = by_class[c]
        below = own[found.precision[own] <= means[c] + 1e-9]
        usual = below[found.precision[below].argmax()]
        first = found.asked.labels[found.nearest[own, 0]]
        wrong, counts = torch.unique(first[first != c], return_counts=True)
        order = counts.argsort(descending=True, stable=True)[:_MISTAKES]
        taken_for = [(items.classes[int(wrong[k])], int(counts[k])) for k in order.tolist()]
        made.append(WorstClass(items.classes[c], means[c], len(own), taken_for, query_of(items, found, int(usual))))
    return made


def class_precision(items: StoredCrossModal, found: Search) -> list[tuple[str, float, int]]:
    """Name, mean average precision and number of queries of every class, best first."""
    rows = found.answerable
    labels = found.asking.labels[found.queries][rows]
    made = []
    for c in torch.unique(labels).tolist():
        of_class = found.precision[rows][labels == c]
        made.append((items.classes[c], float(of_class.mean()), len(of_class)))
    return sorted(made, key=lambda entry: -entry[1])


def _spread(rows: Tensor, labels: Tensor, count: int, taken: set[int]) -> list[int]:
    """The first ``count`` rows not taken yet, at first one a label."""
    free = [row for row in rows.tolist() if row not in taken]
    by_label: dict[int, int] = {}
    for row in free:
        by_label.setdefault(int(labels[row]), row)
    first = list(by_label.values())[:count]
    chosen = set(first)
    return first + [row for row in free if row not in chosen][: count - len(first)]


def joint_pictures(items: StoredCrossModal, chosen: tuple[Tensor, Tensor], size: int = 32) -> Tensor | None:
    """Small pictures of some items of both sides in one tensor, ``(K + L, C, S, S)``; ``None`` without any.

    Args:
        items: What the run stored.
        chosen: Indices ``(K,)`` of queries and ``(L,)`` of gallery items.
        size: Side S in pixels.
    """
    parts = [side.pictures(rows) for side, rows in zip(items.sides(), chosen)]
    channels = max((part.shape[1] for part in parts if part is not None), default=0)
    if not channels:
        return None
    made = []
    for part, rows in zip(parts, chosen):
        if part is None:
            made.append(torch.zeros(len(rows), channels, size, size, dtype=torch.uint8))
            continue
        small = torch.nn.functional.interpolate(part.float(), (size, size), mode="bilinear", antialias=True)
        made.append(small.round().clamp(0, 255).to(torch.uint8).expand(-1, channels, -1, -1))
    return torch.cat(made)
