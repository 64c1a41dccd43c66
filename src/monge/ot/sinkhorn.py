"""Entropic optimal transport of balanced problems: the one entry point that the losses use."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from monge.ot.backend import compiled_for
from monge.ot.convergence import OnFail, report_unconverged
from monge.ot.gradients import EnvelopeValue, fixed_plan_from, implicit_potentials, plan_from
from monge.ot.implicit_plan import ImplicitPlan
from monge.ot.log_domain import solve_in_log_domain
from monge.ot.operators import balanced_potentials
from monge.ot.problem import Problem, check_weights, pose, safe_log, unit_mass
from monge.ot.scaling import Solution
from monge.ot.transport import Transport

Gradient = Literal["envelope", "implicit", "none", "unrolled"]


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
    if grad not in get_args(Gradient):
        raise ValueError(f"grad is {grad!r}: expected one of {', '.join(get_args(Gradient))}")
    with torch.autocast(device_type=cost.device.type, enabled=False):
        problem = pose(cost, a, b, epsilon, relative=relative, row_mask=row_mask, col_mask=col_mask)
        plain = all(given is None for given in (a, b, row_mask, col_mask)) and not isinstance(epsilon, Tensor)
        if not plain and not torch.compiler.is_compiling():
            check_weights(problem.a.detach(), problem.b.detach(), problem.epsilon.detach(), balanced=True)
        unit_a, unit_b, mass = (problem.a, problem.b, None) if plain else unit_mass(problem.a, problem.b)
        unit = Problem(problem.cost, unit_a, unit_b, problem.epsilon, problem.batch_shape)
        init_g = None if init is None else init[1].detach().reshape(unit_b.shape).to(unit_b.dtype)
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
    live = (unit.cost, unit.a, unit.b, unit.epsilon)
    fixed = (unit.cost.detach(), unit.a.detach(), unit.b.detach(), unit.epsilon.detach())
    f, g = solution.f, solution.g
    if mass is not None and grad == "none":
        mass = mass.detach()
    if grad == "unrolled":
        value = ((f * unit.a).sum(1) + (g * unit.b).sum(1)).to(unit.cost.dtype)
    else:
        value = EnvelopeValue.apply(*(fixed if grad == "none" else live), f, g)
    if grad == "implicit":
        f, g = implicit_potentials(*live, f, g)

    def make_plan() -> Tensor:
        if grad == "implicit" and not torch.compiler.is_compiling() and compiled_for(unit.cost, solution.f):
            weight = torch.ones_like(unit.epsilon) if mass is None else mass
            return unit.unflatten(ImplicitPlan.apply(*live, weight, solution.f, solution.g))
        make, (cost, a, b, epsilon) = (
            (plan_from, live) if grad in ("implicit", "unrolled") else (fixed_plan_from, fixed)
        )
        if mass is not None:
            a = a * (mass if make is plan_from else mass.detach())[:, None]
        return unit.unflatten(make(cost, a, b, epsilon, f, g))

    def linear_cost(plan: Tensor) -> Tensor:
        cost = (fixed if grad == "none" else live)[0]
        # A forbidden pair has an infinite cost and no mass: it adds nothing.
        return unit.unflatten((plan.reshape(cost.shape) * torch.where(torch.isinf(cost), 0.0, cost)).sum((1, 2)))

    return Transport(
        value=unit.unflatten(value if mass is None else value * mass),
        potentials=(unit.unflatten(f.to(unit.cost.dtype)), unit.unflatten(g.to(unit.cost.dtype))),
        marginal_error=unit.unflatten(solution.error.to(unit.cost.dtype)),
        iterations=unit.unflatten(solution.iterations),
        converged=unit.unflatten(converged),
        epsilon=unit.unflatten(fixed[3]),
        plan=make_plan,
        cost=linear_cost,
    )
