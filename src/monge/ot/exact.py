"""Exact optimal transport for batches of problems, with its gradient."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from monge.errors import ConvergenceWarning
from monge.ot.exact_batch import ExactBatch
from monge.ot.once import Once
from monge.ot.problem import check_weights, pose
from monge.ot.transport import Transport

_MIXED = "emd() has no second derivative that mixes cost and weights: detach one of them"


def emd(
    cost: Tensor,
    a: Tensor | None = None,
    b: Tensor | None = None,
    *,
    row_mask: Tensor | None = None,
    col_mask: Tensor | None = None,
) -> Transport:
    """Solves ``min <P, C>`` over plans with marginals ``a`` and ``b`` exactly, batched (the earth mover's distance).

    Problems with as many rows as columns and equal weights are assignments: shortest augmenting paths in compiled code
    (Jonker and Volgenant 1987), without Numba lapx if installed, else SciPy. The rest goes to POT's network simplex,
    and its answer counts as converged only if its own dual potentials prove it optimal. Everything is solved on the
    CPU in float64; results come back on the device of ``cost``, in float32 or float64.

    The value is piecewise linear, so the gradient is one of the best linear bounds: the plan to ``cost``, and the dual
    potentials to ``a`` and ``b``, each centred to mean 0 over the points that exist. A centred gradient is the one
    along changes that keep the mass, the only ones a balanced problem allows. At a point without mass it says what the
    first bit of mass there would cost (a c-transform of the other side's potentials). The plan itself is a constant
    to autograd, because it jumps between vertices. Second derivatives work for the cost alone and for the weights
    alone; those that mix the two raise an error.

    Args:
        cost: Ground cost, ``(..., N, M)``, any scale and sign; ``+inf`` forbids a pair.
        a: Weights of the rows, ``(..., N)`` or ``(N,)``, non-negative; uniform if ``None``.
        b: Weights of the columns, ``(..., M)`` or ``(M,)``, with the mass of ``a``. Up to 1e-3 apart, both are
            rescaled to the mean of the two.
        row_mask: True for rows that exist, ``(..., N)``; ragged batches pad with False.
        col_mask: True for columns that exist, ``(..., M)``.

    Returns:
        The :class:`Transport`, with ``value`` equal to ``cost`` and ``epsilon`` 0. Potentials satisfy
        ``f_i + g_j <= C_ij`` where ``i`` or ``j`` has mass, and are gauged so that ``<f, a> = <g, b>``, each half of
        the value.

    Raises:
        ValueError: Shapes, weights or masses that do not fit, NaN or ``-inf`` costs, or a problem whose forbidden pairs
            leave no plan; the message names the problem.
        MissingExtraError: POT or SciPy is not installed.

    Example:
        >>> result = emd(torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([0.7, 0.3]), torch.tensor([0.5, 0.5]))
        >>> result.plan
        tensor([[0.5000, 0.2000],
                [0.0000, 0.3000]])
        >>> result.value
        tensor(0.2000)
    """
    problem = pose(cost, a, b, 1.0, relative=False, row_mask=row_mask, col_mask=col_mask)
    if a is not None or b is not None:
        check_weights(problem.a.detach(), problem.b.detach(), problem.epsilon.detach(), balanced=True)
    batch = ExactBatch(problem, row_mask, col_mask)
    value = problem.unflatten(_ExactValue.apply(problem.cost, problem.a, problem.b, batch))
    if not bool(batch.converged.all()):
        failed = (~batch.converged).nonzero()[:, 0].tolist()
        warnings.warn(
            f"exact transport found no proven optimum for problems {failed} of the batch: do not use their values; "
            "Transport.converged tells them apart",
            ConvergenceWarning,
            stacklevel=2,
        )

    def potentials() -> tuple[Tensor, Tensor]:
        f, g = batch.potentials()
        return problem.unflatten(f), problem.unflatten(g)

    return Transport(
        value=value,
        potentials=potentials,
        marginal_error=problem.unflatten(batch.marginal_error.to(value)),
        iterations=problem.unflatten(torch.ones_like(batch.converged, dtype=torch.int64)),
        converged=problem.unflatten(batch.converged),
        epsilon=torch.zeros_like(value),
        plan=lambda: problem.unflatten(batch.plan()),
        cost=value,
    )


class _ExactValue(torch.autograd.Function):
    """Optimal cost of solved problems, with plan and centred potentials as gradient."""

    @staticmethod
    def forward(ctx: Any, cost: Tensor, a: Tensor, b: Tensor, batch: ExactBatch) -> Tensor:
        """Returns the values, ``(B,)``."""
        ctx.batch = batch
        ctx.save_for_backward(cost, a, b)
        return batch.value.to(cost)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        """Returns ``P``, ``f`` and ``g`` times the incoming gradient."""
        (grad,) = grads
        batch: ExactBatch = ctx.batch
        cost, a, b = ctx.saved_tensors
        grad_cost = grad_a = grad_b = None
        if ctx.needs_input_grad[0]:
            grad_cost = grad[:, None, None] * Once.apply(batch.plan(), _MIXED, a, b)
        if ctx.needs_input_grad[1] or ctx.needs_input_grad[2]:
            f, g = batch.centred_potentials()
            grad_a, grad_b = (grad[:, None] * Once.apply(t, _MIXED, cost) for t in (f, g))
        return grad_cost, grad_a, grad_b, None
