"""Squared EMD of logits to class targets on a line, as one operator with its gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from monge.ot.backend import compiled_for
from monge.ot.line import gaps_between

# Sums further from 1 than this are a mistake of the caller's, not rounding.
_TOLERANCE = 1e-3


def cramer_line_from_logits(logits: Tensor, target: Tensor, positions: Tensor | None = None) -> Tensor:
    """Squared EMD of ``softmax(logits)`` for ordered classes, ``sum_i (F_i - G_i)^2 (x_{i+1} - x_i)``.

    The same as :func:`monge.ot.cramer_line` of the softmax and the target (Hou, Yu and Samaras, arXiv 1611.05916,
    summed over the classes), in a fraction of the time. With ``S_k`` the sum of ``(F_i - G_i) (x_{i+1} - x_i)`` over
    ``i < k``, the gradient is ``2 p_k (sum_i p_i S_i - S_k)``: it is made while the value is. Time and memory are
    linear in the number of classes.

    Args:
        logits: Shape ``(..., C)``, floating point.
        target: Class of each sample, ``(...)``, int64; or probabilities ``(..., C)``, which are divided by their sum.
        positions: Place of each class, shape ``(C,)`` or ``(..., C)``, not decreasing; default ``0, 1, 2, ...``.

    Returns:
        Shape ``(...)``, float32 (also for half precision) or float64; twice differentiable in ``logits``, and in
        probabilities and ``positions`` that require a gradient.

    Raises:
        ValueError: Shapes or dtypes that do not fit, positions that decrease, a class out of range, or probabilities
            that are negative or whose sum is more than 1e-3 from 1 (half precision: two roundings). On an accelerator,
            where looking at values means waiting for it, a sample with a wrong target has the value NaN instead.

    Example:
        >>> logits = torch.tensor([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]]).log()
        >>> cramer_line_from_logits(logits, torch.tensor([2, 1]))
        tensor([0.2900, 0.0200])
    """
    _check_shapes(logits, target)
    batch, classes = logits.shape[:-1], logits.shape[-1]
    flat = logits.reshape(batch.numel(), classes)  # (N, C)
    wanted = target.reshape(flat.shape if target.is_floating_point() else flat.shape[:1])
    gaps = None if positions is None else _flat_gaps(positions, logits)
    if wanted.requires_grad or (gaps is not None and gaps.requires_grad):
        value = _formula(flat, wanted, gaps, look=_can_look(wanted))
    else:
        value, _ = _cramer_of_logits(flat, wanted, gaps, torch.is_grad_enabled() and flat.requires_grad)
    return value.reshape(batch)


def _check_shapes(logits: Tensor, target: Tensor) -> None:
    if not logits.is_floating_point() or logits.dim() < 1 or logits.shape[-1] == 0:
        raise ValueError(
            f"logits have shape {tuple(logits.shape)} and dtype {logits.dtype}: expected floating point (..., C) with "
            "at least one class"
        )
    expected = logits.shape if target.is_floating_point() else logits.shape[:-1]
    if target.dtype != torch.int64 and not target.is_floating_point():
        raise ValueError(f"target has dtype {target.dtype}: expected int64 classes or floating-point probabilities")
    if target.shape != expected:
        kind = "probabilities" if target.is_floating_point() else "classes"
        raise ValueError(
            f"target holds {kind} of shape {tuple(target.shape)}: expected {tuple(expected)} for logits of shape "
            f"{tuple(logits.shape)}"
        )


def _flat_gaps(positions: Tensor, logits: Tensor) -> Tensor:
    """Distances of neighbouring classes, ``(1, C - 1)`` for all samples or ``(N, C - 1)``."""
    gaps = gaps_between(positions, logits.new_empty(0, logits.shape[-1], dtype=_wide(logits)))
    if gaps.dim() == 1:
        return gaps.unsqueeze(0)
    *lead, last = gaps.shape
    batch = logits.shape[:-1]
    if len(lead) > len(batch) or any(have not in (1, want) for have, want in zip(reversed(lead), reversed(batch))):
        raise ValueError(
            f"positions has shape {tuple(positions.shape)}: expected (C,) or the shape {tuple(logits.shape)} of logits"
        )
    return gaps.expand(*batch, last).reshape(batch.numel(), last)


def _wide(tensor: Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32)


def _formula(logits: Tensor, target: Tensor, gaps: Tensor | None, *, look: bool) -> Tensor:
    """The value in plain differentiable operations, for derivatives that the operator does not know."""
    p = torch.softmax(logits, dim=1, dtype=_wide(logits))  # (N, C)
    wrong = None
    if target.is_floating_point():
        moved = p - _distribution(target, p.dtype, look=look)
    else:
        target, wrong = _labels(target, p.shape[1], look=look)
        column = target.unsqueeze(1)
        moved = p.scatter_add(1, column, p.new_full(column.shape, -1.0))
    squares = moved.cumsum(1)[:, :-1].square()  # (N, C - 1)
    value = (squares if gaps is None else squares * gaps).sum(1)
    return value if wrong is None else value.masked_fill(wrong, torch.nan)


@torch.library.custom_op("monge::cramer_of_logits", mutates_args=())
def _cramer_of_logits(logits: Tensor, target: Tensor, gaps: Tensor | None, slope: bool) -> tuple[Tensor, Tensor]:
    """Values ``(N,)`` and, if ``slope``, their gradient to the logits ``(N, C)``; else ``(0, C)``."""
    wide = logits.to(_wide(logits))
    wrong = None
    if target.is_floating_point():
        target = _distribution(target, wide.dtype, look=_can_look(target))
    else:
        target, wrong = _labels(target, wide.shape[1], look=_can_look(target))
    rows = _compiled_rows if compiled_for(wide) else _torch_rows
    value, gradient = rows(wide, target, gaps, slope)
    return value if wrong is None else value.masked_fill(wrong, torch.nan), gradient


@_cramer_of_logits.register_fake
def _(logits: Tensor, target: Tensor, gaps: Tensor | None, slope: bool) -> tuple[Tensor, Tensor]:
    n, classes = logits.shape
    dtype = _wide(logits)
    return logits.new_empty(n, dtype=dtype), logits.new_empty(n if slope else 0, classes, dtype=dtype)


def _save(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None, bool], output: tuple[Tensor, Tensor]) -> None:
    logits, target, gaps, _ = inputs
    ctx.set_materialize_grads(False)  # nobody asks for the derivative of the gradient that was made on the way
    ctx.save_for_backward(logits, target, gaps, output[1])


def _backward(ctx: Any, grad: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
    logits, target, gaps, slope = ctx.saved_tensors
    if grad is None:
        return None, None, None, None
    if torch.is_grad_enabled() or slope.shape[0] != logits.shape[0]:  # len() would fix the batch size of a graph
        with torch.enable_grad():
            value = _formula(logits, target, gaps, look=False)
            (gradient,) = torch.autograd.grad(value, logits, grad, create_graph=True)
        return gradient, None, None, None
    return (slope * grad.unsqueeze(1)).to(logits.dtype), None, None, None


_cramer_of_logits.register_autograd(_backward, setup_context=_save)


def _can_look(target: Tensor) -> bool:
    """Whether values cost nothing to see: not while tracing, and not where that means waiting for an accelerator."""
    return target.device.type == "cpu" and not torch.compiler.is_compiling()


def _labels(target: Tensor, classes: int, *, look: bool) -> tuple[Tensor, Tensor | None]:
    """Classes in range and, unless values are looked at, which ones were not."""
    if not look:
        inside = target.clamp(0, classes - 1)
        return inside, inside != target
    if len(target):
        low, high = (int(t) for t in target.aminmax())
        if low < 0 or high >= classes:
            found = low if low < 0 else high
            sample = int((target == found).nonzero()[0, 0])
            raise ValueError(f"target of sample {sample} is class {found}: expected 0 to {classes - 1}")
    return target, None


def _distribution(target: Tensor, dtype: torch.dtype, *, look: bool) -> Tensor:
    """Probabilities that sum to one; NaN where they are wrong, unless values are looked at."""
    tolerance = max(_TOLERANCE, 2.0 * torch.finfo(target.dtype).eps)
    target = target.to(dtype)
    total = target.sum(1, keepdim=True)
    off, low = (total - 1.0).detach().abs(), target.detach().amin(1, keepdim=True)
    if not look:
        # A NaN fails the comparison.
        total = torch.where((off <= tolerance) & (low >= 0), total, torch.nan)
    elif len(target) and not (float(off.amax()) <= tolerance and float(low.amin()) >= 0):
        sample = int((~((off <= tolerance) & (low >= 0)))[:, 0].nonzero()[0, 0])
        raise ValueError(
            f"target of sample {sample} sums to {float(total[sample].detach()):.6g}, its smallest probability is "
            f"{float(low[sample]):.6g}: expected a sum of 1 and none below 0"
        )
    return target / total


def _torch_rows(logits: Tensor, target: Tensor, gaps: Tensor | None, slope: bool) -> tuple[Tensor, Tensor]:
    with torch.autocast(device_type=logits.device.type, enabled=False):
        p = torch.softmax(logits, dim=1)
        if target.is_floating_point():
            moved = p - target
        else:
            column = target.unsqueeze(1)
            moved = p.scatter_add(1, column, p.new_full((1, 1), -1.0).expand_as(column))
        moved = torch.cumsum(moved, 1, out=moved)[:, :-1]
        weighted = moved if gaps is None else moved * gaps
        value = (moved * weighted).sum(1)
        if not slope:
            return value, p.new_empty(0, p.shape[1])
        before = torch.zeros_like(p)
        torch.cumsum(weighted, 1, out=before[:, 1:])
        centre = (p * before).sum(1, keepdim=True).mul_(2.0)
        return value, torch.sub(centre, before, alpha=2.0, out=before).mul_(p)


def _compiled_rows(logits: Tensor, target: Tensor, gaps: Tensor | None, slope: bool) -> tuple[Tensor, Tensor]:
    from monge.ot.compiled.line import cramer_of_rows  # brings Numba

    return cramer_of_rows(logits, target, logits.new_ones(1, logits.shape[1] - 1) if gaps is None else gaps, slope)
