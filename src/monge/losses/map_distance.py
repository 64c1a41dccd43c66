"""Transport distances between pairs of feature maps, all pairs of a batch in one go."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from monge.losses.token_costs import pair_costs
from monge.losses.token_sets import TokenSets
from monge.ot import sinkhorn

DistanceGradient = Literal["envelope", "implicit"]

# Pairs are worked on in blocks of at most about this many numbers; what is beyond is computed anew when going back.
_BLOCK = 1 << 26


class FixedSweeps(NamedTuple):
    """A fixed number of Sinkhorn sweeps, as the released program runs them, instead of a solve to tolerance.

    Attributes:
        iterations: Sweeps; the program has 10.
        transposed: Use the transposed kernel in the second half of a sweep. The program does not, so that its plan has
            the wrong column sums.
    """

    iterations: int = 10
    transposed: bool = True


class Solver(NamedTuple):
    """How distances are computed.

    Attributes:
        epsilon: Entropic regularisation; costs lie in ``[0, 2]``.
        gradient: ``"envelope"``: the distance is the entropic value ``<P, C> + epsilon KL(P | a b')``, whose exact
            gradient is P, so that nothing is stored or solved for it. ``"implicit"``: the distance is ``<P, C>``, with
            its exact gradient through P by the marginal system.
        tol: Marginal error at which a plan is accepted.
        sweeps: Do these instead; the distance is ``<P, C>``, differentiated through them.
    """

    epsilon: float
    gradient: DistanceGradient
    tol: float
    sweeps: FixedSweeps | None


def map_distances(sets: TokenSets, first: Tensor, second: Tensor, solver: Solver) -> Tensor:
    """Transport distance of each pair of sets under the cosine cost ``1 - cos``.

    Args:
        sets: All token sets.
        first: Places of the one side in ``sets``, ``(B,)``.
        second: Places of the other, ``(B,)``.
        solver: How.

    Returns:
        ``(B,)``; differentiable in tokens and weights.

    Example:
        >>> sets = TokenSets(torch.eye(2).expand(2, 2, 2), None, None)
        >>> pairs = torch.tensor([0]), torch.tensor([1])
        >>> map_distances(sets, *pairs, Solver(0.05, "implicit", 1e-3, None)).round(decimals=3)
        tensor([0.])
    """
    positions, channels = sets.units.shape[1:]
    size = max(1, _BLOCK // (positions * (positions + 2 * channels)))
    if len(first) <= size:
        return _block(sets, first, second, solver)
    parts: list[Tensor] = []
    for one, other in zip(torch.split(first, size), torch.split(second, size)):
        part: Tensor = checkpoint(_block, sets, one, other, solver, use_reentrant=False, preserve_rng_state=False)
        parts.append(part)
    return torch.cat(parts)


def _block(sets: TokenSets, first: Tensor, second: Tensor, solver: Solver) -> Tensor:
    cost = pair_costs(sets.units, first, second)  # (B, P, P)
    a, b = (None if sets.weights is None else sets.weights[side] for side in (first, second))
    rows, columns = (None if sets.mask is None else sets.mask[side] for side in (first, second))
    if solver.sweeps is not None:
        return _swept(cost, _shares(a, rows, cost), _shares(b, columns, cost), solver.epsilon, solver.sweeps)
    result = sinkhorn(
        cost, a, b, epsilon=solver.epsilon, tol=solver.tol, row_mask=rows, col_mask=columns, grad=solver.gradient
    )
    return result.value if solver.gradient == "envelope" else result.cost


def _shares(weights: Tensor | None, mask: Tensor | None, cost: Tensor) -> Tensor:
    if weights is not None:
        return weights
    exist = cost.new_ones(cost.shape[:2]) if mask is None else mask.to(cost.dtype)
    return exist / exist.sum(1, keepdim=True).clamp_min(1.0)


def _swept(cost: Tensor, a: Tensor, b: Tensor, epsilon: float, sweeps: FixedSweeps) -> Tensor:
    kernel = torch.exp(-cost / epsilon)  # (B, P, P)
    back = kernel.transpose(1, 2) if sweeps.transposed else kernel
    # Tokens that do not exist have weight 0 and so no scaling, from the start.
    u, v = a, (b > 0).to(b.dtype)
    for _ in range(sweeps.iterations):
        u = a / (kernel * v.unsqueeze(1)).sum(2)
        v = b / (back * u.unsqueeze(1)).sum(2)
    return (u.unsqueeze(2) * kernel * v.unsqueeze(1) * cost).sum((1, 2))
