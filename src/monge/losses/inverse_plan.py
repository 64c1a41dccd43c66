"""Plans of scaled costs under each set of constraints of inverse optimal transport, with the optimal value.

Costs come divided by epsilon, so that regularisation is 1 everywhere: the plan minimises ``<P, X> + Omega(P)`` with
``Omega(P) = KL(P | a b')`` and what the constraint adds.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from monge.losses.inverse_adjoint import relaxed_adjoint
from monge.ot import sinkhorn, sinkhorn_partial, sinkhorn_unbalanced
from monge.ot.once import only_once
from monge.ot.warm_start import WarmProblem

Constraint = Literal["row", "balanced", "unbalanced", "partial"]
"""``"row"``: each query's mass. ``"balanced"``: that of queries and of gallery items. ``"unbalanced"``: a price on
departures from both. ``"partial"``: both are upper bounds and a total is moved."""

_TWICE = "the inverse-OT loss has no second derivative: its gradient holds the solved plan"


class Rule(NamedTuple):
    """What a plan has to obey.

    Attributes:
        constraint: ``"balanced"``, ``"unbalanced"`` or ``"partial"``.
        strength: For ``"unbalanced"`` the price of a marginal that is off, for ``"partial"`` the mass to move.
        tol: Marginal error at which a plan is accepted.
        max_iter: Iterations at most.
    """

    constraint: Constraint
    strength: float = 1.0
    tol: float = 1e-3
    max_iter: int = 5000


class Solved(NamedTuple):
    """A plan ``(N, M)`` without history and the optimal value, a scalar."""

    plan: Tensor
    value: Tensor


@torch.no_grad()
def solve(scaled: Tensor, a: Tensor, b: Tensor, rule: Rule, warm: WarmProblem | None = None) -> Solved:
    """Solves one problem; in a compiled graph as one opaque operator.

    Args:
        scaled: Costs over epsilon, ``(N, M)``, float32 or float64; ``+inf`` forbids a pair.
        a: Weights of the queries, ``(N,)``.
        b: Weights of the gallery items, ``(M,)``.
        rule: What the plan has to obey.
        warm: Where the potentials of these samples are kept; balanced problems outside of compiled graphs use it.

    Example:
        >>> weights = torch.tensor([0.5, 0.5])
        >>> solve(torch.tensor([[0.0, 3.0], [3.0, 0.0]]), weights, weights, Rule("balanced")).plan
        tensor([[0.4763, 0.0237],
                [0.0237, 0.4763]])
    """
    scaled = scaled.detach()
    if torch.compiler.is_compiling():
        return Solved(*_solve_operator(scaled, a, b, *rule))
    return _solve(scaled, a, b, rule, warm)


def _solve(scaled: Tensor, a: Tensor, b: Tensor, rule: Rule, warm: WarmProblem | None = None) -> Solved:
    settings: dict[str, Any] = {"epsilon": 1.0, "tol": rule.tol, "max_iter": rule.max_iter, "grad": "none"}
    match rule.constraint:
        case "unbalanced":
            result = sinkhorn_unbalanced(scaled, a, b, rho=rule.strength, **settings)
        case "partial":
            result = sinkhorn_partial(scaled, a, b, mass=rule.strength, **settings)
        case _:
            init = None if warm is None else warm.init(scaled, epsilon=1.0)
            result = sinkhorn(scaled, a, b, init=init, **settings)
            if warm is not None:
                warm.keep(*result.potentials)
    return Solved(result.plan, result.value)


@torch.library.custom_op("monge::inverse_plan", mutates_args=())
def _solve_operator(
    scaled: Tensor, a: Tensor, b: Tensor, constraint: str, strength: float, tol: float, max_iter: int
) -> tuple[Tensor, Tensor]:
    rule = Rule(constraint, strength, tol, max_iter)  # type: ignore[arg-type]
    plan, value = _solve(scaled, a, b, rule)
    return plan.clone(), value.clone()


@_solve_operator.register_fake
def _(
    scaled: Tensor, a: Tensor, b: Tensor, constraint: str, strength: float, tol: float, max_iter: int
) -> tuple[Tensor, Tensor]:
    return torch.empty_like(scaled, memory_format=torch.contiguous_format), scaled.new_empty(())


class KnownGradient(torch.autograd.Function):
    """A scalar whose gradient to the scaled costs has been computed with it."""

    @staticmethod
    def forward(ctx: Any, scaled: Tensor, value: Tensor, gradient: Tensor, factor: Tensor) -> Tensor:
        """Returns ``factor`` times the value; the gradient is multiplied by it too."""
        ctx.save_for_backward(scaled, gradient, factor)
        return value * factor

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        """Returns the gradient times the incoming one."""
        scaled, gradient, factor = ctx.saved_tensors
        (grad,) = grads
        with torch.no_grad():
            to_scaled = gradient * (grad * factor)
        return (*only_once((to_scaled,), _TWICE, grad, scaled), None, None, None)


class LivePlan(torch.autograd.Function):
    """A solved plan, balanced or unbalanced, as a differentiable function of the scaled costs.

    With ``P_ij = a_i b_j exp(f_i + g_j - X_ij)`` a gradient ``G`` to the plan gives ``P (alpha_i + beta_j - G_ij)`` to
    the costs, ``alpha`` and ``beta`` from the system of `monge.losses.inverse_adjoint.relaxed_adjoint`.
    """

    @staticmethod
    def forward(ctx: Any, scaled: Tensor, plan: Tensor, price: float) -> Tensor:
        """Returns the plan; ``price`` of a marginal that is off, infinite for a balanced one."""
        ctx.save_for_backward(scaled, plan)
        ctx.price = price
        return plan.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        """Solves the transposed system of the optimality conditions."""
        scaled, plan = ctx.saved_tensors
        (grad,) = grads
        with torch.no_grad():
            flow = grad * plan  # (N, M)
            alpha, beta = relaxed_adjoint(plan, flow.sum(1), flow.sum(0), ctx.price)
            to_scaled = plan * (alpha.unsqueeze(1) + beta) - flow
        return (*only_once((to_scaled,), _TWICE, grad, scaled), None, None)
