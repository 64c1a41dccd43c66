"""A single predicted distribution as a small chart: bars in class order, or the most probable classes by name."""

from __future__ import annotations

from monge.report.svg import Markup, clean, join, shortened, tag

_WIDTH, _FLOOR, _ROOM, _HEIGHT = 240.0, 66.0, 62.0, 92.0
_MOST_BARS = 100
_ROW, _NAMES, _BARS = 19.0, 116.0, 80.0


def ordered_bars(
    names: list[str], probabilities: list[float], true: int, predicted: int, target: list[float] | None
) -> Markup:
    """A bar for every class in their order; the true class has a triangle below it, the predicted one a dot.

    More than a hundred classes are put together in runs of neighbours.

    Args:
        names: Class names.
        probabilities: One a class.
        true: Number of the true class.
        predicted: Number of the predicted class.
        target: True distribution, drawn as an outline; ``None``: none.

    Example:
        >>> ordered_bars(["a", "b"], [0.25, 0.75], 0, 1, None).count("<rect")
        2
    """
    run = -(-len(names) // _MOST_BARS)
    bars, goal = _summed(probabilities, run), _summed(target, run) if target else []
    top = max([*bars, *goal, 1e-12])
    step = _WIDTH / len(bars)
    gap = min(2.0, step / 5)
    parts = []
    for i, p in enumerate(bars):
        css = "true" if i == true // run else "guess" if i == predicted // run else "bar-plain"
        high = _ROOM * p / top
        first, last = names[i * run], names[min(i * run + run, len(names)) - 1]
        text = f"{clean(first)}{'–' + clean(last) if last != first else ''}: {100 * p:.1f} %"
        where = {"x": step * i + gap / 2, "width": step - gap, "y": _FLOOR - high, "height": high}
        parts.append(tag("rect", tag("title", text), **where, class_=css))
    if goal:
        parts.append(tag("path", d=_steps(goal, step, top), class_="goal"))
    parts.append(tag("line", x1=0, x2=_WIDTH, y1=_FLOOR, y2=_FLOOR, class_="axis"))
    if predicted // run != true // run:
        parts.append(tag("circle", cx=step * (predicted // run + 0.5), cy=_FLOOR + 6, r=3.2, class_="guess"))
    at = step * (true // run + 0.5)
    parts.append(tag("path", d=f"M{at:.1f} {_FLOOR + 2:.1f}l4.5 8h-9z", class_="true"))
    parts.append(tag("text", shortened(names[0], 11), x=0, y=_HEIGHT - 4, class_="tick"))
    if len(names) > 1:
        parts.append(tag("text", shortened(names[-1], 11), x=_WIDTH, y=_HEIGHT - 4, text_anchor="end", class_="tick"))
    text = f"highest {100 * max(bars):.0f} %"
    parts.append(tag("text", text, x=_WIDTH / 2, y=_HEIGHT - 4, text_anchor="middle", class_="tick"))
    return _svg(parts, _HEIGHT, f"Predicted distribution over {len(names)} classes in their order")


def named_bars(names: list[str], probabilities: list[float], true: int, *, most: int = 4) -> Markup:
    """The most probable classes with their names, and the true class wherever it stands.

    Args:
        names: Class names.
        probabilities: One a class.
        true: Number of the true class, marked by a tick.
        most: Number of classes, besides the true one.

    Example:
        >>> "✓ b" in named_bars(["a", "b", "c"], [0.7, 0.1, 0.2], 1, most=1)
        True
    """
    ranked = sorted(range(len(names)), key=lambda i: -probabilities[i])
    rows = ranked[:most] + ([] if true in ranked[:most] else [true])
    parts = []
    for k, i in enumerate(rows):
        y, p = _ROW * k, probabilities[i]
        css = "true" if i == true else "guess" if k == 0 else "bar-plain"
        mark = "✓ " if i == true else ""
        parts.append(
            tag("text", mark + shortened(names[i], 12), x=_NAMES - 6, y=y + 14, text_anchor="end", class_="tick")
        )
        bar = tag("title", f"{clean(names[i])}: {100 * p:.2f} %")
        parts.append(tag("rect", bar, x=_NAMES, y=y + 3, width=max(_BARS * p, 0.8), height=_ROW - 5, class_=css))
        text = f"{100 * p:.0f} %" if p >= 0.1 else f"{100 * p:.1f} %" if p >= 0.001 else "< 0.1 %"
        parts.append(tag("text", text, x=_NAMES + max(_BARS * p, 0.8) + 4, y=y + 14, class_="tick"))
    return _svg(parts, _ROW * len(rows) + 4, "Most probable classes")


def _svg(parts: list[Markup], height: float, label: str) -> Markup:
    box = f"0 0 {_WIDTH:.0f} {height:.0f}"
    return tag("svg", join(parts), viewBox=box, role="img", aria_label=label, class_="chart mini")


def _summed(values: list[float], run: int) -> list[float]:
    return [sum(values[i : i + run]) for i in range(0, len(values), run)]


def _steps(values: list[float], step: float, top: float) -> str:
    """An outline over the bars."""
    heights = [_FLOOR - _ROOM * value / top for value in values]
    return (
        f"M0 {_FLOOR:.1f}" + "".join(f"V{y:.1f}H{step * (i + 1):.1f}" for i, y in enumerate(heights)) + f"V{_FLOOR:.1f}"
    )
