"""The report of a comparison of losses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monge.report.comparison_charts import curve_charts, finite, interval_chart, reached, search_chart, target_chart
from monge.report.comparison_folder import ComparedLoss, ComparedRun, Comparison, Select, read_comparison
from monge.report.definitions import importance, metric
from monge.report.differences import differences
from monge.report.line_chart import series_class
from monge.report.page import number, render, write_page
from monge.report.svg import clean

_MOST_METRICS = 14
_MOST_RATES = 12
_INTERVALS = 4
_COUNTS = ("queries", "skipped_queries")


@dataclass(frozen=True)
class Cell:
    """Mean over seeds with the half-width of its interval; ``best`` marks the best mean of a column."""

    mean: float | None
    half: float | None
    best: bool


@dataclass(frozen=True)
class Row:
    """One loss in the table; ``failed`` counts the seeds whose training diverged and that its means leave out."""

    name: str
    css: str
    lr: float | None
    cells: list[Cell]
    steps: float | None
    reached: str
    trials: dict[float, float | None]
    seconds: float | None
    failed: int


def write_comparison(folder: Path) -> Path:
    """Writes ``compare.html`` beside ``compare.json``.

    Args:
        folder: Folder of a comparison.

    Returns:
        Path of the page.

    Raises:
        RunError: ``compare.json`` is missing or broken, or the folder cannot be written.
        MissingExtraError: A package of the extra ``train`` is not installed.
    """
    return write_page(folder / "compare.html", render_comparison(read_comparison(folder)))


def render_comparison(comparison: Comparison) -> str:
    """The page of a comparison as text; losses sorted by the test value of the metric they were chosen by."""
    on = comparison.selection
    chosen = f"test/{on.plain}"
    losses = sorted(comparison.losses, key=lambda loss: -_goodness(loss.mean.get(chosen), not on.higher_is_better))
    names = _metric_names(losses, chosen)
    rows = _rows(losses, names, on)
    targets = sorted({loss.steps_to_target.target for loss in losses if loss.steps_to_target is not None})
    return render(
        "comparison.html",
        {
            "comparison": comparison,
            "synthetic": comparison.data.source.lower().startswith("synthetic"),
            "metrics": [metric(name) for name in names],
            "rows": rows,
            "target": targets[0] if len(targets) == 1 else None,
            "on": metric(on.metric).short,
            "order": "highest" if on.higher_is_better else "lowest",
            "or_better": "or more" if on.higher_is_better else "or less",
            "intervals": [interval_chart(losses, name) for name in names[:_INTERVALS]],
            "differences": differences(comparison.paired, names),
            "curves": curve_charts(losses, on.metric),
            "steps": target_chart(losses, on),
            "search": search_chart(losses, on.metric),
            "at_edge": [row.name for row in rows if row.trials and row.lr in (min(row.trials), max(row.trials))],
            "rates": sorted({rate for row in rows for rate in row.trials})[:_MOST_RATES],
            "runs": _runs(losses, chosen),
            "budget": _budget(comparison.budget),
        },
    )


def _metric_names(losses: list[ComparedLoss], chosen: str) -> list[str]:
    """Test metrics that any loss has, that of the choice first; recall at 1 is left out beside NN."""
    found = dict.fromkeys(name for loss in losses for name in loss.mean if name.startswith("test/"))
    names = [name for name in found if name.removeprefix("test/") not in _COUNTS]
    if "test/nn" in found:
        names = [name for name in names if name != "test/recall_at_1"]
    return sorted(names, key=lambda name: (name != chosen, importance(name)))[:_MOST_METRICS]


def _rows(losses: list[ComparedLoss], names: list[str], on: Select) -> list[Row]:
    best = {name: max(_goodness(loss.mean.get(name), metric(name).lower) for loss in losses) for name in names}
    rows = []
    for i, loss in enumerate(losses):
        cells = [
            _cell(loss.mean.get(name), finite(loss.interval.get(name)), best[name], metric(name).lower)
            for name in names
        ]
        goal = loss.steps_to_target
        hits = sum(reached(run, on, goal.target) is not None for run in loss.runs) if goal else 0
        rows.append(
            Row(
                clean(loss.name),
                series_class(i),
                loss.lr,
                cells,
                goal.median if goal else None,
                f"{hits} of {len(loss.runs)} seeds" if goal else "",
                {rate: trial.get(on.metric) for trial in loss.search if (rate := finite(trial.get("lr"))) is not None},
                _mean([run.train_seconds for run in loss.runs]),
                sum(bool(run.diverged) for run in loss.runs),
            )
        )
    return rows


def _cell(mean: float | None, half: float | None, best: float, lower: bool) -> Cell:
    goodness = _goodness(mean, lower)
    return Cell(mean, half, math.isfinite(goodness) and goodness == best)


def _budget(budget: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values of what every run had; values that are neither numbers nor text are left out."""
    return [
        (clean(key).replace("_", " "), clean(value, 200) if isinstance(value, str) else number(value, 3))
        for key, value in budget.items()
        if isinstance(value, str | int | float) and not isinstance(value, bool)
    ]


def _runs(losses: list[ComparedLoss], chosen: str) -> list[tuple[str, int, float | None, float | None, str]]:
    """``(loss, seed, chosen metric, training seconds, folder and what became of it)`` of every run."""
    return [
        (clean(loss.name), run.seed, run.test.get(chosen), run.train_seconds, clean(_place(run), 200))
        for loss in losses
        for run in loss.runs
    ][:400]


def _place(run: ComparedRun) -> str:
    return f"{run.path}: {run.diverged}" if run.diverged else run.path


def _goodness(value: float | None, lower: bool) -> float:
    """A value with its sign turned where lower is better; what is no number is worse than any."""
    if value is None or math.isnan(value):
        return -math.inf
    return -value if lower else value


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None and math.isfinite(value)]
    return math.fsum(known) / len(known) if known else None
