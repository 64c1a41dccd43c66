"""Entropic transport that may leave mass behind: unbalanced, partial and with a dustbin."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from monge.ot.convergence import OnFail, report_unconverged
from monge.ot.entropic_dual import EntropicDual
from monge.ot.gradients import fixed_plan_from
from monge.ot.problem import Problem, check_weights, pose
from monge.ot.sinkhorn import Gradient, sinkhorn
from monge.ot.transport import Transport
from monge.ot.variant_potentials import partial_potentials, unbalanced_potentials

VariantGradient = Literal["envelope", "none"]


def sinkhorn_unbalanced(
    cost: Tensor,
    a: Tensor | None = None,
    b: Tensor | None = None,
    *,
    epsilon: float | Tensor,
    rho: float | Tensor,
    relative: bool = False,
    tol: float = 1e-3,
    max_iter: int = 5000,
    row_mask: Tensor | None = None,
    col_mask: Tensor | None = None,
    grad: VariantGradient = "envelope",
    on_fail: OnFail = "warn",
) -> Transport:
    """Solves ``min <P, C> + epsilon KL(P | a b') + rho KL(P 1 | a) + rho KL(P' 1 | b)`` (Chizat et al. 2018).

    ``KL(p | q) = sum p log(p / q) - p + q``, so masses need not agree and a far point need not be matched. The plan is
    ``a_i b_j exp((f_i + g_j - C_ij) / epsilon)``; ``rho`` to infinity gives :func:`sinkhorn`, in as few iterations:
    each one also moves the best constant between the potentials (Séjourné, Vialard and Peyré 2022).

    Args:
        cost: Ground cost, ``(..., N, M)``.
        a: Weights of the rows, ``(..., N)``, any mass; uniform of mass 1 if ``None``.
        b: Weights of the columns, ``(..., M)``.
        epsilon: Regularisation, in units of the cost.
        rho: Price of a marginal that is off, in units of the cost; a number or a tensor ``(...)``.
        relative: Multiply ``epsilon`` (not ``rho``) by the mean absolute cost.
        tol: L1 distance of both marginals from their optimality conditions, relative to the larger mass.
        max_iter: Iterations at most.
        row_mask: True for rows that exist.
        col_mask: True for columns that exist.
        grad: ``"envelope"`` (gradient of the value to cost, marginals, epsilon and rho) or ``"none"``.
        on_fail: ``"warn"``, ``"raise"`` or ``"ignore"``.

    Returns:
        The :class:`Transport`; ``marginal_error`` is the residual of ``tol``.

    Raises:
        ValueError: As :func:`sinkhorn`, or ``rho`` not positive.
        RuntimeError: Not converged and ``on_fail="raise"``.

    Example:
        >>> cost = torch.tensor([[0.0, 9.0], [9.0, 0.0]])
        >>> far = sinkhorn_unbalanced(cost, torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), epsilon=0.1, rho=1.0)
        >>> bool(far.plan.sum() < 0.02)
        True
    """
    _check_gradient(grad)
    with torch.autocast(device_type=cost.device.type, enabled=False):
        problem = pose(cost, a, b, epsilon, relative=relative, row_mask=row_mask, col_mask=col_mask)
        strength = torch.as_tensor(rho, dtype=problem.cost.dtype, device=cost.device)
        strength = strength.expand(problem.batch_shape).reshape(-1)
        check_weights(problem.a.detach(), problem.b.detach(), problem.epsilon.detach(), balanced=False)
        if not bool((strength > 0).all()):
            raise ValueError("rho holds a value that is not positive")
        mass = torch.maximum(problem.a.sum(1), problem.b.sum(1)).detach().clamp_min(torch.finfo(problem.a.dtype).tiny)
        with torch.no_grad():
            f, g, error, iterations = unbalanced_potentials(problem, strength, mass, 0.1 * tol, max_iter)
        seen = problem if grad == "envelope" else _detached(problem)
        price = strength[:, None] if grad == "envelope" else strength[:, None].detach()
        penalty = (seen.a * torch.expm1(-f / price)).sum(1) + (seen.b * torch.expm1(-g / price)).sum(1)
        value = _entropic_dual(seen, f, g) - price.squeeze(1) * penalty
        return _variant(problem, value, f, g, error / mass, iterations, tol, on_fail)


def sinkhorn_partial(
    cost: Tensor,
    a: Tensor | None = None,
    b: Tensor | None = None,
    *,
    epsilon: float | Tensor,
    mass: float | Tensor,
    relative: bool = False,
    tol: float = 1e-3,
    max_iter: int = 5000,
    row_mask: Tensor | None = None,
    col_mask: Tensor | None = None,
    grad: VariantGradient = "envelope",
    on_fail: OnFail = "warn",
) -> Transport:
    """Solves ``min <P, C> + epsilon KL(P | a b')`` over ``P 1 <= a``, ``P' 1 <= b``, ``sum P = mass``.

    Source: Benamou et al. 2015, section 5, by block ascent on the dual instead of Dykstra's projections.

    Args:
        cost: Ground cost, ``(..., N, M)``.
        a: Upper bound of the row marginal, ``(..., N)``; uniform of mass 1 if ``None``.
        b: Upper bound of the column marginal, ``(..., M)``.
        epsilon: Regularisation, in units of the cost.
        mass: Mass to move, at most the smaller of the two sums; a number or a tensor ``(...)``.
        relative: Multiply ``epsilon`` by the mean absolute cost.
        tol: Mass above the bounds, and mass that misses a bound where the potentials say that it is reached,
            relative to ``mass``.
        max_iter: Iterations at most.
        row_mask: True for rows that exist.
        col_mask: True for columns that exist.
        grad: ``"envelope"`` (gradient of the value to cost, bounds and mass) or ``"none"``.
        on_fail: ``"warn"``, ``"raise"`` or ``"ignore"``.

    Returns:
        The :class:`Transport`; the multiplier of the mass is split evenly over the two potentials.

    Raises:
        ValueError: As :func:`sinkhorn`, or ``mass`` not in the allowed range.
        RuntimeError: Not converged and ``on_fail="raise"``.

    Example:
        >>> cost = torch.tensor([[0.0, 9.0], [9.0, 1.0]])
        >>> half = sinkhorn_partial(cost, epsilon=0.05, mass=0.5)
        >>> round(float(half.plan[0, 0]), 2)
        0.5
    """
    _check_gradient(grad)
    with torch.autocast(device_type=cost.device.type, enabled=False):
        problem = pose(cost, a, b, epsilon, relative=relative, row_mask=row_mask, col_mask=col_mask)
        moved = torch.as_tensor(mass, dtype=problem.cost.dtype, device=cost.device)
        moved = moved.expand(problem.batch_shape).reshape(-1)
        check_weights(problem.a.detach(), problem.b.detach(), problem.epsilon.detach(), balanced=False)
        available = torch.minimum(problem.a.sum(1), problem.b.sum(1))
        if not bool(((moved > 0) & (moved <= available * (1 + 1e-6))).all()):
            raise ValueError(
                f"mass is {mass}: expected above 0 and at most {float(available.min()):.6g}, the smaller sum of a and b"
            )
        with torch.no_grad():
            f, g, error, iterations, multiplier = partial_potentials(problem, moved, 0.1 * tol, max_iter)
        seen = problem if grad == "envelope" else _detached(problem)
        paid = (multiplier * (moved if grad == "envelope" else moved.detach())) + (
            (f * seen.a).sum(1) + (g * seen.b).sum(1)
        )
        f, g = (t + 0.5 * multiplier[:, None] for t in (f, g))
        return _variant(problem, _entropic_dual(seen, f, g) + paid, f, g, error, iterations, tol, on_fail)


def sinkhorn_dustbin(
    cost: Tensor,
    a: Tensor | None = None,
    b: Tensor | None = None,
    *,
    epsilon: float | Tensor,
    dustbin_cost: float | Tensor,
    tol: float = 1e-3,
    max_iter: int = 5000,
    row_mask: Tensor | None = None,
    col_mask: Tensor | None = None,
    grad: Gradient = "envelope",
    on_fail: OnFail = "warn",
) -> Transport:
    """Balanced transport with one more row and column that take what has no good match (Sarlin et al. 2020).

    The dustbin row holds the mass of ``b`` and the dustbin column that of ``a``, so every point may go there, at
    ``dustbin_cost`` a unit of mass; their common corner costs ``dustbin_cost`` too, as in SuperGlue.

    Args:
        cost: Ground cost, ``(..., N, M)``.
        a: Weights of the rows, ``(..., N)``; uniform of mass 1 if ``None``.
        b: Weights of the columns, ``(..., M)``, any mass.
        epsilon: Regularisation, in units of the cost.
        dustbin_cost: Price of a unit of unmatched mass; a number or a tensor ``(...)``, differentiable.
        tol: L1 marginal error of the extended problem, relative to its mass.
        max_iter: Iterations at most.
        row_mask: True for rows that exist.
        col_mask: True for columns that exist.
        grad: As in :func:`sinkhorn`.
        on_fail: ``"warn"``, ``"raise"`` or ``"ignore"``.

    Returns:
        The :class:`Transport` of the extended problem: plan ``(..., N + 1, M + 1)``, dustbins last.

    Raises:
        ValueError: As :func:`sinkhorn`.
        RuntimeError: Not converged and ``on_fail="raise"``.

    Example:
        >>> cost = torch.tensor([[0.0, 9.0], [9.0, 9.0]])
        >>> matched = sinkhorn_dustbin(cost, epsilon=0.05, dustbin_cost=1.0)
        >>> matched.plan.shape, bool(matched.plan[1, 2] > 0.49)
        (torch.Size([3, 3]), True)
    """
    with torch.autocast(device_type=cost.device.type, enabled=False):
        problem = pose(cost, a, b, epsilon, relative=False, row_mask=row_mask, col_mask=col_mask)
        price = torch.as_tensor(dustbin_cost, dtype=problem.cost.dtype, device=cost.device)
        batch, n, m = problem.cost.shape
        border = price.expand(problem.batch_shape).reshape(-1, 1, 1)
        extended = torch.cat([problem.cost, border.expand(batch, n, 1)], dim=2)
        extended = torch.cat([extended, border.expand(batch, 1, m + 1)], dim=1)
        return sinkhorn(
            problem.unflatten(extended),
            problem.unflatten(torch.cat([problem.a, problem.b.sum(1, keepdim=True)], dim=1)),
            problem.unflatten(torch.cat([problem.b, problem.a.sum(1, keepdim=True)], dim=1)),
            epsilon=problem.unflatten(problem.epsilon),
            tol=tol,
            max_iter=max_iter,
            grad=grad,
            on_fail=on_fail,
        )


def _check_gradient(grad: str) -> None:
    if grad not in ("envelope", "none"):
        raise ValueError(f"grad is {grad!r}: expected 'envelope' or 'none'")


def _detached(problem: Problem) -> Problem:
    cost, a, b, epsilon = problem.cost, problem.a, problem.b, problem.epsilon
    return Problem(cost.detach(), a.detach(), b.detach(), epsilon.detach(), problem.batch_shape)


def _plan(problem: Problem, f: Tensor, g: Tensor) -> Tensor:
    return fixed_plan_from(problem.cost, problem.a, problem.b, problem.epsilon, f, g)


def _entropic_dual(problem: Problem, f: Tensor, g: Tensor) -> Tensor:
    return EntropicDual.apply(problem.cost, problem.a, problem.b, problem.epsilon, f, g)  # type: ignore[no-any-return]


def _variant(
    problem: Problem,
    value: Tensor,
    f: Tensor,
    g: Tensor,
    error: Tensor,
    iterations: Tensor,
    tol: float,
    on_fail: OnFail,
) -> Transport:
    report_unconverged(error, tol, on_fail)
    fixed = _detached(problem)
    dtype = fixed.cost.dtype

    def make_plan() -> Tensor:
        return problem.unflatten(_plan(fixed, f, g))

    def linear_cost(plan: Tensor) -> Tensor:
        allowed = torch.where(torch.isinf(fixed.cost), 0.0, fixed.cost)
        return problem.unflatten((plan.reshape(fixed.cost.shape) * allowed).sum((1, 2)))

    return Transport(
        value=problem.unflatten(value.to(dtype)),
        potentials=(problem.unflatten(f.to(dtype)), problem.unflatten(g.to(dtype))),
        marginal_error=problem.unflatten(error.to(dtype)),
        iterations=problem.unflatten(iterations),
        converged=problem.unflatten(error <= tol),
        epsilon=problem.unflatten(fixed.epsilon),
        plan=make_plan,
        cost=linear_cost,
    )
