"""Entropic transport whose cost matrix is never held: uniform marginals, and costs in blocks of rows, anew each pass.

One pass over the rows is one iteration: a block gives its rows their half step, and adds what it then sends to each
column. Every entry is computed relative to the largest of its row, so that nothing overflows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

CostRows = Callable[[slice], Tensor]
"""Costs of some rows, ``(K, M)``, in a new tensor that the solver overwrites; ``+inf`` forbids a pair."""

# Where the costs span more of epsilon than this, entries of the kernel are lost: start wider and narrow down.
_SAFE_RANGE = {torch.float32: 60.0, torch.float64: 500.0}
ANNEAL = 4.0
STAGE_TOL = 0.1
# A rate is measured over this many passes, once the error is below the mark.
_PASSES_PER_RATE = 4
_RELAX_BELOW = 0.5
# Stronger over-relaxation than this makes the error swing for hundreds of passes when the kernel is nearly separable.
_STRONGEST = 1.8


class StreamedPotentials(NamedTuple):
    """Potentials for the plan ``exp((f_i + g_j - C_ij) / epsilon) / (N M)``, and how good they are.

    Attributes:
        f: Potentials of the rows, ``(N,)``, in units of the cost.
        g: Potentials of the columns, ``(M,)``.
        error: Marginal error (L1, both sides) of that very plan.
        iterations: Passes over the cost.
    """

    f: Tensor
    g: Tensor
    error: float
    iterations: int


def row_blocks(rows: int, per_block: int) -> Iterator[slice]:
    """Consecutive slices that cover ``rows``, each at most ``per_block`` long.

    Example:
        >>> list(row_blocks(5, 2))
        [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    return (slice(start, min(start + per_block, rows)) for start in range(0, rows, per_block))


@torch.no_grad()
def stream_potentials(
    cost_rows: CostRows,
    g: Tensor,
    *,
    rows: int,
    per_block: int,
    epsilon: float,
    spread: float,
    tol: float = 1e-3,
    max_iter: int = 5000,
    warm: bool = False,
) -> StreamedPotentials:
    """Solves one problem with uniform marginals in passes over blocks of its rows.

    Args:
        cost_rows: Gives the costs of a slice of rows. It must give the same ones on every pass.
        g: Potentials of the columns to start from, ``(M,)``, float32 or float64, in units of the cost.
        rows: Number of rows N.
        per_block: Rows asked for at a time; nothing larger than ``per_block x M`` is made.
        epsilon: Regularisation in units of the cost.
        spread: Bound on the difference of any two costs.
        tol: Marginal error at which to stop.
        max_iter: Passes at most.
        warm: ``g`` comes from a problem near by, so there is no need to start wide.

    Returns:
        The potentials with ``sum f / N = sum g / M``, in the dtype of ``g``.

    Example:
        >>> cost = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
        >>> found = stream_potentials(
        ...     lambda rows: cost[rows].clone(), torch.zeros(2), rows=2, per_block=1, epsilon=0.5, spread=1.0
        ... )
        >>> torch.exp((found.f[:, None] + found.g - cost) / 0.5) / 4  # rows and columns sum to 1/2
        tensor([[0.4404, 0.0596],
                [0.0596, 0.4404]])
    """
    stages = 0 if warm else stages_of(spread / epsilon, g.dtype)
    scale = epsilon * ANNEAL**stages
    p, q, next_q = g.new_zeros(rows), g / scale, g / scale
    omega, previous, error, spent = 1.0, math.inf, math.inf, 0
    while spent < max_iter:
        q = next_q
        p, next_q, error = _sweep(cost_rows, p, q, per_block, scale, omega)
        spent += 1
        final = stages == 0
        if final and not error >= 0.9 * tol:
            break
        if not final and error < STAGE_TOL:
            stages -= 1
            scale /= ANNEAL
            next_q, omega, previous = next_q * ANNEAL, 1.0, math.inf
            error = 2.0  # not measured at this scale, should this have been the last pass
        elif spent % _PASSES_PER_RATE == 0:
            chosen = next_relaxation(error, previous, omega)
            # A change shakes the error up at first; the next look only takes note of it.
            previous, omega = error if chosen == omega else math.inf, chosen
    if stages:
        error = max(error, 2.0)  # not measured at its own epsilon
    shift = 0.5 * (q.mean() - p.mean())
    return StreamedPotentials((p + shift) * scale, (q - shift) * scale, error, spent)


@torch.no_grad()
def stream_transform(cost_rows: CostRows, g: Tensor, *, rows: int, per_block: int, epsilon: float) -> Tensor:
    """Soft c-transform ``f_i = -epsilon log mean_j exp((g_j - C_ij) / epsilon)``, in blocks of rows.

    Args:
        cost_rows: As in `stream_potentials`.
        g: Potentials of the columns, ``(M,)``.
        rows: Number of rows N.
        per_block: Rows asked for at a time.
        epsilon: Regularisation in units of the cost.

    Returns:
        Potentials of the rows, ``(N,)``; infinite where every pair of a row is forbidden.

    Example:
        >>> cost = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
        >>> stream_transform(lambda rows: cost[rows].clone(), torch.zeros(2), rows=2, per_block=2, epsilon=0.5)
        tensor([0.2831, 0.2831])
    """
    f = g.new_empty(rows)
    for block in row_blocks(rows, per_block):
        exponent = cost_rows(block).div_(-epsilon).add_(g / epsilon)  # (K, M)
        f[block] = epsilon * (math.log(len(g)) - torch.logsumexp(exponent, 1))
    return f


def _sweep(
    cost_rows: CostRows, p: Tensor, q: Tensor, per_block: int, scale: float, omega: float
) -> tuple[Tensor, Tensor, float]:
    """One iteration: new ``p``, the ``q`` after it, and the marginal error of the new ``p`` with the ``q`` given."""
    n, m = len(p), len(q)
    new_p, columns, row_error = torch.empty_like(p), torch.zeros_like(q), q.new_zeros(())
    for block in row_blocks(n, per_block):
        exponent = cost_rows(block).div_(-scale).add_(q)  # (K, M)
        top = exponent.amax(1)
        kernel = exponent.sub_(top.unsqueeze(1)).exp_()  # (K, M), largest entry of each row 1
        half = math.log(m) - top - kernel.sum(1).log()
        new_p[block] = half if omega == 1.0 else p[block] + omega * (half - p[block])
        row_error += (new_p[block] - half).expm1().abs().sum()
        columns += (new_p[block] + top).exp() @ kernel
    columns /= n
    error = row_error / n + (columns - 1.0).abs().mean()
    # Where nothing arrives within the range of floats, the potential rises by all that range.
    return new_p, q - omega * columns.clamp_min(torch.finfo(q.dtype).tiny).log(), float(error)


def stages_of(reach: float, dtype: torch.dtype) -> int:
    """Stages of annealing that a problem needs whose costs span ``reach`` times epsilon."""
    return math.ceil(math.log(max(1.0, reach / _SAFE_RANGE[dtype]), ANNEAL))


def next_relaxation(error: float, previous: float, omega: float) -> float:
    """The over-relaxation to go on with, from the rate seen.

    Where successive over-relaxation by ``w`` has rate ``r``, plain iterations have ``(r + w - 1)^2 / (r w^2)``
    (Young 1971), and the best ``w`` is ``2 / (1 + sqrt(1 - rate))``.
    """
    if not error < _RELAX_BELOW or math.isinf(previous):
        return omega
    if error > 3.0 * previous:
        return 1.0
    rate = min(max((error / previous) ** (1.0 / _PASSES_PER_RATE), 1e-3), 1.0)
    plain = min((rate + omega - 1.0) ** 2 / (rate * omega**2), 1.0)
    best = min(2.0 / (1.0 + math.sqrt(1.0 - plain)), _STRONGEST)
    worthwhile = rate > omega - 1.0 and 2.0 - best < 0.9 * (2.0 - omega)
    return best if worthwhile else omega
