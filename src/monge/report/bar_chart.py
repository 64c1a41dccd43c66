"""Bars as inline SVG: one value a class, and counts of two groups side by side."""

from __future__ import annotations

import math

from monge.report.axes import Frame, Scale, padded
from monge.report.line_chart import series_class
from monge.report.svg import Markup, clean, shortened, tag

_ROW = 19.0


def class_bars(title: str, x_label: str, rows: list[tuple[str, float, int]], mean: float) -> Markup:
    """A bar for every class, with a line at the mean over all queries.

    Args:
        title: Heading inside the chart.
        x_label: Label of the values, which lie in [0, 1].
        rows: ``(class, value, number of queries)`` from top to bottom.
        mean: Place of the line.

    Example:
        >>> svg = class_bars("AP", "mean AP", [("chair", 0.75, 12), ("bed", 0.5, 8)], 0.65)
        >>> "chair: 0.75, 12 queries" in svg, svg.count("class-bar")
        (True, 2)
    """
    longest = max((len(clean(name, 22)) for name, _, _ in rows), default=4)
    frame = Frame(title, x_label, "class", body=_ROW * max(len(rows), 1) + 6, left=34 + 6.8 * longest)
    x = Scale(0.0, 1.0, frame.left, frame.right)
    drawn = [frame.grid(x, None)]
    for i, (name, value, count) in enumerate(rows):
        top = frame.top + 3 + _ROW * i
        width = max(x(value) - x(0.0), 0.0) if math.isfinite(value) else 0.0
        text = f"{clean(name)}: {value:.3g}, {count} {'query' if count == 1 else 'queries'}"
        label = tag("text", shortened(name, 22), x=frame.left - 7, y=top + 12, text_anchor="end", class_="tick")
        bar = tag("rect", x=frame.left, y=top + 2, width=width, height=_ROW - 5, rx=2, class_="column class-bar")
        drawn.append(tag("g", tag("title", text), label, bar, class_="s0"))
    drawn.append(tag("line", x1=x(mean), x2=x(mean), y1=frame.top, y2=frame.bottom, class_="zero"))
    return frame.svg(*drawn)


def grouped_bars(
    title: str, x_label: str, y_label: str, bins: list[str], groups: list[tuple[str, list[float]]]
) -> Markup:
    """Bars of several groups side by side in each bin.

    Args:
        title: Heading inside the chart.
        x_label: Label of the bins.
        y_label: Label of the heights.
        bins: Text of each bin.
        groups: ``(name, heights)``, a height a bin.

    Example:
        >>> svg = grouped_bars("Ranks", "rank", "share", ["1", "2–5"], [("there", [0.5, 0.5]), ("back", [1.0, 0.0])])
        >>> svg.count("<rect"), "there, 2–5: 0.5" in svg
        (4, True)
    """
    legend = tuple((name, f"{series_class(i)} block") for i, (name, _) in enumerate(groups))
    frame = Frame(title, x_label, y_label, legend)
    y = Scale(*padded([0.0, *(h for _, heights in groups for h in heights)], floor=0.0), frame.bottom, frame.top)
    step = (frame.right - frame.left) / len(bins)
    width = 0.8 * step / len(groups)
    drawn = [frame.grid(None, y)]
    for i, (name, heights) in enumerate(groups):
        for b, height in enumerate(heights):
            left = frame.left + step * (b + 0.1) + width * i
            place = {"x": left, "width": width - 1.5, "y": y(height), "height": max(y(0.0) - y(height), 0.0)}
            title_of = tag("title", f"{clean(name)}, {bins[b]}: {height:.3g}")
            drawn.append(tag("g", tag("rect", title_of, **place, rx=2, class_="column"), class_=series_class(i)))
    for b, text in enumerate(bins):
        middle = frame.left + step * (b + 0.5)
        drawn.append(tag("text", text, x=middle, y=frame.bottom + 17, text_anchor="middle", class_="tick"))
    return frame.svg(*drawn)
