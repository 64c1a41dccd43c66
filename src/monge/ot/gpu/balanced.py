"""A batch of balanced entropic problems in one launch: one program a problem, all iterations inside.

Log-domain Sinkhorn with float32 (or float64) sums. A program goes over its problem in tiles of rows; one pass gives the
rows their potentials and, from these, every column the log of what it receives, so an iteration reads the cost once. A
problem of a single tile stays in registers. The stop test, annealing and over-relaxation are the program's own: the
host looks at nothing, and a problem gives the same bits in any company.
"""

from __future__ import annotations

import torch
from torch import Tensor

from monge.ot.gpu.balanced_kernel import solve_problem
from monge.ot.gpu.tiles import tile_of
from monge.ot.scaling import Solution, refuse_cost

# Beyond this range of cost / epsilon, plain iterations crawl: start wider and narrow down by factors of 4.
_SAFE_RANGE = 60.0


def solve_on_gpu(
    cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, *, tol: float, max_iter: int, init_g: Tensor | None = None
) -> Solution:
    """As :func:`monge.ot.scaling.solve_balanced`, in one launch.

    Raises:
        ValueError: NaN or ``-inf`` in the cost.
    """
    low, high, valid = _survey(cost)
    if not bool(valid.all()):
        refuse_cost(int((~valid).int().argmax()))
    largest = torch.maximum(low.abs(), high.abs()) / epsilon
    # One rounding of the exponent must not move a plan entry by more than a tenth of the tolerance.
    if cost.dtype == torch.float32 and float(largest.max()) * 2.0**-24 > 0.1 * tol:
        cost, a, b, epsilon, low, high = (t.double() for t in (cost, a, b, epsilon, low, high))
        init_g = None if init_g is None else init_g.double()
    batch, n, m = cost.shape
    cost, a, b, epsilon = (t.contiguous() for t in (cost, a, b, epsilon))
    spread = ((high - low) / epsilon).clamp_min(1.0)
    stages = (spread / _SAFE_RANGE).log2().div(2.0).ceil().clamp_min(0.0).to(torch.int32)
    if init_g is not None:
        stages = torch.zeros_like(stages)
    tile = tile_of(n, m)
    f, g = cost.new_empty(batch, n), cost.new_empty(batch, m)
    error, iterations = cost.new_empty(batch), torch.empty(batch, dtype=torch.int64, device=cost.device)
    solve_problem[(batch,)](
        cost,
        a,
        b,
        epsilon,
        g if init_g is None else init_g.contiguous(),
        stages,
        f,
        g,
        error,
        iterations,
        n,
        m,
        0.9 * tol,
        max_iter,
        WARM=init_g is not None,
        ROWS=tile.rows,
        COLUMNS=tile.columns,
        num_warps=tile.warps,
    )
    shift = 0.5 * ((b * g).sum(1) - (a * f).sum(1))[:, None]
    return Solution(f + shift, g - shift, error, iterations)


def _survey(cost: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Smallest and largest finite entry of each problem, and whether there is one and no NaN or ``-inf``."""
    finite = cost.isfinite()
    low = torch.where(finite, cost, torch.inf).amin((1, 2))
    high = torch.where(finite, cost, -torch.inf).amax((1, 2))
    valid = (finite | (cost == torch.inf)).all(2).all(1) & finite.any(2).any(1)
    return low, high, valid
