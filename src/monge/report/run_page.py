"""The report of one run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monge.metrics import Distance
from monge.report.curves import learning_curves
from monge.report.definitions import HEADLINE, importance, metric
from monge.report.embedding_map import embedding_map
from monge.report.gallery import retrieval_gallery
from monge.report.neighbours import retrieve
from monge.report.page import render, write_page
from monge.report.plan_section import plan_section
from monge.report.run_card import NOT_RECORDED, run_card
from monge.report.run_folder import Records, RunFolder, lookup, read_run
from monge.report.separation import distance_histograms, neighbour_confusion
from monge.report.stored_embeddings import StoredEmbeddings
from monge.report.svg import clean

_MOST_NUMBERS = 40


@dataclass(frozen=True)
class Number:
    """One final metric: its names, its value, its meaning, and the range the recipe expects, if it names one."""

    short: str
    title: str
    definition: str
    value: float
    expected: tuple[float, float] | None
    digits: int


def write_report(run: Path) -> Path:
    """Writes ``report.html`` into a run folder.

    Args:
        run: The folder.

    Returns:
        Path of the page.

    Raises:
        RunError: The folder is no run folder or cannot be written.
        MissingExtraError: A package of the extra ``train`` is not installed.
    """
    return write_page(run / "report.html", render_run(read_run(run)))


def render_run(run: RunFolder) -> str:
    """The page of a run as text; a section whose data are missing says so."""
    card = run_card(run)
    expected = run.setting("expected") if _expects_this_data(run) else None
    numbers = headline_numbers(run.records, expected)
    return render(
        "run.html",
        {
            "card": card,
            "problems": [clean(text, 300) for text in run.problems],
            "tiles": _tiles(numbers),
            "numbers": numbers,
            "other_source": _other_source(run, card.source),
            "expected_note": clean(lookup(expected, "note") or "", 400),
            "curves": learning_curves(run.records) if run.records.series else run.records.problem,
            **_item_sections(run),
        },
    )


def headline_numbers(records: Records, expected: Any) -> list[Number]:
    """All final test metrics in the order of their importance; the last validation metrics have no place here.

    Args:
        records: The numbers of the run.
        expected: The recipe's ``expected`` section: ``metrics`` maps names to a range; the rest of it is ignored.
    """
    final = records.last("test/")
    numbers = []
    for name in sorted(final, key=importance)[:_MOST_NUMBERS]:
        found = metric(name)
        short, title = clean(found.short, 40), clean(found.title, 60)
        numbers.append(Number(short, title, found.definition, final[name], _expected(expected, name), found.digits))
    return numbers


def _expected(expected: Any, name: str) -> tuple[float, float] | None:
    for key in (name, name.removeprefix("test/")):
        match lookup(expected, "metrics", key):
            case [int() | float() as low, int() | float() as high]:
                return float(low), float(high)
    return None


def _expects_this_data(run: RunFolder) -> bool:
    """Whether the recipe's expectations hold for the data source of the run; others are not shown beside it."""
    return bool(run.setting("expected", "source") == run.setting("data", "source"))


def _other_source(run: RunFolder, source: str) -> str:
    """Source of the stored embeddings where `monge evaluate` has replaced them by those of other data."""
    stored = run.embeddings.source if isinstance(run.embeddings, StoredEmbeddings) else ""
    return stored if stored and source != NOT_RECORDED and stored != source else ""


def _tiles(numbers: list[Number]) -> list[Number]:
    """The first four of the most telling metrics that the run has."""
    by_name = {n.short: n for n in numbers if math.isfinite(n.value)}
    found = [by_name[short] for short in (metric(name).short for name in HEADLINE) if short in by_name]
    # Recall at 1 is the nearest-neighbour score under another name: one tile is enough.
    return [n for n in found if n.short != "R@1" or "NN" not in by_name][:4]


def _item_sections(run: RunFolder) -> Mapping[str, object]:
    """The sections made from the stored embeddings, or the reason why there are none."""
    items = run.embeddings
    distance: Distance = "cosine" if run.setting("evaluate", "distance") == "cosine" else "euclidean"
    names = ("gallery", "distances", "confusion", "map", "plan")
    if not isinstance(items, StoredEmbeddings):
        return {
            **dict.fromkeys(names, clean(items, 300)),
            "distance": distance,
            "map_data": None,
            "searched": 0,
            "asked": 0,
        }
    retrieved = retrieve(items.vectors, items.labels, distance)
    shown = embedding_map(items, distance)
    return {
        "distance": distance,
        "searched": len(items.vectors),
        "asked": len(retrieved.queries),
        "gallery": retrieval_gallery(items, retrieved) or "No class has two test items: nothing can be retrieved.",
        "distances": distance_histograms(items, distance) or "The test items have no two classes or no two of a class.",
        "confusion": neighbour_confusion(items, retrieved),
        "map": shown,
        "map_data": {
            "points": shown.points,
            "classes": shown.classes,
            "side": shown.side,
            "columns": shown.columns,
            "tiny": shown.tiny,
        },
        "plan": plan_section(items, _section(run, "loss"), _section(run, "sampler")),
    }


def _section(run: RunFolder, name: str) -> Mapping[str, Any]:
    found = run.setting(name)
    return found if isinstance(found, Mapping) else {}
