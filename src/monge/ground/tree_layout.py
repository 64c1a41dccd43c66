"""Classes of a tree in depth-first order, where subtrees are slices and paths turn at a running minimum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monge.ground.tree_links import depth_first

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class TreeLayout:
    """What distances and sums over subtrees need to know of a tree.

    Args:
        parents: Parent of each node, V, -1 for the root.
        lengths: Length of the edge above each node, ``(V,)``.
        nodes: Node of each class, ``(C,)``, no two the same.

    Attributes:
        order: Classes in depth-first order, ``(C,)``.
        place: Where each class stands in it, ``(C,)``.
        depth: Distance from the root, in that order, ``(C,)``.
        turn: Depth at which the path from the class before turns, in that order, ``(C,)``; the first has 0.
        first: For each edge that parts the classes, the first place below it, ``(E,)``.
        end: And the first place after, ``(E,)``.
        spans: Lengths of these edges; edges that part the classes alike are one.

    Example:
        >>> layout = TreeLayout([-1, 0, 0, 1, 1], np.ones(5), np.array([3, 4, 2]))
        >>> layout.order, layout.depth, layout.turn
        (array([2, 1, 0]), array([1., 2., 2.]), array([0., 0., 1.]))
    """

    def __init__(self, parents: list[int], lengths: Floats, nodes: Integers) -> None:
        walk = depth_first(parents)
        depth, size = np.zeros(len(parents)), np.ones(len(parents), dtype=np.int64)
        for node in walk:
            if parents[node] >= 0:
                depth[node] = depth[parents[node]] + lengths[node]
        for node in reversed(walk):
            if parents[node] >= 0:
                size[parents[node]] += size[node]
        steps = np.asarray(walk)
        step = steps.argsort()  # when the walk comes to each node
        self.order = step[nodes].argsort()
        self.place = self.order.argsort()
        self.depth = depth[nodes[self.order]]
        at = step[nodes[self.order]]  # rising
        # Two neighbours of the walk meet at the parent of the second.
        meets = depth[np.maximum(np.asarray(parents)[steps], 0)]
        turns = np.minimum.reduceat(meets[: at[-1] + 1], at[:-1] + 1) if len(at) > 1 else np.empty(0)
        self.turn = np.concatenate([[0.0], turns])
        slices = np.stack([np.searchsorted(at, step), np.searchsorted(at, step + size)], axis=1)
        parting = (np.ptp(slices, axis=1) > 0) & (np.ptp(slices, axis=1) < len(nodes))
        edges, which = np.unique(slices[parting], axis=0, return_inverse=True)
        self.first, self.end = edges[:, 0].copy(), edges[:, 1].copy()
        self.spans = np.bincount(which.ravel(), lengths[parting], minlength=len(edges))
