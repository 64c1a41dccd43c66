"""Two pictures beside each other with the regions that transport matches, outlined and joined."""

from __future__ import annotations

from torch import Tensor

from monge.metrics.matched_regions import MatchedRegions
from monge.report.line_chart import series_class
from monge.report.svg import Markup, join, tag
from monge.report.thumbnails import thumbnail

_SIDE, _GAP = 120.0, 26.0
_DIM = 0.72
_PIXELS = 112


def match_picture(label: str, first: Tensor, second: Tensor, found: MatchedRegions, row: int) -> Markup:
    """The pictures of a pair, dark where little is matched, with the strongest matches in one colour each.

    Args:
        label: What it shows, for readers who do not see it.
        first: The first picture, uint8 ``(C, H, W)``.
        second: The second one.
        found: The matches of several pairs.
        row: Which of them.

    Example:
        >>> import torch
        >>> from monge.metrics import matched_regions
        >>> picture, maps = torch.zeros(3, 32, 32, dtype=torch.uint8), torch.rand(1, 8, 4, 4)
        >>> match_picture("a pair", picture, picture, matched_regions(maps, maps, most=3), 0).count("<line")
        6
    """
    offsets = (0.0, _SIDE + _GAP)
    parts: list[Markup] = []
    for image, heat, left in zip((first, second), (found.first_heat[row], found.second_heat[row]), offsets):
        uri = thumbnail(image, _PIXELS)
        place = {"x": left, "y": 0.0, "width": _SIDE, "height": _SIDE}
        parts += [tag("image", href=uri, **place, preserveAspectRatio="none"), _shade(heat, left)]
    sides = zip(found.first[row].tolist(), found.second[row].tolist(), found.strength[row].tolist())
    matches = [_match(i, *match, found, row, offsets) for i, match in enumerate(sides)]
    view = f"0 0 {2 * _SIDE + _GAP:.0f} {_SIDE:.0f}"
    return tag("svg", *parts, *reversed(matches), viewBox=view, role="img", aria_label=label, class_="match")


def _shade(heat: Tensor, left: float) -> Markup:
    """Cells the darker the less of the mass they carry."""
    height, width = _SIDE / heat.shape[0], _SIDE / heat.shape[1]
    most = float(heat.max()) or 1.0
    cells = []
    for i, row in enumerate(heat.tolist()):
        for j, value in enumerate(row):
            dark = f"{_DIM * (1 - value / most):.2f}"
            place = {"x": left + j * width, "y": i * height, "width": width, "height": height}
            cells.append(tag("rect", **place, fill_opacity=dark, class_="dim"))
    return join(cells)


def _match(
    index: int,
    here: list[int],
    there: list[int],
    strength: float,
    found: MatchedRegions,
    row: int,
    offsets: tuple[float, float],
) -> Markup:
    ends, boxes = [], []
    for (i, j), heat, left in zip((here, there), (found.first_heat[row], found.second_heat[row]), offsets):
        height, width = _SIDE / heat.shape[0], _SIDE / heat.shape[1]
        boxes.append({"x": left + j * width + 1, "y": i * height + 1, "width": width - 2, "height": height - 2})
        ends.append((left + (j + 0.5) * width, (i + 0.5) * height))
    (x1, y1), (x2, y2) = ends
    line = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
    places = [f"row {i + 1}, column {j + 1}" for i, j in (here, there)]
    text = f"{places[0]} with {places[1]}: {100 * strength:.1f} %"
    rims = [tag("rect", **box, class_=css) for box in boxes for css in ("rim", "edge")]
    lines = [tag("line", **line, class_=css) for css in ("rim", "edge")]
    return tag("g", tag("title", text), *lines, *rims, class_=series_class(index))
