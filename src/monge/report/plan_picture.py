"""A transport plan as a picture: rows and columns grouped by class, a colour for every pair's weight."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from monge.report.axes import WIDTH, nice_ticks, tick_label
from monge.report.svg import Markup, join, shortened, tag
from monge.report.thumbnails import colour_image

_LEFT, _TOP, _SIDE = 90.0, 34.0, 322.0
_LONGEST = 10  # characters of a class name
_RAMP = 64
_MIDDLE = {"text_anchor": "middle"}


def colour_ramp(shares: Tensor) -> Tensor:
    """Colours from dark violet over red and orange to pale yellow, lightness rising evenly (OKLCH).

    Args:
        shares: Values in [0, 1], any shape ``(...)``.

    Returns:
        uint8 ``(3, ...)``.

    Example:
        >>> colour_ramp(torch.tensor([0.0, 1.0])).float().mean(0).diff() > 100
        tensor([True])
    """
    lightness = 0.20 + 0.76 * shares
    hue = torch.deg2rad(300.0 + 165.0 * shares)
    chroma = 0.07 + 0.45 * shares * (1 - shares) + 0.02 * shares
    a, b = chroma * torch.cos(hue), chroma * torch.sin(hue)
    # OKLab to linear sRGB: B. Ottosson, "A perceptual color space for image processing", 2020.
    l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    s = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = torch.stack(
        [
            4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
            -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
            -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s,
        ]
    ).clamp(0, 1)
    encoded = torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (encoded * 255).round().to(torch.uint8)


def plan_picture(
    times_uniform: Tensor,
    counted: Tensor,
    groups: list[tuple[str, int]],
    columns: list[tuple[str, int]] | None = None,
    labels: tuple[str, str] = ("item, grouped by class", "item, grouped by class"),
) -> Markup:
    """The plan with its colour scale.

    Args:
        times_uniform: Weight of every pair over that of a uniform plan, ``(N, M)``, rows and columns sorted by class.
        counted: Pairs that belong to the problem, bool ``(N, M)``; the others stay blank.
        groups: Class name and number of rows of each block, in order.
        columns: The same of the columns; ``None``: as the rows.
        labels: What a row and a column are.

    Example:
        >>> svg = plan_picture(torch.ones(2, 2), ~torch.eye(2, dtype=torch.bool), [("a", 1), ("b", 1)])
        >>> svg.count("<image"), svg.count("axis-label")
        (2, 2)
    """
    row_label, column_label = labels
    # Above its 99.5th percentile the scale ends: one extreme pair must not darken all the others.
    top = _round_down(max(float(times_uniform[counted].quantile(0.995)), 2.0))
    pixels = colour_ramp((times_uniform / top).clamp(0, 1))
    opaque = torch.cat([pixels, (counted * 255).to(torch.uint8)[None]])
    height = _TOP + _SIDE + 96
    return tag(
        "svg",
        tag("text", "Transport plan of one batch", x=0, y=16, class_="chart-title"),
        tag("rect", x=_LEFT, y=_TOP, width=_SIDE, height=_SIDE, class_="cell"),
        _image(colour_image(opaque), _LEFT, _TOP, _SIDE, _SIDE),
        _row_blocks(groups),
        _column_blocks(columns or groups),
        tag("text", column_label, x=_LEFT + _SIDE / 2, y=_TOP + _SIDE + 42, **_MIDDLE, class_="axis-label x"),
        tag(
            "text",
            row_label,
            transform=f"translate(12 {_TOP + _SIDE / 2:.1f}) rotate(-90)",
            **_MIDDLE,
            class_="axis-label y",
        ),
        _scale(top, _TOP + _SIDE + 56),
        viewBox=f"0 0 {WIDTH:.0f} {height:.0f}",
        role="img",
        aria_label="Transport plan of one batch, rows and columns grouped by class",
        class_="chart",
    )


def _image(uri: str, x: float, y: float, width: float, height: float) -> Markup:
    return tag("image", href=uri, x=x, y=y, width=width, height=height, preserveAspectRatio="none", class_="sharp")


def _row_blocks(groups: list[tuple[str, int]]) -> Markup:
    """Thin lines between the classes of the rows and their names, as many as fit."""
    parts = []
    every = math.ceil(len(groups) * 14.0 / _SIDE)
    for i, (name, start, middle) in enumerate(_placed(groups)):
        at = _TOP + start
        if i:
            parts.append(tag("line", x1=_LEFT, x2=_LEFT + _SIDE, y1=at, y2=at, class_="block-line"))
        if i % every == 0:
            parts.append(tag("text", name, x=_LEFT - 6, y=_TOP + middle + 4, text_anchor="end", class_="tick"))
    return join(parts)


def _column_blocks(groups: list[tuple[str, int]]) -> Markup:
    """The same for the columns."""
    parts = []
    room = 7.0 * max(len(shortened(name, _LONGEST)) for name, _ in groups) + 6
    every = math.ceil(len(groups) * room / _SIDE)
    for i, (name, start, middle) in enumerate(_placed(groups)):
        at = _LEFT + start
        if i:
            parts.append(tag("line", x1=at, x2=at, y1=_TOP, y2=_TOP + _SIDE, class_="block-line"))
        if i % every == 0:
            parts.append(tag("text", name, x=_LEFT + middle, y=_TOP + _SIDE + 17, **_MIDDLE, class_="tick"))
    return join(parts)


def _placed(groups: list[tuple[str, int]]) -> Iterator[tuple[str, float, float]]:
    """Short name, start and middle of each block, in chart units."""
    total, start = sum(count for _, count in groups), 0
    for name, count in groups:
        yield shortened(name, _LONGEST), _SIDE * start / total, _SIDE * (start + count / 2) / total
        start += count


def _round_down(value: float) -> float:
    """The next lower of 1, 2, 3, 4, 5, 6, 8 times a power of ten: the scale then ends on one of its round ticks."""
    power = 10.0 ** math.floor(math.log10(value))
    return max(m * power for m in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0) if m * power <= value * 1.001)


def _scale(top: float, y: float) -> Markup:
    """Colour legend: the ramp with tick values in multiples of the uniform weight."""
    ramp = colour_ramp(torch.linspace(0, 1, _RAMP)[None])
    parts = [_image(colour_image(ramp), _LEFT, y, _SIDE, 10)]
    for value in nice_ticks(0.0, top, 4):
        anchor = "start" if value == 0 else "end" if value == top else "middle"
        text = ("≥ " if value == top else "") + tick_label(value) + "×"
        parts.append(tag("text", text, x=_LEFT + _SIDE * value / top, y=y + 24, text_anchor=anchor, class_="tick"))
    meaning = "weight, in multiples of a uniform plan's"
    parts.append(tag("text", meaning, x=_LEFT + _SIDE / 2, y=y + 38, **_MIDDLE, class_="legend"))
    return join(parts)
