"""The report of one run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from monge.report.classification_sections import classification_sections
from monge.report.cross_modal_sections import cross_modal_sections
from monge.report.curves import learning_curves
from monge.report.definitions import HEADLINES, importance, metric
from monge.report.embedding_sections import embedding_sections
from monge.report.face_sections import face_sections
from monge.report.page import render, write_page
from monge.report.run_card import NOT_RECORDED, run_card
from monge.report.run_folder import Records, RunFolder, lookup, read_run
from monge.report.svg import clean

_MOST_NUMBERS = 40
_MOST_SETS = 5


@dataclass(frozen=True)
class Number:
    """One final metric: names, value, meaning; the range the recipe expects and what others report, if it says so."""

    short: str
    title: str
    definition: str
    value: float
    expected: tuple[float, float] | None
    digits: int
    published: float | None = None


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
    published = run.setting("expected") if _on_a_folder(run) else None
    numbers = headline_numbers(run.records, expected, published)
    template, sections = _own_sections(run)
    return render(
        template,
        {
            "card": card,
            "problems": [clean(problem, 400) for problem in run.problems],
            "tiles": _tiles(run.records, numbers),
            "numbers": numbers,
            "other_source": _other_source(run, card.source),
            "expected_note": clean(lookup(expected, "note") or "", 400),
            "published": clean(lookup(published, "published") or "", 400),
            "curves": learning_curves(run.records) if run.records.series else run.records.problem,
            **sections,
        },
    )


def _own_sections(run: RunFolder) -> tuple[str, Mapping[str, object]]:
    """The template of this kind of run and what it prints beside what all runs have."""
    if run.classifies:
        return "classification_run.html", classification_sections(run)
    if run.searches:
        return "cross_modal_run.html", cross_modal_sections(run)
    if run.verifies:
        return "face_run.html", face_sections(run)
    return "embedding_run.html", embedding_sections(run)


def headline_numbers(records: Records, expected: Any, published: Any = None) -> list[Number]:
    """All final test metrics in the order of their importance; the last validation metrics have no place here.

    Args:
        records: The numbers of the run.
        expected: The recipe's ``expected`` section: ``metrics`` maps names to a range; the rest of it is ignored.
        published: The same section where figures of others may stand beside these: ``published_metrics``.
    """
    final = records.last("test/")
    numbers = []
    sets = {name.split("/")[1] for name in final if name.count("/") > 1}
    pairs = bool(sets)
    if len(sets) == 1:  # then the means say the same
        final = {name: value for name, value in final.items() if name.count("/") > 1}
    for name in sorted(final, key=partial(importance, pairs=pairs))[:_MOST_NUMBERS]:
        found = metric(name, pairs=pairs)
        short, title = clean(found.short, 40), clean(found.title, 60)
        theirs = _published(published, name)
        numbers.append(
            Number(short, title, found.definition, final[name], _expected(expected, name), found.digits, theirs)
        )
    return numbers


def _expected(expected: Any, name: str) -> tuple[float, float] | None:
    for key in (name, name.removeprefix("test/")):
        match lookup(expected, "metrics", key):
            case [int() | float() as low, int() | float() as high]:
                return float(low), float(high)
    return None


def _published(section: Any, name: str) -> float | None:
    for key in (name, name.removeprefix("test/")):
        match lookup(section, "published_metrics", key):
            case int() | float() as figure:
                return float(figure)
    return None


def _expects_this_data(run: RunFolder) -> bool:
    """Whether the recipe's expectations hold for the data source of the run; others are not shown beside it."""
    return bool(run.setting("expected", "source") == run.setting("data", "source"))


def _on_a_folder(run: RunFolder) -> bool:
    """Whether the run had the user's own copy of a data set: published figures stand beside no stand-in."""
    source = run.setting("data", "source")
    return isinstance(source, str) and source not in ("", "packaged", "synthetic")


def _other_source(run: RunFolder, source: str) -> str:
    """Source of the stored results where `monge evaluate` has replaced them by those of other data."""
    stored = "" if isinstance(run.results, str) else run.results.source
    return stored if stored and source != NOT_RECORDED and stored != source else ""


def _tiles(records: Records, numbers: list[Number]) -> list[Number]:
    """The first few of the most telling metrics that the run has."""
    final = records.last("test/")
    of_sets = {metric(name).short for name in final if name.count("/") > 1 and name.endswith("/accuracy")}
    if of_sets:
        return [n for n in numbers if n.short in of_sets and math.isfinite(n.value)][:_MOST_SETS]
    names, most = next((HEADLINES[kind] for kind in HEADLINES if f"test/{kind}" in final), HEADLINES["map"])
    by_name = {n.short: n for n in numbers if math.isfinite(n.value)}
    found = [by_name[short] for short in (metric(name).short for name in names) if short in by_name]
    # Recall at 1 is the nearest-neighbour score under another name: one tile is enough.
    return [n for n in found if n.short != "R@1" or "NN" not in by_name][:most]
