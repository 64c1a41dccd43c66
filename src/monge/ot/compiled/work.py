"""Room for one balanced problem: everything that its solution touches again and again, in whole cache lines."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.ot.compiled.anderson import History, new_history

Array = NDArray[Any]


class Work(NamedTuple):
    """State of a problem of up to ``N x M`` in units of epsilon; ``M`` is rounded up to whole cache lines."""

    kernel: Array  # (N, M)
    a: Array  # (N,)
    b: Array  # (M,), 1 beyond the columns that exist
    p: Array  # (N,) potentials
    q: Array  # (M,)
    v: Array  # (M,) scaling of the columns
    best: Array  # (M,) the scaling of least error so far
    sums: Array  # (M,) K' u
    products: Array  # (N,) K v
    scaled_p: Array  # (N,) potentials over the scale of the annealing
    scaled_q: Array  # (M,)
    rows: Array  # (N,) int64, the points that have mass
    columns: Array  # (M,) int64
    history: History


def new_work(n: int, m: int, depth: int, dtype: Any) -> Work:
    """Room for problems of up to ``n x m``; the kernel is aligned to cache lines."""
    line = 64 // np.dtype(dtype).itemsize
    width = (m + line - 1) // line * line
    flat = np.empty(n * width + line, dtype)
    skipped = -flat.ctypes.data % 64 // flat.itemsize
    kernel = flat[skipped : skipped + n * width].reshape(n, width)
    rows, columns = np.zeros((4, n), dtype), np.zeros((6, width), dtype)
    return Work(
        kernel=kernel,
        a=rows[0],
        b=columns[0],
        p=rows[1],
        q=columns[1],
        v=columns[2],
        best=columns[5],
        sums=columns[3],
        products=rows[2],
        scaled_p=rows[3],
        scaled_q=columns[4],
        rows=np.zeros(n, np.int64),
        columns=np.zeros(width, np.int64),
        history=new_history(width, depth, dtype),
    )
