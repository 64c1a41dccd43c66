"""The batch-wise OT loss in blocks of rows: exact value and gradient, and never a matrix of all pairs.

Costs come anew from embeddings and labels whenever a block is needed: in each pass of the solver, and once more for the
value. That last pass also makes the gradient, for with the plan fixed it is a sum over blocks:
``dL/dx_i = 2 sum_j W_ij (x_i - y_j)`` with ``W = dL/d(d^2)``, and the same with the opposite sign for ``y_j``.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from monge.losses.pairs import Negative, check_embeddings, checked_labels, hinge_slopes
from monge.losses.streamed_pairs import LossSettings, StreamedPlan, stream_pairs
from monge.ot.backend import triton_for
from monge.ot.convergence import report_unconverged
from monge.ot.precision import widest_float
from monge.ot.streaming import stream_potentials
from monge.ot.warm_start import WarmProblem

_TWICE = "the batch-wise OT loss in blocks has no second derivative: detach the first, or raise max_pairs"
# Longest embedding that the kernels for GPUs take.
WIDEST_ON_GPU = 256


def streamed_batchwise_ot(
    embeddings: Tensor,
    labels: Tensor | None,
    ref_emb: Tensor | None,
    ref_labels: Tensor | None,
    settings: LossSettings,
    *,
    include_self: bool,
    max_pairs: int,
    warm: WarmProblem | None = None,
) -> tuple[Tensor, StreamedPlan]:
    """The batch-wise OT loss without a matrix of all pairs.

    Args:
        embeddings: Floats ``(N, D)``; half precision is computed in float32.
        labels: ``(N,)``.
        ref_emb: Floats ``(M, D)``; ``None`` means the batch against itself.
        ref_labels: ``(M,)``.
        settings: Of the loss.
        include_self: Count the pairs of a sample with itself.
        max_pairs: Most pairs made at a time; at least one row of the smaller set is made.
        warm: Where the potentials of these samples are kept.

    Returns:
        The loss, a scalar that can be differentiated once, and the plan.

    Raises:
        ValueError: Shapes or dtypes that do not fit, no samples, or missing labels.

    Example:
        >>> settings = LossSettings(1.0, 10.0, 0.2, "hinge_sq_dist", 0.0, 1.0, 0.5, False, 1e-3)
        >>> x, labels = torch.tensor([[0.0, 0.0], [0.6, 0.0]]), torch.tensor([0, 1])
        >>> value, _ = streamed_batchwise_ot(x, labels, None, None, settings, include_self=False, max_pairs=2)
        >>> value  # 1/2 (1 - 0.36)
        tensor(0.3200)
    """
    if ref_emb is not None and ref_labels is None:
        raise ValueError("ref_emb came without ref_labels: pass both, or an indices_tuple")
    reference, against_itself = embeddings if ref_emb is None else ref_emb, ref_emb is None
    check_embeddings(embeddings, ref_emb)
    labels, ref_labels = checked_labels(len(embeddings), len(reference), labels, ref_labels)
    first, second = (embeddings, labels), (reference, ref_labels)
    # Blocks run along the larger set, so that a row has the length of the smaller one. The problem is symmetric.
    if len(embeddings) < len(reference):
        first, second, warm = second, first, None if warm is None else warm.transposed()
    result = torch.promote_types(torch.promote_types(embeddings.dtype, reference.dtype), torch.float32)
    # One rounding of G / epsilon must not move an entry of the plan by more than a tenth of the tolerance.
    dtype = widest_float(embeddings.device) if 2.0**-24 / settings.epsilon > 0.1 * settings.tol else result
    with torch.autocast(device_type=embeddings.device.type, enabled=False):
        (x, x_labels), (y, y_labels) = [(one.to(dtype), marks.to(one.device)) for one, marks in (first, second)]
        eager = not torch.compiler.is_compiling()
        pairs = stream_pairs(
            x.detach(), y.detach(), x_labels, y_labels, settings, against_itself, include_self, max_pairs
        )
        start = None
        if warm is not None and eager:
            start = warm.columns(x.detach(), len(x), len(y), pairs.half_step, pairs.transposed().half_step)
        differentiate = torch.is_grad_enabled() and (x.requires_grad or y.requires_grad)
        value, f, g, error, _, _ = _value_and_gradient(
            x,
            None if against_itself else y,
            x_labels,
            y_labels,
            start,
            *settings,
            include_self,
            max_pairs,
            differentiate,
        )
    f, g = f.detach(), g.detach()
    report_unconverged(error, settings.tol, "warn")
    if warm is not None and eager:
        warm.keep(f, g)
    return value.to(result), StreamedPlan(pairs, f, g)


@torch.library.custom_op("monge::streamed_batchwise_ot", mutates_args=())
def _value_and_gradient(
    x: Tensor,
    y: Tensor | None,
    x_labels: Tensor,
    y_labels: Tensor,
    start: Tensor | None,
    margin: float,
    gamma: float,
    epsilon: float,
    negative: str,
    pos_margin: float,
    power: float,
    factor: float,
    kernel: bool,
    tol: float,
    include_self: bool,
    max_pairs: int,
    differentiate: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Value, potentials, marginal error and the gradients to both sets: one call that a compiled graph can hold."""
    form = cast(Negative, negative)
    settings = LossSettings(margin, gamma, epsilon, form, pos_margin, power, factor, kernel, tol)
    against_itself = y is None
    pairs = stream_pairs(x, x if y is None else y, x_labels, y_labels, settings, y is None, include_self, max_pairs)
    g = x.new_zeros(len(pairs.y)) if start is None else start
    if triton_for(x) and x.dtype == torch.float32 and x.shape[1] <= WIDEST_ON_GPU:
        from monge.losses.gpu_pairs import stream_potentials_on_gpu, sum_on_gpu  # brings Triton

        found = stream_potentials_on_gpu(pairs, g, epsilon=epsilon, tol=tol, warm=start is not None)
        value, grad_x, grad_y = sum_on_gpu(StreamedPlan(pairs, found.f, found.g), differentiate)
    else:
        found = stream_potentials(
            pairs.ground_cost,
            g,
            rows=len(x),
            per_block=pairs.per_block,
            epsilon=epsilon,
            spread=1.0,
            tol=tol,
            warm=start is not None,
        )
        value, grad_x, grad_y = _sum_over_blocks(StreamedPlan(pairs, found.f, found.g), differentiate)
    if against_itself:
        grad_x, grad_y = grad_x + grad_y, grad_y.new_empty(0)
    return value, found.f, found.g, x.new_tensor(found.error), grad_x, grad_y


def _sum_over_blocks(plan: StreamedPlan, differentiate: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The loss under a plan, a scalar, and its gradients ``(N, D)`` and ``(M, D)``, all 0 if not asked for."""
    pairs, (x, y), settings = plan.pairs, (plan.pairs.x, plan.pairs.y), plan.pairs.settings
    value, grad_x, grad_y = x.new_zeros(()), torch.zeros_like(x), torch.zeros_like(y)
    for rows in pairs.blocks():
        squared, same = pairs.squared(rows), pairs.same(rows)  # (K, M)
        cost = pairs.cost(squared, same)
        weights = plan.rows(rows, pairs.ground_cost(rows, cost)).mul_(settings.factor)
        value += (weights * cost.pow(settings.power)).sum()
        if differentiate:
            slope = _slope(weights, squared, same, cost, settings)
            grad_x[rows] = 2.0 * (slope.sum(1, keepdim=True) * x[rows] - slope @ y)
            grad_y += 2.0 * (slope.sum(0).unsqueeze(1) * y - slope.T @ x[rows])
    return value, grad_x, grad_y


def _slope(weights: Tensor, squared: Tensor, same: Tensor, cost: Tensor, settings: LossSettings) -> Tensor:
    """``W``, the derivative of the loss to the squared distances of a block, ``(K, M)``."""
    power, margin, pos_margin = settings.power, settings.margin, settings.pos_margin
    outer = weights if power == 1.0 else power * weights * cost.pow(power - 1.0)
    if settings.kernel:
        ground_cost = torch.exp(-settings.gamma * cost)
        outer = outer + settings.gamma / settings.epsilon * weights * ground_cost * cost.pow(power)
    return outer * hinge_slopes(squared, same, form=settings.negative, margin=margin, pos_margin=pos_margin)


@_value_and_gradient.register_fake
def _(x: Tensor, y: Tensor | None, *_: Any) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    other = x if y is None else y
    gradient = x.new_empty(0) if y is None else torch.empty_like(y)
    # len() is a number: a graph would be made anew for each.
    f, g = x.new_empty(x.shape[0]), x.new_empty(other.shape[0])
    return x.new_empty(()), f, g, x.new_empty(()), torch.empty_like(x), gradient


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)
    ctx.against_itself = inputs[1] is None
    ctx.save_for_backward(output[4], output[5])


def _backward(ctx: Any, grad: Tensor | None, *others: Tensor | None) -> tuple[Tensor | None, ...]:
    if any(other is not None for other in others):  # the gradients of the first backward pass among them
        raise RuntimeError(_TWICE)
    grad_x, grad_y = ctx.saved_tensors
    nothing = (None,) * 15
    if grad is None:
        return None, None, *nothing
    return grad * grad_x, None if ctx.against_itself else grad * grad_y, *nothing


_value_and_gradient.register_autograd(_backward, setup_context=_save)
