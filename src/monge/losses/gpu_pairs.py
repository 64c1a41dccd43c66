"""The batch-wise OT loss of very large batches on a GPU: pairs live in registers only, a tile at a time.

What :mod:`monge.losses.chunked` does in blocks of rows, by Triton: ground costs are made from embeddings and labels
inside the kernels, so that memory grows with the number of samples and not with that of pairs. Rows and columns take
turns with one and the same kernel, every sum has one owner, and so the same batch gives the same bits.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from monge.losses.gpu_pairs_kernel import half_step, sum_rows
from monge.losses.streamed_pairs import StreamedPairs, StreamedPlan
from monge.ot.streaming import ANNEAL, STAGE_TOL, StreamedPotentials, next_relaxation, stages_of

_ROWS, _COLUMNS = 32, 32
_PASSES_PER_LOOK = 4


class _Sides(NamedTuple):
    """Rows and columns of a pass, in the order in which the kernels want them."""

    x: Tensor
    y: Tensor
    x_labels: Tensor
    y_labels: Tensor


@torch.no_grad()
def stream_potentials_on_gpu(
    pairs: StreamedPairs, g: Tensor, *, epsilon: float, tol: float, max_iter: int = 5000, warm: bool = False
) -> StreamedPotentials:
    """As :func:`monge.ot.streaming.stream_potentials` for ground costs in [0, 1] of pairs.

    The host looks at the error every few passes.

    Args:
        pairs: Whose embeddings are float32, at most 256 long.
        g: Potentials of the columns to start from, ``(M,)``.
        epsilon: Regularisation.
        tol: Marginal error at which to stop.
        max_iter: Passes at most.
        warm: ``g`` comes from a problem near by.
    """
    forward, back = _sides(pairs), _sides(pairs.transposed())
    stages = 0 if warm else stages_of(1.0 / epsilon, g.dtype)
    scale = epsilon * ANNEAL**stages
    q, omega, previous, error, spent = g / scale, 1.0, math.inf, math.inf, 0
    p, held = g.new_zeros(len(pairs.x)), q
    while spent < max_iter:
        passes = min(_PASSES_PER_LOOK, max_iter - spent)
        for _ in range(passes):
            p = _half_step(pairs, forward, q, scale)
            wanted = _half_step(pairs, back, p, scale)
            missed, held = (q - wanted).expm1().abs().mean(), q
            q = q + omega * (wanted - q)
        spent += passes
        error = float(missed)
        if stages == 0 and not error >= 0.9 * tol:
            break
        if stages and error < STAGE_TOL:
            stages, scale = stages - 1, scale / ANNEAL
            p, q, omega, previous = p * ANNEAL, q * ANNEAL, 1.0, math.inf
            held, error = q, 2.0  # not measured at this scale, should these have been the last passes
        else:
            chosen = next_relaxation(error, previous, omega)
            previous, omega = error if chosen == omega else math.inf, chosen
    if stages:
        error = max(error, 2.0)  # not measured at its own epsilon
    shift = 0.5 * (held.mean() - p.mean())
    return StreamedPotentials((p + shift) * scale, (held - shift) * scale, error, spent)


@torch.no_grad()
def sum_on_gpu(plan: StreamedPlan, differentiate: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The loss under a plan, a scalar, and its gradients ``(N, D)`` and ``(M, D)``, the second 0 if not asked for."""
    value, grad_x = _sum_rows(plan.pairs, _sides(plan.pairs), plan.f, plan.g)
    if not differentiate:
        return value, grad_x, torch.zeros_like(plan.pairs.y)
    _, grad_y = _sum_rows(plan.pairs, _sides(plan.pairs.transposed()), plan.g, plan.f)
    return value, grad_x, grad_y


def _sides(pairs: StreamedPairs) -> _Sides:
    tensors = (pairs.x, pairs.y, pairs.x_labels, pairs.y_labels)
    return _Sides(*(tensor.contiguous() for tensor in tensors))


def _flags(pairs: StreamedPairs) -> dict[str, bool]:
    own = pairs.places is not None
    squared = pairs.settings.negative == "hinge_sq_dist"
    return {"SQUARED": squared, "OWN": own, "SKIP_OWN": own and not pairs.include_self}


def _tile(sides: _Sides) -> dict[str, int]:
    return {"ROWS": _ROWS, "COLUMNS": _COLUMNS, "WIDTH": max(16, 1 << (sides.x.shape[1] - 1).bit_length())}


def _half_step(pairs: StreamedPairs, sides: _Sides, q: Tensor, scale: float) -> Tensor:
    """Potentials of the rows of ``sides``, ``(N,)``, from those of its columns, in units of the scale."""
    (n, width), m, settings = sides.x.shape, len(sides.y), pairs.settings
    p = q.new_empty(n)
    given = (settings.margin, settings.gamma, settings.pos_margin, 1.0 / scale, math.log(m))
    half_step[(-(-n // _ROWS),)](*sides, q, p, n, m, width, *given, **_flags(pairs), **_tile(sides))
    return p


def _sum_rows(pairs: StreamedPairs, sides: _Sides, f: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    (n, width), m, settings = sides.x.shape, len(sides.y), pairs.settings
    value, grad = f.new_empty(n), torch.empty_like(sides.x)
    given = (settings.margin, settings.gamma, settings.pos_margin, 1.0 / settings.epsilon)
    rest = (settings.power, settings.factor, 1.0 / (n * m))
    kind = {"KERNEL": settings.kernel, "LINEAR": settings.power == 1.0}
    sum_rows[(-(-n // _ROWS),)](
        *sides, f, g, value, grad, n, m, width, *given, *rest, **_flags(pairs), **kind, **_tile(sides)
    )
    return value.sum(), grad
