"""Entropic optimal transport of balanced problems: the one entry point that the losses use."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Literal, get_args

import torch
from torch import Tensor

from monge.ot.convergence import OnFail, report_unconverged
from monge.ot.gradients import EnvelopeValue, fixed_plan_from, implicit_potentials, plan_from
from monge.ot.implicit_plan import ImplicitPlan
from monge.ot.log_domain import solve_in_log_domain
from monge.ot.operators import balanced_potentials
from monge.ot.problem import Problem, balanced, pose, safe_log
from monge.ot.scaling import Solution
from monge.ot.transport import Transport

Gradient = Literal["envelope", "implicit", "none", "unrolled"]

_GRADIENTS = get_args(Gradient)


def sinkhorn(
    cost: Tensor,
    a: Tensor | None = None,
    b: Tensor | None = None,
    *,
    epsilon: float | Tensor,
    relative: bool = False,
    tol: float = 1e-3,
    max_iter: int = 5000,
    row_mask: Tensor | None = None,
    col_mask: Tensor | None = None,
    init: tuple[Tensor, Tensor] | None = None,
    grad: Gradient = "envelope",
    on_fail: OnFail = "warn",
) -> Transport:
    """Solves ``min <P, C> + epsilon KL(P | a b')`` over plans with marginals ``a`` and ``b``, batched.

    The plan is ``a_i b_j exp((f_i + g_j - C_ij) / epsilon)`` (Cuturi 2013). With marginals of mass ``m`` instead of 1
    value, cost and plan are ``m`` times those of the unit problem.

    Half-precision inputs are solved and returned in float32, float64 in float64; autocast does not apply inside.
    Where float32 cannot resolve ``cost / epsilon`` finely enough for ``tol`` the solve itself runs in float64.

    Args:
        cost: Ground cost, ``(..., N, M)``, any scale and sign; ``+inf`` forbids a pair.
        a: Weights of the rows, ``(..., N)`` or ``(N,)``, non-negative; uniform if ``None``.
        b: Weights of the columns, ``(..., M)`` or ``(M,)``, with the mass of ``a`` (up to 1e-3, then rescaled).
        epsilon: Regularisation in units of the cost, a number or a tensor of shape ``(...)``.
        relative: Multiply ``epsilon`` by the mean absolute cost of each problem; gradients know it.
        tol: L1 marginal error, both sides, relative to the mass, at which a problem is solved.
        max_iter: Iterations at most (one updates both potentials).
        row_mask: True for rows that exist, ``(..., N)``; ragged batches pad with False.
        col_mask: True for columns that exist, ``(..., M)``.
        init: Potentials of a nearby problem to start from, as in :attr:`Transport.potentials`.
        grad: What autograd sees. ``"envelope"``: the value, with the plan as gradient to the cost and the potentials
            as gradient to the marginals, nothing stored; plan and linear cost use the plan as fixed weights.
            ``"implicit"``: also plan, cost and potentials, through the marginal system. ``"none"``: nothing.
            ``"unrolled"``: everything, through the iterations (teaching, checks).
        on_fail: ``"warn"`` once per call site, ``"raise"`` or ``"ignore"`` if a problem did not reach ``tol``;
            :attr:`Transport.converged` tells in any case.

    Returns:
        The :class:`Transport`. Potentials are gauged so that ``<f, a> = <g, b>``.

    Raises:
        ValueError: Shapes, weights or masses that do not fit, NaN costs, or an unknown option.
        RuntimeError: A problem did not converge and ``on_fail="raise"``.

    Example:
        >>> from monge.ot import pairwise_cost
        >>> x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.1], [1.1]])
        >>> result = sinkhorn(pairwise_cost(x, y), epsilon=0.05)
        >>> (2 * result.plan).round(decimals=2)
        tensor([[1., 0.],
                [0., 1.]])
    """
    if grad not in _GRADIENTS:
        raise ValueError(f"grad is {grad!r}: expected one of {', '.join(_GRADIENTS)}")
    kind = cost.device.type
    with torch.autocast(device_type=kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext():
        problem = pose(cost, a, b, epsilon, relative=relative, row_mask=row_mask, col_mask=col_mask)
        plain = all(given is None for given in (a, b, row_mask, col_mask)) and not isinstance(epsilon, Tensor)
        unit, mass = (problem, None) if plain else balanced(problem)
        init_g = None if init is None else init[1].detach().reshape(unit.b.shape).to(unit.b.dtype)
        if grad == "unrolled":
            solution = _unrolled(unit, tol, max_iter, init_g)
        else:
            solution = balanced_potentials(
                unit.cost, unit.a, unit.b, unit.epsilon, tol=tol, max_iter=max_iter, init_g=init_g
            )
        converged = solution.error <= tol
        report_unconverged(solution.error, tol, on_fail)
        return _transport(unit, mass, solution, converged, grad)


def _unrolled(unit: Problem, tol: float, max_iter: int, init_g: Tensor | None) -> Solution:
    x = unit.cost / unit.epsilon[:, None, None]
    init_q = None if init_g is None else init_g / unit.epsilon[:, None].detach()
    p, q, error, iterations = solve_in_log_domain(
        x, safe_log(unit.a), safe_log(unit.b), tol=tol, max_iter=max_iter, init_q=init_q
    )
    f, g = p * unit.epsilon[:, None], q * unit.epsilon[:, None]
    shift = 0.5 * ((g * unit.b).sum(1) - (f * unit.a).sum(1)).unsqueeze(1)
    return Solution(f + shift, g - shift, error, iterations)


def _transport(unit: Problem, mass: Tensor | None, solution: Solution, converged: Tensor, grad: Gradient) -> Transport:
    fixed = unit.detached()
    seen = fixed if grad == "none" else unit
    f, g = solution.f, solution.g
    if mass is not None and grad == "none":
        mass = mass.detach()
    value = solution.value
    if value is None:
        value = (f * unit.a).sum(1) + (g * unit.b).sum(1)
    value = value.to(unit.cost.dtype)
    if grad not in ("none", "unrolled"):
        value = EnvelopeValue.apply(unit.cost, unit.a, unit.b, unit.epsilon, f, g, value)

    def solved() -> tuple[Tensor, Tensor]:
        if grad != "implicit":
            return f, g
        return implicit_potentials(unit.cost, unit.a, unit.b, unit.epsilon, f, g)

    def potentials() -> tuple[Tensor, Tensor]:
        to_rows, to_columns = solved()
        return unit.unflatten(to_rows.to(unit.cost.dtype)), unit.unflatten(to_columns.to(unit.cost.dtype))

    def plan() -> Tensor:
        if grad == "implicit":
            weight = torch.ones_like(unit.epsilon) if mass is None else mass
            return unit.unflatten(ImplicitPlan.apply(unit.cost, unit.a, unit.b, unit.epsilon, weight, f, g))
        if grad == "unrolled":
            a = unit.a if mass is None else unit.a * mass[:, None]
            return unit.unflatten(plan_from(unit.cost, a, unit.b, unit.epsilon, f, g))
        factor = None if mass is None else mass.detach()
        return unit.unflatten(fixed_plan_from(fixed.cost, fixed.a, fixed.b, fixed.epsilon, f, g, factor))

    def linear_cost(made: Tensor) -> Tensor:
        # A forbidden pair has an infinite cost and no mass: it adds nothing.
        allowed = torch.where(torch.isinf(seen.cost), 0.0, seen.cost)
        return unit.unflatten((made.reshape(seen.cost.shape) * allowed).sum((1, 2)))

    return Transport(
        value=unit.unflatten(value if mass is None else value * mass),
        potentials=potentials,
        marginal_error=unit.unflatten(solution.error.to(unit.cost.dtype)),
        iterations=unit.unflatten(solution.iterations),
        converged=unit.unflatten(converged),
        epsilon=unit.unflatten(fixed.epsilon),
        plan=plan,
        cost=linear_cost,
    )
