"""Sinkhorn in the log domain: slower, never out of range, and differentiable step by step.

It is the safety net of the kernel-domain solver, the ``unrolled`` gradient, and the engine of the unbalanced and
partial variants, whose half steps differ from the balanced one by a line. All quantities are in units of epsilon:
``x = cost / epsilon``, and the plan is ``exp(log_a_i + log_b_j + p_i + q_j - x_ij)``.
"""

from __future__ import annotations

import torch
from torch import Tensor

_CHECK_EVERY = 5
_UNREACHABLE = 1e30

# Potentials p (B, N) and q (B, M), residual (B,), iterations (B,) int64.
LogSolution = tuple[Tensor, Tensor, Tensor, Tensor]


def soft_transform(x: Tensor, log_weighted: Tensor) -> Tensor:
    """Soft c-transform ``-log sum_j exp(log_weighted_j - x_ij)``: ``(B, N, M)`` and ``(B, M)`` give ``(B, N)``."""
    return -torch.logsumexp(log_weighted.unsqueeze(1) - x, dim=2)


def solve_in_log_domain(
    x: Tensor,
    log_a: Tensor,
    log_b: Tensor,
    *,
    tol: float | Tensor,
    max_iter: int,
    damping: Tensor | None = None,
    init_q: Tensor | None = None,
) -> LogSolution:
    """Balanced problems, or unbalanced ones with KL penalties of strength rho on both marginals.

    Args:
        x: Cost divided by epsilon, ``(B, N, M)``; ``+inf`` forbids a pair.
        log_a: Log weights ``(B, N)``, ``-inf`` for points without mass.
        log_b: Log weights ``(B, M)``.
        tol: Residual at which to stop, one number or ``(B,)``; the batch stops when its last problem does.
        max_iter: Iterations at most.
        damping: ``rho / (rho + epsilon)``, ``(B, 1)``; ``None`` for balanced problems.
        init_q: Potentials ``(B, M)`` to start from.

    Returns:
        Potentials, residual and iterations. The residual is the L1 distance of the row marginal from the one that
        the potentials ask for: ``a`` if balanced, ``a exp(-p epsilon / rho)`` if not, and then with the same of the
        column marginal.
    """
    q = x.new_zeros(x.shape[0], x.shape[2]) if init_q is None else init_q
    p = x.new_zeros(x.shape[:2])

    def half_step(x: Tensor, log_weighted: Tensor) -> Tensor:
        found = soft_transform(x, log_weighted)
        # Unless marginals are forced, a point without a partner is no contradiction.
        return found if damping is None else damping * found.clamp_max(_UNREACHABLE)

    residual, spent = x.new_full((x.shape[0],), torch.inf), 0
    while spent < max_iter:
        for _ in range(min(_CHECK_EVERY, max_iter - spent)):
            p = half_step(x, log_b + q)
            q = half_step(x.mT, log_a + p)
            if damping is not None:
                shift = _translation(log_a, log_b, p, q, damping)
                p, q = p + shift, q - shift
            spent += 1
        residual = _row_residual(x.detach(), log_a.detach(), log_b.detach(), p.detach(), q.detach(), damping)
        if damping is not None:
            residual = residual + _row_residual(x.mT, log_b, log_a, q, p, damping)
        if bool((residual < tol).all()):
            break
    return p, q, residual, torch.full((x.shape[0],), spent, dtype=torch.int64, device=x.device)


def _translation(log_a: Tensor, log_b: Tensor, p: Tensor, q: Tensor, damping: Tensor) -> Tensor:
    """What best moves from ``q`` to ``p``, ``(B, 1)``: it leaves the plan as it is and makes the marginals that the
    potentials ask for equally large, a mode in which plain iterations are slow (Séjourné, Vialard and Peyré 2022)."""
    price = (1.0 - damping) / damping
    wanted = [torch.logsumexp(log - price * t, dim=1, keepdim=True) for log, t in ((log_a, p), (log_b, q))]
    shift = (wanted[0] - wanted[1]) / (2.0 * price)
    return torch.where(torch.isfinite(shift), shift, 0.0)


def _row_residual(x: Tensor, log_a: Tensor, log_b: Tensor, p: Tensor, q: Tensor, damping: Tensor | None) -> Tensor:
    wanted = torch.zeros_like(p) if damping is None else -p * (1.0 - damping) / damping
    found = p - soft_transform(x, log_b + q)
    gap = (log_a + wanted).exp() * (found - wanted).expm1().abs()
    # A NaN is an infeasible row, unless the row has no mass.
    return torch.where(log_a > -torch.inf, gap, 0.0).sum(1).nan_to_num(nan=torch.inf)


def solve_partial(
    x: Tensor, log_a: Tensor, log_b: Tensor, log_mass: Tensor, *, tol: float, max_iter: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Plans that move a given mass and stay below both marginals (Benamou et al. 2015, section 5).

    Block coordinate ascent on the dual: ``p <= 0`` and ``q <= 0`` for the two caps, ``t`` for the mass.

    Returns:
        ``p``, ``q``, residual, iterations as above, and the log multiplier ``t`` of shape ``(B,)``. The residual is
        the mass above the caps, and the mass that misses a cap whose potential is below 0 (there the optimal plan
        reaches it), relative to the mass moved.
    """
    p, q, t = x.new_zeros(x.shape[:2]), x.new_zeros(x.shape[0], x.shape[2]), x.new_zeros(x.shape[0])
    residual, spent = x.new_full((x.shape[0],), torch.inf), 0
    while spent < max_iter:
        for _ in range(min(_CHECK_EVERY, max_iter - spent)):
            p = (soft_transform(x, log_b + q) - t[:, None]).clamp_max(0.0)
            q = (soft_transform(x.mT, log_a + p) - t[:, None]).clamp_max(0.0)
            rows = log_a + p - soft_transform(x, log_b + q)
            t = log_mass - torch.logsumexp(rows, dim=1)
            spent += 1
        columns = log_b + q - soft_transform(x.mT, log_a + p)
        off = _off_bounds(rows + t[:, None], log_a, p) + _off_bounds(columns + t[:, None], log_b, q)
        residual = (off / log_mass.exp()).nan_to_num(nan=torch.inf)
        if bool((residual < tol).all()):
            break
    return p, q, residual, torch.full((x.shape[0],), spent, dtype=torch.int64, device=x.device), t


def _off_bounds(log_found: Tensor, log_cap: Tensor, potential: Tensor) -> Tensor:
    excess = log_found.exp() - log_cap.exp()
    off = torch.where(potential < 0, excess.abs(), excess.clamp_min(0.0))
    return torch.where(log_cap > -torch.inf, off, 0.0).sum(1)
