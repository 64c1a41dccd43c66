"""Charts of a comparison: means with intervals, overlaid learning curves, steps to the target, learning rates."""

from __future__ import annotations

import math

from monge.report.charts import DotRow, dot_chart
from monge.report.comparison_folder import ComparedLoss, ComparedRun, Paired, Select
from monge.report.definitions import metric
from monge.report.line_chart import Series, line_chart, series_class
from monge.report.svg import Markup


def interval_chart(losses: list[ComparedLoss], name: str) -> Markup:
    """Means of one test metric with their 95 % intervals and the single seeds, one row a loss."""
    rows = []
    for i, loss in enumerate(losses):
        seeds = [(f"seed {run.seed}", value) for run in loss.runs if (value := run.test.get(name)) is not None]
        mean, half = finite(loss.mean.get(name)), finite(loss.interval.get(name))
        bar = None if mean is None or half is None else (mean - half, mean + half)
        rows.append(DotRow(loss.name, mean, bar, seeds, series_class(i)))
    title = f"{metric(name).title} on test data"
    return dot_chart(title, metric(name).short, "loss", rows)


def difference_chart(pairs: list[Paired], name: str) -> Markup:
    """Mean differences of one test metric with their 95 % intervals; significant ones in another colour."""
    rows = []
    for pair in pairs:
        css = "s0" if pair.significant else "quiet"
        rows.append(DotRow(f"{pair.a} − {pair.b}", finite(pair.difference), pair.ends, [], css))
    label = "← first is better" if metric(name).lower else "first is better →"
    return dot_chart(f"{metric(name).title}: first less second", label, "pair of losses", rows, left=206, zero=True)


def curve_charts(losses: list[ComparedLoss], on: str) -> list[Markup]:
    """Mean over seeds of the watched metric by training step, with a band from the lowest to the highest seed.

    A second chart has the second half of training alone: where curves flatten, only a closer look tells them apart.
    """
    series = [_curve(loss, on) for loss in losses]
    steps = sorted({step for line in series for step in line.x})
    if not steps:
        return []
    title = f"{metric(on).title} on validation data"
    charts = [line_chart(title, "training step", metric(on).short, series)]
    if len(steps) >= 6:
        late = [_since(line, steps[len(steps) // 2]) for line in series]
        charts.append(line_chart("The second half, enlarged", "training step", metric(on).short, late))
    return charts


def _since(line: Series, step: float) -> Series:
    start = sum(at < step for at in line.x)
    low, high = (part[start:] if part else None for part in (line.low, line.high))
    return Series(line.name, line.x[start:], line.y[start:], low, high)


def _curve(loss: ComparedLoss, on: str) -> Series:
    by_step: dict[float, list[float]] = {}
    for run in loss.runs:
        for step, value in run_curve(run, on):
            by_step.setdefault(step, []).append(value)
    steps = sorted(by_step)
    means = [math.fsum(by_step[step]) / len(by_step[step]) for step in steps]
    several = len(loss.runs) > 1
    low, high = [min(by_step[step]) for step in steps], [max(by_step[step]) for step in steps]
    return Series(loss.name, steps, means, low if several else None, high if several else None)


def run_curve(run: ComparedRun, on: str) -> list[tuple[float, float]]:
    """``(step, value)`` of the finite values of one run's curve, in order of the steps."""
    points = [(finite(point.get("step")), finite(point.get(on))) for point in run.curve]
    return sorted((step, value) for step, value in points if step is not None and value is not None)


def target_chart(losses: list[ComparedLoss], on: Select) -> Markup | None:
    """Steps to the target: median and single seeds; seeds that never reach it have no dot."""
    rows = []
    for i, loss in enumerate(losses):
        goal = loss.steps_to_target
        seeds = [] if goal is None else [(f"seed {r.seed}", s) for r in loss.runs if (s := reached(r, on, goal.target))]
        median = finite(goal.median) if goal else None
        rows.append(DotRow(loss.name, median, None, seeds, series_class(i), absent="not reached"))
    if all(row.mean is None and not row.dots for row in rows):
        return None
    return dot_chart("Training steps to the target, median and seeds", "training steps", "loss", rows)


def reached(run: ComparedRun, on: Select, target: float) -> float | None:
    """First recorded step at which a run's metric is at the target or better.

    Example:
        >>> run = ComparedRun(seed=0, curve=[{"step": 10, "val/mae": 0.5}, {"step": 20, "val/mae": 0.3}])
        >>> on = Select(metric="val/mae", higher_is_better=False)
        >>> reached(run, on, 0.4), reached(run, on, 0.2)
        (20.0, None)
    """
    sign = 1.0 if on.higher_is_better else -1.0
    return next((step for step, value in run_curve(run, on.metric) if sign * value >= sign * target), None)


def search_chart(losses: list[ComparedLoss], on: str) -> Markup | None:
    """The watched metric by learning rate, the chosen rate ringed."""
    series = []
    for loss in losses:
        points = sorted(
            (rate, value)
            for trial in loss.search
            if (rate := finite(trial.get("lr"))) and rate > 0 and (value := finite(trial.get(on))) is not None
        )
        rates = [rate for rate, _ in points]
        mark = rates.index(loss.lr) if loss.lr in rates else None
        series.append(Series(loss.name, rates, [value for _, value in points], mark=mark))
    if not any(line.x for line in series):
        return None
    title = "Learning-rate search, chosen rates ringed"
    return line_chart(title, "learning rate (log scale)", f"{metric(on).short} on validation data", series, log_x=True)


def finite(value: float | None) -> float | None:
    """The value if it is a finite number.

    Example:
        >>> finite(0.5), finite(float("nan")), finite(None)
        (0.5, None, None)
    """
    return value if value is not None and math.isfinite(value) else None
