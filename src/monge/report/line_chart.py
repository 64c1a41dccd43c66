"""Line charts: learning curves of a run, curves with bands of several runs, the learning-rate search."""

from __future__ import annotations

import math
from dataclasses import dataclass

from monge.report.axes import Frame, Scale, padded, room_for_ticks, tick_label
from monge.report.svg import Markup, clean, tag

COLOURS = 10
"""Number of series colours the style sheet knows; further series repeat them with another dash."""

_MARKS = 40


@dataclass(frozen=True)
class Series:
    """One line.

    Args:
        name: Legend text.
        x: Horizontal values, ascending.
        y: Vertical values, as many; values that are not finite leave a gap.
        low: Lower edge of a band, as many values; empty for none.
        high: Upper edge of the band.
        ghost: Raw values ``(x, y)`` drawn faintly behind a smoothed line.
        mark: Index of the one point that gets a ring, or ``None``.
    """

    name: str
    x: list[float]
    y: list[float]
    low: list[float] | None = None
    high: list[float] | None = None
    ghost: tuple[list[float], list[float]] | None = None
    mark: int | None = None


def series_class(index: int) -> str:
    """Style-sheet class of the series with this index: its colour, and its dash from the eleventh on.

    Example:
        >>> series_class(3), series_class(13)
        ('s3', 's3 dash1')
    """
    dash = index // COLOURS % 3
    return f"s{index % COLOURS}" + (f" dash{dash}" if dash else "")


def line_chart(
    title: str, x_label: str, y_label: str, series: list[Series], *, log_x: bool = False, log_y: bool = False
) -> Markup:
    """A chart of one or more lines.

    Args:
        title: Heading inside the chart.
        x_label: Label of the horizontal axis.
        y_label: Label of the vertical axis; the scale is named here by the caller if it is logarithmic.
        series: The lines; a legend is drawn from two on.
        log_x: Logarithmic horizontal axis; needs positive ``x``.
        log_y: Logarithmic vertical axis; values that are not positive are left out.

    Example:
        >>> svg = line_chart("Loss", "step", "loss", [Series("train", [0, 1], [2.0, 1.0])])
        >>> svg.count("<path"), svg.startswith("<svg")
        (1, True)
    """
    xs = [v for s in series for v in s.x]
    ys = [v for s in series for column in _columns(s) for v in column if math.isfinite(v) and (v > 0 or not log_y)]
    legend = tuple((s.name, series_class(i)) for i, s in enumerate(series)) if len(series) > 1 else ()
    span = padded(ys or [1.0], log=log_y)
    frame = Frame(title, x_label, y_label, legend, left=room_for_ticks(*span, log=log_y))
    low, high = (min(xs), max(xs)) if xs else (0.0, 1.0)
    if log_x or low == high:
        low, high = padded([low, high], log=log_x)
    x = Scale(low, high, frame.left, frame.right, log_x, whole=all(float(v).is_integer() for v in xs))
    y = Scale(*span, frame.bottom, frame.top, log_y)
    lines = [_draw(s, series_class(i), x, y) for i, s in enumerate(series)]
    return frame.svg(frame.grid(x, y), *lines)


def _columns(series: Series) -> list[list[float]]:
    band = [series.low, series.high] if series.low and series.high else []
    # The raw values behind a smoothed line may have outliers: they set the range only if they are not extreme.
    ghost = sorted(v for v in series.ghost[1] if math.isfinite(v)) if series.ghost else []
    cut = len(ghost) // 100
    return [series.y, *band, ghost[cut : len(ghost) - cut]]


def _draw(series: Series, css: str, x: Scale, y: Scale) -> Markup:
    parts: list[Markup] = []
    if series.low and series.high:
        band = _band(series, x, y)
        parts.append(tag("path", d=band, class_="band"))
    if series.ghost:
        parts.append(tag("path", d=_path(*series.ghost, x, y), class_="ghost"))
    parts.append(tag("path", d=_path(series.x, series.y, x, y), class_="line"))
    parts += _points(series, x, y)
    return tag("g", *parts, class_=f"series {css}", data_series=css)


def _points(series: Series, x: Scale, y: Scale) -> list[Markup]:
    """Small discs that carry the tooltips; at most ``_MARKS`` of them, and always the ringed one."""
    every = math.ceil(len(series.x) / _MARKS) or 1
    visible = len(series.x) <= 12
    parts = []
    for i, (at, value) in enumerate(zip(series.x, series.y, strict=True)):
        if (i % every and i != series.mark and i != len(series.x) - 1) or not _drawable(value, y):
            continue
        text = f"{clean(series.name)}: {value:.5g} at {tick_label(at) if at < 1e-3 else f'{at:,.6g}'}"
        if series.low and series.high:
            text += f" (from {series.low[i]:.4g} to {series.high[i]:.4g})"
        parts.append(tag("circle", tag("title", text), cx=x(at), cy=y(value), r=7, class_="touch"))
        if visible:
            parts.append(tag("circle", cx=x(at), cy=y(value), r=2.4, class_="dot"))
        if i == series.mark:
            parts.append(tag("circle", cx=x(at), cy=y(value), r=5.5, class_="ring"))
    return parts


def _drawable(value: float, y: Scale) -> bool:
    return math.isfinite(value) and (value > 0 or not y.log)


def _path(xs: list[float], ys: list[float], x: Scale, y: Scale) -> str:
    parts, pen = [], "M"
    for at, value in zip(xs, ys, strict=True):
        if not _drawable(value, y):
            pen = "M"
            continue
        # The same number of digits everywhere keeps the page small; a tenth of a unit is below a pixel.
        parts.append(f"{pen}{x(at):.1f} {_within(y(value), y):.1f}")
        pen = "L"
    return "".join(parts) or "M0 0"


def _within(at: float, y: Scale) -> float:
    """Keeps outliers of the raw values inside the plotting area."""
    return min(max(at, min(y.start, y.end)), max(y.start, y.end))


def _band(series: Series, x: Scale, y: Scale) -> str:
    low, high = series.low or [], series.high or []
    rows = [(x(at), y(a), y(b)) for at, a, b in zip(series.x, low, high) if _drawable(a, y) and _drawable(b, y)]
    if not rows:
        return "M0 0"
    edge = [f"{at:.1f} {b:.1f}" for at, _, b in rows] + [f"{at:.1f} {a:.1f}" for at, a, _ in reversed(rows)]
    return "M" + "L".join(edge) + "Z"
