"""The plan of solved potentials as one operation, differentiated through its formula and its potentials at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from monge.ot.gradients import fixed_plan_from


class ImplicitPlan(torch.autograd.Function):
    """Plan ``mass a_i b_j exp((f_i + g_j - C_ij) / epsilon)`` with its whole derivative, for the compiled backend.

    What :func:`monge.ot.gradients.plan_from` of :func:`monge.ot.gradients.implicit_potentials` gives with a handful of
    tensors of the size of the plan; here there is the plan, and the gradient to the cost. At points without mass the
    gradient to the weight is the one of the first bit of mass there.
    """

    @staticmethod
    def forward(
        ctx: Any, cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, mass: Tensor, f: Tensor, g: Tensor
    ) -> Tensor:
        """Returns the plan, ``(B, N, M)``."""
        ctx.save_for_backward(cost, a, b, epsilon, mass, f, g)
        return fixed_plan_from(cost, a * mass[:, None], b, epsilon, f, g)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_plan: Tensor) -> tuple[Tensor | None, ...]:
        """Solves the marginal system for what reaches the potentials, and adds the rest on the way."""
        from monge.ot.compiled.marginal_system import plan_backward

        cost, a, b, epsilon, mass, f, g = ctx.saved_tensors
        to_cost, to_a, to_b, to_epsilon, to_mass = plan_backward(cost, a, b, epsilon, f, g, grad_plan, mass)
        return to_cost, to_a, to_b, to_epsilon, to_mass, None, None
