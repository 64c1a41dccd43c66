"""The linear systems of implicit gradients, all of a batch in one launch."""

from __future__ import annotations

import torch
from torch import Tensor

from monge.ot.gpu.system_kernel import solve_system
from monge.ot.gpu.tiles import tile_of


def solve_systems(scaled: Tensor, rhs: Tensor, null: Tensor) -> Tensor:
    """As :func:`monge.ot.operators.solve_marginal_system`, whose arguments these are."""
    batch, n, m = scaled.shape
    scaled, rhs, null = scaled.contiguous(), rhs.contiguous(), null.contiguous()
    tile = tile_of(n, m)
    z = torch.empty_like(rhs)
    accuracy = torch.finfo(rhs.dtype).eps ** 0.75
    solve_system[(batch,)](
        scaled, rhs, null, z, n, m, accuracy, 4 * m + 50, ROWS=tile.rows, COLUMNS=tile.columns, num_warps=tile.warps
    )
    return z
