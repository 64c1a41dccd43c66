"""Transport between histograms over the nodes of a tree, in closed form: what crosses an edge is forced."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from monge.ot.histograms import balanced
from monge.ot.precision import widest_float


def emd_tree(p: Tensor, q: Tensor, parents: Tensor | Sequence[int], edge_lengths: Tensor) -> Tensor:
    """Optimal transport cost for the path metric of a tree, ``sum_e length_e |mass below e in p - in q|``.

    Whatever ``p`` has too much below an edge must cross it, so the cost needs no solver (Martinez et al., arXiv
    1611.07573). A chain gives :func:`monge.ot.line.emd_line`. Depth does not matter to time or memory: nodes are put
    in depth-first order, where every subtree is a slice and its mass a difference of two cumulative sums.

    Args:
        p: Masses of the nodes, shape ``(..., V)``, non-negative; classes that are leaves have zeros elsewhere.
        q: Masses, shape ``(..., V)``; batch dimensions broadcast. Sums within 1e-3 of each other are brought to
            their mean (half precision: within two roundings).
        parents: Parent of each node, ``V`` integers in any order; the root has -1 or itself.
        edge_lengths: Length of the edge from each node to its parent, shape ``(V,)``, non-negative; the root's entry
            is ignored.

    Returns:
        Cost, shape ``(...)``, float32 (also for half precision) or float64; differentiable in ``p``, ``q`` and
        ``edge_lengths``. Sums run in float64.

    Raises:
        ValueError: Parents that are not a tree (the message names the node), shapes that do not fit, negative lengths,
            masses that are negative or not finite, or sums that differ.

    Example:
        >>> parents = [-1, 0, 0, 1, 1]  # root 0 with children 1 and 2; 3 and 4 hang on 1
        >>> lengths = torch.tensor([0.0, 1.0, 1.0, 0.5, 0.5])
        >>> p, q = torch.tensor([0.0, 0, 0, 1, 0]), torch.tensor([0.0, 0, 0.5, 0, 0.5])
        >>> emd_tree(p, q, parents, lengths)  # half of it over 2.5, half over 1
        tensor(1.7500)
    """
    excess, lengths = _edge_excess(p, q, parents, edge_lengths)
    return (excess.abs() * lengths).sum(-1).to(p.device, _result_dtype(p, q))


def cramer_tree(p: Tensor, q: Tensor, parents: Tensor | Sequence[int], edge_lengths: Tensor) -> Tensor:
    """Squared form on a tree, ``sum_e length_e (mass below e in p - in q)^2``; smooth where :func:`emd_tree` is not.

    The relaxed EMD of Martinez et al. (arXiv 1611.07573) with exponent 2; a chain gives
    :func:`monge.ot.line.cramer_line`.

    Args:
        p: Masses of the nodes, shape ``(..., V)``, as in :func:`emd_tree`.
        q: Masses, shape ``(..., V)``.
        parents: Parent of each node; the root has -1 or itself.
        edge_lengths: Length of the edge from each node to its parent, shape ``(V,)``.

    Returns:
        Shape ``(...)``, float32 or float64; differentiable, and quadratic in the mass.

    Raises:
        ValueError: As :func:`emd_tree`.

    Example:
        >>> cramer_tree(torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 0.5, 0.5]), [-1, 0, 0], torch.ones(3))
        tensor(0.5000)
    """
    excess, lengths = _edge_excess(p, q, parents, edge_lengths)
    return (excess.square() * lengths).sum(-1).to(p.device, _result_dtype(p, q))


def _edge_excess(p: Tensor, q: Tensor, parents: Tensor | Sequence[int], edge_lengths: Tensor) -> tuple[Tensor, Tensor]:
    """What ``p`` has more than ``q`` below each edge, ``(..., V)``, and the lengths ``(V,)``, 0 for the root."""
    p, q, _ = balanced(p, q)
    if widest_float(p.device) != torch.float64:
        p, q = p.cpu(), q.cpu()
    layout = _layout_of(parents, p.shape[-1])
    if edge_lengths.shape != (p.shape[-1],):
        raise ValueError(f"edge_lengths has shape {tuple(edge_lengths.shape)}: expected ({p.shape[-1]},), one a node")
    order, first, end = (torch.from_numpy(t).to(p.device) for t in (layout.order, layout.first, layout.end))
    lengths = edge_lengths.to(device=p.device, dtype=torch.float64)
    lengths = torch.where(torch.arange(len(order), device=p.device) == layout.root, 0.0, lengths)
    if not torch.compiler.is_compiling() and not bool(((lengths >= 0) & torch.isfinite(lengths)).all()):
        raise ValueError("edge_lengths holds a length that is not finite and non-negative")
    # A small subtree is the difference of two large sums: float64 keeps what float32 would lose.
    running = (p - q).to(torch.float64).index_select(-1, order).cumsum(-1)  # (..., V)
    running = torch.cat([torch.zeros_like(running[..., :1]), running], dim=-1)
    return running.index_select(-1, end) - running.index_select(-1, first), lengths


def _result_dtype(p: Tensor, q: Tensor) -> torch.dtype:
    return torch.promote_types(torch.promote_types(p.dtype, q.dtype), torch.float32)


class _Layout(NamedTuple):
    """Depth-first order of a tree: the subtree of ``v`` is ``order[first[v] : end[v]]``."""

    order: np.ndarray
    first: np.ndarray
    end: np.ndarray
    root: int


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _layout_of(parents: Tensor | Sequence[int], nodes: int) -> _Layout:
    array = parents.detach().cpu().numpy() if isinstance(parents, Tensor) else np.asarray(parents)
    if array.dtype.kind not in "iu":
        raise ValueError(f"parents holds {array.dtype} values: expected integers")
    if array.shape != (nodes,):
        raise ValueError(f"parents has shape {array.shape}: expected ({nodes},), one for each mass")
    return _layout(array.astype(np.int64).tobytes())


@lru_cache(maxsize=16)
def _layout(parents: bytes) -> _Layout:
    """Checks a tree and orders it; cached, because a training run asks for the same one at every step."""
    parent = np.frombuffer(parents, dtype=np.int64).tolist()
    root = _checked_root(parent)
    waiting, size = [0] * len(parent), [1] * len(parent)
    for node, above in enumerate(parent):
        if node != root:
            waiting[above] += 1
    upwards: list[int] = []  # every node after all its children
    ready = [node for node, children in enumerate(waiting) if children == 0]
    while ready:
        node = ready.pop()
        upwards.append(node)
        if node != root:
            above = parent[node]
            size[above] += size[node]
            waiting[above] -= 1
            if waiting[above] == 0:
                ready.append(above)
    if len(upwards) < len(parent):
        stuck = next(node for node, children in enumerate(waiting) if children > 0)
        raise ValueError(f"parents is not a tree: node {stuck} is its own ancestor")
    first, free = [0] * len(parent), [1] * len(parent)
    for node in reversed(upwards):
        if node != root:
            above = parent[node]
            first[node] = free[above]
            free[above] += size[node]
            free[node] = first[node] + 1
    starts = np.asarray(first)
    return _Layout(np.argsort(starts), starts, starts + np.asarray(size), root)


def _checked_root(parent: list[int]) -> int:
    for node, above in enumerate(parent):
        if not -1 <= above < len(parent):
            raise ValueError(f"parents is not a tree: node {node} has parent {above}, expected -1 to {len(parent) - 1}")
    roots = [node for node, above in enumerate(parent) if above in (-1, node)]
    if len(roots) != 1:
        raise ValueError(
            f"parents is not a tree: {len(roots)} nodes are roots (-1 or themselves), expected exactly one"
        )
    return roots[0]
