"""Cosine costs between pairs of token sets: with hand-written gradients, since this is where the time goes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from monge.ot.once import only_once

_TWICE = "costs between feature maps have no second derivative: detach the first"
# Tokens shorter than this have no direction: their derivative would overflow float32.
_SHORTEST = 1e-12


def unit_tokens(tokens: Tensor) -> Tensor:
    """Tokens ``(N, P, C)`` scaled to length 1; those too short to have a direction become 0, with gradient 0.

    Example:
        >>> unit_tokens(torch.tensor([[[3.0, 4.0], [0.0, 0.0]]]))
        tensor([[[0.6000, 0.8000],
                 [0.0000, 0.0000]]])
    """
    units: Tensor = _UnitTokens.apply(tokens)
    return units


def pair_costs(units: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """``1 - <x_i, y_j>`` between the tokens of pairs of sets.

    Args:
        units: Tokens of length 1, ``(N, P, C)``.
        first: Places of the one side, ``(B,)``.
        second: Places of the other, ``(B,)``.

    Returns:
        ``(B, P, P)``.

    Example:
        >>> pair_costs(torch.eye(2).unsqueeze(0), torch.tensor([0]), torch.tensor([0]))
        tensor([[[0., 1.],
                 [1., 0.]]])
    """
    if units.device.type != "cpu" or torch.compiler.is_compiling():
        return 1.0 - units.index_select(0, first) @ units.index_select(0, second).transpose(1, 2)
    costs: Tensor = _PairCosts.apply(units, first, second)
    return costs


class _UnitTokens(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tokens: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(tokens, dim=-1, keepdim=True)
        inverse = torch.where(norm > _SHORTEST, norm.clamp_min(_SHORTEST).reciprocal(), 0.0)
        inverse = torch.where(norm < torch.inf, inverse, torch.nan)  # beyond the numbers is not without direction
        units = tokens * inverse
        ctx.save_for_backward(units, inverse)
        return units

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Tensor | None:
        units, inverse = ctx.saved_tensors
        with torch.no_grad():
            along = (grads[0] * units).sum(-1, keepdim=True)
            grad = torch.addcmul(grads[0], units, along, value=-1.0).mul_(inverse)
        return only_once((grad,), _TWICE, grads[0], units)[0]


class _PairCosts(torch.autograd.Function):
    """On a CPU one product a pair is quicker than a batched one, for which both sides would be copied out first."""

    @staticmethod
    def forward(ctx: Any, units: Tensor, first: Tensor, second: Tensor) -> Tensor:
        ctx.save_for_backward(units, first, second)
        sets, positions = units.unbind(0), units.shape[1]
        costs = units.new_empty(len(first), positions, positions)
        for i, j, cost in zip(first.tolist(), second.tolist(), costs.unbind(0)):
            torch.mm(sets[i], sets[j].T, out=cost)
        return costs.neg_().add_(1.0)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, None, None]:
        units, first, second = ctx.saved_tensors
        with torch.no_grad():
            grad = torch.zeros_like(units)
            sets, parts = units.unbind(0), grad.unbind(0)
            # Pairs of groups that cost nothing have no gradient to pass on.
            used = (grads[0] != 0).flatten(1).any(1).tolist()
            for i, j, part, counts in zip(first.tolist(), second.tolist(), grads[0].unbind(0), used):
                if counts:
                    parts[i].addmm_(part, sets[j], alpha=-1.0)
                    parts[j].addmm_(part.T, sets[i], alpha=-1.0)
        return only_once((grad,), _TWICE, grads[0], units)[0], None, None
