"""Plans of scaled costs under each set of constraints of inverse optimal transport, with the optimal value.

Costs come divided by epsilon, so that regularisation is 1 everywhere: the plan minimises ``<P, X> + Omega(P)`` with
``Omega(P) = KL(P | a b')`` and what the constraint adds.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from monge.losses.inverse_adjoint import relaxed_adjoint
from monge.ot import sinkhorn
from monge.ot.backend import compiled_for
from monge.ot.convergence import report_unconverged
from monge.ot.gradients import fixed_plan_from
from monge.ot.once import only_once
from monge.ot.problem import Problem, pose
from monge.ot.variant_potentials import partial_potentials, unbalanced_potentials
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
    if rule.constraint == "balanced":
        init = None if warm is None else warm.init(scaled, epsilon=1.0)
        result = sinkhorn(scaled, a, b, init=init, epsilon=1.0, tol=rule.tol, max_iter=rule.max_iter, grad="none")
        if warm is not None:
            warm.keep(*result.potentials)
        return Solved(result.plan, result.value)
    # Compiled code computes in float64 whatever it is given, and need not ask whether it has to.
    wide = scaled.double() if compiled_for(scaled) else scaled
    problem = pose(wide, a.to(wide), b.to(wide), 1.0, relative=False, row_mask=None, col_mask=None)
    f, g, value = _unbalanced(problem, rule) if rule.constraint == "unbalanced" else _partial(problem, rule)
    if _resolved(scaled, rule.tol):
        f, g = f.to(scaled), g.to(scaled)
    plan = fixed_plan_from(scaled.unsqueeze(0), a.unsqueeze(0), b.unsqueeze(0), problem.epsilon.to(scaled), f, g)[0]
    return Solved(plan, (value - plan.sum() + a.sum() * b.sum()).to(plan))


def _unbalanced(problem: Problem, rule: Rule) -> tuple[Tensor, Tensor, Tensor]:
    """Potentials as of `monge.ot.sinkhorn_unbalanced`, and the value but for what the plan tells of it."""
    a, b, rho = problem.a, problem.b, rule.strength
    mass = torch.maximum(a.sum(1), b.sum(1)).clamp_min(torch.finfo(a.dtype).tiny)
    f, g, error, _ = unbalanced_potentials(problem, torch.full_like(mass, rho), mass, 0.1 * rule.tol, rule.max_iter)
    report_unconverged(error / mass, rule.tol, "warn")
    penalty = (a * torch.expm1(-f / rho)).sum() + (b * torch.expm1(-g / rho)).sum()
    return f, g, -rho * penalty


def _partial(problem: Problem, rule: Rule) -> tuple[Tensor, Tensor, Tensor]:
    """As of `monge.ot.sinkhorn_partial`, likewise."""
    moved = torch.full_like(problem.epsilon, rule.strength)
    f, g, error, _, multiplier = partial_potentials(problem, moved, 0.1 * rule.tol, rule.max_iter)
    report_unconverged(error, rule.tol, "warn")
    paid = (multiplier * moved).sum() + (f * problem.a).sum() + (g * problem.b).sum()
    return f + 0.5 * multiplier[:, None], g + 0.5 * multiplier[:, None], paid


def _resolved(scaled: Tensor, tol: float) -> bool:
    """Whether one rounding of a cost moves no entry of the plan by a tenth of the tolerance."""
    low, high = torch.aminmax(scaled)
    largest = torch.maximum(low.abs(), high.abs())  # infinite where a pair is forbidden
    return bool(largest * torch.finfo(scaled.dtype).eps < 0.2 * tol)


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


class Gap(torch.autograd.Function):
    """How far a target is from a plan, whose gradient to the scaled costs is target less plan."""

    @staticmethod
    def forward(
        ctx: Any, scaled: Tensor, value: Tensor, factor: Tensor, plan: Tensor, weights: Tensor, *places: Tensor
    ) -> Tensor:
        """Returns ``factor`` times the value; the gradient is multiplied by it too."""
        ctx.save_for_backward(scaled, factor, plan, weights, *places)
        return value * factor

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        """Returns the gradient times the incoming one."""
        scaled, factor, plan, weights, *places = ctx.saved_tensors
        (grad,) = grads
        with torch.no_grad():
            step = grad * factor
            to_scaled = _add_at(plan * -step, weights * step, places)
        return (*only_once((to_scaled,), _TWICE, grad, scaled), None, None, None, None, *(None for _ in places))


class MarkedPlan(torch.autograd.Function):
    """`Marks` of a solved plan, balanced or unbalanced, as differentiable functions of the scaled costs.

    With ``P_ij = a_i b_j exp(f_i + g_j - X_ij)`` a gradient ``G`` to the plan gives ``P (alpha_i + beta_j - G_ij)`` to
    the costs, ``alpha`` and ``beta`` from the system of `monge.losses.inverse_adjoint.relaxed_adjoint`. Here G is what
    belongs to the sums of rows and columns, and to some entries.
    """

    @staticmethod
    def forward(ctx: Any, scaled: Tensor, plan: Tensor, price: float, *places: Tensor) -> tuple[Tensor, ...]:
        """Returns entries at the places (all if there are none) and both sums; ``price``: infinite if balanced."""
        ctx.save_for_backward(scaled, plan, *places)
        ctx.price = price
        return plan[places] if places else plan.clone(), plan.sum(1), plan.sum(0)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        """Solves the transposed system of the optimality conditions."""
        scaled, plan, *places = ctx.saved_tensors
        to_entries, to_rows, to_columns = grads
        with torch.no_grad():
            flow = (plan[tuple(places)] if places else plan) * to_entries
            rows = plan @ to_columns + to_rows * plan.sum(1)
            columns = plan.mT @ to_rows + to_columns * plan.sum(0)
            if places:
                rows, columns = rows.index_add(0, places[0], flow), columns.index_add(0, places[1], flow)
            else:
                rows, columns = rows + flow.sum(1), columns + flow.sum(0)
            alpha, beta = relaxed_adjoint(plan, rows, columns, ctx.price)
            to_scaled = (plan * (alpha - to_rows).unsqueeze(1)).addcmul_(plan, beta - to_columns)
            _add_at(to_scaled, -flow, places)
        return (*only_once((to_scaled,), _TWICE, *grads, scaled), None, None, *(None for _ in places))


def _add_at(matrix: Tensor, values: Tensor, places: list[Tensor]) -> Tensor:
    return matrix.index_put_(tuple(places), values, accumulate=True) if places else matrix.add_(values)
