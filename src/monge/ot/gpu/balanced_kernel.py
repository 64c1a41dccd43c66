"""The kernel of :mod:`monge.ot.gpu.balanced`. Triton takes no annotations but its own."""

import triton
import triton.language as tl


@triton.jit
def solve_problem(
    cost,
    a,
    b,
    epsilon,
    init_g,
    stages,
    f,
    g,
    error,
    iterations,
    n,
    m,
    tol,
    max_iter,
    WARM: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    problem = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, COLUMNS)
    exists = columns < m
    cost += problem * n * m
    a += problem * n
    f += problem * n
    size = tl.load(epsilon + problem)
    inverse = 1.0 / size
    weight = tl.load(b + problem * m + columns, mask=exists, other=0.0)
    log_weight = tl.where(weight > 0.0, tl.log(tl.where(weight > 0.0, weight, 1.0)), float("-inf"))
    q = tl.zeros_like(weight)
    if WARM:
        q = tl.load(init_g + problem * m + columns, mask=exists, other=0.0) * inverse
    stage = tl.load(stages + problem)
    scale = tl.exp2(2.0 * stage.to(weight.dtype))
    omega = inverse * 0.0 + 1.0
    previous = inverse * 0.0 + float("inf")
    miss = previous
    spent = 0
    since = 0
    going = max_iter > 0
    while going:
        step = inverse / scale
        top = tl.zeros_like(weight) + float("-inf")
        total = tl.zeros_like(weight)
        for start in range(0, n, ROWS):
            top, total = _tile(
                cost, a, f, start, n, m, columns, exists, step, q, log_weight, top, total, scale * size, ROWS
            )
        # Columns that nothing can reach keep their potential.
        received = top > float("-inf")
        wanted = tl.where(received, -(top + tl.log(tl.where(received, total, 1.0))), q)
        arrived = tl.where(received, weight * tl.exp(q - wanted), 0.0)
        miss = tl.sum(tl.where(exists, tl.abs(arrived - weight), 0.0), 0)
        spent += 1
        since += 1
        final = stage <= 0
        done = final & (miss <= tol)
        going = (spent < max_iter) & (done == 0) & (miss < float("inf"))
        narrow = (final == 0) & (miss < 0.1) & going
        if since % 4 == 0:
            chosen = _relaxation(miss, previous, omega)
            previous = tl.where(chosen == omega, miss, float("inf"))
            omega = chosen
        moved = q + omega * (wanted - q)
        q = tl.where(going, moved, q)
        if narrow:
            q = q * 4.0
            scale = scale * 0.25
            stage -= 1
            omega = omega * 0.0 + 1.0
            previous = omega * 0.0 + float("inf")
            since = 0
    tl.store(g + problem * m + columns, q * scale * size, mask=exists)
    # Stopped while still annealed, it has not been measured at its own epsilon.
    tl.store(error + problem, tl.where((stage > 0) & (miss < 2.0), 2.0, miss))
    tl.store(iterations + problem, spent)


@triton.jit
def _tile(
    cost,
    a,
    f,
    start,
    n,
    m,
    columns,
    exists,
    step,
    q,
    log_weight,
    top,
    total,
    unit,
    ROWS: tl.constexpr,
):
    rows = start + tl.arange(0, ROWS)
    there = rows < n
    x = (
        tl.load(cost + rows[:, None] * m + columns[None, :], mask=there[:, None] & exists[None, :], other=float("inf"))
        * step
    )  # (R, C)
    exponent = (q + log_weight)[None, :] - x
    high = tl.max(exponent, 1)
    reached = high > float("-inf")
    high = tl.where(reached, high, 0.0)
    p = tl.where(reached, -(high + tl.log(tl.sum(tl.exp(exponent - high[:, None]), 1))), 0.0)
    tl.store(f + rows, p * unit, mask=there)
    mass = tl.load(a + rows, mask=there, other=0.0)
    log_mass = tl.where(mass > 0.0, tl.log(tl.where(mass > 0.0, mass, 1.0)), float("-inf"))
    sent = (p + log_mass)[:, None] - x
    above = tl.maximum(top, tl.max(sent, 0))
    held = tl.where(above > float("-inf"), above, 0.0)
    total = total * tl.exp(tl.where(top > float("-inf"), top - held, float("-inf"))) + tl.sum(
        tl.exp(sent - held[None, :]), 0
    )
    return above, total


@triton.jit
def _relaxation(miss, previous, omega):
    """The over-relaxation to go on with, from the rate of four iterations; see :mod:`monge.ot.streaming`."""
    seen = (miss < 0.5) & (previous < float("inf")) & (miss > 0.0)
    ratio = tl.where(seen, miss / tl.where(seen, previous, 1.0), 1.0)
    rate = tl.exp(0.25 * tl.log(ratio))
    rate = tl.minimum(tl.maximum(rate, 1e-3), 1.0)
    plain = tl.minimum((rate + omega - 1.0) * (rate + omega - 1.0) / (rate * omega * omega), 1.0)
    best = tl.minimum(2.0 / (1.0 + tl.sqrt(1.0 - plain)), 1.8)
    worthwhile = (rate > omega - 1.0) & (2.0 - best < 0.9 * (2.0 - omega))
    chosen = tl.where(worthwhile, best, omega)
    chosen = tl.where(miss > 3.0 * previous, 1.0, chosen)
    return tl.where(seen, chosen, omega)
