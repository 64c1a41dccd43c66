"""The plan of solved potentials as one operation, differentiated through its formula and its potentials at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from monge.ot.backend import compiled_for
from monge.ot.gradients import _implicit_backward, fixed_plan_from, log_density
from monge.ot.once import only_once
from monge.ot.operators import times, times_transposed

_TWICE = "the plan of grad='implicit' has no second derivative: use grad='unrolled', or detach the first"


class ImplicitPlan(torch.autograd.Function):
    """Plan ``mass a_i b_j exp((f_i + g_j - C_ij) / epsilon)`` with its whole derivative.

    What :func:`monge.ot.gradients.plan_from` of :func:`monge.ot.gradients.implicit_potentials` gives, without keeping
    anything of the size of the plan. At a point without mass the gradient to its weight is the one of the first bit of
    mass there.
    """

    @staticmethod
    def forward(
        ctx: Any, cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, mass: Tensor, f: Tensor, g: Tensor
    ) -> Tensor:
        """Returns the plan, ``(B, N, M)``."""
        ctx.save_for_backward(cost, a, b, epsilon, mass, f, g)
        return fixed_plan_from(cost, a, b, epsilon, f, g, mass)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        """Solves the marginal system for what reaches the potentials, and adds the rest on the way."""
        cost, a, b, epsilon, mass, f, g = ctx.saved_tensors
        (grad,) = grads
        with torch.no_grad(), torch.autocast(device_type=cost.device.type, enabled=False):
            gradients = _plan_backward(cost, a, b, epsilon, f, g, grad, mass)
        return (*only_once(gradients, _TWICE, grad, cost, a, b, epsilon, mass), None, None)


def _plan_backward(
    cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, f: Tensor, g: Tensor, grad_plan: Tensor, mass: Tensor
) -> tuple[Tensor, ...]:
    """Gradients to cost, weights, epsilon and mass."""
    if compiled_for(cost, f):
        from monge.ot.compiled.marginal_system import plan_backward  # brings Numba

        return plan_backward(cost, a, b, epsilon, f, g, grad_plan, mass)
    density = log_density(cost, epsilon, f, g)
    flow = density.clamp_max(80.0).exp().mul_(grad_plan)  # (B, N, M); above 80 only where neither point has mass
    from_a, from_b = times(flow, b.to(flow.dtype)), times_transposed(flow, a.to(flow.dtype))
    to_mass = (a * from_a).sum(1)
    scale = (mass / epsilon)[:, None]
    through: tuple[Any, ...] = _implicit_backward(cost, a, b, epsilon, f, g, scale * a * from_a, scale * b * from_b)
    flow.mul_(a.unsqueeze(2)).mul_((scale * b).unsqueeze(1))
    to_epsilon = -(flow * torch.where(torch.isfinite(density), density, 0.0)).sum((1, 2))
    direct = (-flow, mass[:, None] * from_a, mass[:, None] * from_b, to_epsilon)
    return (*(part.to(cost.dtype) + rest for part, rest in zip(direct, through)), to_mass.to(cost.dtype))
