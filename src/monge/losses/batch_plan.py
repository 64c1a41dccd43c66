"""The entropic plan between two batches, over all their pairs or over some of them, with its three gradients."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from monge.losses.pairs import PairMasks
from monge.losses.released import ReleasedSweeps, released_plan
from monge.ot import sinkhorn
from monge.ot.warm_start import WarmProblem

PlanGradient = Literal["detach", "kernel", "full"]


def batch_plan(
    ground_cost: Tensor,
    masks: PairMasks,
    *,
    epsilon: float,
    gradient: PlanGradient = "detach",
    tol: float = 1e-3,
    sweeps: ReleasedSweeps | None = None,
    warm: WarmProblem | None = None,
) -> Tensor:
    """Plan of least ground cost, less ``epsilon`` times its entropy, between two batches.

    Over all pairs its marginals are uniform. Where only some pairs count it is 0 elsewhere, and its marginals are those
    of the plan that is uniform over the pairs that count: uniform again without the diagonal, and for a miner's
    pairs the share of each row and column in them. A plan with these marginals always exists, which cannot be said of
    uniform marginals.

    Args:
        ground_cost: Costs in ``[0, 1]``, float32 or float64, ``(N, M)``.
        masks: Which pairs count.
        epsilon: Entropic regularisation, in units of the cost.
        gradient: ``"detach"``: none. ``"kernel"``: of the kernel ``exp(-cost / epsilon)`` with its scalings held.
            ``"full"``: the true one, by the implicit function theorem (through all sweeps with ``sweeps``).
        tol: Marginal error (L1, both sides) at which the plan is accepted.
        sweeps: Run a fixed number of sweeps instead, as the released programs do.
        warm: Where the potentials of these samples are kept from solve to solve; compiled graphs start cold.

    Returns:
        The plan, ``(N, M)``; it sums to 1, or to 0 if no pair counts.

    Raises:
        ValueError: An unknown gradient, or ``sweeps`` over a miner's pairs.

    Example:
        >>> masks = PairMasks(same=torch.eye(2, dtype=torch.bool), support=None, balanced=True)
        >>> batch_plan(torch.tensor([[0.0, 1.0], [1.0, 0.0]]), masks, epsilon=0.2).round(decimals=3)
        tensor([[0.4970, 0.0030],
                [0.0030, 0.4970]])
    """
    if gradient not in get_args(PlanGradient):
        raise ValueError(f"plan_gradient is one of {', '.join(get_args(PlanGradient))}, found {gradient!r}")
    fixed = ground_cost if gradient == "full" else ground_cost.detach()  # (N, M)
    if sweeps is None:
        grad: Literal["implicit", "none"] = "implicit" if gradient == "full" else "none"
        plan = _converged(fixed, masks, epsilon=epsilon, tol=tol, grad=grad, warm=warm)
    elif masks.balanced:
        plan = released_plan(fixed, sweeps, epsilon=epsilon, support=masks.support)
    else:
        raise ValueError("the released programs know no miners: sweeps cannot be used with an indices_tuple")
    if gradient == "kernel":
        # T = diag(u) K diag(v) with u, v held: this factor is 1 in value and carries the derivative of K alone.
        sign = 1.0 if sweeps is not None and sweeps.reversed_sign else -1.0
        plan = plan * torch.exp(sign / epsilon * (ground_cost - fixed))
    return plan


def _converged(
    ground_cost: Tensor,
    masks: PairMasks,
    *,
    epsilon: float,
    tol: float,
    grad: Literal["implicit", "none"],
    warm: WarmProblem | None,
) -> Tensor:
    support = masks.support
    if support is None:
        return _solve(ground_cost, None, None, epsilon=epsilon, tol=tol, grad=grad, warm=warm)
    if masks.balanced:
        cost = ground_cost.masked_fill(~support, torch.inf)  # (N, M)
        return _solve(cost, None, None, epsilon=epsilon, tol=tol, grad=grad, warm=warm)
    rows, columns = (support.sum(side, dtype=ground_cost.dtype) for side in (1, 0))  # (N,), (M,)
    total = rows.sum()
    # Rows and columns without a pair carry no mass and keep finite costs. If no pair counts at all, the problem is
    # solved as if all did, and its plan emptied.
    forbidden = ~support & (rows > 0).unsqueeze(1) & (columns > 0)
    a, b = (torch.where(total > 0, count / total, 1.0 / count.numel()) for count in (rows, columns))
    cost = ground_cost.masked_fill(forbidden, torch.inf)
    return _solve(cost, a, b, epsilon=epsilon, tol=tol, grad=grad, warm=warm).masked_fill(~support, 0.0)


def _solve(
    cost: Tensor,
    a: Tensor | None,
    b: Tensor | None,
    *,
    epsilon: float,
    tol: float,
    grad: Literal["implicit", "none"],
    warm: WarmProblem | None,
) -> Tensor:
    if warm is None or torch.compiler.is_compiling():
        return sinkhorn(cost, a, b, epsilon=epsilon, tol=tol, grad=grad).plan
    init = warm.init(cost, epsilon=epsilon)
    result = sinkhorn(cost, a, b, epsilon=epsilon, tol=tol, grad=grad, init=init)
    warm.keep(*(potentials.detach() for potentials in result.potentials))
    return result.plan
