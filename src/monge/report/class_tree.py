"""Classes joined by how near they are: the order of rows that puts near classes side by side, and its dendrogram."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from monge.extras import require

_MOST_ORDERED = 200


@dataclass(frozen=True)
class Bracket:
    """Two groups of classes that are joined: where each stands, its own height, and the height of the join."""

    first: float
    first_height: float
    second: float
    second_height: float
    height: float


@dataclass(frozen=True)
class ClassTree:
    """An agglomerative clustering of classes.

    Args:
        order: Class at each place, near classes side by side.
        brackets: The joins, lowest first; places count from 0 in `order`.
    """

    order: list[int]
    brackets: list[Bracket]


def class_tree(distances: Tensor) -> ClassTree:
    """Joins the nearest groups of classes first, groups being as far apart as their classes on average (UPGMA).

    Args:
        distances: ``(C, C)``, finite and not negative; of a pair with two distances the mean counts.

    Example:
        >>> import torch
        >>> tree = class_tree(torch.tensor([[0.0, 9.0, 1.0], [9.0, 0.0, 9.0], [1.0, 9.0, 0.0]]))
        >>> tree.order, [bracket.height for bracket in tree.brackets]
        ([0, 2, 1], [1.0, 9.0])
    """
    count = len(distances)
    if count < 2:
        return ClassTree(list(range(count)), [])
    hierarchy = require("scipy.cluster.hierarchy", extra="train", purpose="the dendrogram of a report")
    both = (distances + distances.T).double() / 2
    first, second = both.new_ones(count, count).triu(1).nonzero(as_tuple=True)
    # The best order of the leaves takes time that grows with the cube of their number.
    joins = hierarchy.linkage(both[first, second].numpy(), "average", optimal_ordering=count <= _MOST_ORDERED)
    order = hierarchy.leaves_list(joins).tolist()
    if order[0] > order[-1]:
        order.reverse()
    place = {leaf: (float(at), 0.0) for at, leaf in enumerate(order)}
    brackets = []
    for k, (a, b, height, _) in enumerate(joins.tolist()):
        (at, low), (other, other_low) = place[int(a)], place[int(b)]
        brackets.append(Bracket(at, low, other, other_low, height))
        place[count + k] = ((at + other) / 2, height)
    return ClassTree(order, brackets)
