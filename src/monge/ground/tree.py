"""Classes in a hierarchy: the distance is the way through the tree."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monge.ground.base import Ground
from monge.ground.tree_files import read_pairs, read_table
from monge.ground.tree_layout import TreeLayout
from monge.ground.tree_links import Link, LinkedTree, cycle, depth_first, link_tree
from monge.ot.precision import widest_float

Edge = tuple[Hashable, Hashable] | tuple[Hashable, Hashable, float]


class Tree(Ground):
    """``D[i, k]`` is the length of the path between two nodes of a tree; transport has a closed form.

    Columns cost one pass over the classes each, whatever the depth of the tree and the number of its nodes. Classes
    are put in depth-first order, where the way from one to another turns at the highest branching between them.

    Args:
        parents: Parent of each node, V integers; the root has -1 or itself.
        edge_lengths: Length of the edge above each node, shape ``(V,)``, not negative; the root's is ignored.
            ``None``: 1 each.
        leaves: Node of each class, in the order of the labels, not necessarily a leaf; ``None``: every node is a class.

    Attributes:
        parents: int64 ``(V,)``, on the CPU, where the engine wants it.
        edge_lengths: ``(V,)``.
        leaves: int64 ``(C,)``.
        spans: Lengths of the edges of :meth:`below`, ``(E,)``.

    Raises:
        ValueError: Parents that are no tree, lengths or leaves that do not fit; the message names the node.

    Example:
        >>> tree = Tree([-1, 0, 0, 1, 1], leaves=[3, 4, 2])  # 3 and 4 are siblings, 2 hangs on the root
        >>> tree.columns(torch.tensor([0]), 3)
        tensor([[0., 2., 3.]])
    """

    edge_lengths: Tensor
    leaves: Tensor
    spans: Tensor
    _order: Tensor
    _place: Tensor
    _first: Tensor
    _end: Tensor
    _depth: Tensor
    _turn: Tensor
    _costly = True

    def __init__(
        self,
        parents: Tensor | Sequence[int],
        edge_lengths: Tensor | Sequence[float] | None = None,
        leaves: Tensor | Sequence[int] | None = None,
    ) -> None:
        above = _checked_parents(torch.as_tensor(parents))
        lengths = _checked_lengths(edge_lengths, len(above))
        nodes = _checked_leaves(leaves, len(above))
        super().__init__(len(nodes))
        self.parents = torch.tensor(above)
        self.register_buffer("edge_lengths", lengths, persistent=False)
        self.register_buffer("leaves", nodes, persistent=False)
        self._lay_out(above, lengths.double().numpy(), nodes.numpy())

    def _lay_out(self, parents: list[int], lengths: NDArray[np.float64], nodes: NDArray[np.int64]) -> None:
        """Buffers over the classes in depth-first order, in which every subtree is a slice."""
        layout = TreeLayout(parents, lengths, nodes)
        floats = self.edge_lengths.dtype
        for name, values, dtype in (
            ("spans", layout.spans, floats),
            ("_order", layout.order, torch.int64),
            ("_place", layout.place, torch.int64),
            ("_first", layout.first, torch.int64),
            ("_end", layout.end, torch.int64),
            ("_depth", layout.depth, floats),
            ("_turn", layout.turn, floats),
        ):
            self.register_buffer(name, torch.from_numpy(values).to(dtype), persistent=False)

    @classmethod
    def from_edges(cls, edges: Sequence[Edge], classes: Sequence[Hashable]) -> Tree:
        """A tree from named edges.

        Args:
            edges: ``(child, parent)`` or ``(child, parent, length)``; names are strings or anything hashable. The
                root is the one parent that is nobody's child.
            classes: Name of each class, in the order of the labels.

        Raises:
            ValueError: Edges that are no tree, or a class that is no node; the message counts edges from 1.

        Example:
            >>> edges = [("cat", "pet"), ("dog", "pet"), ("pet", "thing"), ("cup", "thing")]
            >>> Tree.from_edges(edges, ["cat", "cup"]).matrix()
            tensor([[0., 3.],
                    [3., 0.]])
        """
        links = [
            Link(edge[0], edge[1], float(edge[2]) if len(edge) == 3 else 1.0, line)
            for line, edge in enumerate(edges, 1)
        ]
        return cls._from(link_tree(links, classes))

    @classmethod
    def from_csv(cls, path: str | Path, classes: Sequence[str]) -> Tree:
        """A tree from a CSV file with a header and the columns ``class``, ``parent`` and, optionally, ``length``.

        A row without a parent is the root; if there is none, the root is the one parent without a row.

        Args:
            path: The file, UTF-8.
            classes: Name of each class, in the order of the labels; groups of classes have rows too.

        Raises:
            DataFormatError: A column is missing, a name has two rows, a parent is unknown, there are two roots or a
                cycle, a length is no number, or a class has no row; the message names the line.
        """
        return cls._from(read_table(path, classes))

    @classmethod
    def from_pairs(cls, path: str | Path, classes: Sequence[str]) -> Tree:
        """A tree from lines ``parent child``, the format of ImageNet's ``wordnet.is_a.txt``.

        Names with several parents, of which WordNet has many, hang on the one nearest to the root (the first of
        those in the file). Only classes and what is above them become nodes; every edge has length 1.

        Args:
            path: The file, UTF-8, two names a line, separated by blanks.
            classes: Name of each class, e.g. ``n02084071``, in the order of the labels.

        Raises:
            DataFormatError: A line without two names, a class that is not there, two roots above the classes, or a
                cycle; the message names the line.
        """
        return cls._from(read_pairs(path, classes))

    @classmethod
    def _from(cls, tree: LinkedTree) -> Tree:
        return cls(tree.parents, tree.lengths, tree.leaves)

    def below(self, masses: Tensor) -> Tensor:
        """Mass below each edge, linear in the masses: transport moves what one histogram has there and another has not.

        Edges with the same classes below them are one edge here, and those below which there are all classes or none
        are left out, so there are fewer than 2 C. With ``x = tree.below(p - q)``, ``(x.abs() * tree.spans).sum(-1)``
        is :func:`monge.ot.emd_tree` and ``(x.square() * tree.spans).sum(-1)`` is :func:`monge.ot.cramer_tree`.

        Args:
            masses: Masses of the classes, ``(..., C)``.

        Returns:
            Shape ``(..., E)``, in the dtype of ``masses``; sums run in float64 where the device has it.

        Raises:
            ValueError: Another number of classes.
        """
        self.check(masses.shape[-1])
        # A small subtree is the difference of two large sums: float64 keeps what float32 would lose.
        ordered = masses.index_select(-1, self._order).to(widest_float(masses.device))
        running = torch.nn.functional.pad(ordered.cumsum(-1), (1, 0))  # (..., C + 1)
        return (running.index_select(-1, self._end) - running.index_select(-1, self._first)).to(masses.dtype)

    def _columns(self, labels: Tensor, num_classes: int) -> Tensor:
        at = self._place[labels].unsqueeze(1)  # (N, 1)
        places = torch.arange(num_classes, device=labels.device)  # (C,)
        depth = self._depth.to(torch.promote_types(self._depth.dtype, torch.float32))
        turn = self._turn.to(depth.dtype)
        after = torch.where(places > at, turn, torch.inf).cummin(1).values  # (N, C)
        before = torch.where(places <= at, turn, torch.inf).flip(1).cummin(1).values.flip(1)  # (N, C)
        before = before.roll(-1, 1)  # the turn at a class lies between it and the class before
        top = torch.where(places > at, after, before)  # (N, C)
        way = (depth + depth[at] - 2.0 * top).clamp_min(0.0).masked_fill(places == at, 0.0)
        return way.index_select(1, self._place)


def _checked_parents(parents: Tensor) -> list[int]:
    if parents.dim() != 1 or len(parents) == 0 or parents.is_floating_point():
        raise ValueError(f"parents have shape {tuple(parents.shape)} and dtype {parents.dtype}: expected (V,) integers")
    above = [-1 if parent == node else parent for node, parent in enumerate(cast("list[int]", parents.tolist()))]
    for node, parent in enumerate(above):
        if not -1 <= parent < len(above):
            raise ValueError(f"node {node} has parent {parent}: expected -1 to {len(above) - 1}")
    if (roots := above.count(-1)) > 1:
        raise ValueError(f"{roots} nodes are roots (-1 or themselves): expected exactly one")
    if len(reached := set(depth_first(above))) < len(above):
        node = cycle(above, next(node for node in range(len(above)) if node not in reached))[0]
        raise ValueError(f"parents are no tree: node {node} is its own ancestor")
    return above


def _checked_lengths(lengths: Tensor | Sequence[float] | None, nodes: int) -> Tensor:
    if lengths is None:
        return torch.ones(nodes)
    given = torch.as_tensor(lengths).detach().cpu().clone()
    given = given if given.is_floating_point() else given.to(torch.float32)
    if given.shape != (nodes,):
        raise ValueError(f"edge_lengths have shape {tuple(given.shape)}: expected ({nodes},), one a node")
    wrong = ~((given >= 0) & torch.isfinite(given))
    if bool(wrong.any()):
        node = int(wrong.nonzero()[0])
        raise ValueError(f"the edge above node {node} has length {float(given[node]):g}: expected 0 or more, finite")
    return given


def _checked_leaves(leaves: Tensor | Sequence[int] | None, nodes: int) -> Tensor:
    if leaves is None:
        return torch.arange(nodes)
    given = torch.as_tensor(leaves).detach().cpu().clone()
    if given.dim() != 1 or len(given) == 0 or given.is_floating_point():
        raise ValueError(f"leaves have shape {tuple(given.shape)} and dtype {given.dtype}: expected (C,) integers")
    if bool(((given < 0) | (given >= nodes)).any()):
        raise ValueError(f"leaves run from {int(given.min())} to {int(given.max())}: expected nodes 0 to {nodes - 1}")
    if len(set(given.tolist())) < len(given):
        raise ValueError("leaves hold a node twice: two classes cannot share a node, hang both below it at length 0")
    return given.long()
