"""The solver's data-dependent loops as torch operators, so that ``torch.compile`` sees one opaque call each."""

from __future__ import annotations

import torch
from torch import Tensor

from monge.ot.backend import compiled_for, triton_for
from monge.ot.scaling import Solution, error_of, solve_balanced

_CHECK_EVERY = 10
# Rows and columns of the largest problem that one program of a GPU takes.
_WIDEST_ON_GPU = 256


def balanced_potentials(
    cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, *, tol: float, max_iter: int, init_g: Tensor | None
) -> Solution:
    """Solves a batch, through the operator when compiling; see :func:`monge.ot.scaling.solve_balanced`.

    Compiled graphs need dtypes that do not depend on the data, so there the potentials come back in the dtype of the
    cost, and the error is that of the plan they give after rounding.
    """
    cost, a, b, epsilon = cost.detach(), a.detach(), b.detach(), epsilon.detach()
    if torch.compiler.is_compiling():
        return Solution(*_balanced_operator(cost, a, b, epsilon, tol, max_iter, init_g))
    with torch.no_grad():
        return _solve(cost, a, b, epsilon, tol, max_iter, init_g)


def _solve(
    cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, tol: float, max_iter: int, init_g: Tensor | None
) -> Solution:
    if triton_for(cost, a, b, epsilon) and max(cost.shape[1:]) <= _WIDEST_ON_GPU:
        from monge.ot.gpu.balanced import solve_on_gpu  # brings Triton

        return solve_on_gpu(cost, a, b, epsilon, tol=tol, max_iter=max_iter, init_g=init_g)
    if compiled_for(cost, a, b, epsilon):
        from monge.ot.compiled.solver import solve_compiled  # brings Numba

        return solve_compiled(cost, a, b, epsilon, tol=tol, max_iter=max_iter, init_g=init_g)
    return solve_balanced(cost, a, b, epsilon, tol=tol, max_iter=max_iter, init_g=init_g)


@torch.library.custom_op("monge::balanced_potentials", mutates_args=())
def _balanced_operator(
    cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, tol: float, max_iter: int, init_g: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    solution = _solve(cost, a, b, epsilon, tol, max_iter, init_g)
    f, g, error = solution.f, solution.g, solution.error
    if f.dtype != cost.dtype:
        f, g = f.to(cost.dtype), g.to(cost.dtype)
        error = torch.maximum(error, error_of(cost, a, b, epsilon, f.double(), g.double()))
    return f.clone(), g.clone(), error.to(cost.dtype), solution.iterations


@_balanced_operator.register_fake
def _(
    cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, tol: float, max_iter: int, init_g: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    batch, n, m = cost.shape
    counts = torch.empty(batch, dtype=torch.int64, device=cost.device)
    return cost.new_empty(batch, n), cost.new_empty(batch, m), cost.new_empty(batch), counts


def times(kernel: Tensor, v: Tensor) -> Tensor:
    """``K v`` problem by problem, ``(B, N)``: for many small problems quicker than a batched matrix product."""
    if len(kernel) == 1:
        return (kernel[0] @ v[0]).unsqueeze(0)
    return (kernel * v.unsqueeze(1)).sum(2)


def times_transposed(kernel: Tensor, u: Tensor) -> Tensor:
    """``K' u`` problem by problem, ``(B, M)``."""
    return torch.bmm(u.unsqueeze(1), kernel).squeeze(1)


@torch.library.custom_op("monge::marginal_system", mutates_args=())
def solve_marginal_system(scaled: Tensor, rhs: Tensor, null: Tensor) -> Tensor:
    """Solves ``(I - S'S) z = rhs`` by conjugate gradients, problem by problem, off the null vector.

    Args:
        scaled: ``S = sqrt(a) K sqrt(b)``, ``(B, N, M)``, largest singular value 1.
        rhs: ``(B, M)``.
        null: ``sqrt(b)``, ``(B, M)``: the singular vector of the value 1.

    Returns:
        ``z`` of shape ``(B, M)``, orthogonal to ``null``.
    """
    if triton_for(scaled, rhs, null) and max(scaled.shape[1:]) <= _WIDEST_ON_GPU:
        from monge.ot.gpu.system import solve_systems as solve_systems_on_gpu

        return solve_systems_on_gpu(scaled, rhs, null)
    if compiled_for(scaled, rhs, null):
        from monge.ot.compiled.conjugate_gradients import solve_systems

        return solve_systems(scaled, rhs, null)
    with torch.autocast(device_type=rhs.device.type, enabled=False):
        return _conjugate_gradients(scaled, rhs, null / null.square().sum(1, keepdim=True).sqrt())


def _conjugate_gradients(scaled: Tensor, rhs: Tensor, null: Tensor) -> Tensor:
    accuracy = torch.finfo(rhs.dtype).eps ** 0.75

    def project(t: Tensor) -> Tensor:
        return t - (t * null).sum(1, keepdim=True) * null

    diagonal = (1.0 - scaled.square().sum(1)).clamp_min(1e-3)
    residual = project(rhs)
    z = torch.zeros_like(residual)
    target = accuracy**2 * residual.square().sum(1, keepdim=True)
    direction = project(residual / diagonal)
    energy = (residual * direction).sum(1, keepdim=True)
    conditioned = direction
    for step in range(4 * rhs.shape[1] + 50):
        image = project(direction - times_transposed(scaled, times(scaled, direction)))
        curvature = (direction * image).sum(1, keepdim=True)
        active = (curvature > 0) & (residual.square().sum(1, keepdim=True) > target)
        length = torch.where(active, energy / torch.where(active, curvature, 1.0), 0.0)
        z = z + length * direction
        residual = residual - length * image
        conditioned = project(residual / diagonal)
        fresh = (residual * conditioned).sum(1, keepdim=True)
        ratio = torch.where(active & (energy > 0), fresh / torch.where(energy > 0, energy, 1.0), 0.0)
        direction, energy = conditioned + ratio * direction, fresh
        if step % _CHECK_EVERY == 0 and not bool(active.any()):
            break
    return z


@solve_marginal_system.register_fake
def _(scaled: Tensor, rhs: Tensor, null: Tensor) -> Tensor:
    return torch.empty_like(rhs)
