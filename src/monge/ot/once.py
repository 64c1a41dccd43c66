"""Gradients that cannot be differentiated again say so, instead of passing for constants."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Once(torch.autograd.Function):
    """Identity on a tensor that moves with others in a way nobody has written down: never a silent zero."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, message: str, *moves_with: Tensor) -> Tensor:
        """Returns the tensor."""
        ctx.message = message
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        """Raises."""
        raise RuntimeError(ctx.message)


def only_once(gradients: tuple[Tensor | None, ...], message: str, *moves_with: Tensor) -> tuple[Tensor | None, ...]:
    """Gradients as they are; if autograd records the backward pass, their own derivative raises.

    Args:
        gradients: What a backward pass is about to return.
        message: Text of the ``RuntimeError``.
        moves_with: Tensors that the gradients depend on.
    """
    if not torch.is_grad_enabled():
        return gradients
    return tuple(None if t is None else Once.apply(t, message, *moves_with) for t in gradients)
