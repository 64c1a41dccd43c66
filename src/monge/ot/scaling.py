"""Kernel-domain Sinkhorn for balanced problems: absorbed potentials, annealing and over-relaxation where they pay.

The loop works on ``K = exp((p_i + q_j - cost_ij / epsilon) / s)`` and scalings ``u, v`` such that ``diag(u) K diag(v)``
is the plan. The scale ``s`` starts above 1 only where the range of ``cost / epsilon`` would underflow, and falls to 1
by factors of 4; ``log u`` and ``log v`` move into the potentials ``p, q`` when they grow. The host looks at the errors
every few iterations only. Finished problems leave the batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NoReturn

import torch
from torch import Tensor

from monge.ot.log_domain import LogSolution, soft_transform, solve_in_log_domain
from monge.ot.precision import widest_float

# exp(-60) = 1e-26 leaves float32 twelve decades below before entries are lost.
_SAFE_RANGE = {torch.float32: 60.0, torch.float64: 500.0}
_ANNEAL = 4.0
_STAGE_TOL = 0.1
_CHECK_EVERY = 8
_ABSORB_ABOVE = 30.0
_LARGE = 1 << 16
_TINY = 2048
_FASTEST = 0.99999
_RELAX_BELOW = 0.5
# Over-relaxation has gone astray where the error grows by this much from one check to the next, or does not fall to
# this share for so many checks. The next one keeps this many times the distance from 2.
_ASTRAY, _PROGRESS, _PATIENCE, _BACK = 3.0, 0.99, 40, 1.25


@dataclass
class Solution:
    """Potentials in units of the cost, and what is known about them; one row a problem."""

    f: Tensor  # (B, N)
    g: Tensor  # (B, M)
    error: Tensor  # (B,)
    iterations: Tensor  # (B,) int64
    value: Tensor | None = None  # (B,), where the solver knows <f, a> + <g, b> more exactly than f and g tell


@dataclass
class _State:
    """The problems still being worked on, and where each stands."""

    index: Tensor  # (B',) position in the batch
    finished: Tensor  # (B',) bool: its result is stored
    inverse: Tensor  # (B', 1, 1) of epsilon
    a: Tensor  # (B', N)
    b: Tensor  # (B', M)
    p: Tensor  # (B', N, 1)
    q: Tensor  # (B', 1, M)
    scale: Tensor  # (B', 1, 1)
    omega: Tensor  # (B', 1) over-relaxation
    highest: Tensor  # (B',) what it may be: less each time it goes astray
    least: Tensor  # (B',) smallest error of this stage
    stuck: Tensor  # (B',) checks since then
    previous: Tensor  # (B',) error at the last check of this stage
    u: Tensor  # (B', N)
    v: Tensor  # (B', M)
    massless: bool  # some point of some problem has weight 0

    def keep(self, rows: Tensor) -> _State:
        tensors = {name: value[rows] for name, value in vars(self).items() if isinstance(value, Tensor)}
        return _State(massless=self.massless, **tensors)


def solve_balanced(
    cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, *, tol: float, max_iter: int, init_g: Tensor | None = None
) -> Solution:
    """Potentials of ``B`` entropic problems whose marginals sum to one.

    Args:
        cost: ``(B, N, M)``, float32 or float64; ``+inf`` forbids a pair.
        a: ``(B, N)``, sums to one; zero weights allowed.
        b: ``(B, M)``, sums to one.
        epsilon: ``(B,)``, positive, in units of the cost.
        tol: L1 marginal error at which a problem is finished.
        max_iter: Iterations (both half steps) a problem may take, over all annealing stages.
        init_g: ``(B, M)`` potentials to start from.

    Returns:
        Potentials ``f, g`` for the plan ``a_i b_j exp((f_i + g_j - cost_ij) / epsilon)``, in float64 where float32
        could not resolve ``cost / epsilon`` finely enough for ``tol``; found on the CPU and rounded for a device
        without float64.

    Raises:
        ValueError: NaN or ``-inf`` in the cost.
    """
    low, high = _finite_range(cost)
    # One rounding of the exponent must not move a plan entry by more than a tenth of the tolerance.
    largest = torch.maximum(low.abs(), high.abs()) / epsilon
    if cost.dtype == torch.float32 and float(largest.max()) * 2**-24 > 0.1 * tol:
        if widest_float(cost.device) != torch.float64:
            return _solve_on_cpu(cost, a, b, epsilon, tol=tol, max_iter=max_iter, init_g=init_g)
        cost, a, b, low, high, epsilon = (t.double() for t in (cost, a, b, low, high, epsilon))
        init_g = None if init_g is None else init_g.double()
    state = _start(cost, a, b, epsilon, low, high, init_g)
    p, q, error, iterations = _run(cost, state, tol, max_iter)
    scale = epsilon[:, None]
    if state.massless:
        p, q = _extend_to_zero_weights(cost / scale.unsqueeze(2), a, b, p, q)
    shift = 0.5 * ((b * q).sum(1) - (a * p).sum(1))[:, None]
    solution = Solution((p + shift) * scale, (q - shift) * scale, error, iterations)
    broken = ~torch.isfinite(error)
    if bool(broken.any()):
        rescue(solution, broken, cost, a, b, epsilon, tol=tol, max_iter=max_iter)
    return solution


def _solve_on_cpu(
    cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, *, tol: float, max_iter: int, init_g: Tensor | None
) -> Solution:
    """The solution for a device without float64: what rounding costs is in its error."""
    there = cost.device
    cost, a, b, epsilon = (t.cpu() for t in (cost, a, b, epsilon))
    start = None if init_g is None else init_g.cpu()
    found = solve_balanced(cost, a, b, epsilon, tol=tol, max_iter=max_iter, init_g=start)
    f, g = found.f.to(cost.dtype), found.g.to(cost.dtype)
    error = torch.maximum(found.error.to(cost.dtype), error_of(cost, a, b, epsilon, f, g))
    return Solution(f.to(there), g.to(there), error.to(there), found.iterations.to(there))


def error_of(cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, f: Tensor, g: Tensor) -> Tensor:
    """L1 error of both marginals, ``(B,)``, of the plan that potentials give, computed in their dtype."""
    density = ((f.unsqueeze(2) + g.unsqueeze(1) - cost) / epsilon[:, None, None]).exp()  # (B, N, M)
    plan = a.unsqueeze(2) * b.unsqueeze(1) * density
    return (plan.sum(2) - a).abs().sum(1) + (plan.sum(1) - b).abs().sum(1)


def rescue(
    solution: Solution,
    broken: Tensor,
    cost: Tensor,
    a: Tensor,
    b: Tensor,
    epsilon: Tensor,
    *,
    tol: float,
    max_iter: int,
) -> None:
    """Solves the problems that left the floating-point range again, in the log domain, and writes over their results.

    Args:
        solution: Of the whole batch.
        broken: ``(B,)`` bool, which problems.
        cost: ``(B, N, M)`` and so on, as for :func:`solve_balanced`.
        a: ``(B, N)``.
        b: ``(B, M)``.
        epsilon: ``(B,)``.
        tol: L1 marginal error.
        max_iter: Iterations at most.
    """
    dtype = solution.f.dtype
    cost, a, b, epsilon = (t[broken].to(dtype) for t in (cost, a, b, epsilon))
    x, scale = cost / epsilon[:, None, None], epsilon[:, None]
    p, q, error, iterations = solve_in_log_domain(x, a.log(), b.log(), tol=tol, max_iter=max_iter)
    p, q = _extend_to_zero_weights(x, a, b, p, q)
    # An infeasible problem has no potentials; its error says so, and zeros keep its plan free of NaN.
    p, q = (torch.where(torch.isfinite(t), t, 0.0) for t in (p, q))
    shift = 0.5 * ((b * q).sum(1) - (a * p).sum(1))[:, None]
    solution.f[broken], solution.g[broken] = (p + shift) * scale, (q - shift) * scale
    solution.error[broken], solution.iterations[broken] = error.to(solution.error.dtype), iterations
    if solution.value is not None:
        solution.value[broken] = ((b * q).sum(1) + (a * p).sum(1)).mul_(epsilon).to(solution.value.dtype)


def _finite_range(cost: Tensor) -> tuple[Tensor, Tensor]:
    """Smallest and largest finite cost of each problem."""
    flat = cost.flatten(1)
    low, high = flat.amin(1), flat.amax(1)
    if bool(torch.isinf(high).any()):
        high = flat.masked_fill(torch.isinf(flat), -math.inf).amax(1)
        high = torch.where(high == -math.inf, low, high)
    if not bool(torch.isfinite(low + high).all()):
        refuse_cost(int((~torch.isfinite(low + high)).nonzero()[0, 0]))
    return low, high


def refuse_cost(problem: int) -> NoReturn:
    """Says which problem's cost cannot be solved.

    Raises:
        ValueError: Always.
    """
    raise ValueError(
        f"cost of problem {problem} holds NaN or -inf, or no finite entry at all: expected finite costs or +inf"
    )


def _start(
    cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, low: Tensor, high: Tensor, init_g: Tensor | None
) -> _State:
    p = torch.where(a > 0, (low / epsilon)[:, None], -math.inf)
    q = torch.where(b > 0, 0.0, -math.inf).to(cost.dtype)
    if init_g is None:
        ratio = (high - low) / epsilon
        stages = (ratio / _SAFE_RANGE[cost.dtype]).clamp_min(1.0).log().div(math.log(_ANNEAL)).ceil()
        scale = _ANNEAL**stages
    else:
        scale = torch.ones_like(low)
        q = q + init_g / epsilon[:, None]
        p = torch.where(a > 0, soft_transform(cost / epsilon[:, None, None], b.log() + q), -math.inf)
    return _State(
        index=torch.arange(len(cost), device=cost.device),
        finished=torch.zeros_like(low, dtype=torch.bool),
        inverse=epsilon.reciprocal()[:, None, None],
        a=a,
        b=b,
        p=p.unsqueeze(2),
        q=q.unsqueeze(1),
        scale=scale[:, None, None],
        omega=torch.ones_like(low)[:, None],
        highest=torch.full_like(low, 2.0),
        least=torch.full_like(low, math.inf),
        stuck=torch.zeros_like(low),
        previous=torch.full_like(low, math.inf),
        u=a,
        v=b,
        massless=not bool((a > 0).all() & (b > 0).all()),
    )


class _Products:
    """``K v`` and ``K' u`` by whichever torch call is quickest for the shape, without a new tensor per call.

    A batched product of a row vector with a matrix runs along the matrix's rows, several times faster than one with a
    column vector; so a batch keeps its kernel in both orders.
    """

    def __init__(self, kernel: Tensor) -> None:
        self.kernel = kernel
        batch, n, m = kernel.shape
        self.looped = batch == 1 or (batch <= 16 and n * m >= _LARGE)
        self.transposed = kernel.mT if self.looped else kernel.mT.contiguous()
        self.rows_out, self.cols_out = kernel.new_empty(batch, 1, n), kernel.new_empty(batch, 1, m)

    def rows(self, v: Tensor) -> Tensor:
        return self._times(v, self.transposed, self.kernel, self.rows_out)

    def cols(self, u: Tensor) -> Tensor:
        return self._times(u, self.kernel, self.transposed, self.cols_out)

    def _times(self, vectors: Tensor, kernel: Tensor, transposed: Tensor, out: Tensor) -> Tensor:
        if self.looped:
            for k, vector, place in zip(transposed, vectors, out[:, 0]):
                torch.mv(k, vector, out=place)
        else:
            torch.bmm(vectors.unsqueeze(1), kernel, out=out)
        return out[:, 0]


def _run(cost: Tensor, state: _State, tol: float, max_iter: int) -> LogSolution:
    batch, n, m = cost.shape
    p, q = state.a.new_zeros(batch, n), state.a.new_zeros(batch, m)
    error = state.a.new_full((batch,), math.inf)
    iterations = torch.zeros(batch, dtype=torch.int64, device=cost.device)
    products, spent, relaxed = _Products(_kernel(cost, state)), 0, False
    while True:
        # Wide regularisation is done in a handful of iterations, and looking is cheap unless a problem is tiny. What
        # it depends on must not be the batch: a problem stops at the same iteration in any company.
        early = spent < 2 * _CHECK_EVERY and (spent == 0 or n * m >= _TINY)
        steps = min(_CHECK_EVERY // 2 if early else _CHECK_EVERY, max_iter - spent)
        u, v, next_v, now = _iterate(products, state, steps, relaxed)
        spent += steps
        final = state.scale[:, 0, 0] == 1.0
        done = (((now < 0.9 * tol) & final) | ~torch.isfinite(now)) & ~state.finished
        stage_done = (now < _STAGE_TOL) & ~final
        log_u, log_v, next_log_v = _log(u, state.a), _log(v, state.b), _log(next_v, state.b)
        grown = torch.maximum(log_u.abs().amax(1), next_log_v.abs().amax(1)) > _ABSORB_ABOVE
        _choose_relaxation(state, now, steps)
        absorb = ((grown & ~state.finished & ~done) | stage_done).any()
        # The one place where the host waits for the device.
        flags = torch.stack([done.sum(), (state.finished | done).sum(), absorb, (state.omega > 1.0).any()])
        newly, ended, absorbing, relaxed = flags.tolist()
        last = ended == len(done) or spent >= max_iter
        if newly or last:
            leave = ~state.finished if last else done
            rows, scale = state.index[leave], state.scale[:, 0]
            p[rows] = (state.p[:, :, 0] + scale * log_u)[leave]
            q[rows] = (state.q[:, 0, :] + scale * log_v)[leave]
            # A problem stopped while still annealed has not been measured at its own epsilon.
            error[rows] = torch.where(final, now, now.clamp_min(2.0))[leave]
            iterations[rows] = spent
        if last:
            return p, q, error, iterations
        state.u, state.v, state.finished = u, next_v, state.finished | done
        if absorbing:
            _absorb(state, log_u, next_log_v, stage_done)
        # Copying the kernel of those that go on costs an iteration or two: wait until it is worth it.
        thinned = 2 * ended >= len(done)
        if thinned:
            kept = (~state.finished).nonzero()[:, 0]
            state = state.keep(kept)
        if absorbing:
            products = _Products(_kernel(cost, state))
        elif thinned:
            products = _Products(products.kernel[kept])


def _kernel(cost: Tensor, state: _State) -> Tensor:
    chosen = cost if len(state.index) == len(cost) else cost[state.index]
    kernel = state.p / state.scale + state.q / state.scale  # (B', N, M)
    return kernel.addcmul_(chosen, state.inverse / state.scale, value=-1.0).exp_()


def _iterate(products: _Products, state: _State, steps: int, relaxed: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Runs ``steps`` iterations; returns ``u``, the ``v`` before the last half step, the one after, and the error.

    The error is that of both marginals of ``diag(u) K diag(v)``, which the products at hand give for nothing.
    """
    a, b, u, v, omega = state.a, state.b, state.u, state.v, state.omega
    for step in range(steps):
        rows = products.rows(v)
        u = _relax(u, a, rows, omega) if relaxed else a / rows
        if state.massless:
            u = u.masked_fill_(a == 0, 0.0)
        cols = products.cols(u)
        next_v = _relax(v, b, cols, omega) if relaxed else b / cols
        if state.massless:
            next_v = next_v.masked_fill_(b == 0, 0.0)
        if step + 1 < steps:
            v = next_v
    error = (u * rows - a).abs_().sum(1) + (v * cols - b).abs_().sum(1)
    return u, v, next_v, error


def _relax(scaling: Tensor, wanted: Tensor, found: Tensor, omega: Tensor) -> Tensor:
    return scaling * (wanted / (scaling * found)).pow_(omega)


def _choose_relaxation(state: _State, now: Tensor, steps: int) -> None:
    """Sets the over-relaxation from the rate seen, and falls back to none, then to less, where it goes astray.

    For successive over-relaxation by ``w`` with rate ``r``, the rate of plain iterations is
    ``(r + w - 1)^2 / (r w^2)`` (Young 1971), and the best ``w`` is ``2 / (1 + sqrt(1 - rate))``.
    """
    state.stuck = torch.where(now < _PROGRESS * state.least, 0.0, state.stuck + 1.0)
    state.least = torch.minimum(state.least, now)
    rate = (now / state.previous).pow(1.0 / steps).clamp(1e-3, 1.0)
    omega = state.omega[:, 0]
    plain_rate = ((rate + omega - 1.0).square() / (rate * omega.square())).clamp(0.0, _FASTEST)
    best = 2.0 / (1.0 + (1.0 - plain_rate).sqrt())
    judged = torch.isfinite(state.previous)
    best = torch.minimum(best, state.highest)
    higher = judged & (now < _RELAX_BELOW) & (rate > omega - 1.0) & (2.0 - best < 0.9 * (2.0 - omega))
    astray = judged & (omega > 1.0) & ((now > _ASTRAY * state.previous) | (state.stuck > _PATIENCE))
    state.highest = torch.where(astray, (2.0 - _BACK * (2.0 - omega)).clamp_min(1.0), state.highest)
    state.stuck = torch.where(astray, 0.0, state.stuck)
    chosen = torch.where(astray, 1.0, torch.where(higher, best, omega))
    # A change of relaxation shakes the error up at first; the next check only takes note of it.
    state.previous = torch.where(chosen == omega, now, math.inf)
    state.omega = chosen[:, None]


def _absorb(state: _State, log_u: Tensor, log_v: Tensor, stage_done: Tensor) -> None:
    """Moves the scalings into the potentials, and goes on to the next annealing stage where one is finished."""
    state.p = state.p + state.scale * log_u.unsqueeze(2)
    state.q = state.q + state.scale * log_v.unsqueeze(1)
    state.u, state.v = state.a, state.b
    state.scale = torch.where(stage_done[:, None, None], state.scale / _ANNEAL, state.scale)
    state.omega = torch.where(stage_done[:, None], 1.0, state.omega)
    state.highest = torch.where(stage_done, 2.0, state.highest)
    state.previous, state.least = (torch.where(stage_done, math.inf, t) for t in (state.previous, state.least))


def _log(scaling: Tensor, weight: Tensor) -> Tensor:
    """Log of ``scaling / weight``, 0 where the weight is 0: a point without mass keeps no scaling."""
    return torch.where(weight > 0, (scaling / weight).log(), 0.0)


def _extend_to_zero_weights(x: Tensor, a: Tensor, b: Tensor, p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """Potentials of points without mass: one soft c-transform of the other side's."""
    full_p = torch.where(a > 0, p, soft_transform(x, b.log() + q.masked_fill(b == 0, 0.0)))
    full_q = torch.where(b > 0, q, soft_transform(x.mT, a.log() + p.masked_fill(a == 0, 0.0)))
    return full_p, full_q
