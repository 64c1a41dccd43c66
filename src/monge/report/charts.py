"""Histograms and dot-and-interval charts as inline SVG."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from monge.report.axes import Frame, Scale, padded
from monge.report.line_chart import series_class
from monge.report.svg import Markup, clean, tag


def histogram_chart(
    title: str,
    x_label: str,
    y_label: str,
    edges: list[float],
    parts: list[tuple[str, list[float]]],
    mark: tuple[str, float] | None = None,
) -> Markup:
    """Two or more histograms over the same bins, drawn over each other.

    Args:
        title: Heading inside the chart.
        x_label: Label of the horizontal axis.
        y_label: Label of the vertical axis.
        edges: ``B + 1`` ascending bin edges.
        parts: ``(name, heights)`` with ``B`` heights each.
        mark: Text and place of an upright line; ``None`` for none.

    Example:
        >>> svg = histogram_chart("d", "distance", "share", [0.0, 1.0, 2.0], [("a", [0.5, 0.5]), ("b", [0.0, 1.0])])
        >>> svg.count('class="area"')
        2
    """
    names = tuple((name, f"{series_class(i)} block") for i, (name, _) in enumerate(parts))
    frame = Frame(title, x_label, y_label, names)
    x = Scale(edges[0], edges[-1], frame.left, frame.right)
    y = Scale(*padded([0.0, *(h for _, heights in parts for h in heights)], floor=0.0), frame.bottom, frame.top)
    drawn = []
    for i, (_, heights) in enumerate(parts):
        corners = [f"{x(edges[0]):.1f} {y(0.0):.1f}"]
        for (left, right), height in zip(pairwise(edges), heights):
            corners += [f"{x(left):.1f} {y(height):.1f}", f"{x(right):.1f} {y(height):.1f}"]
        corners.append(f"{x(edges[-1]):.1f} {y(0.0):.1f}")
        drawn.append(tag("g", tag("path", d="M" + "L".join(corners), class_="area"), class_=series_class(i)))
    drawn += [
        tag(
            "rect",
            tag("title", f"{left:.3g} to {right:.3g}: " + ", ".join(f"{n} {h[b]:.3g}" for n, h in parts)),
            x=x(left),
            width=x(right) - x(left),
            y=frame.top,
            height=frame.body,
            class_="touch",
        )
        for b, (left, right) in enumerate(pairwise(edges))
    ]
    if mark:
        drawn.append(_upright(*mark, x, frame))
    return frame.svg(frame.grid(x, y), *drawn)


def _upright(text: str, value: float, x: Scale, frame: Frame) -> Markup:
    """A line from top to bottom with its text on the side that has more room."""
    at, to_left = x(value), x(value) > (frame.left + frame.right) / 2
    place = {"x": at - 6 if to_left else at + 6, "y": frame.top + 12}
    label = tag("text", clean(text, 30), **place, text_anchor="end" if to_left else "start", class_="tick above")
    return tag("g", tag("line", x1=at, x2=at, y1=frame.top, y2=frame.bottom, class_="zero"), label)


@dataclass(frozen=True)
class DotRow:
    """One row of a dot chart: a mean with its interval and the single values it is made of.

    Args:
        name: Row label.
        mean: Place of the large dot; ``None`` draws the single values only.
        interval: Ends of the bar around the mean, or ``None``.
        dots: ``(text, value)`` of the single values.
        css: Style-sheet class that carries the colour.
        absent: What stands in a row without any value.
    """

    name: str
    mean: float | None
    interval: tuple[float, float] | None
    dots: list[tuple[str, float]]
    css: str
    absent: str = "no value"


def dot_chart(
    title: str, x_label: str, y_label: str, rows: list[DotRow], *, left: float = 142.0, zero: bool = False
) -> Markup:
    """Means with intervals, one row a name, single values as small rings.

    Args:
        title: Heading inside the chart.
        x_label: Label of the horizontal axis.
        y_label: What a row is.
        rows: The rows from top to bottom.
        left: Room for the row labels.
        zero: Draw a line at zero, for differences.

    Example:
        >>> svg = dot_chart("mAP", "mAP", "loss", [DotRow("ot", 0.9, (0.88, 0.92), [("seed 0", 0.9)], "s0")])
        >>> "ot: 0.9 (0.88 to 0.92)" in svg
        True
    """
    finite = [v for row in rows for v in (*_ends(row), *(value for _, value in row.dots)) if math.isfinite(v)]
    frame = Frame(title, x_label, y_label, body=26.0 * max(len(rows), 1) + 8, left=left)
    x = Scale(*padded([*finite, 0.0] if zero else finite), frame.left, frame.right)
    drawn = [frame.grid(x, None)]
    if zero:
        drawn.append(tag("line", x1=x(0.0), x2=x(0.0), y1=frame.top, y2=frame.bottom, class_="zero"))
    for i, row in enumerate(rows):
        drawn.append(_dot_row(row, x, frame.top + 17 + 26 * i, frame.left))
    return frame.svg(*drawn)


def _ends(row: DotRow) -> list[float]:
    return [] if row.mean is None else [row.mean, *(row.interval or ())]


def _dot_row(row: DotRow, x: Scale, at: float, left: float) -> Markup:
    name = clean(row.name, int((left - 16) / 7))
    parts = [tag("text", name, x=left - 9, y=at + 4, text_anchor="end", class_="row-label")]
    text = f"{clean(row.name)}: {row.absent}"
    if row.mean is not None and math.isfinite(row.mean):
        text = f"{clean(row.name)}: {row.mean:.4g}"
        if row.interval is not None and all(math.isfinite(end) for end in row.interval):
            low, high = row.interval
            text += f" ({low:.4g} to {high:.4g})"
            parts.append(tag("line", x1=x(low), x2=x(high), y1=at, y2=at, class_="bar"))
        parts.append(tag("circle", cx=x(row.mean), cy=at, r=5, class_="mean"))
    parts += [
        tag("circle", tag("title", f"{clean(row.name)}, {name}: {value:.5g}"), cx=x(value), cy=at, r=3, class_="single")
        for name, value in row.dots
        if math.isfinite(value)
    ]
    if row.mean is None and not row.dots:
        parts.append(tag("text", row.absent, x=left + 8, y=at + 4, class_="tick"))
    return tag("g", tag("title", text), *parts, class_=f"series {row.css}")
