"""The part of an entropic dual that holds the plan, with the derivatives it has at optimal potentials."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from monge.ot.backend import compiled_for
from monge.ot.gradients import fixed_plan_from, log_density
from monge.ot.once import only_once
from monge.ot.operators import times, times_transposed

_TWICE = "unbalanced and partial transport have no second derivative: detach the first, or use sinkhorn()"
_LARGEST_EXPONENT = 80.0


class EntropicDual(torch.autograd.Function):
    """``-epsilon (sum P - sum a sum b)`` with ``P = a_i b_j exp((f_i + g_j - C_ij) / epsilon)`` and ``f, g`` fixed.

    At the optimum the other derivatives of the potentials cancel (envelope theorem), so this and what the dual says
    about the marginals give the gradient of the value. Of the size of the plan there is one tensor at a time.
    """

    @staticmethod
    def forward(ctx: Any, cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, f: Tensor, g: Tensor) -> Tensor:
        """Returns the value, ``(B,)``."""
        rows, columns, slope = _sums(cost, a, b, epsilon, f, g)
        sum_a, sum_b = a.sum(1), b.sum(1)
        excess = (a * rows).sum(1) - sum_a * sum_b
        # What each argument's gradient is apart from the plan itself: all of it small.
        ctx.save_for_backward(cost, a, b, epsilon, f, g)
        ctx.to_a = -epsilon[:, None] * (rows - sum_b[:, None])
        ctx.to_b = -epsilon[:, None] * (columns - sum_a[:, None])
        ctx.to_epsilon = slope - excess
        return (-epsilon * excess).to(cost.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        """Returns ``P`` and the derivatives of its sum, times the incoming gradient."""
        cost, a, b, epsilon, f, g = ctx.saved_tensors
        (grad,) = grads
        to_cost = None
        with torch.no_grad():
            if ctx.needs_input_grad[0]:
                to_cost = fixed_plan_from(cost, a, b, epsilon, f, g, grad)
            to_a, to_b = ((grad[:, None] * t).to(cost.dtype) for t in (ctx.to_a, ctx.to_b))
            to_epsilon = (grad * ctx.to_epsilon).to(cost.dtype)
        return (*only_once((to_cost, to_a, to_b, to_epsilon), _TWICE, grad, cost, a, b, epsilon), None, None)


def _sums(cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, f: Tensor, g: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Row sums ``K b`` ``(B, N)``, column sums ``K' a`` ``(B, M)`` and ``a' (K d) b`` ``(B,)`` of ``K = exp(d)``."""
    if compiled_for(cost, f):
        from monge.ot.compiled.density import density_sums  # brings Numba

        return density_sums(cost, a, b, epsilon, f, g)
    density = log_density(cost, epsilon, f, g)
    kernel = density.clamp_max(_LARGEST_EXPONENT).exp()  # (B, N, M)
    a, b = a.to(kernel.dtype), b.to(kernel.dtype)
    rows, columns = times(kernel, b), times_transposed(kernel, a)
    # A forbidden pair has no density.
    kernel.mul_(torch.where(kernel > 0, density, 0.0))
    return rows, columns, (a * times(kernel, b)).sum(1)
