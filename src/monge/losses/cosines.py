"""Scaled cosines between two batches by a single product, safe for zero vectors and in full precision."""

from __future__ import annotations

import torch
from torch import Tensor


def scaled_cosines(x: Tensor, y: Tensor, scale: float | Tensor = 1.0, offset: float | Tensor = 0.0) -> Tensor:
    """``offset + scale cos(x_i, y_j)``; a vector shorter than 1e-12 has cosine 0 with everything, and no gradient.

    Half precision is computed in float32, also under autocast.

    Args:
        x: ``(N, D)``.
        y: ``(M, D)``.
        scale: A number or a scalar tensor.
        offset: A number or a scalar tensor.

    Returns:
        ``(N, M)``, float32 or float64.

    Raises:
        ValueError: Shapes that do not fit.

    Example:
        >>> scaled_cosines(torch.tensor([[3.0, 0.0]]), torch.eye(2), scale=-2.0, offset=2.0)
        tensor([[0., 2.]])
    """
    if x.dim() != 2 or y.dim() != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"embeddings: found shapes {tuple(x.shape)} and {tuple(y.shape)}, expected (N, D) and (M, D)")
    dtype = torch.promote_types(torch.promote_types(x.dtype, y.dtype), torch.float32)
    with torch.autocast(x.device.type, enabled=False):
        left, right = _unit(x.to(dtype)) * scale, _unit(y.to(dtype))
        if isinstance(offset, float) and offset == 0.0:
            return left @ right.mT
        return torch.addmm(torch.as_tensor(offset, dtype=dtype, device=x.device).view(1, 1), left, right.mT)


def _unit(x: Tensor) -> Tensor:
    squared = x.square().sum(1, keepdim=True)
    nonzero = squared > 1e-24  # below, the derivative of the norm would overflow float32
    return torch.where(nonzero, x * torch.where(nonzero, squared, 1.0).rsqrt(), 0.0)
