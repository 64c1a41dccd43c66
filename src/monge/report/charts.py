"""Histograms, dot-and-interval charts and class heat maps as inline SVG."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from monge.report.axes import WIDTH, Frame, Scale, padded
from monge.report.line_chart import series_class
from monge.report.svg import Markup, clean, join, tag

_BAR_ROOM = 24.0


def histogram_chart(
    title: str, x_label: str, y_label: str, edges: list[float], parts: list[tuple[str, list[float]]]
) -> Markup:
    """Two or more histograms over the same bins, drawn over each other.

    Args:
        title: Heading inside the chart.
        x_label: Label of the horizontal axis.
        y_label: Label of the vertical axis.
        edges: ``B + 1`` ascending bin edges.
        parts: ``(name, heights)`` with ``B`` heights each.

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
    return frame.svg(frame.grid(x, y), *drawn)


@dataclass(frozen=True)
class DotRow:
    """One row of a dot chart: a mean with its interval and the single values it is made of.

    Args:
        name: Row label.
        mean: Place of the large dot; ``None`` draws the single values only.
        half: Half-width of the interval around the mean, or ``None``.
        dots: ``(text, value)`` of the single values.
        series: Colour index.
        absent: What stands in a row without any value.
    """

    name: str
    mean: float | None
    half: float | None
    dots: list[tuple[str, float]]
    series: int
    absent: str = "no value"


def dot_chart(title: str, x_label: str, y_label: str, rows: list[DotRow]) -> Markup:
    """Means with intervals, one row a name, single values as small rings.

    Example:
        >>> svg = dot_chart("mAP", "mAP", "loss", [DotRow("ot", 0.9, 0.02, [("seed 0", 0.9)], 0)])
        >>> "ot: 0.9 ± 0.02" in svg
        True
    """
    finite = [v for row in rows for v in (*_ends(row), *(value for _, value in row.dots)) if math.isfinite(v)]
    frame = Frame(title, x_label, y_label, body=26.0 * max(len(rows), 1) + 8, left=142)
    x = Scale(*padded(finite), frame.left, frame.right)
    drawn = [frame.grid(x, None)]
    for i, row in enumerate(rows):
        drawn.append(_dot_row(row, x, frame.top + 17 + 26 * i, frame.left))
    return frame.svg(*drawn)


def _ends(row: DotRow) -> list[float]:
    if row.mean is None:
        return []
    half = row.half or 0.0
    return [row.mean, row.mean - half, row.mean + half]


def _dot_row(row: DotRow, x: Scale, at: float, left: float) -> Markup:
    parts = [tag("text", clean(row.name, 18), x=left - 9, y=at + 4, text_anchor="end", class_="row-label")]
    text = f"{clean(row.name)}: {row.absent}"
    if row.mean is not None and math.isfinite(row.mean):
        text = f"{clean(row.name)}: {row.mean:.4g}"
        if row.half is not None and math.isfinite(row.half):
            text += f" ± {row.half:.2g}"
            parts.append(tag("line", x1=x(row.mean - row.half), x2=x(row.mean + row.half), y1=at, y2=at, class_="bar"))
        parts.append(tag("circle", cx=x(row.mean), cy=at, r=5, class_="mean"))
    parts += [
        tag("circle", tag("title", f"{clean(row.name)}, {name}: {value:.5g}"), cx=x(value), cy=at, r=3, class_="single")
        for name, value in row.dots
        if math.isfinite(value)
    ]
    if row.mean is None and not row.dots:
        parts.append(tag("text", row.absent, x=left + 8, y=at + 4, class_="tick"))
    return tag("g", tag("title", text), *parts, class_=f"series {series_class(row.series)}")


def heat_map(title: str, x_label: str, y_label: str, names: list[str], counts: list[list[int]]) -> Markup:
    """A square table of counts by class, each row as shares of its sum.

    The diagonal (right answers) is printed on plain ground, the rest is shaded up to the largest share off the
    diagonal, so that rare confusions stay visible beside a good diagonal.

    Args:
        title: Heading inside the chart.
        x_label: Label of the columns.
        y_label: Label of the rows.
        names: ``C`` class names.
        counts: ``C`` rows of ``C`` counts.

    Example:
        >>> svg = heat_map("NN", "neighbour", "query", ["a", "b"], [[9, 1], [0, 10]])
        >>> "a → b: 1 of 10 (10.0 %)" in svg
        True
    """
    n = len(names)
    shares = [[c / max(sum(row), 1) for c in row] for row in counts]
    top = max((s for i, row in enumerate(shares) for j, s in enumerate(row) if i != j), default=0.0)
    longest = max(len(clean(name, 12)) for name in names)
    left = 42 + 6.6 * longest
    size = (WIDTH - left - 14) / n
    upright = 7.5 * longest < size
    frame = Frame(title, x_label, y_label, body=_BAR_ROOM + size * n + (0 if upright else 5.5 * longest), left=left)
    start = frame.top + _BAR_ROOM
    parts = []
    for i, row in enumerate(counts):
        y = start + size * i
        parts.append(tag("text", clean(names[i], 12), x=left - 7, y=y + size / 2 + 4, text_anchor="end", class_="tick"))
        parts += [
            _cell(f"{clean(names[i])} → {clean(names[j])}", row, j, i == j, top, left + size * j, y, size)
            for j in range(n)
        ]
        parts.append(_column_name(clean(names[i], 12), left + size * (i + 0.5), start + size * n, upright))
    return frame.svg(*parts, _scale_bar(top, left, frame.top + 6))


def _cell(name: str, row: list[int], j: int, diagonal: bool, top: float, x: float, y: float, size: float) -> Markup:
    total = max(sum(row), 1)
    share = row[j] / total
    depth = share / top if top and not diagonal else 0.0
    parts = [
        tag("title", f"{name}: {row[j]} of {sum(row)} ({100 * share:.1f} %)"),
        tag("rect", x=x, y=y, width=size - 1, height=size - 1, class_="cell right" if diagonal else "cell"),
    ]
    if depth:
        shade = f"{0.12 + 0.88 * depth:.2f}"
        parts.append(tag("rect", x=x, y=y, width=size - 1, height=size - 1, fill_opacity=shade, class_="heat"))
    if size >= 21 and row[j]:
        css = "cell-text on-heat" if depth > 0.55 else "cell-text"
        text = f"{100 * share:.0f}" if share >= 0.1 or share == 0 else f"{100 * share:.1f}"
        parts.append(tag("text", text, x=x + size / 2, y=y + size / 2 + 4, text_anchor="middle", class_=css))
    return tag("g", *parts)


def _column_name(name: str, x: float, y: float, upright: bool) -> Markup:
    if upright:
        return tag("text", name, x=x, y=y + 15, text_anchor="middle", class_="tick")
    place = f"translate({x + 3:.1f} {y + 8:.1f}) rotate(-60)"
    return tag("text", name, transform=place, text_anchor="end", class_="tick")


def _scale_bar(top: float, left: float, y: float) -> Markup:
    """Legend of the shading: five steps from nothing to the largest share off the diagonal."""
    steps = [0.0, 0.25, 0.5, 0.75, 1.0]
    parts = [tag("text", "0 %", x=left, y=y + 4, class_="tick")]
    for i, depth in enumerate(steps):
        shade = f"{0.12 + 0.88 * depth:.2f}" if depth else "0"
        parts.append(tag("rect", x=left + 28 + 18 * i, y=y - 6, width=17, height=12, class_="cell"))
        parts.append(tag("rect", x=left + 28 + 18 * i, y=y - 6, width=17, height=12, fill_opacity=shade, class_="heat"))
    parts.append(
        tag("text", f"{100 * top:.2g} % taken for this class", x=left + 28 + 18 * 5 + 6, y=y + 4, class_="tick")
    )
    return join(parts)
