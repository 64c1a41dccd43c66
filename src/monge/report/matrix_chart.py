"""Square tables of classes as inline SVG: confusions, with the distance of the classes marked where it is known."""

from __future__ import annotations

from typing import NamedTuple

from monge.report.axes import WIDTH, Frame, tick_label
from monge.report.svg import Markup, clean, join, shortened, tag

LEGEND_ROOM = 24.0
"""Height of one row of legend above a table."""

_STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)


def heat_map(
    title: str,
    x_label: str,
    y_label: str,
    names: list[str],
    counts: list[list[int]],
    distances: list[list[float]] | None = None,
) -> Markup:
    """A square table of counts by class, each row as shares of its sum.

    The diagonal (right answers) is printed on plain ground, the rest is shaded up to the largest share off the
    diagonal, so that rare confusions stay visible beside a good diagonal.

    Args:
        title: Heading inside the chart.
        x_label: Label of the columns.
        y_label: Label of the rows.
        names: ``C`` class names.
        counts: ``C`` rows of ``C`` counts.
        distances: ``C`` rows of ``C`` distances between the classes, drawn as a bar at the foot of each cell that is
            as wide as the cell for the largest of them; ``None``: no bars.

    Example:
        >>> svg = heat_map("NN", "neighbour", "query", ["a", "b"], [[9, 1], [0, 10]])
        >>> "a → b: 1 of 10 (10.0 %)" in svg
        True
    """
    n = len(names)
    shares = [[c / max(sum(row), 1) for c in row] for row in counts]
    top = max((s for i, row in enumerate(shares) for j, s in enumerate(row) if i != j), default=0.0)
    farthest = max((d for row in distances for d in row), default=0.0) if distances else 0.0
    left, size, upright, names_room = table_layout(names)
    above = LEGEND_ROOM * (2 if farthest else 1)
    frame = Frame(title, x_label, y_label, body=above + size * n + names_room, left=left)
    start = frame.top + above
    parts = []
    for i, row in enumerate(counts):
        y = start + size * i
        parts.append(row_name(names[i], left, y + size / 2))
        for j in range(n):
            name = f"{clean(names[i])} → {clean(names[j])}"
            far = (distances[i][j], farthest) if distances and farthest and i != j else None
            parts.append(_cell(name, row, j, 0.0 if i == j else top, _Place(left + size * j, y, size), far))
        parts.append(column_name(names[i], left + size * (i + 0.5), start + size * n, upright))
    legend = [scale_bar("0 %", f"{100 * top:.3g} % taken for this class", left, frame.top + 6)]
    if farthest:
        legend.append(_bar_legend(farthest, left, frame.top + 6 + LEGEND_ROOM))
    return frame.svg(*parts, *legend)


def table_layout(names: list[str], beside: float = 14.0) -> tuple[float, float, bool, float]:
    """Room for row names, size of a cell, whether column names stand upright, and the room those take.

    Args:
        names: Class names.
        beside: Room to the right of the table.

    Example:
        >>> table_layout(["a", "b"])
        (48.6, 178.7, True, 0)
    """
    longest = max(len(clean(name, 12)) for name in names)
    left = 42 + 6.6 * longest
    size = (WIDTH - left - beside) / len(names)
    upright = 7.5 * longest < size
    return left, size, upright, 0 if upright else 5.5 * longest


def row_name(name: str, left: float, middle: float) -> Markup:
    """The name of a row beside it."""
    return tag("text", shortened(name, 12), x=left - 7, y=middle + 4, text_anchor="end", class_="tick")


def column_name(name: str, x: float, y: float, upright: bool) -> Markup:
    """The name of a column below it, slanted where it would not fit."""
    name = shortened(name, 12)
    if upright:
        return tag("text", name, x=x, y=y + 15, text_anchor="middle", class_="tick")
    place = f"translate({x + 3:.1f} {y + 8:.1f}) rotate(-60)"
    return tag("text", name, transform=place, text_anchor="end", class_="tick")


def scale_bar(low: str, high: str, left: float, y: float, css: str = "heat") -> Markup:
    """Legend of a shading: five steps between two texts."""
    parts = [tag("text", low, x=left, y=y + 4, class_="tick")]
    start = left + 7 + 7 * len(low)
    for i, depth in enumerate(_STEPS):
        parts.append(tag("rect", x=start + 18 * i, y=y - 6, width=17, height=12, class_="cell"))
        parts.append(tag("rect", x=start + 18 * i, y=y - 6, width=17, height=12, fill_opacity=shade(depth), class_=css))
    parts.append(tag("text", high, x=start + 18 * 5 + 6, y=y + 4, class_="tick"))
    return join(parts)


def shade(depth: float) -> str:
    """Opacity of a cell by its depth in [0, 1]; the least that is shown is told from nothing.

    Example:
        >>> shade(0.0), shade(1.0)
        ('0', '1.00')
    """
    return f"{0.12 + 0.88 * depth:.2f}" if depth else "0"


class _Place(NamedTuple):
    x: float
    y: float
    size: float


def _cell(name: str, row: list[int], j: int, top: float, place: _Place, far: tuple[float, float] | None) -> Markup:
    """One cell; ``top`` is the share of the deepest shade, 0 on the diagonal, ``far`` its distance and the largest."""
    x, y, side = place.x, place.y, place.size - 1
    share = row[j] / max(sum(row), 1)
    depth = share / top if top else 0.0
    text = f"{name}: {row[j]} of {sum(row)} ({100 * share:.1f} %)"
    parts = [
        tag("title", text if far is None else f"{text}, distance {far[0]:.3g}"),
        tag("rect", x=x, y=y, width=side, height=side, class_="cell" if top else "cell right"),
    ]
    if depth:
        parts.append(tag("rect", x=x, y=y, width=side, height=side, fill_opacity=shade(depth), class_="heat"))
    if far is not None:
        height = max(1.4, min(3.0, side / 10))
        width = side * far[0] / far[1]
        parts.append(tag("rect", x=x, y=y + side - height, width=width, height=height, class_="far"))
    if side >= 20 and row[j]:
        css = "cell-text on-heat" if depth > 0.55 else "cell-text"
        text = f"{100 * share:.0f}" if share >= 0.1 or share == 0 else f"{100 * share:.1f}"
        parts.append(tag("text", text, x=x + side / 2 + 0.5, y=y + side / 2 + 4, text_anchor="middle", class_=css))
    return tag("g", *parts)


def _bar_legend(farthest: float, left: float, y: float) -> Markup:
    text = f"bar: ground distance, full width {tick_label(float(f'{farthest:.3g}'))}"
    return join(
        [
            tag("rect", x=left, y=y - 6, width=26, height=12, class_="cell"),
            tag("rect", x=left, y=y + 3, width=17, height=3, class_="far"),
            tag("text", text, x=left + 33, y=y + 4, class_="tick"),
        ]
    )
