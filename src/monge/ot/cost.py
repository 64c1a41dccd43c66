"""Pairwise ground costs between point sets, safe where points coincide."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Metric = Literal["sqeuclidean", "euclidean", "cosine"]


def pairwise_cost(x: Tensor, y: Tensor | None = None, metric: Metric = "sqeuclidean") -> Tensor:
    """Cost between every point of one set and every point of another.

    Half-precision inputs are computed and returned in float32, because squares overflow float16 and a cost rounded
    to half precision spoils a transport plan; float64 stays float64. Autocast does not apply inside.

    Args:
        x: Points, shape ``(..., N, D)``.
        y: Points, shape ``(..., M, D)``; ``None`` means ``x`` against itself, with a diagonal of exact zeros
            (squared Euclidean and Euclidean).
        metric: ``"sqeuclidean"`` is ``|x - y|^2``; ``"euclidean"`` its root, with gradient 0 where points coincide;
            ``"cosine"`` is ``1 - cos(x, y)`` in ``[0, 2]``; a vector shorter than 1e-12 has
            cosine 0 with everything.

    Returns:
        Costs, shape ``(..., N, M)``, float32 or float64, non-negative; NaN where a point or its square is no finite
        number.

    Raises:
        ValueError: Shapes that do not fit, or an unknown metric.

    Example:
        >>> x = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
        >>> pairwise_cost(x, metric="euclidean")
        tensor([[0., 5.],
                [5., 0.]])
    """
    other = x if y is None else y
    if x.dim() < 2 or other.dim() < 2 or x.shape[-1] != other.shape[-1]:
        raise ValueError(
            f"pairwise_cost needs (..., N, D) and (..., M, D), got {tuple(x.shape)} and {tuple(other.shape)}"
        )
    dtype = torch.promote_types(torch.promote_types(x.dtype, other.dtype), torch.float32)
    with torch.autocast(device_type=x.device.type, enabled=False):
        left = x.to(dtype)
        right = left if y is None else other.to(dtype)
        if metric == "cosine":
            return _cosine(left, right)
        if metric == "sqeuclidean":
            return _squared(left, right, same=y is None)
        if metric == "euclidean":
            squared = _squared(left, right, same=y is None)
            together = squared <= 0  # what is no number stays none
            # The inner where keeps the square root away from 0, where its derivative is infinite.
            return torch.where(together, 0.0, torch.where(together, 1.0, squared).sqrt())
    raise ValueError(f"unknown metric {metric!r}: expected 'sqeuclidean', 'euclidean' or 'cosine'")


def _squared(x: Tensor, y: Tensor, *, same: bool) -> Tensor:
    # Distances do not change with the origin, but |x|^2 + |y|^2 - 2xy loses digits far away from it.
    centre = x.detach().mean(dim=-2, keepdim=True)
    x = x - centre  # (..., N, D)
    y = x if same else y - centre  # (..., M, D)
    norms = x.square().sum(-1).unsqueeze(-1) + y.square().sum(-1).unsqueeze(-2)  # (..., N, M)
    squared = (norms - 2.0 * (x @ y.transpose(-1, -2))).clamp_min(0.0)  # (..., N, M)
    if same:
        squared = squared.masked_fill(torch.eye(x.shape[-2], dtype=torch.bool, device=x.device), 0.0)
    return squared


def _cosine(x: Tensor, y: Tensor) -> Tensor:
    return (1.0 - _unit(x) @ _unit(y).transpose(-1, -2)).clamp(0.0, 2.0)


def _unit(x: Tensor) -> Tensor:
    squared = x.square().sum(-1, keepdim=True)
    short = squared <= 1e-24  # there the derivative of the norm would overflow float32
    inverse = torch.where(short, 1.0, squared).rsqrt()
    # A length beyond the dtype must not pass for a zero vector.
    inverse = torch.where(torch.isinf(squared), torch.nan, inverse)
    return torch.where(short, 0.0, x * inverse)
