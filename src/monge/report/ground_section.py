"""The ground distance of a run: its heat map with dendrogram, the nearest and farthest classes, its way over epochs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from monge.report.class_tree import ClassTree, class_tree
from monge.report.distance_chart import MOST_NAMED, distance_map, distance_thumb, outside_diagonal
from monge.report.line_chart import Series, line_chart
from monge.report.stored_ground import StoredGround
from monge.report.svg import Markup

_PAIRS = 6
_EPOCHS = 6
_KINDS = {"fromembeddings": "from embeddings", "": "given"}


@dataclass(frozen=True)
class GroundSection:
    """What the page shows of a ground distance.

    Args:
        kind: What it is.
        chart: Heat map, with a dendrogram unless the classes lie on a line.
        joined: Whether there is a dendrogram.
        rows: Class names from top to bottom, for maps that are too fine to have them; empty otherwise.
        nearest: ``(class, class, distance)``, nearest first.
        farthest: The same, farthest first.
        change: Mean change of a distance from epoch to epoch, or ``None``.
        epochs: ``(epoch, map)`` of some epochs.
    """

    kind: str
    chart: Markup
    joined: bool
    rows: list[str]
    nearest: list[tuple[str, str, float]]
    farthest: list[tuple[str, str, float]]
    change: Markup | None
    epochs: list[tuple[int, Markup]]


def ground_section(ground: StoredGround, tree: ClassTree | None) -> GroundSection | str:
    """Draws a ground distance, or says why there is nothing to draw.

    Args:
        ground: What the run stored.
        tree: Clustering of its classes, ``None`` to keep the order of the classes.
    """
    count = len(ground.matrix)
    if count < 2:
        return "there is one class, and no distance to another."
    order = torch.tensor(tree.order if tree else list(range(count)))
    names = [ground.classes[i] for i in order.tolist()]
    ordered = ground.matrix[order][:, order]
    ranked = _pairs(ground)
    most = min(_PAIRS, (len(ranked) + 1) // 2)
    return GroundSection(
        kind_of(ground),
        distance_map(names, ordered, tree),
        tree is not None,
        names if count > MOST_NAMED else [],
        ranked[:most],
        ranked[most:][: -_PAIRS - 1 : -1],
        _change(ground),
        _small_maps(ground, order),
    )


def kind_of(ground: StoredGround) -> str:
    """What a ground distance is, in words."""
    return _KINDS.get(ground.kind, ground.kind)


def tree_of(ground: StoredGround) -> ClassTree | None:
    """The clustering of the classes; ``None`` for given distances that say no more than the order of the classes."""
    return None if ground.kind != "learned" and _grow_from_the_diagonal(ground.matrix) else class_tree(ground.matrix)


def _grow_from_the_diagonal(matrix: Tensor) -> bool:
    """Whether in every row the distance never falls on the way from the class to either end, as on a line."""
    steps = matrix.diff(dim=1)
    return bool((steps.triu() >= 0).all() and (steps.tril(-1) <= 0).all())


def _pairs(ground: StoredGround) -> list[tuple[str, str, float]]:
    """All pairs of classes, nearest first; of two distances the mean."""
    both = (ground.matrix + ground.matrix.T) / 2
    first, second = torch.ones_like(both).triu(1).nonzero(as_tuple=True)
    values = both[first, second]
    best = values.argsort(stable=True)
    kept = best if len(best) <= 2 * _PAIRS else torch.cat([best[:_PAIRS], best[-_PAIRS:]])
    return [
        (ground.classes[i], ground.classes[j], value)
        for i, j, value in zip(first[kept].tolist(), second[kept].tolist(), values[kept].tolist())
    ]


def _change(ground: StoredGround) -> Markup | None:
    if len(ground.history) < 2:
        return None
    off = ~torch.eye(len(ground.matrix), dtype=torch.bool)
    # Of a long history some epochs are left out.
    gaps = [max(after - before, 1) for before, after in pairwise(ground.epochs)]
    moved = [float(step[off].abs().mean()) / gap for step, gap in zip(ground.history.diff(dim=0), gaps)]
    line = Series("mean change", [float(epoch) for epoch in ground.epochs[1:]], moved)
    return line_chart("Change of the distances by epoch", "epoch", "mean change per epoch", [line])


def _small_maps(ground: StoredGround, order: Tensor) -> list[tuple[int, Markup]]:
    """Up to six epochs, first and last among them, in one range of shades."""
    count = len(ground.history)
    if count < 2:
        return []
    chosen = sorted({round(i * (count - 1) / (_EPOCHS - 1)) for i in range(_EPOCHS)})
    steps = ground.history[chosen][:, order][:, :, order]
    low, high = outside_diagonal(steps)
    epochs = [ground.epochs[i] for i in chosen]
    return [
        (epoch, distance_thumb(f"Ground distance after epoch {epoch}", step, low, high))
        for epoch, step in zip(epochs, steps)
    ]
