"""Distances between classes as inline SVG: a heat map with its dendrogram beside it, and small maps of epochs."""

from __future__ import annotations

import torch
from torch import Tensor

from monge.report.axes import Frame
from monge.report.class_tree import ClassTree
from monge.report.matrix_chart import LEGEND_ROOM, column_name, row_name, scale_bar, shade, table_layout
from monge.report.plan_picture import colour_ramp
from monge.report.svg import Markup, clean, join, tag
from monge.report.thumbnails import colour_image

MOST_NAMED = 24
"""Up to this many classes every row has its name and every cell its number; more are drawn as a picture."""

_TREE = 92.0
_LEVELS = 8
_MINI, _MINI_CELLS = 120.0, 96


def nearness(distances: Tensor, low: float, high: float) -> Tensor:
    """How near classes are, 1 for a distance of ``low`` and 0 for ``high``; 0 on the diagonal, which says nothing.

    Example:
        >>> nearness(torch.tensor([[0.0, 1.0], [3.0, 0.0]]), 1.0, 3.0)
        tensor([[0., 1.],
                [0., 0.]])
    """
    near = (high - distances) / (high - low) if high > low else torch.zeros_like(distances)
    return near.clamp(0, 1).fill_diagonal_(0)


def distance_map(names: list[str], distances: Tensor, tree: ClassTree | None) -> Markup:
    """A table of distances, near pairs dark, with the dendrogram on its right.

    Args:
        names: Class names in the order of the rows.
        distances: ``(C, C)`` in that order.
        tree: The clustering that gave the order; ``None``: no dendrogram.

    Example:
        >>> distance_map(["a", "b"], torch.tensor([[0.0, 0.5], [0.5, 0.0]]), None).count("a – b: 0.5")
        1
    """
    count = len(names)
    shown = names if count <= MOST_NAMED else [""]
    left, size, upright, names_room = table_layout(shown, 14.0 + (_TREE if tree else 0.0))
    side = size * len(shown)
    frame = Frame("Ground distance between classes", "class", "class", body=LEGEND_ROOM + side + names_room, left=left)
    top = frame.top + LEGEND_ROOM
    low, high = outside_diagonal(distances)
    texts = f"far, {high:.3g}", f"near, {low:.3g}"
    depth = nearness(distances, low, high)
    if count <= MOST_NAMED:
        parts = [scale_bar(*texts, left, frame.top + 6, "near")]
        parts += _cells(names, distances, depth, left, top, size)
        parts += [row_name(name, left, top + size * (i + 0.5)) for i, name in enumerate(names)]
        parts += [column_name(n, left + size * (i + 0.5), top + side, upright) for i, n in enumerate(names)]
    else:
        parts = [_ramp_bar(*texts, left, frame.top + 6), _picture(depth, left, top, side)]
    if tree and tree.brackets:
        parts.append(_dendrogram(tree, left + side + 4, top, side / count))
    return frame.svg(*parts)


def distance_thumb(label: str, distances: Tensor, low: float, high: float) -> Markup:
    """A small map without names, to be set beside others of the same range.

    Args:
        label: What it shows, for readers who do not see it.
        distances: ``(C, C)``.
        low: Distance of the darkest cells.
        high: Distance of the palest cells.

    Example:
        >>> "epoch 3" in distance_thumb("epoch 3", torch.rand(4, 4), 0.0, 1.0)
        True
    """
    depth = nearness(distances, low, high)
    if len(distances) > _MINI_CELLS:
        depth = torch.nn.functional.adaptive_avg_pool2d(depth[None], _MINI_CELLS)[0]
    drawn = _picture(depth, 0.0, 0.0, _MINI) if len(distances) > MOST_NAMED else _squares(depth)
    return tag("svg", drawn, viewBox=f"0 0 {_MINI:.0f} {_MINI:.0f}", role="img", aria_label=label, class_="chart mini")


def outside_diagonal(distances: Tensor) -> tuple[float, float]:
    """Smallest and largest distance between different classes, ``(..., C, C)``.

    Example:
        >>> outside_diagonal(torch.tensor([[0.0, 0.25], [0.5, 0.0]]))
        (0.25, 0.5)
    """
    count = distances.shape[-1]
    if count < 2:
        return 0.0, 0.0
    values = distances[..., ~torch.eye(count, dtype=torch.bool)]
    return float(values.min()), float(values.max())


def _squares(depth: Tensor) -> Markup:
    """Cells in eight shades, one path a shade: a tenth of the size of single rectangles."""
    size = _MINI / len(depth)
    levels = (depth * _LEVELS).round().long()
    parts = [tag("rect", x=0, y=0, width=_MINI, height=_MINI, class_="cell")]
    for level in range(1, _LEVELS + 1):
        cells = (levels == level).nonzero().tolist()
        drawn = "".join(f"M{size * j:.1f} {size * i:.1f}h{size:.1f}v{size:.1f}h-{size:.1f}z" for i, j in cells)
        if cells:
            parts.append(tag("path", d=drawn, fill_opacity=shade(level / _LEVELS), class_="near"))
    return join(parts)


def _cells(names: list[str], distances: Tensor, depth: Tensor, left: float, top: float, size: float) -> list[Markup]:
    parts, side = [], size - 1
    for i, (row, deep) in enumerate(zip(distances.tolist(), depth.tolist())):
        for j, (value, near) in enumerate(zip(row, deep)):
            x, y = left + size * j, top + size * i
            cell = [tag("title", f"{clean(names[i])} – {clean(names[j])}: {value:.3g}")]
            cell.append(tag("rect", x=x, y=y, width=side, height=side, class_="cell"))
            if near:
                cell.append(tag("rect", x=x, y=y, width=side, height=side, fill_opacity=shade(near), class_="near"))
            if size >= 26 and i != j:
                css = "cell-text on-near" if near > 0.55 else "cell-text"
                place = {"x": x + side / 2, "y": y + side / 2 + 4}
                cell.append(tag("text", f"{value:.2g}".lstrip("0") or "0", **place, text_anchor="middle", class_=css))
            parts.append(tag("g", *cell))
    return parts


def _picture(depth: Tensor, x: float, y: float, side: float) -> Markup:
    uri = colour_image(colour_ramp(depth))
    return tag("image", href=uri, x=x, y=y, width=side, height=side, preserveAspectRatio="none", class_="sharp")


def _ramp_bar(low: str, high: str, left: float, y: float) -> Markup:
    """Legend of a picture's colours between two texts."""
    start, width = left + 7 + 7 * len(low), 90.0
    uri = colour_image(colour_ramp(torch.linspace(0, 1, 64)[None]))
    return join(
        [
            tag("text", low, x=left, y=y + 4, class_="tick"),
            tag("image", href=uri, x=start, y=y - 6, width=width, height=12, preserveAspectRatio="none"),
            tag("text", high, x=start + width + 6, y=y + 4, class_="tick"),
        ]
    )


def _dendrogram(tree: ClassTree, left: float, top: float, size: float) -> Markup:
    """Brackets from the rows to the right, as far as their groups are apart."""
    largest = tree.brackets[-1].height or 1.0

    def x(height: float) -> float:
        return left + (_TREE - 8) * height / largest

    lines = []
    for b in tree.brackets:
        first, second = top + size * (b.first + 0.5), top + size * (b.second + 0.5)
        lines.append(f"M{x(b.first_height):.1f} {first:.1f}H{x(b.height):.1f}V{second:.1f}H{x(b.second_height):.1f}")
    return tag("path", d="".join(lines), class_="tree")
