"""Scaled cosines between two batches by a single product, safe for zero vectors and in full precision."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from monge.losses.pairs import check_embeddings

# Shorter vectors have no direction: the derivative of their norm would overflow float32.
_SHORTEST = 1e-12


def scaled_cosines(x: Tensor, y: Tensor, scale: float | Tensor = 1.0, offset: float | Tensor = 0.0) -> Tensor:
    """``offset + scale cos(x_i, y_j)``; a vector shorter than 1e-12 has cosine 0 with everything, and no gradient.

    A vector whose length is not finite, or beyond what the dtype holds, has cosine NaN.

    Half precision is computed in float32, also under autocast.

    Args:
        x: ``(N, D)``.
        y: ``(M, D)``.
        scale: A number or a scalar tensor.
        offset: A number or a scalar tensor.

    Returns:
        ``(N, M)``, float32 or float64.

    Raises:
        ValueError: Shapes or dtypes that do not fit, or no samples.

    Example:
        >>> scaled_cosines(torch.tensor([[3.0, 0.0]]), torch.eye(2), scale=-2.0, offset=2.0)
        tensor([[0., 2.]])
    """
    check_embeddings(x, y)
    dtype = torch.promote_types(torch.promote_types(x.dtype, y.dtype), torch.float32)
    with full_precision(x.device):
        y = y.view_as(y) if y is x else y  # compiled graphs refuse one tensor as two arguments of a function
        x, y = x.to(dtype), y.to(dtype)
        added = None if isinstance(offset, (int, float)) and offset == 0 else _scalar(offset, x)
        lengths = _inverse_norms(x.detach()), _inverse_norms(y.detach())
        return _Cosines.apply(x, y, *lengths, _scalar(scale, x), added)  # type: ignore[no-any-return]


def unit_rows(vectors: Tensor) -> Tensor:
    """Rows of length 1; rows too short to have a direction become 0, with gradient 0, as in `scaled_cosines`.

    Args:
        vectors: ``(N, D)``, float32 or float64.

    Returns:
        ``(N, D)``; NaN where a length is not finite.

    Example:
        >>> unit_rows(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([[0.6000, 0.8000],
                [0.0000, 0.0000]])
    """
    squared = vectors.square().sum(1, keepdim=True)
    short = squared <= _SHORTEST**2
    inverse = torch.where(short, 0.0, torch.where(short, 1.0, squared).rsqrt())
    return vectors * _told(squared, inverse)


def full_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Switches autocast off where it is on."""
    kind = device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()


def _scalar(value: float | Tensor, like: Tensor) -> Tensor:
    return value.to(like) if isinstance(value, Tensor) else like.new_full((), value)


def _inverse_norms(x: Tensor) -> Tensor:
    """``(N, 1)``, 0 for a vector without direction, NaN for one whose length is not finite."""
    norms = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    return _told(norms, functional.threshold(norms, _SHORTEST, math.inf).reciprocal())


def _told(norms: Tensor, inverse: Tensor) -> Tensor:
    # A length beyond the numbers would pass for a vector without direction.
    return torch.where(norms < math.inf, inverse, math.nan)


class _Cosines(torch.autograd.Function):
    """A product forward, two backward: normalising adds no pass over the pairs and none that autograd would record."""

    @staticmethod
    def forward(
        x: Tensor, y: Tensor, inverse_x: Tensor, inverse_y: Tensor, scale: Tensor, offset: Tensor | None
    ) -> Tensor:
        """Returns ``(N, M)``; the inverse norms, ``(N, 1)`` and ``(M, 1)``, are those of the vectors."""
        left, right = x * (inverse_x * scale), y * inverse_y
        return left @ right.mT if offset is None else torch.addmm(offset.view(1, 1), left, right.mT)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keeps all but the offset."""
        ctx.save_for_backward(*inputs[:5])

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        """Returns what changes the direction of each vector, and what changes scale and offset."""
        x, y, inverse_x, inverse_y, scale = ctx.saved_tensors
        (grad,) = grads
        needs_x, needs_y, _, _, needs_scale, needs_offset = ctx.needs_input_grad
        to_x = to_y = to_scale = None
        with full_precision(x.device):
            if torch.is_grad_enabled():  # the norms move too in a second derivative
                inverse_x, inverse_y = _inverse_norms(x), _inverse_norms(y)
            left, right = x * inverse_x, y * inverse_y
            if needs_x or needs_scale:
                pull = grad @ right  # (N, D)
                along = (pull * left).sum(1, keepdim=True)  # (N, 1)
                to_scale = along.sum() if needs_scale else None
                to_x = torch.addcmul(pull, left, along, value=-1.0) * (inverse_x * scale) if needs_x else None
            if needs_y:
                pull = grad.mT @ left  # (M, D)
                along = (pull * right).sum(1, keepdim=True)
                to_y = torch.addcmul(pull, right, along, value=-1.0) * (inverse_y * scale)
            return to_x, to_y, None, None, to_scale, grad.sum() if needs_offset else None
