"""Solves what :mod:`monge.ot.variants` poses, compiled or in the log domain, to potentials in units of the cost."""

from __future__ import annotations

import torch
from torch import Tensor

from monge.ot.backend import compiled_for
from monge.ot.log_domain import solve_in_log_domain, solve_partial
from monge.ot.precision import widest_float
from monge.ot.problem import Problem, safe_log


def unbalanced_potentials(
    problem: Problem, strength: Tensor, mass: Tensor, tol: float, max_iter: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Potentials of problems with KL penalties on both marginals.

    Args:
        problem: The batch, with weights of any mass.
        strength: Price of a marginal that is off, ``(B,)``.
        mass: What ``tol`` is relative to, ``(B,)``.
        tol: Residual at which to stop: L1 distance of both marginals from their optimality conditions.
        max_iter: Iterations at most.

    Returns:
        ``f (B, N)``, ``g (B, M)``, in float64 where float32 could not resolve ``cost / epsilon``; residual and
        iterations, ``(B,)``.
    """
    cost, a, b, epsilon = problem.cost, problem.a, problem.b, problem.epsilon
    wide = widest_float(cost.device)
    damping = strength.to(wide) / (strength.to(wide) + epsilon.to(wide))
    dtype = _precision(problem, tol)
    if compiled_for(cost):
        from monge.ot.compiled.unbalanced import solve_unbalanced

        p, q, error, iterations = solve_unbalanced(cost, a, b, epsilon, damping, tol=tol * mass, max_iter=max_iter)
    else:
        x, log_a, log_b = _log_domain(problem, dtype)
        p, q, error, iterations = solve_in_log_domain(
            x, log_a, log_b, tol=tol * mass, max_iter=max_iter, damping=damping.to(dtype)[:, None]
        )
    return _in_units_of_cost(problem, p, dtype), _in_units_of_cost(problem, q, dtype), error, iterations


def partial_potentials(
    problem: Problem, moved: Tensor, tol: float, max_iter: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Potentials of problems that move the mass ``moved (B,)`` and stay below both weights.

    Returns:
        As :func:`unbalanced_potentials`, and the multiplier of the mass, ``(B,)``.
    """
    dtype = _precision(problem, tol)
    if compiled_for(problem.cost):
        from monge.ot.compiled.unbalanced import solve_partial as solve_compiled

        p, q, error, iterations, t = solve_compiled(
            problem.cost, problem.a, problem.b, problem.epsilon, moved, tol=tol, max_iter=max_iter
        )
    else:
        x, log_a, log_b = _log_domain(problem, dtype)
        p, q, error, iterations, t = solve_partial(x, log_a, log_b, moved.to(dtype).log(), tol=tol, max_iter=max_iter)
    f, g, multiplier = (_in_units_of_cost(problem, z, dtype) for z in (p, q, t[:, None]))
    return f, g, error, iterations, multiplier.squeeze(1)


def _log_domain(problem: Problem, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Cost over epsilon ``(B, N, M)`` and log weights."""
    x = problem.cost.to(dtype) / problem.epsilon.to(dtype)[:, None, None]
    return x, safe_log(problem.a.to(dtype)), safe_log(problem.b.to(dtype))


def _in_units_of_cost(problem: Problem, potential: Tensor, dtype: torch.dtype) -> Tensor:
    # An infeasible problem has no potentials; its error says so, and zeros keep its plan free of NaN.
    finite = torch.where(torch.isfinite(potential), potential, 0.0)
    return (finite * problem.epsilon[:, None]).to(dtype)


def _precision(problem: Problem, tol: float) -> torch.dtype:
    """The dtype of the cost, or the widest where one rounding of ``cost / epsilon`` could move a plan by ``tol``."""
    cost = problem.cost
    if cost.dtype == torch.float64:
        return cost.dtype
    largest = cost.masked_fill(torch.isinf(cost), 0.0).abs().amax((1, 2)) / problem.epsilon
    return widest_float(cost.device) if bool((largest * 2.0**-24 > tol).any()) else cost.dtype
