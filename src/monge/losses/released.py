"""Sinkhorn exactly as the released batch-wise OT programs run it: a fixed number of sweeps, converged or not.

For reproducing published settings only; everything else goes through `monge.ot.sinkhorn`. Source: the programs
released with Xu, Sun, Liu, "Batch-wise optimal transport loss", CVPR 2019, which share the order below and differ in
the number of sweeps, in the guard against division by zero, and (3D) in the sign of the kernel.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class ReleasedSweeps(NamedTuple):
    """How a released program runs Sinkhorn.

    Attributes:
        iterations: Number of sweeps: 30 (2D), 20 (SHREC), 50 (3D).
        guard: Added to each denominator: 1e-10 (2D), 1e-12 (SHREC), 0 (3D).
        reversed_sign: Use the kernel ``exp(+cost / epsilon)`` as the 3D program does by passing a negative
            regulariser; easy pairs then get more mass and hard pairs less.
    """

    iterations: int
    guard: float = 0.0
    reversed_sign: bool = False


def released_plan(
    ground_cost: Tensor, sweeps: ReleasedSweeps, *, epsilon: float, support: Tensor | None = None
) -> Tensor:
    """Plan after a fixed number of Sinkhorn sweeps: ``u = 1``, then ``v`` from ``u`` and ``u`` from ``v``, repeatedly.

    The rows of the result sum to ``1 / N`` (up to the guard); the columns only nearly so. Nothing is stabilised, so
    ``epsilon`` must not be much smaller than the costs. Gradients, where the input asks for them, go through all of it.

    Args:
        ground_cost: Ground costs in ``[0, 1]``, float32 or float64, shape ``(N, M)``.
        sweeps: How many, and how.
        epsilon: Entropic regularisation, 1/lambda of the programs, in units of the cost.
        support: Pairs that may carry mass, bool ``(N, M)``; ``None`` means all.

    Returns:
        The plan, shape ``(N, M)``, dtype of ``ground_cost``.

    Example:
        >>> released_plan(torch.tensor([[0.0, 1.0], [1.0, 0.0]]), ReleasedSweeps(20), epsilon=0.2).sum(1)
        tensor([0.5000, 0.5000])
    """
    n, m = ground_cost.shape
    with torch.autocast(device_type=ground_cost.device.type, enabled=False):
        kernel = torch.exp((1.0 if sweeps.reversed_sign else -1.0) / epsilon * ground_cost)  # (N, M)
        if support is not None:
            kernel = kernel * support
        u = ground_cost.new_ones(n)  # (N,)
        v = ground_cost.new_ones(m)  # (M,)
        for _ in range(sweeps.iterations):
            v = 1.0 / m / (kernel.t() @ u + sweeps.guard)
            u = 1.0 / n / (kernel @ v + sweeps.guard)
        return u.unsqueeze(1) * kernel * v
