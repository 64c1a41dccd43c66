"""What a transport plan does: how far it is from uniform, where its mass is, and how well it meets its marginals."""

from __future__ import annotations

import torch
from torch import Tensor

from monge.errors import MongeError


@torch.no_grad()
def plan_diagnostics(
    plan: Tensor,
    *,
    hard: Tensor | None = None,
    ground_cost: Tensor | None = None,
    hard_below: float = 0.1,
    a: Tensor | None = None,
    b: Tensor | None = None,
    row_mask: Tensor | None = None,
    col_mask: Tensor | None = None,
) -> dict[str, Tensor]:
    """Describes a plan, one problem or a batch of them.

    In the batch-wise OT loss the plan is the weight of each pair; with a plan near uniform the weights do nothing,
    as in two of the released programs. With P = plan / its total mass, over the n·m pairs that are not masked:

    * ``entropy``: -sum P log P / log(n·m), from 0 (one pair) to 1 (uniform; also for a single pair);
    * ``effective_pairs``: exp of the entropy, the number of pairs that a uniform plan as spread out would have;
    * ``uniform_deviation``: max |P·n·m - 1|, 0 for a uniform plan;
    * ``hard_share``: share of the mass on hard pairs (only with `hard` or `ground_cost`);
    * ``row_error``, ``column_error``: L1 distances of the plan's marginals from `a` and `b`.

    A plan without mass has NaN for all but the errors.

    Args:
        plan: ``(..., N, M)`` non-negative, any floating dtype.
        hard: ``(..., N, M)`` bool, the hard pairs.
        ground_cost: ``(..., N, M)``; instead of `hard`, the pairs with a ground cost below `hard_below` are hard:
            in the batch-wise OT loss, exp(-gamma M) is near 0 for violated pairs.
        hard_below: Threshold of `ground_cost`.
        a: ``(..., N)`` expected row marginal; default uniform over rows that are not masked.
        b: ``(..., M)`` expected column marginal; default uniform over columns that are not masked.
        row_mask: ``(..., N)`` bool, True for rows that take part; default all.
        col_mask: ``(..., M)`` bool, True for columns that take part; default all.

    Returns:
        A ``(...,)`` tensor a key, float64 for a float64 plan and float32 otherwise.

    Raises:
        MongeError: Not a floating ``(..., N, M)`` plan, or both `hard` and `ground_cost`.

    Example:
        >>> report = plan_diagnostics(torch.tensor([[0.5, 0.0], [0.0, 0.5]]))
        >>> {key: round(float(value), 4) for key, value in report.items() if key != "row_error"}
        {'entropy': 0.5, 'effective_pairs': 2.0, 'uniform_deviation': 1.0, 'column_error': 0.0}
    """
    if plan.dim() < 2 or 0 in plan.shape[-2:] or not plan.is_floating_point():
        raise MongeError(
            f"plan: found a {plan.dtype} tensor of shape {tuple(plan.shape)}, expected floating (..., N, M)"
        )
    if hard is not None and ground_cost is not None:
        raise MongeError("hard: found together with ground_cost, expected one of the two")
    plan = plan.detach().to(torch.float64 if plan.dtype == torch.float64 else torch.float32)
    rows = _mask(row_mask, plan[..., 0])  # (..., N)
    columns = _mask(col_mask, plan[..., 0, :])  # (..., M)
    pairs = rows[..., :, None] & columns[..., None, :]  # (..., N, M)
    plan = torch.where(pairs, plan, 0.0)
    count = pairs.sum(dim=(-2, -1)).to(plan.dtype)
    mass = plan.sum(dim=(-2, -1), keepdim=True)
    share = plan / mass  # (..., N, M), NaN without mass
    nats = -torch.xlogy(share, share).sum(dim=(-2, -1))
    uneven = torch.where(pairs, share * count[..., None, None] - 1, 0.0)
    report = {
        "entropy": torch.where((count == 1) & nats.isfinite(), 1.0, nats / count.log()),
        "effective_pairs": nats.exp(),
        "uniform_deviation": uneven.abs().amax(dim=(-2, -1)),
    }
    if ground_cost is not None:
        hard = ground_cost < hard_below
    if hard is not None:
        report["hard_share"] = (torch.where(hard & pairs, plan, 0.0) / mass).sum(dim=(-2, -1))
    report["row_error"] = _error(plan.sum(dim=-1), a, rows)
    report["column_error"] = _error(plan.sum(dim=-2), b, columns)
    return report


def _mask(mask: Tensor | None, like: Tensor) -> Tensor:
    return torch.ones_like(like, dtype=torch.bool) if mask is None else mask.bool().expand(like.shape)


def _error(found: Tensor, expected: Tensor | None, mask: Tensor) -> Tensor:
    if expected is None:
        expected = mask.to(found.dtype) / mask.sum(dim=-1, keepdim=True)
    return torch.where(mask, found - expected, 0.0).abs().sum(dim=-1)
