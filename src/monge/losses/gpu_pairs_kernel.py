"""The kernels of :mod:`monge.losses.gpu_pairs`: pairs made from embeddings and labels on the fly, never kept."""

import triton
import triton.language as tl


@triton.jit
def half_step(
    x, y, x_labels, y_labels, q, p, n, m, width, margin, gamma, pos_margin, inverse, log_count,
    SQUARED: tl.constexpr, OWN: tl.constexpr, SKIP_OWN: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """``p_i = log m - logsumexp_j(q_j - G_ij / s)`` of a block of rows."""
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    left, norms, marks = _side(x, x_labels, rows, n, width, WIDTH)
    top = tl.zeros([ROWS], tl.float32) + float("-inf")
    total = tl.zeros([ROWS], tl.float32)
    for start in range(0, m, COLUMNS):
        columns = start + tl.arange(0, COLUMNS)
        right, lengths, names = _side(y, y_labels, columns, m, width, WIDTH)
        squared = _squared(left, norms, right, lengths, rows, columns, OWN)
        same = marks[:, None] == names[None, :]
        cost = _cost(squared, same, margin, pos_margin, SQUARED)
        ground = tl.exp(-gamma * cost)
        counted = (columns < m)[None, :] & ((rows[:, None] != columns[None, :]) | (SKIP_OWN == 0))
        height = tl.load(q + columns, mask=columns < m, other=0.0)
        exponent = tl.where(counted, height[None, :] - ground * inverse, float("-inf"))
        above = tl.maximum(top, tl.max(exponent, 1))
        held = tl.where(above > float("-inf"), above, 0.0)
        before = tl.exp(tl.where(top > float("-inf"), top - held, float("-inf")))
        total = total * before + tl.sum(tl.exp(exponent - held[:, None]), 1)
        top = above
    reached = top > float("-inf")
    wanted = log_count - top - tl.log(tl.where(reached, total, 1.0))
    tl.store(p + rows, tl.where(reached, wanted, 0.0), mask=rows < n)


@triton.jit
def sum_rows(
    x, y, x_labels, y_labels, f, g, value, grad, n, m, width, margin, gamma, pos_margin, inverse, power, factor, share,
    SQUARED: tl.constexpr, OWN: tl.constexpr, SKIP_OWN: tl.constexpr, KERNEL: tl.constexpr, LINEAR: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """The loss of each of a block of rows, and its gradient to the embeddings of these rows."""
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    left, norms, marks = _side(x, x_labels, rows, n, width, WIDTH)
    height = tl.load(f + rows, mask=rows < n, other=0.0)
    loss = tl.zeros([ROWS], tl.float32)
    pull = tl.zeros([ROWS], tl.float32)
    drawn = tl.zeros([ROWS, WIDTH], tl.float32)
    for start in range(0, m, COLUMNS):
        columns = start + tl.arange(0, COLUMNS)
        right, lengths, names = _side(y, y_labels, columns, m, width, WIDTH)
        squared = _squared(left, norms, right, lengths, rows, columns, OWN)
        same = marks[:, None] == names[None, :]
        cost = _cost(squared, same, margin, pos_margin, SQUARED)
        ground = tl.exp(-gamma * cost)
        counted = (rows < n)[:, None] & (columns < m)[None, :]
        counted = counted & ((rows[:, None] != columns[None, :]) | (SKIP_OWN == 0))
        across = tl.load(g + columns, mask=columns < m, other=0.0)
        exponent = (height[:, None] + across[None, :] - ground) * inverse
        weight = tl.where(counted, tl.exp(tl.where(counted, exponent, 0.0)) * share, 0.0) * factor
        raised = cost
        outer = weight
        if LINEAR == 0:
            positive = cost > 0.0
            raised = tl.where(positive, tl.exp(power * tl.log(tl.where(positive, cost, 1.0))), 0.0)
            outer = weight * power * tl.where(positive, raised / tl.where(positive, cost, 1.0), 0.0)
        if KERNEL:
            outer += gamma * inverse * weight * ground * raised
        slope = outer * _slope(squared, same, margin, pos_margin, SQUARED)
        loss += tl.sum(weight * raised, 1)
        pull += tl.sum(slope, 1)
        drawn += tl.dot(slope, right, input_precision="ieee")
    tl.store(value + rows, loss, mask=rows < n)
    wide = tl.arange(0, WIDTH)
    place = grad + rows[:, None].to(tl.int64) * width + wide[None, :]
    tl.store(place, 2.0 * (pull[:, None] * left - drawn), mask=(rows < n)[:, None] & (wide < width)[None, :])


@triton.jit
def _side(points, labels, chosen, count, width, WIDTH: tl.constexpr):
    """Embeddings of some samples, their squared lengths and their labels."""
    wide = tl.arange(0, WIDTH)
    there = chosen < count
    place = points + chosen[:, None].to(tl.int64) * width + wide[None, :]
    vectors = tl.load(place, mask=there[:, None] & (wide < width)[None, :], other=0.0)
    return vectors, tl.sum(vectors * vectors, 1), tl.load(labels + chosen, mask=there, other=0)


@triton.jit
def _squared(left, norms, right, lengths, rows, columns, OWN: tl.constexpr):
    inner = tl.dot(left, tl.trans(right), input_precision="ieee")
    squared = tl.maximum(norms[:, None] + lengths[None, :] - 2.0 * inner, 0.0)
    if OWN:
        squared = tl.where(rows[:, None] == columns[None, :], 0.0, squared)
    return squared


@triton.jit
def _cost(squared, same, margin, pos_margin, SQUARED: tl.constexpr):
    if SQUARED:
        return tl.where(same, tl.maximum(squared - pos_margin, 0.0), tl.maximum(margin - squared, 0.0))
    distance = tl.sqrt(squared)
    near = tl.maximum(distance - pos_margin, 0.0)
    far = tl.maximum(margin - distance, 0.0)
    return tl.where(same, near * near, far * far)


@triton.jit
def _slope(squared, same, margin, pos_margin, SQUARED: tl.constexpr):
    if SQUARED:
        return tl.where(same, tl.where(squared > pos_margin, 1.0, 0.0), tl.where(squared < margin, -1.0, 0.0))
    distance = tl.sqrt(squared)
    violation = tl.where(same, tl.maximum(distance - pos_margin, 0.0), -tl.maximum(margin - distance, 0.0))
    return tl.where(distance > 0.0, violation / tl.where(distance > 0.0, distance, 1.0), 0.0)
