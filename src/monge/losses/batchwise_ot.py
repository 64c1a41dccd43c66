"""Batch-wise optimal transport loss: every pair of a batch, weighted by a plan that seeks out the hard ones.

Source: L. Xu, H. Sun, Y. Liu, "Learning with batch-wise optimal transport loss for 3D shape recognition", CVPR 2019,
arXiv 1903.08923; cited here as [BWOT].
"""

from __future__ import annotations

import warnings
from typing import NamedTuple, get_args

import torch
from torch import Tensor, nn

from monge.errors import UniformPlanWarning
from monge.losses.batch_plan import PlanGradient, batch_plan
from monge.losses.chunked import streamed_batchwise_ot
from monge.losses.pairs import IndicesTuple, Negative, check_costs, check_embeddings, pair_costs, pair_masks
from monge.losses.plan_diagnostics import PlanDiagnostics, PlanTally
from monge.losses.presets import PresetName, Quirks, preset_settings
from monge.losses.released import ReleasedSweeps
from monge.losses.streamed_pairs import LossSettings, StreamedPlan
from monge.ot.warm_start import WarmProblem

# How often (in calls) the module looks whether its plan is uniform; each look waits for the device once.
_CALLS_BETWEEN_LOOKS = 100


class BatchwiseOTTerms(NamedTuple):
    """What the loss is made of, for every pair of the batch with the reference set; all of shape ``(N, M)``.

    Attributes:
        plan: Transport plan T, the importance weight of each pair; sums to 1, 0 at pairs that do not count.
        positive: M+, what each pair would cost if it were positive.
        negative: M-, what each pair would cost if it were negative.
        cost: M, which is M+ at positive and M- at negative pairs.
        ground_cost: G = exp(-gamma M), the cost of the transport problem: hard pairs are cheap.
        same: True at positive pairs, bool.
        support: True at pairs that count, bool; ``None`` means all of them.
    """

    plan: Tensor
    positive: Tensor
    negative: Tensor
    cost: Tensor
    ground_cost: Tensor
    same: Tensor
    support: Tensor | None


def batchwise_ot_loss(terms: BatchwiseOTTerms, *, power: float = 1.0, half: bool = True) -> Tensor:
    """``L = 1/2 sum_ij T_ij M_ij``, the total cost of the pairs under the plan [BWOT, final loss].

    Args:
        terms: From `batchwise_ot_weights`.
        power: Exponent of M, at least 1; the released 2D program has 2.
        half: Keep the factor 1/2; the released programs drop it.

    Returns:
        Scalar, float32 or float64.

    Example:
        >>> embeddings = torch.tensor([[0.0, 0.0], [0.6, 0.0]])
        >>> batchwise_ot_loss(batchwise_ot_weights(embeddings, torch.tensor([0, 1])))  # 1/2 (1 - 0.36)
        tensor(0.3200)
    """
    cost = terms.cost if power == 1.0 else terms.cost**power  # (N, M)
    return (0.5 if half else 1.0) * (terms.plan * cost).sum()


def batchwise_ot_weights(
    embeddings: Tensor,
    labels: Tensor | None,
    ref_emb: Tensor | None = None,
    ref_labels: Tensor | None = None,
    *,
    indices_tuple: IndicesTuple | None = None,
    margin: float = 1.0,
    gamma: float = 10.0,
    epsilon: float = 0.2,
    negative: Negative = "hinge_sq_dist",
    pos_margin: float = 0.0,
    plan_gradient: PlanGradient = "detach",
    include_self: bool = False,
    tol: float = 1e-3,
    sweeps: ReleasedSweeps | None = None,
    warm: WarmProblem | None = None,
) -> BatchwiseOTTerms:
    """Importance weights T and pair costs M+, M- of a batch against itself or against a reference set [BWOT].

    ``T = argmin <T, G> - epsilon H(T)`` over the plans with uniform marginals, ``G = exp(-gamma M)``. For plans over
    some of the pairs (no diagonal, or a miner's tuple) see `monge.losses.batch_plan`.

    Args:
        embeddings: Floats ``(N, D)``; half precision is computed in float32, also under autocast.
        labels: Integers ``(N,)``; may be ``None`` beside an ``indices_tuple``.
        ref_emb: Reference embeddings ``(M, D)``; ``None`` means the batch against itself.
        ref_labels: Integers ``(M,)``, needed beside ``ref_emb`` unless there is an ``indices_tuple``.
        indices_tuple: Triplets or pairs of a miner: only these pairs count, and it alone says which are positive.
        margin: Distance at which a negative pair stops costing: squared distance for ``hinge_sq_dist``, plain
            distance for ``dist_hinge_sq``.
        gamma: Sharpness of the ground cost.
        epsilon: Entropic regularisation, the paper's 1/lambda, in units of G (which lies in (0, 1]).
        negative: ``"hinge_sq_dist"``: M+ = max(0, d^2 - pos_margin), M- = max(0, margin - d^2);
            ``"dist_hinge_sq"``: M+ = max(0, d - pos_margin)^2, M- = max(0, margin - d)^2.
        pos_margin: Distance, in the unit of ``margin``, below which a positive pair costs nothing.
        plan_gradient: ``"detach"``: T is a constant [BWOT]. ``"kernel"``: T's kernel is differentiated with its
            scalings held, as the released TensorFlow programs do. ``"full"``: the true derivative of T.
        include_self: Count the pairs ``(i, i)`` of a batch against itself (as positives at distance 0).
        tol: Marginal error (L1, both sides) at which the plan is accepted.
        sweeps: Run a fixed number of Sinkhorn sweeps, as the released programs do, instead of solving to ``tol``.
        warm: ``WarmStart.at(ids, ids)`` of the samples: the solve begins from their last potentials and keeps the new
            ones. Saves iterations; sweeps and compiled graphs do without.

    Returns:
        The terms, float32 or float64. ``plan`` carries a gradient only if ``plan_gradient`` is not ``"detach"``.

    Raises:
        ValueError: Shapes or dtypes that do not fit, no samples, missing labels, an unknown option, or ``sweeps`` for a
            miner's pairs.

    Example:
        >>> terms = batchwise_ot_weights(torch.tensor([[0.0], [0.1], [2.0]]), torch.tensor([0, 0, 1]))
        >>> terms.plan.sum(1)  # uniform marginals, nothing on the diagonal
        tensor([0.3333, 0.3333, 0.3333])
    """
    check_embeddings(embeddings, ref_emb)
    check_costs(negative, margin=margin, gamma=gamma, epsilon=epsilon, pos_margin=pos_margin)
    # A batch of one has no other pair; its pair with itself costs nothing.
    exclude_diagonal = ref_emb is None and not include_self and embeddings.shape[0] > 1
    if ref_emb is not None and ref_labels is None and indices_tuple is None:
        raise ValueError("ref_emb came without ref_labels: pass both, or an indices_tuple")
    n, m = embeddings.shape[0], (embeddings if ref_emb is None else ref_emb).shape[0]
    masks = pair_masks(n, m, embeddings.device, labels, ref_labels, indices_tuple, exclude_diagonal=exclude_diagonal)
    positive, negative_cost = pair_costs(embeddings, ref_emb, form=negative, margin=margin, pos_margin=pos_margin)
    cost = torch.where(masks.same, positive, negative_cost)  # (N, M)
    ground_cost = torch.exp(-gamma * (cost.detach() if plan_gradient == "detach" else cost))  # (N, M)
    plan = batch_plan(
        ground_cost, masks, epsilon=epsilon, gradient=plan_gradient, tol=tol, sweeps=sweeps, warm=warm
    )  # (N, M)
    return BatchwiseOTTerms(plan, positive, negative_cost, cost, ground_cost, masks.same, masks.support)


class BatchwiseOTLoss(nn.Module):
    """Batch-wise optimal transport loss as a module, called like a metric loss of pytorch-metric-learning.

    ``L = 1/2 sum_ij T_ij M_ij`` with ``M = M+`` (squared distance) for pairs of one class and ``M = M-`` (hinge of the
    margin) for the others, and T the entropic plan for the ground cost ``exp(-gamma M)``, which gives hard pairs most
    of the mass [BWOT]. Warns once, with `monge.errors.UniformPlanWarning`, when the plan is within 2 % of uniform
    although some pairs are much harder than others; outside of `torch.compile` only.

    Args:
        power: See `batchwise_ot_loss`.
        half: See `batchwise_ot_loss`.
        max_pairs: Above this many pairs of batch and reference set the loss works in blocks of at most so many: same
            value and gradient, each pair computed anew in every pass of the solver. ``None`` means never.

    The other arguments are those of `batchwise_ot_weights`.

    Raises:
        ValueError: A value outside its range.

    Example:
        >>> loss = BatchwiseOTLoss()
        >>> embeddings = torch.nn.functional.normalize(torch.randn(8, 4), dim=1).requires_grad_()
        >>> loss(embeddings, torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])).backward()
        >>> embeddings.grad.shape
        torch.Size([8, 4])
    """

    def __init__(
        self,
        *,
        margin: float = 1.0,
        gamma: float = 10.0,
        epsilon: float = 0.2,
        negative: Negative = "hinge_sq_dist",
        pos_margin: float = 0.0,
        power: float = 1.0,
        half: bool = True,
        plan_gradient: PlanGradient = "detach",
        include_self: bool = False,
        tol: float = 1e-3,
        sweeps: ReleasedSweeps | None = None,
        max_pairs: int | None = None,
    ) -> None:
        super().__init__()
        check_costs(negative, margin=margin, gamma=gamma, epsilon=epsilon, pos_margin=pos_margin)
        if plan_gradient not in get_args(PlanGradient):
            raise ValueError(f"plan_gradient is one of {', '.join(get_args(PlanGradient))}, found {plan_gradient!r}")
        if not (tol > 0 and power >= 1):
            raise ValueError(f"found tol {tol} and power {power}: tol must be positive, power at least 1")
        if max_pairs is not None and (max_pairs < 1 or sweeps is not None or plan_gradient == "full"):
            raise ValueError(
                f"max_pairs is {max_pairs}: expected at least 1, beside a plan_gradient of 'detach' or 'kernel' and no "
                "sweeps, which need the whole plan"
            )
        self.margin, self.gamma, self.epsilon = margin, gamma, epsilon
        self.negative, self.pos_margin = negative, pos_margin
        # `half` is a method of nn.Module.
        self.power, self.with_half = power, half
        self.plan_gradient, self.include_self = plan_gradient, include_self
        self.tol, self.sweeps, self.max_pairs = tol, sweeps, max_pairs
        self._last: tuple[Tensor, Tensor, Tensor | None] | StreamedPlan | None = None
        self._calls = 0
        self._warned = False

    @classmethod
    def preset(cls, name: PresetName, *, quirks: Quirks = "corrected") -> BatchwiseOTLoss:
        """The loss with the settings of a released program; `monge.losses.presets` lists them all.

        Args:
            name: ``"mnist"``, ``"shrec14"``, ``"modelnet10"`` or ``"modelnet40"``.
            quirks: ``"released"`` computes what the program computes, errors included; ``"corrected"`` keeps its
                margins and its form of the hinges and mends the rest.

        Raises:
            ValueError: An unknown name or choice of quirks.

        Example:
            >>> BatchwiseOTLoss.preset("shrec14", quirks="released").sweeps
            ReleasedSweeps(iterations=20, guard=1e-12, reversed_sign=False)
        """
        return cls(**preset_settings(name, quirks))

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor | None = None,
        indices_tuple: IndicesTuple | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
        *,
        warm: WarmProblem | None = None,
    ) -> Tensor:
        """Returns the loss, a scalar of dtype float32 or float64; arguments as in `batchwise_ot_weights`."""
        pairs = embeddings.shape[0] * (embeddings if ref_emb is None else ref_emb).shape[0]
        if self.max_pairs is not None and pairs > self.max_pairs:
            if indices_tuple is not None:
                raise ValueError(
                    f"{pairs} pairs are more than max_pairs={self.max_pairs}, and blocks are made of all pairs: "
                    "leave out the indices_tuple, or raise max_pairs"
                )
            value = self._streamed(embeddings, labels, ref_emb, ref_labels, self.max_pairs, warm)
        else:
            terms = self.terms(embeddings, labels, indices_tuple, ref_emb, ref_labels, warm=warm)
            self._last = (terms.plan.detach(), terms.cost.detach(), terms.support)
            value = batchwise_ot_loss(terms, power=self.power, half=self.with_half)
        if not torch.compiler.is_compiling():
            self._look()
        return value

    def terms(
        self,
        embeddings: Tensor,
        labels: Tensor | None = None,
        indices_tuple: IndicesTuple | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
        *,
        warm: WarmProblem | None = None,
    ) -> BatchwiseOTTerms:
        """Returns plan and costs of all pairs under this loss's settings; arguments as in `batchwise_ot_weights`."""
        return batchwise_ot_weights(
            embeddings,
            labels,
            ref_emb,
            ref_labels,
            indices_tuple=indices_tuple,
            margin=self.margin,
            gamma=self.gamma,
            epsilon=self.epsilon,
            negative=self.negative,
            pos_margin=self.pos_margin,
            plan_gradient=self.plan_gradient,
            include_self=self.include_self,
            tol=self.tol,
            sweeps=self.sweeps,
            warm=warm,
        )

    def diagnostics(self) -> PlanDiagnostics:
        """Figures on the plan of the last call, as scalar tensors without gradient; computed when asked for.

        Raises:
            RuntimeError: The loss has not been called yet.
        """
        if self._last is None:
            raise RuntimeError("diagnostics() describes the last call, and the loss has not been called yet")
        return self._tally(self._last).figures()

    def _tally(self, last: tuple[Tensor, Tensor, Tensor | None] | StreamedPlan) -> PlanTally:
        if isinstance(last, StreamedPlan):
            return last.tally()
        tally = PlanTally(self.gamma)
        tally.add(*last)
        return tally

    def _streamed(
        self,
        embeddings: Tensor,
        labels: Tensor | None,
        ref_emb: Tensor | None,
        ref_labels: Tensor | None,
        max_pairs: int,
        warm: WarmProblem | None,
    ) -> Tensor:
        settings = LossSettings(
            margin=self.margin,
            gamma=self.gamma,
            epsilon=self.epsilon,
            negative=self.negative,
            pos_margin=self.pos_margin,
            power=self.power,
            factor=0.5 if self.with_half else 1.0,
            kernel=self.plan_gradient == "kernel",
            tol=self.tol,
        )
        value, self._last = streamed_batchwise_ot(
            embeddings,
            labels,
            ref_emb,
            ref_labels,
            settings,
            include_self=self.include_self,
            max_pairs=max_pairs,
            warm=warm,
        )
        return value

    def _look(self) -> None:
        # Reading the answer waits for the device, so this looks only now and then, and never again once it has warned.
        due = self._calls % _CALLS_BETWEEN_LOOKS == 0
        self._calls += 1
        if self._warned or not due or self._last is None:
            return
        scale = self.margin if self.negative == "hinge_sq_dist" else self.margin**2
        if self._tally(self._last).reweights_nothing(scale=scale, epsilon=self.epsilon):
            self._warned = True
            warnings.warn(
                "the transport plan is within 2 % of uniform, so hard and easy pairs weigh the same: lower epsilon "
                f"(now {self.epsilon:g}, ground costs lie in (0, 1]) or fit gamma (now {self.gamma:g}) to the costs",
                UniformPlanWarning,
                stacklevel=5,  # past the two frames of nn.Module.__call__
            )

    def extra_repr(self) -> str:
        """Settings as they were given."""
        return f"margin={self.margin}, gamma={self.gamma}, epsilon={self.epsilon}, negative={self.negative!r}"
