"""Turns what a caller passes into one flat batch of well-posed problems, or says what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from monge.ot.backend import compiled_for
from monge.ot.mean_cost import mean_cost


@dataclass(frozen=True)
class Problem:
    """A batch of ``B`` problems in the dtype they are solved in. ``a`` and ``b`` keep the caller's mass."""

    cost: Tensor  # (B, N, M), 0 at masked pairs
    a: Tensor  # (B, N), 0 at masked rows
    b: Tensor  # (B, M), 0 at masked columns
    epsilon: Tensor  # (B,), in units of the cost
    batch_shape: torch.Size

    def unflatten(self, tensor: Tensor) -> Tensor:
        """Gives a result of shape ``(B, ...)`` the caller's batch shape."""
        if len(self.batch_shape) == 1:
            return tensor
        return tensor.reshape((*self.batch_shape, *tensor.shape[1:]))

    def detached(self) -> Problem:
        """The same without history."""
        if not (self.cost.requires_grad or self.a.requires_grad or self.b.requires_grad or self.epsilon.requires_grad):
            return self
        cost, a, b, epsilon = self.cost.detach(), self.a.detach(), self.b.detach(), self.epsilon.detach()
        return Problem(cost, a, b, epsilon, self.batch_shape)


def pose(
    cost: Tensor,
    a: Tensor | None,
    b: Tensor | None,
    epsilon: float | Tensor,
    *,
    relative: bool,
    row_mask: Tensor | None,
    col_mask: Tensor | None,
) -> Problem:
    """Checks shapes, fills defaults and flattens; see :func:`monge.ot.sinkhorn` for the arguments.

    Raises:
        ValueError: Shapes that do not fit, an empty problem, or epsilon not positive.
    """
    if cost.dim() < 2 or 0 in cost.shape:
        raise ValueError(f"cost has shape {tuple(cost.shape)}: expected (..., N, M) with no empty dimension")
    *lead, n, m = cost.shape
    batch_shape = torch.Size(lead)
    dtype = torch.promote_types(cost.dtype, torch.float32)
    rows = _expanded("row_mask", row_mask, batch_shape, n)
    columns = _expanded("col_mask", col_mask, batch_shape, m)
    flat = cost.to(dtype).reshape(-1, n, m)
    if rows is not None:
        flat = flat.masked_fill(~rows.unsqueeze(2), 0.0)
    if columns is not None:
        flat = flat.masked_fill(~columns.unsqueeze(1), 0.0)
    weights_a = _weights("a", a, rows, batch_shape, n, flat)
    weights_b = _weights("b", b, columns, batch_shape, m, flat)
    # A problem without any row or column that exists has no mass on the other side either.
    if rows is not None:
        weights_b = weights_b * rows.any(1, keepdim=True)
    if columns is not None:
        weights_a = weights_a * columns.any(1, keepdim=True)
    return Problem(
        flat, weights_a, weights_b, _epsilon(epsilon, relative, flat, batch_shape, rows, columns), batch_shape
    )


def _expanded(name: str, value: Tensor | None, batch_shape: torch.Size, size: int) -> Tensor | None:
    if value is None:
        return None
    if value.shape[-1:] != (size,):
        raise ValueError(f"{name} has shape {tuple(value.shape)}: expected its last dimension to be {size}")
    return value.expand(*batch_shape, size).reshape(-1, size)


def _weights(
    name: str, weights: Tensor | None, mask: Tensor | None, batch_shape: torch.Size, size: int, cost: Tensor
) -> Tensor:
    flat = _expanded(name, weights, batch_shape, size)
    if flat is not None:
        flat = flat.to(device=cost.device, dtype=cost.dtype)
        return flat if mask is None else flat.masked_fill(~mask, 0.0)
    if mask is None:
        return cost.new_full((cost.shape[0], size), 1.0 / size)
    counted = mask.to(cost.dtype)
    return counted / counted.sum(1, keepdim=True).clamp_min(1.0)


def _epsilon(
    epsilon: float | Tensor,
    relative: bool,
    cost: Tensor,
    batch_shape: torch.Size,
    rows: Tensor | None,
    columns: Tensor | None,
) -> Tensor:
    if isinstance(epsilon, (int, float)):
        if not epsilon > 0:
            raise ValueError(f"epsilon is {epsilon}: expected a positive number")
        flat = cost.new_full((cost.shape[0],), float(epsilon))
    else:
        flat = epsilon.to(device=cost.device, dtype=cost.dtype).expand(batch_shape).reshape(-1)
    return flat * mean_cost(cost, rows, columns) if relative else flat


def balanced(problem: Problem) -> tuple[Problem, Tensor]:
    """The same problem with marginals of mass one, checked, and the mass ``(B,)``; see :func:`unit_mass`.

    Raises:
        ValueError: As :func:`check_weights`; compiled graphs do not check.
    """
    a, b, epsilon = problem.a, problem.b, problem.epsilon
    unit = None
    if not (a.requires_grad or b.requires_grad) and compiled_for(a, b, epsilon):
        from monge.ot.compiled.weights import unit_weights  # brings Numba

        unit = unit_weights(a, b, epsilon)
    if unit is None:
        if not torch.compiler.is_compiling():
            check_weights(a.detach(), b.detach(), epsilon.detach(), balanced=True)
        unit = unit_mass(a, b)
    return Problem(problem.cost, unit[0], unit[1], epsilon, problem.batch_shape), unit[2]


def unit_mass(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Scales both marginals to sum to one.

    Returns:
        ``a (B, N)``, ``b (B, M)`` and the mass ``(B,)``, the mean of the two sums. A problem without mass becomes a
        uniform one of mass 0.
    """
    sums = a.sum(1), b.sum(1)
    mass = 0.5 * (sums[0] + sums[1])
    unit = [
        torch.where(total[:, None] > 0, w / torch.where(total > 0, total, 1.0)[:, None], 1.0 / w.shape[1])
        for w, total in zip((a, b), sums)
    ]
    return unit[0], unit[1], mass


def check_weights(a: Tensor, b: Tensor, epsilon: Tensor, *, balanced: bool) -> None:
    """Checks values, which costs one wait for the device.

    Raises:
        ValueError: Negative or non-finite weights or epsilon, or, if ``balanced``, sums that differ by more than 1e-3.
    """
    sum_a, sum_b = a.sum(1), b.sum(1)
    bad = torch.stack(
        [
            (~(a >= 0)).any() | torch.isinf(a).any(),
            (~(b >= 0)).any() | torch.isinf(b).any(),
            (~(epsilon > 0)).any() | torch.isinf(epsilon).any(),
            ((sum_a - sum_b).abs() > 1e-3 * torch.maximum(sum_a, sum_b)).any(),
        ]
    ).tolist()
    for name, wrong in zip(("a", "b", "epsilon"), bad):
        if wrong:
            kind = "positive" if name == "epsilon" else "non-negative"
            raise ValueError(f"{name} holds a value that is not finite and {kind}")
    if balanced and bad[3]:
        worst = int((sum_a - sum_b).abs().argmax())
        raise ValueError(
            f"marginals of problem {worst} have different mass: a sums to {float(sum_a[worst]):.6g} and b to "
            f"{float(sum_b[worst]):.6g}; rescale them, or use sinkhorn_unbalanced or sinkhorn_partial"
        )


def safe_log(weights: Tensor) -> Tensor:
    """Log that is ``-inf`` at 0, with gradient 0 there instead of NaN."""
    positive = weights > 0
    return torch.where(positive, torch.where(positive, weights, 1.0).log(), -torch.inf)
