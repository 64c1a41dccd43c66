"""All pairs of two sets of embeddings in blocks of rows, made when they are wanted and never all at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from monge.losses.pairs import Negative, hinges
from monge.losses.plan_diagnostics import PlanTally
from monge.ot.streaming import row_blocks, stream_transform


class LossSettings(NamedTuple):
    """What the value of a batch depends on beside the batch; see `monge.losses.batchwise_ot_weights`.

    Attributes:
        factor: 1/2, or 1 for the released programs.
        kernel: Differentiate the plan's kernel with its scalings held, instead of nothing of the plan.
    """

    margin: float
    gamma: float
    epsilon: float
    negative: Negative
    pos_margin: float
    power: float
    factor: float
    kernel: bool
    tol: float


@dataclass(frozen=True)
class StreamedPairs:
    """All pairs of two sets, made in blocks of rows.

    Attributes:
        x: Embeddings of the rows, ``(N, D)``, float32 or float64, centred.
        y: Embeddings of the columns, ``(M, D)``.
        x_labels: ``(N,)``.
        y_labels: ``(M,)``.
        places: For a batch against itself, which sample each row and each column is; pairs of a sample with itself lie
            at distance 0.
        include_self: Whether those pairs count.
        max_pairs: Most pairs at a time; one row at least is made.
        settings: Of the loss.
    """

    x: Tensor
    y: Tensor
    x_labels: Tensor
    y_labels: Tensor
    places: tuple[Tensor, Tensor] | None
    include_self: bool
    max_pairs: int
    settings: LossSettings

    @property
    def per_block(self) -> int:
        """Rows in a block."""
        return max(1, self.max_pairs // len(self.y))

    def blocks(self) -> Iterator[slice]:
        """Slices of rows that cover all of them."""
        return row_blocks(len(self.x), self.per_block)

    def transposed(self) -> StreamedPairs:
        """Rows and columns exchanged."""
        places = None if self.places is None else (self.places[1], self.places[0])
        return replace(self, x=self.y, y=self.x, x_labels=self.y_labels, y_labels=self.x_labels, places=places)

    def part(self, rows: Tensor, columns: Tensor) -> StreamedPairs:
        """The pairs of some rows with some columns."""
        places = None if self.places is None else (self.places[0][rows], self.places[1][columns])
        return replace(
            self,
            x=self.x[rows],
            y=self.y[columns],
            x_labels=self.x_labels[rows],
            y_labels=self.y_labels[columns],
            places=places,
        )

    def squared(self, rows: slice) -> Tensor:
        """Squared distances of a block, ``(K, M)``."""
        x, y = self.x[rows], self.y
        squared = torch.addmm(y.square().sum(1), x, y.T, alpha=-2.0)  # (K, M)
        squared = squared.add_(x.square().sum(1, keepdim=True)).clamp_min_(0.0)
        own = self.own(rows)
        return squared if own is None else squared.masked_fill_(own, 0.0)

    def own(self, rows: slice) -> Tensor | None:
        """True at the pairs of a sample with itself, bool ``(K, M)``; ``None`` for two sets."""
        return None if self.places is None else self.places[0][rows].unsqueeze(1) == self.places[1]

    def same(self, rows: slice) -> Tensor:
        """True at positive pairs, bool ``(K, M)``."""
        return self.x_labels[rows].unsqueeze(1) == self.y_labels

    def cost(self, squared: Tensor, same: Tensor) -> Tensor:
        """Pair costs M, ``(K, M)``."""
        form, margin, pos_margin = self.settings.negative, self.settings.margin, self.settings.pos_margin
        positive, negative = hinges(squared, form=form, margin=margin, pos_margin=pos_margin)
        return torch.where(same, positive, negative)

    def ground_cost(self, rows: slice, cost: Tensor | None = None) -> Tensor:
        """``exp(-gamma M)``, ``(K, M)``; infinite where a pair does not count."""
        cost = self.cost(self.squared(rows), self.same(rows)) if cost is None else cost
        ground = cost.mul(-self.settings.gamma).exp_()
        own = None if self.include_self else self.own(rows)
        return ground if own is None else ground.masked_fill_(own, torch.inf)

    def half_step(self, rows: Tensor, columns: Tensor, g: Tensor) -> Tensor:
        """Soft c-transform of the potentials of some columns, at some rows."""
        part = self.part(rows, columns)
        return stream_transform(
            part.ground_cost, g, rows=len(rows), per_block=part.per_block, epsilon=self.settings.epsilon
        )


class StreamedPlan(NamedTuple):
    """The plan of streamed pairs, ``exp((f_i + g_j - G_ij) / epsilon) / (N M)``; ``f (N,)``, ``g (M,)``."""

    pairs: StreamedPairs
    f: Tensor
    g: Tensor

    def rows(self, rows: slice, ground_cost: Tensor) -> Tensor:
        """Rows of the plan, ``(K, M)``, from their ground costs."""
        exponent = (self.f[rows].unsqueeze(1) + self.g).sub_(ground_cost).div_(self.pairs.settings.epsilon)
        return exponent.exp_().div_(len(self.f) * len(self.g))

    @torch.no_grad()
    def tally(self) -> PlanTally:
        """Figures on the plan, in one more pass."""
        tally = PlanTally(self.pairs.settings.gamma)
        for rows in self.pairs.blocks():
            cost = self.pairs.cost(self.pairs.squared(rows), self.pairs.same(rows))
            ground_cost = self.pairs.ground_cost(rows, cost)
            support = None if self.pairs.places is None or self.pairs.include_self else torch.isfinite(ground_cost)
            tally.add(self.rows(rows, ground_cost), cost, support)
        return tally


def stream_pairs(
    x: Tensor,
    y: Tensor,
    x_labels: Tensor,
    y_labels: Tensor,
    settings: LossSettings,
    against_itself: bool,
    include_self: bool,
    max_pairs: int,
) -> StreamedPairs:
    """Pairs of two sets, or of one with itself, from embeddings as they are; arguments as in `StreamedPairs`."""
    # Distances do not change with the origin, but |x|^2 + |y|^2 - 2xy loses digits far away from it.
    centre = x.mean(0)
    x, y = x - centre, y - centre
    places = torch.arange(len(x), device=x.device)
    own = (places, places) if against_itself else None
    return StreamedPairs(x, x if against_itself else y, x_labels, y_labels, own, include_self, max_pairs, settings)
