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


class PlanTally:
    """Figures on a plan that comes in blocks of rows, none of which need be kept.

    Args:
        gamma: Sharpness of the ground cost ``exp(-gamma M)``.

    Example:
        >>> tally = PlanTally(gamma=10.0)
        >>> for row in ([[0.5, 0.0]], [[0.0, 0.5]]):
        ...     tally.add(torch.tensor(row), torch.ones(1, 2))
        >>> float(tally.figures().entropy), float(tally.figures().deviation)
        (0.5, 1.0)
    """

    def __init__(self, gamma: float) -> None:
        self._hard_above = math.log(10.0) / gamma
        self._gamma = gamma
        self._rows: list[tuple[Tensor, Tensor]] = []
        self._sums: Tensor | None = None  # (3,) entropy, hard mass, hard pairs
        self._columns = self._ranges = torch.empty(0)  # (2, M) mass and pairs; (2, 2) least and largest plan and cost

    def add(self, plan: Tensor, cost: Tensor, support: Tensor | None = None) -> None:
        """Takes in some rows of the plan, their costs M and which of their pairs count, each ``(K, M)``."""
        plan, cost = plan.detach(), cost.detach()
        counted = torch.ones_like(plan) if support is None else support.to(plan.dtype)  # (K, M)
        hard = (cost > self._hard_above) * counted  # (K, M)
        self._rows.append((plan.sum(1), counted.sum(1)))
        sums = torch.stack([torch.special.entr(plan).sum(), (plan * hard).sum(), hard.sum()])
        columns = torch.stack([plan.sum(0), counted.sum(0)])
        ranges = torch.stack([_range(plan, support), _range(cost, support)])
        if self._sums is None:
            self._sums, self._columns, self._ranges = sums, columns, ranges
            return
        self._sums, self._columns = self._sums + sums, self._columns + columns
        low, high = torch.minimum(self._ranges[:, 0], ranges[:, 0]), torch.maximum(self._ranges[:, 1], ranges[:, 1])
        self._ranges = torch.stack([low, high], 1)

    def figures(self) -> PlanDiagnostics:
        """Figures on all rows taken in so far."""
        assert self._sums is not None
        rows, pairs = [torch.cat(parts) for parts in zip(*self._rows)], self._pairs().clamp_min(1.0)
        entropy, hard_mass, hard_pairs = self._sums
        error = [(mass - counted / pairs).abs().sum() for mass, counted in (rows, self._columns)]
        return PlanDiagnostics(
            # With a single pair nothing else is possible, which is the uniform plan.
            entropy=torch.where(pairs > 1, entropy / pairs.log().clamp_min(1e-30), 1.0),
            deviation=self._deviation(),
            hard_mass=hard_mass,
            hard_pairs=hard_pairs / pairs,
            marginal_error=error[0] + error[1],
        )

    def reweights_nothing(self, *, scale: float, epsilon: float) -> Tensor:
        """Whether the settings, and not the batch, make a plan uniform; a bool tensor without gradient.

        Yes if three things hold: no weight is more than 2 % from uniform; the pairs differ in cost by a tenth of the
        natural size of a cost, so that there is something to weigh (not so when everything is learnt or has
        collapsed); and their ground costs span less than a tenth of epsilon, so that the kernel is flat (in very small
        batches the marginals alone can force a uniform plan).

        Args:
            scale: Natural size of a cost: the largest cost of a negative pair.
            epsilon: Entropic regularisation.

        Example:
            >>> tally = PlanTally(gamma=1.0)
            >>> tally.add(torch.full((2, 2), 0.25), torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
            >>> tally.reweights_nothing(scale=1.0, epsilon=100.0)
            tensor(True)
        """
        low, high = self._ranges[1].unbind()
        ground_span = torch.exp(-self._gamma * low) - torch.exp(-self._gamma * high)
        differ, flat = high - low > 0.1 * scale, ground_span < 0.1 * epsilon
        return (self._deviation() <= UNIFORM_TOLERANCE) & differ & flat

    def _pairs(self) -> Tensor:
        return self._columns[1].sum()

    def _deviation(self) -> Tensor:
        lowest, highest = (self._ranges[0] * self._pairs()).unbind()
        # Where no pair counts nothing deviates.
        return torch.maximum(highest - 1.0, 1.0 - lowest).nan_to_num(nan=0.0)


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
    tally = PlanTally(gamma)
    tally.add(plan, cost, support)
    return tally.figures()


def _range(values: Tensor, support: Tensor | None) -> Tensor:
    """Least and largest value of the pairs that count, ``(2,)``."""
    if support is None:
        return torch.stack([values.min(), values.max()])
    return torch.stack([values.masked_fill(~support, torch.inf).min(), values.masked_fill(~support, -torch.inf).max()])
