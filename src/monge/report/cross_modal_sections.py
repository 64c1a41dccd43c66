"""What the page of a cross-modal run shows: queries with what they find, curves, classes, ranks, plan, map."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from monge.metrics import Distance, rank_summary, recall_curve
from monge.report.bar_chart import class_bars, grouped_bars
from monge.report.cross_modal_gallery import (
    CrossQuery,
    WorstClass,
    class_precision,
    cross_modal_gallery,
    joint_pictures,
    worst_classes,
)
from monge.report.cross_modal_plan import cross_modal_plan
from monge.report.cross_modal_search import Search, search
from monge.report.embedding_map import EmbeddingMap, embedding_map
from monge.report.line_chart import Series, line_chart
from monge.report.run_folder import RunFolder
from monge.report.stored_cross_modal import StoredCrossModal
from monge.report.stored_embeddings import StoredEmbeddings
from monge.report.stored_rescored import load_rescored
from monge.report.svg import Markup, clean

_MOST_BARS = 40
_MOST_MAPPED = 500
_BACK = (("Worst", 2), ("Median", 2), ("Best", 2))
_BINS = ((1, 1), (2, 5), (6, 10), (11, 50), (51, 100), (101, math.inf))
_DEPTHS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000)
_ABSENT = ("items", "map_data", "found", "rescored")
_NAMES = ("gallery", "back", "recall", "classes", "ranks", "plan", "map")


@dataclass(frozen=True)
class ClassSection:
    """Bars of the classes, what they leave out, and the classes that do worst."""

    chart: Markup
    note: str
    worst: list[WorstClass]


@dataclass(frozen=True)
class RankSection:
    """Where queries find their own, both ways: histogram, share found by depth, and a row of figures each."""

    histogram: Markup
    depths: Markup
    rows: list[tuple[str, dict[str, float]]]


def cross_modal_sections(run: RunFolder) -> Mapping[str, object]:
    """The sections made from the stored embeddings, or the reason why there are none."""
    items = run.results
    distance: Distance = "cosine" if run.setting("evaluate", "distance") == "cosine" else "euclidean"
    if not isinstance(items, StoredCrossModal):
        reason = clean(items, 300) if isinstance(items, str) else ""
        return {**dict.fromkeys(_NAMES, reason), **dict.fromkeys(_ABSENT), "distance": distance}
    found = search(items.query, items.gallery, distance)
    nothing = f"No {items.query.name} of the test part has a {items.gallery.name} to find."
    shown, data = _map(items, distance)
    return {
        "items": items,
        "distance": distance,
        "found": found,
        "gallery": cross_modal_gallery(items, found) or nothing,
        "back": _way_back(items, distance) if items.paired else "",
        "recall": "" if items.paired else _recall_charts(items, distance, found) or nothing,
        "classes": "" if items.paired else _class_section(items, found) or nothing,
        "ranks": _rank_section(items, distance, found) or nothing if items.paired else "",
        "rescored": load_rescored(run.path / "rescored.json") if items.paired else None,
        "plan": cross_modal_plan(items, _section(run, "loss"), _section(run, "sampler")),
        "map": shown,
        "map_data": data,
    }


def _way_back(items: StoredCrossModal, distance: Distance) -> list[CrossQuery]:
    """A few gallery items of pairs as queries."""
    return cross_modal_gallery(items, search(items.gallery, items.query, distance, k=5), _BACK)


def _recall_charts(items: StoredCrossModal, distance: Distance, found: Search) -> list[Markup]:
    """Precision against recall: linear between hits at 20 points, and interpolated at 11."""
    if not len(found.answerable):
        return []
    query, gallery = items.query, items.gallery
    rows = found.queries
    given = (query.vectors[rows], gallery.vectors, query.labels[rows], gallery.labels)
    twenty, eleven = (recall_curve(*given, points=points, distance=distance) for points in (20, 11))
    lines = [
        Series("at 20 points", twenty.recall.tolist(), twenty.precision.tolist()),
        Series("at 11 points", eleven.recall.tolist(), eleven.precision.tolist()),
    ]
    return [line_chart("Precision against recall", "recall", "mean precision", lines)]


def _class_section(items: StoredCrossModal, found: Search) -> ClassSection | None:
    rows = class_precision(items, found)
    if not rows:
        return None
    note = ""
    kept = rows
    if len(rows) > _MOST_BARS:
        half = _MOST_BARS // 2
        kept, note = [*rows[:half], *rows[-half:]], f"The {half} best and the {half} worst of {len(rows)} classes."
    mean = float(found.precision[found.answerable].mean())
    chart = class_bars("Average precision by class of the query", "mean average precision", kept, mean)
    return ClassSection(chart, note, worst_classes(items, found))


def _rank_section(items: StoredCrossModal, distance: Distance, found: Search) -> RankSection | None:
    back = search(items.gallery, items.query, distance)
    ways = [(f"{a.name} → {b.name}", way.ranks[way.answerable]) for way, a, b in _ways(items, found, back)]
    if not all(len(ranks) for _, ranks in ways):
        return None
    bins = [f"{low}" if low == high else f"{low}–{high}" if high < math.inf else f"> {low - 1}" for low, high in _BINS]
    heights = [
        (name, [float(((ranks >= low) & (ranks < high + 1)).double().mean()) for low, high in _BINS])
        for name, ranks in ways
    ]
    histogram = grouped_bars("Rank of the first right item", "rank", "share of the queries", bins, heights)
    deepest = max(len(items.query.vectors), len(items.gallery.vectors))
    depths = [float(depth) for depth in _DEPTHS if depth <= max(deepest, 2)]
    lines = [Series(name, depths, [float((ranks <= k).double().mean()) for k in depths]) for name, ranks in ways]
    curve = line_chart("Found among the first K", "K (logarithmic)", "share of the queries", lines, log_x=True)
    return RankSection(histogram, curve, [(name, rank_summary(ranks, (1, 5, 10, 50))) for name, ranks in ways])


def _ways(items: StoredCrossModal, there: Search, back: Search) -> list[tuple[Search, Any, Any]]:
    return [(there, items.query, items.gallery), (back, items.gallery, items.query)]


def _map(items: StoredCrossModal, distance: Distance) -> tuple[EmbeddingMap, dict[str, object]]:
    """Both sides in one map: classes by colour, or of pairs the sides by colour; gallery items are rings."""
    chosen = []
    for seed, side in enumerate(items.sides()):
        order = torch.randperm(len(side.vectors), generator=torch.Generator().manual_seed(seed))
        chosen.append(order[:_MOST_MAPPED].sort().values)
    vectors = torch.cat([side.vectors[rows] for side, rows in zip(items.sides(), chosen)])
    of_side = torch.cat([torch.full((len(rows),), number) for number, rows in enumerate(chosen)])
    labels = torch.cat([side.labels[rows] for side, rows in zip(items.sides(), chosen)])
    images = joint_pictures(items, (chosen[0], chosen[1]))
    named = (tuple(side.name for side in items.sides()), of_side) if items.paired else (items.classes, labels)
    total = sum(side.total for side in items.sides())
    joined = StoredEmbeddings(vectors, named[1], named[0], images, torch.arange(len(vectors)), total, items.source)
    shown = embedding_map(joined, distance)
    points = [[*point, side] for point, side in zip(shown.points, of_side.tolist())]
    return shown, {
        "points": points,
        "classes": shown.classes,
        "side": shown.side,
        "columns": shown.columns,
        "tiny": shown.tiny,
    }


def _section(run: RunFolder, name: str) -> Mapping[str, Any]:
    found = run.setting(name)
    return found if isinstance(found, Mapping) else {}
