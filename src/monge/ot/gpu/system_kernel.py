"""The kernel of :mod:`monge.ot.gpu.system`: conjugate gradients, one program a system, all iterations in one launch."""

import triton
import triton.language as tl


@triton.jit
def solve_system(scaled, rhs, null, z, n, m, accuracy, max_iter, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    problem = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, COLUMNS)
    exists = columns < m
    scaled += problem * n * m
    flat = tl.load(null + problem * m + columns, mask=exists, other=0.0)
    flat = flat / tl.sqrt(tl.sum(flat * flat, 0))
    right = tl.load(rhs + problem * m + columns, mask=exists, other=0.0)
    squares = tl.zeros_like(flat)
    for start in range(0, n, ROWS):
        rows = start + tl.arange(0, ROWS)
        inside = (rows < n)[:, None] & exists[None, :]
        s = tl.load(scaled + rows[:, None] * m + columns[None, :], mask=inside, other=0.0)
        squares += tl.sum(s * s, 0)
    diagonal = tl.maximum(1.0 - squares, 1e-3)
    residual = right - tl.sum(right * flat, 0) * flat
    goal = accuracy * accuracy * tl.sum(residual * residual, 0)
    direction = residual / diagonal
    direction -= tl.sum(direction * flat, 0) * flat
    energy = tl.sum(residual * direction, 0)
    found = tl.zeros_like(flat)
    spent = 0
    going = tl.sum(residual * residual, 0) > goal
    while going:
        image = direction
        for start in range(0, n, ROWS):
            rows = start + tl.arange(0, ROWS)
            inside = (rows < n)[:, None] & exists[None, :]
            s = tl.load(scaled + rows[:, None] * m + columns[None, :], mask=inside, other=0.0)
            sent = tl.sum(s * direction[None, :], 1)
            image -= tl.sum(s * sent[:, None], 0)
        image -= tl.sum(image * flat, 0) * flat
        curvature = tl.sum(direction * image, 0)
        usable = curvature > 0.0
        length = tl.where(usable, energy / tl.where(usable, curvature, 1.0), 0.0)
        found += length * direction
        residual -= length * image
        conditioned = residual / diagonal
        conditioned -= tl.sum(conditioned * flat, 0) * flat
        fresh = tl.sum(residual * conditioned, 0)
        ratio = tl.where(energy > 0.0, fresh / tl.where(energy > 0.0, energy, 1.0), 0.0)
        direction = conditioned + ratio * direction
        energy = fresh
        spent += 1
        going = usable & (spent < max_iter) & (tl.sum(residual * residual, 0) > goal)
    tl.store(z + problem * m + columns, found, mask=exists)
