"""Slow reference of the cross-modal batch-wise OT loss: the sums of the released program, one problem at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oracles import batchwise_ot

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


def halves(labels: Labels) -> tuple[list[int], list[int]]:
    """Cards in the order of their classes, dealt to two players in turn."""
    players: tuple[list[int], list[int]] = ([], [])
    turn = 0
    for name in sorted(set(labels.tolist())):
        for place, label in enumerate(labels.tolist()):
            if label == name:
                players[turn].append(place)
                turn = 1 - turn
    return players


def problem(x: Array, lx: Labels, y: Array, ly: Labels, ignored: NDArray[np.bool_], **settings: object) -> float:
    same = np.array([[a == b for b in ly] for a in lx])
    return batchwise_ot.loss(x, y, same, ~ignored, **settings)


def four_sums(x: Array, y: Array, lx: Labels, ly: Labels, weights: tuple[float, ...], **settings: object) -> float:
    """Two batches of each modality: x1-x2, y1-y2, x1-y1, x2-y2."""
    (x1, x2), (y1, y2) = halves(lx), halves(ly)
    sums = [
        (x[x1], lx[x1], x[x2], lx[x2]),
        (y[y1], ly[y1], y[y2], ly[y2]),
        (x[x1], lx[x1], y[y1], ly[y1]),
        (x[x2], lx[x2], y[y2], ly[y2]),
    ]
    none = [np.zeros((len(a), len(b)), bool) for a, _, b, _ in sums]
    return sum(w * problem(*each, ignored, **settings) for w, each, ignored in zip(weights, sums, none, strict=True))


def whole_batches(
    x: Array,
    y: Array,
    lx: Labels,
    ly: Labels,
    weights: tuple[float, ...],
    ignored: NDArray[np.bool_] | None = None,
    **settings: object,
) -> float:
    """Each batch against itself without its diagonal, and all x against all y, which counts for both directions."""
    between = np.zeros((len(x), len(y)), bool) if ignored is None else ignored
    value = weights[0] * problem(x, lx, x, lx, np.eye(len(x), dtype=bool), **settings)
    value += weights[1] * problem(y, ly, y, ly, np.eye(len(y), dtype=bool), **settings)
    return value + (weights[2] + weights[3]) * problem(x, lx, y, ly, between, **settings)


def released_shrec14(x1: Array, x2: Array, y1: Array, y2: Array, labels: list[Labels]) -> float:
    """The program's four sums over four batches, by its own sweeps, plainly added."""
    lx1, lx2, ly1, ly2 = labels
    pairs = [(x1, x2, lx1, lx2), (y1, y2, ly1, ly2), (x1, y1, lx1, ly1), (x2, y2, lx2, ly2)]
    return sum(batchwise_ot.released_shrec14(a, b, la[:, None] == lb[None, :])[0] for a, b, la, lb in pairs)


def cross_entropy(logits: Array, labels: Labels) -> float:
    rows = [row - row.max() - np.log(np.exp(row - row.max()).sum()) for row in logits]
    return float(-np.mean([row[label] for row, label in zip(rows, labels, strict=True)]))
