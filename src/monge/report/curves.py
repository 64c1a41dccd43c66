"""Learning curves of one run: which numbers share a chart, smoothing, and thinning of long curves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from monge.report.definitions import importance, is_known, metric
from monge.report.line_chart import Series, line_chart
from monge.report.run_folder import Records
from monge.report.svg import Markup, clean

_PERFECT = "score (1 is perfect)"
_FAMILIES = (
    ("Ranking quality on validation data", _PERFECT, ("map", "map_at_r", "r_precision", "ft")),
    ("Nearest neighbours on validation data", _PERFECT, ("nn", "knn", "svm", "recall_at_")),
    ("Second tier, E and DCG on validation data", _PERFECT, ("st", "e", "dcg")),
    ("Acceptance on validation pairs", "share of the genuine pairs", ("tar_at_far_",)),
    ("Hard pairs and the plan's mass on them", "share", ("train/plan_hard_mass", "train/plan_hard_pairs")),
    ("Maps of hard samples", "transport cost", ("train/positive_distance", "train/negative_distance")),
    (
        "Queries that find their own, validation data",
        "share of the queries",
        ("q2g_r1", "q2g_r5", "q2g_r10", "q2g_r50"),
    ),
    ("Gallery items that find their own, validation data", "share of them", ("g2q_r1", "g2q_r5", "g2q_r10", "g2q_r50")),
    ("Geometric mean of recalls on validation data", _PERFECT, ("geometric_mean", "q2g_geometric_", "g2q_geometric_")),
    ("Rank of their own on validation data", "rank", ("q2g_medr", "g2q_medr", "q2g_meanr", "g2q_meanr")),
    ("Accuracy on validation data", "share of the items", ("accuracy", "within_one", "mean_class_accuracy", "top5")),
    ("Absolute error on validation data", "error", ("mae", "amae", "mmae")),
    ("Agreement of order on validation data", _PERFECT, ("qwk", "spearman", "kendall", "c_index")),
    ("Ratings on validation data", _PERFECT, ("srcc_mean", "plcc_mean", "srcc_std", "plcc_std")),
)
_COUNTS = ("queries", "skipped_queries")
_SMOOTH = "train/lr"  # is as it is
_MOST_CHARTS = 12
_POINTS = 300


@dataclass(frozen=True)
class Curves:
    """The charts of a run and what could not be drawn."""

    charts: list[Markup]
    notes: list[str]


def learning_curves(records: Records) -> Curves:
    """One chart for the losses, one for each family of validation metrics, one for every other number.

    Numbers of different kinds never share a vertical axis. Losses that span more than a factor of thirty get a
    logarithmic one.
    """
    series = {k: v for k, v in records.series.items() if not k.startswith("test/") and len(v[0]) > 0}
    charts: list[Markup] = []
    losses = [name for name in series if name.endswith("/loss")]
    if losses:
        charts.append(_loss_chart(losses, series))
    for title, label, members in _FAMILIES:
        names = _distinct(_members(members, series), series)
        if names:
            lines = [Series(_name(n), *thin(*series[n], _POINTS)) for n in names]
            if len(names) == 1 and names[0].startswith("val/"):
                title = f"{metric(names[0]).title} on validation data"
            charts.append(line_chart(title, "training step", label, lines))
    drawn = {*losses, *(name for _, _, members in _FAMILIES for name in _members(members, series))}
    drawn |= {name for name in series if name.endswith("_std")}  # told in the table of numbers
    rest = [n for n in series if n not in drawn and n.split("/")[-1] not in _COUNTS and _varies(series[n][1])]
    room = _MOST_CHARTS - len(charts)
    charts += [_single(name, *series[name]) for name in rest[:room]]
    notes = [f"{len(rest) - room} more numbers are in metrics.jsonl."] if len(rest) > room else []
    bad = sum(not math.isfinite(v) for _, values in series.values() for v in values)
    if bad:
        notes.append(f"{bad} values are NaN or infinite and leave gaps.")
    return Curves(charts, notes)


def _members(family: tuple[str, ...], series: Mapping[str, object]) -> list[str]:
    """Numbers of a family, of validation unless named whole; an entry ending in "_" stands for all that it begins."""
    wanted = [m if "/" in m else f"val/{m}" for m in family]
    found = [name for name in series if any(name.startswith(m) if m.endswith("_") else name == m for m in wanted)]
    return sorted(found, key=importance)


def smooth(values: list[float], window: int) -> list[float]:
    """Running mean over ``window`` values, centred, shorter at the ends; values that are not finite are skipped.

    Example:
        >>> smooth([0.0, 3.0, 6.0], 3)
        [1.5, 3.0, 4.5]
    """
    sums, counts = [0.0], [0]
    for value in values:
        good = math.isfinite(value)
        sums.append(sums[-1] + (value if good else 0.0))
        counts.append(counts[-1] + good)
    half = window // 2
    result = []
    for i in range(len(values)):
        low, high = max(i - half, 0), min(i + half + 1, len(values))
        number = counts[high] - counts[low]
        result.append((sums[high] - sums[low]) / number if number else math.nan)
    return result


def thin(steps: list[float], values: list[float], limit: int) -> tuple[list[float], list[float]]:
    """Evenly chosen points, at most about ``limit``, first and last kept.

    Example:
        >>> thin([0, 1, 2, 3, 4], [5, 6, 7, 8, 9], 3)
        ([0, 2, 4], [5, 7, 9])
    """
    if len(steps) <= limit:
        return steps, values
    chosen = sorted({round(i * (len(steps) - 1) / (limit - 1)) for i in range(limit)})
    return [steps[i] for i in chosen], [values[i] for i in chosen]


def envelope(steps: list[float], values: list[float], limit: int) -> tuple[list[float], list[float]]:
    """Lowest and highest value of each of ``limit / 2`` stretches, so that a long curve keeps its spikes.

    Example:
        >>> envelope([0, 1, 2, 3], [1.0, 9.0, 2.0, 3.0], 2)
        ([0, 1], [1.0, 9.0])
    """
    if len(steps) <= limit:
        return steps, values
    stretch = math.ceil(len(steps) / (limit // 2))
    chosen: list[int] = []
    for start in range(0, len(steps), stretch):
        inside = [i for i in range(start, min(start + stretch, len(steps))) if math.isfinite(values[i])]
        if inside:
            chosen += sorted({min(inside, key=values.__getitem__), max(inside, key=values.__getitem__)})
    return [steps[i] for i in chosen], [values[i] for i in chosen]


def _loss_chart(names: list[str], series: dict[str, tuple[list[float], list[float]]]) -> Markup:
    values = sorted(v for name in names for v in series[name][1] if math.isfinite(v))
    cut = len(values) // 200
    log = bool(values) and values[0] > 0 and values[-1 - cut] > 30 * values[cut]
    lines = [_smoothed(_name(name), *series[name]) for name in names]
    title = "Loss" + _smoothing(max(len(series[name][1]) for name in names))
    return line_chart(title, "training step", "loss (log scale)" if log else "loss", lines, log_y=log)


def _single(name: str, steps: list[float], values: list[float]) -> Markup:
    label, smoothed = clean(name, 34), "" if name == _SMOOTH else _smoothing(len(values))
    title, unit = label, label.split("/")[-1].replace("_", " ")
    plain = name.removeprefix("val/")
    if name.startswith("train/") and is_known(name):
        title, label = metric(name).title, metric(name).short
        unit = label
    elif plain != name and is_known(plain):
        unit = metric(name).short
        # Beside the length of the smoothing a phone has no room for the long name.
        title = f"{unit if smoothed else metric(name).title} on validation data"
    line = _smoothed(label, steps, values) if smoothed else Series(label, *thin(steps, values, _POINTS))
    return line_chart(title + smoothed, "training step", unit, [line])


def _window(count: int) -> int:
    """Length of the running mean: a twenty-fifth of the curve, one (no smoothing) below fifty values."""
    return 2 * (count // 50) + 1


def _smoothing(count: int) -> str:
    return f", mean of {_window(count)}" if _window(count) > 1 else ""


def _smoothed(label: str, steps: list[float], values: list[float]) -> Series:
    window = _window(len(values))
    ghost = envelope(steps, values, _POINTS) if window > 1 else None
    return Series(label, *thin(steps, smooth(values, window), _POINTS), ghost=ghost)


def _name(name: str) -> str:
    part, _, rest = name.partition("/")
    return clean(f"{part} loss") if rest == "loss" else clean(metric(name).short)


def _distinct(names: list[str], series: dict[str, tuple[list[float], list[float]]]) -> list[str]:
    """Leaves out a curve that equals an earlier one point for point, as recall at 1 does NN."""
    kept: list[str] = []
    for name in names:
        if all(series[name] != series[other] for other in kept):
            kept.append(name)
    return kept


def _varies(values: list[float]) -> bool:
    finite = [v for v in values if math.isfinite(v)]
    return len(finite) > 1 and min(finite) < max(finite)
