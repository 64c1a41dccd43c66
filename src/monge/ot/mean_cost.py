"""Mean magnitude of the costs of each problem, which relative regularisation is measured by."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from monge.ot.backend import compiled_for


def mean_cost(cost: Tensor, rows: Tensor | None, columns: Tensor | None) -> Tensor:
    """Mean magnitude over allowed, unmasked pairs; 1 where every cost is 0, so that epsilon stays positive.

    Args:
        cost: ``(B, N, M)``, 0 at masked pairs; ``+inf`` forbids a pair.
        rows: True for rows that exist, ``(B, N)``, or ``None``.
        columns: True for columns that exist, ``(B, M)``, or ``None``.

    Returns:
        ``(B,)``, differentiable; needs no tensor of the size of the cost but its gradient.
    """
    n, m = cost.shape[1:]
    pairs: Tensor | int = n * m
    if rows is not None or columns is not None:
        pairs = (n if rows is None else rows.sum(1)) * (m if columns is None else columns.sum(1))
    return _MeanCost.apply(cost, n * m - pairs)  # type: ignore[no-any-return]


class _MeanCost(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, cost: Tensor, masked: Tensor | int) -> Tensor:
        if compiled_for(cost):
            from monge.ot.compiled.magnitudes import magnitudes  # brings Numba

            total, finite = magnitudes(cost)
        else:
            allowed = ~torch.isinf(cost)
            total, finite = torch.where(allowed, cost, 0.0).abs().sum((1, 2)), allowed.sum((1, 2))
        count = (finite - masked).clamp_min(1)
        ctx.save_for_backward(cost, torch.where(total > 0, count.to(cost.dtype).reciprocal(), 0.0))
        return torch.where(total > 0, total / count, 1.0)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, None]:
        cost, share = ctx.saved_tensors
        factor = grads[0] * share
        if not torch.is_grad_enabled() and compiled_for(cost):
            from monge.ot.compiled.magnitudes import signs

            return signs(cost, factor), None
        return torch.where(torch.isinf(cost), 0.0, cost.detach().sign()) * factor[:, None, None], None
