"""What a batch's plan does: how far it is from uniform, and how much of its mass goes to the hard pairs."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

# A plan that nowhere leaves the uniform one by more than this share re-weights nothing.
UNIFORM_TOLERANCE = 0.02


class PlanDiagnostics(NamedTuple):
    """Figures on one plan; scalar tensors without gradient, on the plan's device.

    Attributes:
        entropy: Entropy of the plan over that of the uniform plan on the same pairs: 1 is uniform, 0 a single pair.
        deviation: Largest relative distance of a pair's weight from the uniform weight: 0 is uniform, 1 or more is
            a plan that leaves pairs out or singles pairs out.
        hard_mass: Share of the plan's mass on hard pairs, those whose ground cost is below 0.1.
        hard_pairs: Share of the pairs that are hard; re-weighting acts where ``hard_mass`` is well above it.
        marginal_error: L1 distance of the plan's marginals from the wanted ones, both sides, of a total mass of 1.
    """

    entropy: Tensor
    deviation: Tensor
    hard_mass: Tensor
    hard_pairs: Tensor
    marginal_error: Tensor


def diagnose_plan(plan: Tensor, cost: Tensor, support: Tensor | None = None, *, gamma: float = 10.0) -> PlanDiagnostics:
    """Measures a plan over the pairs of a batch.

    Args:
        plan: Transport plan of mass 1, ``(N, M)``.
        cost: Pair costs M (not the ground cost), ``(N, M)``.
        support: Pairs that count, bool ``(N, M)``; ``None`` means all.
        gamma: Sharpness of the ground cost ``exp(-gamma M)``.

    Example:
        >>> uniform = diagnose_plan(torch.full((4, 4), 1 / 16), torch.zeros(4, 4))
        >>> float(uniform.entropy), float(uniform.deviation), float(uniform.hard_mass)
        (1.0, 0.0, 0.0)
    """
    plan, cost = plan.detach(), cost.detach()
    counted = torch.ones_like(plan) if support is None else support.to(plan.dtype)  # (N, M)
    pairs = counted.sum().clamp_min(1.0)
    # With a single pair nothing else is possible, which is the uniform plan.
    entropy = torch.where(pairs > 1, torch.special.entr(plan).sum() / pairs.log().clamp_min(1e-30), 1.0)
    hard = (cost > math.log(10.0) / gamma) * counted  # (N, M)
    wanted = counted / pairs  # (N, M)
    error = sum((plan.sum(side) - wanted.sum(side)).abs().sum() for side in (0, 1))
    return PlanDiagnostics(
        entropy=entropy,
        deviation=deviation_from_uniform(plan, support),
        hard_mass=(plan * hard).sum(),
        hard_pairs=hard.sum() / pairs,
        marginal_error=torch.as_tensor(error),
    )


def deviation_from_uniform(plan: Tensor, support: Tensor | None = None) -> Tensor:
    """Largest relative distance of a weight from the uniform weight, a scalar tensor.

    Args:
        plan: Transport plan of mass 1, ``(N, M)``.
        support: Pairs that count, bool ``(N, M)``; ``None`` means all.

    Example:
        >>> deviation_from_uniform(torch.tensor([[0.5, 0.0], [0.0, 0.5]]))
        tensor(1.)
    """
    if support is None:
        return (plan.detach() * plan.numel() - 1.0).abs().max()
    return (plan.detach() * support.sum() - 1.0).abs().masked_fill(~support, 0.0).max()


def reweights_nothing(
    plan: Tensor, cost: Tensor, ground_cost: Tensor, support: Tensor | None, *, scale: float, epsilon: float
) -> Tensor:
    """Whether the settings, and not the batch, make a plan uniform; a bool tensor without gradient.

    Yes if three things hold: no weight is more than 2 % from uniform; the pairs differ in cost by a tenth of the
    natural size of a cost, so that there is something to weigh (not so when everything is learnt or has collapsed);
    and their ground costs span less than a tenth of epsilon, so that the kernel is flat (in very small batches the
    marginals alone can force a uniform plan).

    Args:
        plan: Transport plan of mass 1, ``(N, M)``.
        cost: Pair costs M, ``(N, M)``.
        ground_cost: Ground costs, ``(N, M)``.
        support: Pairs that count, bool ``(N, M)``; ``None`` means all.
        scale: Natural size of a cost: the largest cost of a negative pair.
        epsilon: Entropic regularisation.

    Example:
        >>> cost = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
        >>> reweights_nothing(torch.full((2, 2), 0.25), cost, torch.exp(-cost), None, scale=1.0, epsilon=100.0)
        tensor(True)
    """
    differ = _span(cost, support) > 0.1 * scale
    flat = _span(ground_cost, support) < 0.1 * epsilon
    return (deviation_from_uniform(plan, support) <= UNIFORM_TOLERANCE) & differ & flat


def _span(values: Tensor, support: Tensor | None) -> Tensor:
    values = values.detach()
    if support is None:
        return values.max() - values.min()
    return values.masked_fill(~support, -torch.inf).max() - values.masked_fill(~support, torch.inf).min()
