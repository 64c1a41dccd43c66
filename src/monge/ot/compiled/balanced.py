"""One balanced entropic problem, all in cache: fused sweeps, annealing, Anderson acceleration, Newton for what is left.

The same mathematics and the same report as :mod:`monge.ot.scaling`, which stays the fallback: kernel-domain iterations
with absorbed potentials and a stop test on the L1 error of both marginals.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.ot.compiled.jit import inner
from monge.ot.compiled.stage import run_stage
from monge.ot.compiled.sweep import row_floors
from monge.ot.compiled.work import Work

Array = NDArray[Any]

# exp(-70) = 4e-31 leaves float32 seven decades above its smallest number; wider ranges are annealed.
_SAFE_RANGE = 70.0
_ANNEAL = 4.0
# What a stage of the annealing must reach. With many stages to go, each has to hand over good potentials.
_STAGE_TOL, _STAGE_TOL_LONG, _LONG = 0.01, 0.001, 16.0
# A warm start further off than this is not one.
_WARM = 1.0


@inner
def solve_tile(
    cost: Array,
    n: int,
    m: int,
    inverse: Any,
    low: Any,
    high: Any,
    tol: float,
    max_iter: int,
    depth: int,
    warm: bool,
    work: Work,
) -> tuple[float, int]:
    """Solves one problem whose points all have mass.

    Args:
        cost: ``(n, m)``, finite or ``+inf``.
        n: Rows.
        m: Columns.
        inverse: Of epsilon, in the dtype of the cost.
        low: Smallest cost.
        high: Largest finite cost.
        tol: L1 marginal error to stay below.
        max_iter: Sweeps at most.
        depth: Changes that the acceleration remembers.
        warm: ``work.q`` holds potentials to start from.
        work: ``a`` and ``b`` hold the weights, which sum to one; the kernel's padding is clear. Potentials come back in
            ``p`` and ``q``, for the plan ``a_i b_j exp(p_i + q_j - cost_ij * inverse)``.

    Returns:
        Error, infinite or NaN where the problem left the floating-point range, and sweeps spent.
    """
    line = 64 // work.kernel.itemsize
    width = (m + line - 1) // line * line
    b, p, q, root = work.b, work.p, work.q, work.history.root
    for j in range(width):
        root[j] = np.sqrt(b[j])
    spent: Any = np.int64(0)  # a literal would compile what it is passed to twice
    if warm:
        row_floors(cost, n, m, inverse, q, p)
        error, spent = run_stage(cost, n, m, width, inverse, 1.0, tol, _WARM, spent, max_iter, depth, work)
        if error <= _WARM or spent >= max_iter:
            return error, spent
    scale = 1.0
    for j in range(width):
        q[j] = 0.0
    for i in range(n):
        p[i] = low * inverse
    if (high - low) * inverse > _SAFE_RANGE:
        reach = row_floors(cost, n, m, inverse, q, p)
        while scale * _SAFE_RANGE < reach:
            scale *= _ANNEAL
    stage_tol = _STAGE_TOL if scale <= _LONG else _STAGE_TOL_LONG
    while True:
        goal = tol if scale == 1.0 else stage_tol
        error, spent = run_stage(cost, n, m, width, inverse, scale, goal, np.inf, spent, max_iter, depth, work)
        if scale == 1.0 or not error < np.inf:
            return error, spent
        if spent >= max_iter:
            # Stopped while still annealed, it has not been measured at its own epsilon.
            return max(error, 2.0), spent
        scale /= _ANNEAL
