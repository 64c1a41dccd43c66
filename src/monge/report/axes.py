"""Scales, round tick values and the frame (title, grid, axes, legend) that every chart of a report shares."""

from __future__ import annotations

import math
from dataclasses import dataclass

from monge.report.svg import Markup, clean, join, tag

WIDTH = 420.0
"""Width of a chart in its own units; near the width of a phone, so that text stays readable there."""

_LEFT, _RIGHT, _TITLE, _BOTTOM = 58.0, 14.0, 30.0, 46.0
_LEGEND_ROW = 19.0


def nice_ticks(low: float, high: float, count: int = 5, *, whole: bool = False) -> list[float]:
    """Round values (1, 2, 2.5 or 5 times a power of ten) inside ``[low, high]``, about ``count`` of them.

    With ``whole`` they are whole numbers, as training steps are.

    Example:
        >>> nice_ticks(0.0, 1.0)
        [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if not high > low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((m * power for m in (1.0, 2.0, 2.5, 5.0, 10.0)), key=lambda s: abs(s - rough))
    if whole:
        step = max(math.floor(step), 1.0)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = max(0, 2 - math.floor(math.log10(step)))
    return [round(i * step, digits) for i in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten inside ``[low, high]``; 1, 2 and 5 times them where that gives at most seven.

    Example:
        >>> log_ticks(0.001, 0.1)
        [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1]
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    inside = [
        [float(f"{m}e{p}") for p in powers for m in factors if low * 0.999 <= float(f"{m}e{p}") <= high * 1.001]
        for factors in ((1, 2, 5), (1,))
    ]
    ticks = inside[0] if len(inside[0]) <= 7 else inside[1]
    return ticks[:: math.ceil(len(ticks) / 7)] if ticks else [low]


def tick_labels(values: list[float]) -> list[str]:
    """Tick values of one axis as text, all with the same number of decimals where they are of ordinary size.

    Example:
        >>> tick_labels([0.8, 0.85, 0.9]), tick_labels([0.0, 10000.0])
        (['0.80', '0.85', '0.90'], ['0', '10k'])
    """
    texts = [tick_label(value) for value in values]
    if any(not text.lstrip("-").replace(".", "", 1).isdigit() for text in texts):
        return texts
    decimals = max(len(text.partition(".")[2]) for text in texts)
    return [f"{value:.{decimals}f}" for value in values]


def tick_label(value: float) -> str:
    """A tick value as short text.

    Example:
        >>> [tick_label(v) for v in (0.25, 1500.0, 20000.0, 0.00003, -0.0)]
        ['0.25', '1500', '20k', '3e-5', '0']
    """
    if value == 0:
        return "0"
    if abs(value) >= 1e9 or abs(value) < 1e-3:
        digits, power = f"{value:.2e}".split("e")
        return f"{digits.rstrip('0').rstrip('.')}e{int(power)}"
    if abs(value) >= 1e4:
        unit, size = ("M", 1e6) if abs(value) >= 1e6 else ("k", 1e3)
        return f"{value / size:.4g}{unit}"
    return f"{value:.5g}"


@dataclass(frozen=True)
class Scale:
    """A linear or logarithmic map from data values to chart units; ``whole`` asks for ticks at whole numbers.

    Example:
        >>> Scale(0.0, 10.0, 0.0, 100.0)(2.5), Scale(1.0, 100.0, 0.0, 100.0, log=True)(10.0)
        (25.0, 50.0)
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False
    whole: bool = False

    def __call__(self, value: float) -> float:
        """Chart coordinate of a data value, kept within one chart length of the axis."""
        if self.log:
            share = math.log(max(value, 1e-300) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + min(max(share, -1.0), 2.0) * (self.end - self.start)

    def labelled(self) -> list[tuple[float, str]]:
        """Places and texts of the ticks."""
        # Texts below a narrow chart stand side by side and need more room than texts beside a low one.
        count = 3 if 0 < self.end - self.start < 220 else 5
        ticks = log_ticks(self.low, self.high) if self.log else nice_ticks(self.low, self.high, count, whole=self.whole)
        texts = [tick_label(value) for value in ticks] if self.log else tick_labels(ticks)
        return [(self(value), text) for value, text in zip(ticks, texts)]


def room_for_ticks(low: float, high: float, *, log: bool = False) -> float:
    """Room to the left of a chart for the tick texts of its vertical axis and, beside them, its label.

    Example:
        >>> room_for_ticks(0.0, 1.0), room_for_ticks(0.0341, 0.0542)
        (58.0, 64.5)
    """
    longest = max(len(text) for _, text in Scale(low, high, 0.0, 1.0, log).labelled())
    # Digits run at about 7.5 units on a phone, where text is largest.
    return max(_LEFT, 27.0 + 7.5 * longest)


def padded(values: list[float], *, log: bool = False, floor: float | None = None) -> tuple[float, float]:
    """A domain a little wider than finite ``values``, never empty; ``floor`` is a bound it does not cross.

    Example:
        >>> padded([2.0, 2.0]), padded([0.0, 10.0], floor=0.0)
        ((1.0, 3.0), (0.0, 10.6))
    """
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if log:
        return (low / 1.15, high * 1.15)
    room = 0.06 * (high - low) if low < high else abs(low) * 0.5 or 0.5
    return (low - room if floor is None else max(low - room, floor), high + room)


@dataclass(frozen=True)
class Frame:
    """What surrounds a chart: its texts and the room they take.

    Args:
        title: Heading inside the chart.
        x_label: Label of the horizontal axis, with unit.
        y_label: Label of the vertical axis, with unit.
        legend: ``(name, class)`` of every series; the class carries the colour. Empty: no legend.
        body: Height of the plotting area in chart units.
        left: Room for the labels of the vertical axis.
    """

    title: str
    x_label: str
    y_label: str
    legend: tuple[tuple[str, str], ...] = ()
    body: float = 190.0
    left: float = _LEFT

    @property
    def top(self) -> float:
        """Upper edge of the plotting area."""
        return _TITLE + _LEGEND_ROW * len(self._rows()) + (8 if self.legend else 2)

    @property
    def bottom(self) -> float:
        """Lower edge of the plotting area."""
        return self.top + self.body

    @property
    def right(self) -> float:
        """Right edge of the plotting area."""
        return WIDTH - _RIGHT

    def svg(self, *content: Markup) -> Markup:
        """The complete chart with ``content`` in its plotting area."""
        height = self.bottom + _BOTTOM
        middle = (self.left + self.right) / 2
        texts = [
            tag("text", clean(self.title, 56), x=0, y=16, class_="chart-title"),
            tag("text", self.x_label, x=middle, y=height - 8, text_anchor="middle", class_="axis-label x"),
            tag(
                "text",
                self.y_label,
                transform=f"translate(12 {(self.top + self.bottom) / 2:.1f}) rotate(-90)",
                text_anchor="middle",
                class_="axis-label y",
            ),
        ]
        return tag(
            "svg",
            *texts,
            self._legend(),
            *content,
            viewBox=f"0 0 {WIDTH:.0f} {height:.0f}",
            role="img",
            aria_label=f"{clean(self.title)}: {self.y_label} over {self.x_label}",
            class_="chart",
        )

    def grid(self, x: Scale | None, y: Scale | None) -> Markup:
        """Grid lines and tick labels of a chart whose scales are ``x`` and ``y`` (``None``: no lines of that one)."""
        parts = []
        for at, text in y.labelled() if y else []:
            parts.append(tag("line", x1=self.left, x2=self.right, y1=at, y2=at, class_="grid"))
            parts.append(tag("text", text, x=self.left - 7, y=at + 4, text_anchor="end", class_="tick"))
        for at, text in x.labelled() if x else []:
            parts.append(tag("line", x1=at, x2=at, y1=self.top, y2=self.bottom, class_="grid faint"))
            parts.append(tag("text", text, x=at, y=self.bottom + 17, text_anchor="middle", class_="tick"))
        parts.append(tag("line", x1=self.left, x2=self.right, y1=self.bottom, y2=self.bottom, class_="axis"))
        return join(parts)

    def _rows(self) -> list[list[tuple[str, str]]]:
        rows: list[list[tuple[str, str]]] = []
        used = WIDTH
        for name, css in self.legend:
            width = _legend_width(name)
            if used + width > WIDTH:
                rows.append([])
                used = 0.0
            rows[-1].append((name, css))
            used += width
        return rows

    def _legend(self) -> Markup:
        parts = []
        for row, items in enumerate(self._rows()):
            x, y = 0.0, _TITLE + _LEGEND_ROW * row + 9
            for name, css in items:
                parts.append(
                    tag(
                        "g",
                        tag("line", x1=x, x2=x + 16, y1=y, y2=y, class_="key"),
                        tag("text", clean(name, 26), x=x + 21, y=y + 4, class_="legend"),
                        class_=css,
                        data_series=css,
                    )
                )
                x += _legend_width(name)
        return join(parts)


def _legend_width(name: str) -> float:
    # System fonts run at about 7 units a character at the legend's size on a phone, where it is largest.
    return 21 + 7.2 * len(clean(name, 26)) + 14
