"""Derivatives of entropic transport without differentiating the iterations.

With ``P = a b exp((f + g - C) / epsilon)`` at the optimum, the value has gradient ``P`` to the cost and ``f``, ``g`` to
the marginals (envelope theorem). The potentials themselves are an implicit function: differentiating ``P 1 = a`` and
``P' 1 = b`` gives a linear system, solved here by conjugate gradients. All tensors are flat batches with unit mass.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from monge.ot.backend import compiled_for
from monge.ot.operators import solve_marginal_system, times, times_transposed


def log_density(cost: Tensor, epsilon: Tensor, f: Tensor, g: Tensor) -> Tensor:
    """``(f_i + g_j - C_ij) / epsilon``, shape ``(B, N, M)``, in the wider dtype of cost and potentials."""
    return (f.unsqueeze(2) + g.unsqueeze(1) - cost) / epsilon[:, None, None]


def plan_from(cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, f: Tensor, g: Tensor) -> Tensor:
    """Plan of the potentials, ``(B, N, M)``, in the dtype of the cost; differentiable in every argument."""
    density = log_density(cost, epsilon, f, g).exp()
    # Points without mass have potentials too, where exp may overflow.
    supported = (a > 0).unsqueeze(2) & (b > 0).unsqueeze(1)
    return torch.where(supported, a.unsqueeze(2) * b.unsqueeze(1) * density, 0.0).to(cost.dtype)


def implicit_potentials(
    cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, f: Tensor, g: Tensor
) -> tuple[Tensor, Tensor]:
    """The solved potentials as differentiable functions of cost, marginals and epsilon, with ``<f, a> = <g, b>``."""
    f, g = ImplicitPotentials.apply(cost, a, b, epsilon, f, g)
    # The system is singular along (1, -1); fixing the gauge here makes every incoming gradient compatible with it.
    shift = 0.5 * ((g * b).sum(1) - (f * a).sum(1)).unsqueeze(1)
    return f + shift, g - shift


def fixed_plan_from(
    cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, f: Tensor, g: Tensor, factor: Tensor | None = None
) -> Tensor:
    """The same plan, times a ``factor (B,)`` if there is one, in few passes and outside autograd: weights as logs."""
    factor = torch.ones_like(epsilon) if factor is None else factor
    if compiled_for(cost, a, b, epsilon, f, g):
        from monge.ot.compiled.plan import plan_of  # brings Numba

        return plan_of(cost, a, b, epsilon, f, g, factor, divergence=False)[0]
    inverse = epsilon.to(f.dtype).reciprocal()[:, None]
    rows, columns = f * inverse + a.log(), g * inverse + b.log()
    exponent = rows.unsqueeze(2) + columns.unsqueeze(1)  # (B, N, M)
    plan = exponent.addcmul_(cost.to(f.dtype), inverse.unsqueeze(2), value=-1.0).exp_()
    return plan.mul_(factor[:, None, None]).to(cost.dtype)


class EnvelopeValue(torch.autograd.Function):
    """Optimal value ``<f, a> + <g, b>`` with its envelope gradient; twice differentiable."""

    @staticmethod
    def forward(
        ctx: Any, cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, f: Tensor, g: Tensor, value: Tensor
    ) -> Tensor:
        """Returns the value, ``(B,)``, which is known."""
        ctx.save_for_backward(cost, a, b, epsilon, f, g)
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        """Returns ``P``, ``f``, ``g`` and ``KL(P | a b')``, times the incoming gradient."""
        cost, a, b, epsilon, f, g = ctx.saved_tensors
        (grad,) = grads
        needs = ctx.needs_input_grad
        grad_cost = grad_epsilon = None
        if torch.is_grad_enabled():
            f, g = implicit_potentials(cost, a, b, epsilon, f, g)
            if needs[0] or needs[3]:
                grad_cost = grad[:, None, None] * plan_from(cost, a, b, epsilon, f, g)
                grad_epsilon = _divergence(grad_cost, cost, epsilon, f, g)
        elif needs[0] or needs[3]:
            grad_cost, grad_epsilon = _plan_and_divergence(cost, a, b, epsilon, f, g, grad, needs[3])
        grad_a = (grad[:, None] * f).to(a.dtype) if needs[1] else None
        grad_b = (grad[:, None] * g).to(b.dtype) if needs[2] else None
        return grad_cost if needs[0] else None, grad_a, grad_b, grad_epsilon if needs[3] else None, None, None, None


def _plan_and_divergence(
    cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, f: Tensor, g: Tensor, factor: Tensor, wanted: bool
) -> tuple[Tensor, Tensor | None]:
    """``factor`` times plan and divergence, the latter if ``wanted``."""
    if compiled_for(cost, a, b, epsilon, f, g):
        from monge.ot.compiled.plan import plan_of

        return plan_of(cost, a, b, epsilon, f, g, factor, divergence=wanted)
    plan = fixed_plan_from(cost, a, b, epsilon, f, g, factor)
    return plan, _divergence(plan, cost, epsilon, f, g) if wanted else None


def _divergence(plan: Tensor, cost: Tensor, epsilon: Tensor, f: Tensor, g: Tensor) -> Tensor:
    """``sum P log(P / (a b'))`` for a plan times anything."""
    density = torch.where(plan != 0, log_density(cost, epsilon, f, g), 0.0)
    return (plan * density).sum((1, 2)).to(plan.dtype)


class ImplicitPotentials(torch.autograd.Function):
    """Identity on solved potentials ``f, g`` that carries their derivative by the marginal system."""

    @staticmethod
    def forward(
        ctx: Any, cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, f: Tensor, g: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Returns the potentials unchanged."""
        ctx.save_for_backward(cost, a, b, epsilon, f, g)
        return f.clone(), g.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_f: Tensor, grad_g: Tensor) -> tuple[Tensor | None, ...]:
        """Solves the transposed marginal system; see the notes in ``docs/engine.md``."""
        cost, a, b, epsilon, f, g = ctx.saved_tensors
        with torch.autocast(device_type=cost.device.type, enabled=False):
            return _implicit_backward(cost, a, b, epsilon, f, g, grad_f, grad_g)


def _implicit_backward(
    cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, f: Tensor, g: Tensor, grad_f: Tensor, grad_g: Tensor
) -> tuple[Tensor | None, ...]:
    if compiled_for(cost, f):
        from monge.ot.compiled.marginal_system import implicit_backward

        return (*implicit_backward(cost, a, b, epsilon, f, g, grad_f, grad_g), None, None)
    density = log_density(cost, epsilon, f, g)
    kernel = density.clamp_max(80.0).exp()  # (B, N, M); above 80 only where neither point has mass
    root_a, root_b = a.sqrt(), b.sqrt()
    grad_f, grad_g = grad_f.to(kernel.dtype), grad_g.to(kernel.dtype)
    # With X = a x and Y = b y: X + a (K Y) = grad_f and Y + b (K' X) = grad_g. Where b is 0, Y is known at once;
    # elsewhere X is eliminated and Y = sqrt(b) z solved for.
    grad_f = grad_f - a * times(kernel, torch.where(b == 0, grad_g, 0.0))
    rhs = grad_g - b * times_transposed(kernel, grad_f)
    scaled = root_a.unsqueeze(2) * kernel * root_b.unsqueeze(1)
    z = solve_marginal_system(scaled, torch.where(b > 0, rhs / torch.where(b > 0, root_b, 1.0), 0.0), root_b)
    x = grad_f - a * times(kernel, (root_b * z))
    y = grad_g - b * times_transposed(kernel, x)
    x_rows = x.unsqueeze(2) * kernel * b.unsqueeze(1)
    y_columns = a.unsqueeze(2) * kernel * y.unsqueeze(1)
    grad_cost = x_rows + y_columns
    grad_epsilon = (grad_cost * torch.where(torch.isfinite(density), density, 0.0)).sum((1, 2))
    # Weights enter the other side's equation only: -epsilon times the mass that flows back to them.
    grad_a = -epsilon[:, None] * times(kernel, y)
    grad_b = -epsilon[:, None] * times_transposed(kernel, x)
    return (
        grad_cost.to(cost.dtype),
        grad_a.to(a.dtype),
        grad_b.to(b.dtype),
        grad_epsilon.to(epsilon.dtype),
        None,
        None,
    )
