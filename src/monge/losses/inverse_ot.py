"""Contrastive learning as inverse optimal transport: costs under which the plan is the coupling that is wanted.

Sources: L. Shi, G. Zhang, H. Zhen, J. Fan, J. Yan, "Understanding and generalizing contrastive learning from the
inverse optimal transport perspective", ICML 2023 [IOT-CL]; Z. Chen, C.-H. Lin, R. Liu, J. Xiao, E. L. Dyer, "Your
contrastive learning problem is secretly a distribution alignment problem", NeurIPS 2024 [GCA]; L. Shi, J. Fan, J. Yan,
"OT-CLIP: understanding and generalizing CLIP via optimal transport", ICML 2024 [OT-CLIP].
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from monge.losses.cosines import full_precision, scaled_cosines
from monge.losses.coupling_targets import Positives, Target
from monge.losses.inverse_plan import Constraint, Gap, MarkedPlan, Rule, solve
from monge.losses.inverse_rows import row_loss, softmax_plan
from monge.losses.pairs import check_embeddings
from monge.losses.robust_contrast import Marks, Rince, rince_of_plan
from monge.ot import pairwise_cost
from monge.ot.warm_start import WarmProblem

Metric = Literal["cosine", "sqeuclidean"]


def inverse_ot_loss(
    scaled: Tensor,
    target: Tensor,
    *,
    constraint: Constraint = "balanced",
    rho: float = 10.0,
    mass: float = 0.9,
    ignore: Tensor | None = None,
    kl_weight: float = 1.0,
    rince: Rince | None = None,
    tol: float = 1e-3,
    warm: WarmProblem | None = None,
) -> Tensor:
    """How far a wanted coupling T is from the plan of costs X: ``<T, X> + Omega(T) - min_P (<P, X> + Omega(P))``.

    With fixed marginals, of the queries alone or of both sides, this is ``KL(T | P)`` [IOT-CL, GCA-INCE]; a price on
    the marginals adds that price times the KL of theirs. It is 0 at ``P = T`` and nowhere else, convex in X, and its
    gradient is ``T - P`` exactly (envelope theorem): nothing of the solve is differentiated.

    Args:
        scaled: X, costs over epsilon, ``(N, M)``, float32 or float64, finite.
        target: T, ``(N, M)``, non-negative, of mass 1, 0 at ignored pairs; if all of it is 0, so is the loss.
        constraint: What the plan has to obey. ``"row"``: the target's mass in each row; ``"balanced"``: in each row and
            column; ``"unbalanced"``: uniform marginals, at a price; ``"partial"``: no more than uniform marginals, or
            than the target's where these are larger, and ``mass`` in all.
        rho: Price of a marginal that is off, in units of epsilon, for ``"unbalanced"``.
        mass: Share of the mass that is moved, for ``"partial"``, above 0, at most 1; the target moves as much.
        ignore: Pairs that do not count, bool ``(N, M)``.
        kl_weight: What the loss above is multiplied by.
        rince: Adds `rince_of_plan` [GCA-RINCE], whose gradient goes through the plan.
        tol: Marginal error (L1, both sides) at which the plan is accepted.
        warm: Where the potentials of these samples are kept from solve to solve; for ``"balanced"``.

    Returns:
        Scalar.

    Raises:
        ValueError: An unknown constraint, ``rince`` beside ``"partial"``, or a value outside its range.

    Example:
        >>> scaled = torch.tensor([[0.0, 2.0], [2.0, 0.0]])
        >>> inverse_ot_loss(scaled, torch.eye(2) / 2, constraint="row")  # log(1 + exp(-2))
        tensor(0.1269)
    """
    _check(constraint, rince, rho, mass, tol)
    with full_precision(scaled.device):
        counted = _counted(ignore, scaled.device)
        wanted = Target.of(target)
        if constraint == "row":
            return row_loss(scaled, wanted, None, counted, kl_weight, rince)
        return _coupled_loss(scaled, wanted, counted, _rule(constraint, rho, mass, tol), kl_weight, rince, warm)


def _check(constraint: str, rince: Rince | None, rho: float, mass: float, tol: float) -> None:
    if constraint not in get_args(Constraint):
        raise ValueError(f"constraint: found {constraint!r}, expected one of {', '.join(get_args(Constraint))}")
    if constraint == "partial" and rince is not None:
        raise ValueError("rince: found it beside constraint 'partial', expected 'row', 'balanced' or 'unbalanced'")
    if not (min(rho, tol) > 0 and 0 < mass <= 1):
        raise ValueError(f"found rho {rho}, tol {tol} and mass {mass}, expected all above 0, mass at most 1")
    if rince is not None:
        _check_rince(rince)


def _check_rince(rince: Rince) -> None:
    if not (rince.lam > 0 and 0 < rince.q <= 1):
        raise ValueError(f"rince: found lam {rince.lam} and q {rince.q}, expected both above 0, q at most 1")


def _counted(ignore: Tensor | None, device: torch.device) -> Tensor | None:
    return None if ignore is None else ~ignore.to(device, torch.bool)


def _rule(constraint: Constraint, rho: float, mass: float, tol: float) -> Rule:
    return Rule(constraint, {"unbalanced": rho, "partial": mass}.get(constraint, math.inf), tol)


def _coupled_loss(
    scaled: Tensor,
    target: Target,
    counted: Tensor | None,
    rule: Rule,
    kl_weight: float,
    rince: Rince | None,
    warm: WarmProblem | None,
) -> Tensor:
    """The loss under constraints on both sides."""
    a, b = _weights(target, counted, rule.constraint)
    wanted = target.times(rule.strength) if rule.constraint == "partial" else target
    plan, optimum = solve(_allowed(scaled, counted, a, b), a, b, rule, warm)
    parts = []
    if kl_weight:
        with torch.no_grad():
            paid = wanted.inner(scaled) + _penalty(wanted, a, b, rule)
            factor = kl_weight * (target.rows.sum() > 0).to(plan)
        parts.append(Gap.apply(scaled, paid - optimum, factor, plan, wanted.weights, *wanted.places))
    if rince is not None:
        marks = Marks(*MarkedPlan.apply(scaled, plan, rule.strength, *wanted.places))
        parts.append(rince_of_plan(marks, wanted, a, b, rince))
    return parts[0] if len(parts) == 1 else torch.stack(parts).sum()


@torch.no_grad()
def _weights(target: Target, counted: Tensor | None, constraint: Constraint) -> tuple[Tensor, Tensor]:
    """Weights of both sides, uniform where there is no target at all."""
    sides, some = [], target.rows.sum() > 0
    for side, wanted in ((1, target.rows), (0, target.columns)):
        even = torch.full_like(wanted, 1.0 / len(wanted))
        if constraint == "balanced":
            sides.append(torch.where(some, wanted, even))
            continue
        if counted is not None:
            there = counted.any(side).to(wanted)
            even = torch.where(there.sum() > 0, there / there.sum().clamp_min(1.0), even)
        sides.append(even if constraint == "unbalanced" else torch.maximum(even, wanted))
    return sides[0], sides[1]


def _allowed(scaled: Tensor, counted: Tensor | None, a: Tensor, b: Tensor) -> Tensor:
    """Costs with pairs that do not count forbidden; a row or column without mass keeps its finite costs."""
    if counted is None:
        return scaled
    return scaled.masked_fill(~counted & (a > 0).unsqueeze(1) & (b > 0) & counted.any(), torch.inf)


def _penalty(target: Target, a: Tensor, b: Tensor, rule: Rule) -> Tensor:
    """``Omega(T)``: KL to ``a b'``, and for ``"unbalanced"`` its price times that of both marginals."""
    # sum T log(T / (a b')) by its marginals; what has no weight has no target either.
    crossed = torch.xlogy(target.rows, a).sum() + torch.xlogy(target.columns, b).sum()
    total, sum_a, sum_b = target.rows.sum(), a.sum(), b.sum()
    value = target.entropy() - crossed - total + sum_a * sum_b
    if rule.constraint != "unbalanced":
        return value
    own = torch.xlogy(target.rows, target.rows).sum() + torch.xlogy(target.columns, target.columns).sum()
    return value + rule.strength * (own - crossed - 2.0 * total + sum_a + sum_b)


class InverseOTLoss(nn.Module):
    """Inverse optimal transport between two modalities: their plan should be the coupling of what belongs together.

    See `inverse_ot_loss` for the loss of given costs. ``constraint="row"`` is InfoNCE with ``epsilon`` as temperature,
    and with several positives a sample the supervised contrastive loss up to a constant; ``"balanced"`` also holds
    every gallery item to its mass, so that no item can be near to everything (full Sinkhorn plan).

    Labels are classes, or the identity of a pair: the number of a clip for the clip and all its captions. Samples
    without a positive have no mass of their own; under ``"balanced"`` they play no part, under the others they are
    negatives.

    Args:
        constraint: What the plan has to obey.
        epsilon: Entropic regularisation in units of the cost: the temperature.
        learn_epsilon: Make it a parameter, ``log_epsilon``, that starts at the value given.
        metric: Cost: ``"cosine"``: 1 - cos. ``"sqeuclidean"``: d^2.
        symmetric: For ``"row"``: mean of the loss of the rows and of the columns, as in CLIP [OT-CLIP]. The other
            constraints treat both sides alike as they are.
        rho: See `inverse_ot_loss`.
        mass: See `inverse_ot_loss`.
        rince_weight: See `inverse_ot_loss`; GCA-RINCE is ``rince_weight=1, kl_weight=0`` with ``"balanced"``, GCA-UOT
            ``rince_weight=1, kl_weight=0.2`` with ``"unbalanced"``.
        kl_weight: See `inverse_ot_loss`.
        rince_q: See `rince_of_plan`.
        rince_lam: See `rince_of_plan`.
        tol: See `inverse_ot_loss`.

    Raises:
        ValueError: A value outside its range.

    Example:
        >>> loss = InverseOTLoss(epsilon=0.1)
        >>> captions, clips = torch.randn(6, 4, requires_grad=True), torch.randn(3, 4)
        >>> loss(captions, clips, torch.tensor([0, 0, 1, 1, 2, 2]), torch.arange(3)).backward()
        >>> captions.grad.shape
        torch.Size([6, 4])
    """

    def __init__(
        self,
        *,
        constraint: Constraint = "balanced",
        epsilon: float = 0.07,
        learn_epsilon: bool = False,
        metric: Metric = "cosine",
        symmetric: bool = True,
        rho: float = 10.0,
        mass: float = 0.9,
        rince_weight: float = 0.0,
        kl_weight: float = 1.0,
        rince_q: float = 0.6,
        rince_lam: float = 0.01,
        tol: float = 1e-3,
    ) -> None:
        super().__init__()
        rince = Rince(rince_weight, rince_q, rince_lam)
        _check_rince(rince)
        _check(constraint, rince if rince_weight else None, rho, mass, tol)
        if metric not in get_args(Metric):
            raise ValueError(f"metric: found {metric!r}, expected one of {', '.join(get_args(Metric))}")
        if not epsilon > 0:
            raise ValueError(f"epsilon: found {epsilon}, expected more than 0")
        if min(rince_weight, kl_weight) < 0 or rince_weight + kl_weight == 0:
            raise ValueError(f"found rince_weight {rince_weight} and kl_weight {kl_weight}, expected one above 0")
        self.constraint, self.metric, self.symmetric = constraint, metric, symmetric
        self.epsilon, self.rho, self.mass, self.tol = epsilon, rho, mass, tol
        self.kl_weight, self.rince = kl_weight, rince if rince_weight else None
        self.log_epsilon = nn.Parameter(torch.tensor(math.log(epsilon))) if learn_epsilon else None

    def forward(
        self,
        x_emb: Tensor,
        y_emb: Tensor,
        x_labels: Tensor | None = None,
        y_labels: Tensor | None = None,
        *,
        ignore: Tensor | None = None,
        warm: WarmProblem | None = None,
    ) -> Tensor:
        """Returns the loss, a scalar of dtype float32 or float64.

        Args:
            x_emb: Embeddings of the queries, ``(N, D)``.
            y_emb: Embeddings of the gallery items, ``(M, D)``.
            x_labels: Classes or pair identities, integers ``(N,)``; ``None`` on both sides: i-th x, i-th y.
            y_labels: ``(M,)``.
            ignore: Pairs that do not count, bool ``(N, M)``: a caption and the clip of another that says the same.
            warm: ``WarmStart.at(x_ids, y_ids)`` of the samples; for ``"balanced"``.

        Raises:
            ValueError: Shapes or dtypes that do not fit, no samples, or labels of one side only.
        """
        positives = self._positives(x_emb, y_emb, x_labels, y_labels, ignore)
        scaled = self.scaled_cost(x_emb, y_emb)  # (N, M)
        counted = _counted(ignore, scaled.device)
        with full_precision(scaled.device):
            if self.constraint != "row":
                return _coupled_loss(scaled, positives.target(), counted, self._rule, self.kl_weight, self.rince, warm)
            back = positives.target(of_x=0.0) if self.symmetric else None
            return row_loss(scaled, positives.target(of_x=1.0), back, counted, self.kl_weight, self.rince)

    @torch.no_grad()
    def couplings(
        self,
        x_emb: Tensor,
        y_emb: Tensor,
        x_labels: Tensor | None = None,
        y_labels: Tensor | None = None,
        *,
        ignore: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The plan of a batch and the coupling that is wanted of it, each ``(N, M)``, to be looked at.

        For ``"row"`` those of the queries; arguments as in `forward`.

        Example:
            >>> plan, wanted = InverseOTLoss(epsilon=0.5).couplings(torch.eye(2), torch.eye(2))
            >>> plan
            tensor([[0.4404, 0.0596],
                    [0.0596, 0.4404]])
        """
        positives = self._positives(x_emb, y_emb, x_labels, y_labels, ignore)
        scaled = self.scaled_cost(x_emb, y_emb)  # (N, M)
        counted = _counted(ignore, scaled.device)
        if self.constraint == "row":
            wanted = positives.target(of_x=1.0).matrix()
            return softmax_plan(scaled, wanted, counted), wanted
        target = positives.target()
        a, b = _weights(target, counted, self.constraint)
        plan = solve(_allowed(scaled, counted, a, b), a, b, self._rule).plan
        return plan, self.mass * target.matrix() if self.constraint == "partial" else target.matrix()

    def scaled_cost(self, x_emb: Tensor, y_emb: Tensor) -> Tensor:
        """Costs over epsilon, ``(N, M)``, float32 or float64; half precision is computed in float32."""
        inverse = 1.0 / self.epsilon if self.log_epsilon is None else torch.exp(-self.log_epsilon)
        if self.metric == "cosine":
            return scaled_cosines(x_emb, y_emb, -inverse, inverse)
        cost = pairwise_cost(x_emb, y_emb, self.metric)
        return cost * (inverse if isinstance(inverse, float) else inverse.to(cost))

    @property
    def _rule(self) -> Rule:
        return _rule(self.constraint, self.rho, self.mass, self.tol)

    def _positives(
        self, x: Tensor, y: Tensor, x_labels: Tensor | None, y_labels: Tensor | None, ignore: Tensor | None
    ) -> Positives:
        check_embeddings(x, y)
        dtype = torch.promote_types(torch.promote_types(x.dtype, y.dtype), torch.float32)
        return Positives.find((len(x), len(y)), x_labels, y_labels, ignore, dtype=dtype, device=x.device)

    def extra_repr(self) -> str:
        """Settings as they were given."""
        return f"constraint={self.constraint!r}, epsilon={self.epsilon}, metric={self.metric!r}"
