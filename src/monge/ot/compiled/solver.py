"""The compiled solver as :mod:`monge.ot` calls it: tensors in, :class:`monge.ot.scaling.Solution` out."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import torch
from torch import Tensor

from monge.ot.compiled.arrays import arrays_of
from monge.ot.compiled.batch import BROKEN, INVALID, TOO_FINE, solve_range
from monge.ot.compiled.threads import over_range
from monge.ot.compiled.work import Work, new_work
from monge.ot.scaling import Solution, refuse_cost, rescue

# Changes that the acceleration remembers. Tight tolerances repay a long memory, and beside a large kernel it is cheap.
_DEPTH, _DEPTH_TIGHT, _DEPTH_LARGE = 5, 10, 20
_TIGHT, _LARGE = 3e-5, 128 * 128
# Bytes of the largest kernel that a thread keeps between solves: fresh memory costs as much as several iterations.
_KEPT = 1 << 24

_rooms = threading.local()


def solve_compiled(
    cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, *, tol: float, max_iter: int, init_g: Tensor | None = None
) -> Solution:
    """As :func:`monge.ot.scaling.solve_balanced`, by compiled code on the CPU.

    Raises:
        ValueError: NaN or ``-inf`` in the cost.
    """
    solution, status = _solve(cost, a, b, epsilon, tol, max_iter, init_g)
    if not np.count_nonzero(status):  # a tenth of the time that any() takes
        return solution
    if (status == INVALID).any():
        refuse_cost(int((status == INVALID).argmax()))
    chosen = torch.from_numpy(status == TOO_FINE)
    if bool(chosen.any()):
        parts = [t[chosen].double() for t in (cost, a, b, epsilon)]
        start = None if init_g is None else init_g[chosen].double()
        finer, status[status == TOO_FINE] = _solve(parts[0], parts[1], parts[2], parts[3], tol, max_iter, start)
        solution = _merged(solution, chosen, finer)
    broken = torch.from_numpy(status == BROKEN)
    if bool(broken.any()):
        rescue(solution, broken, cost, a, b, epsilon, tol=tol, max_iter=max_iter)
    return solution


def _solve(
    cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, tol: float, max_iter: int, init_g: Tensor | None
) -> tuple[Solution, Any]:
    """The batch in the dtype of its cost; the status of each problem says where that was not possible."""
    batch, n, m = cost.shape
    given = arrays_of(cost, a, b, epsilon)
    dtype, flat = given[0].dtype, given[0].reshape(batch, n * m)
    start_g = np.empty((0, m), dtype) if init_g is None else arrays_of(init_g)[0]
    made: Any = [np.empty(shape, dtype) for shape in ((batch, n), (batch, m), batch, batch)]
    iterations, status = np.empty(batch, np.int64), np.empty(batch, np.int64)
    depth = _DEPTH if tol > _TIGHT else _DEPTH_TIGHT if n * m < _LARGE else _DEPTH_LARGE

    def solve(start: int, stop: int) -> None:
        work = _room(n, m, depth, dtype)
        results = (*made, iterations, status, work)
        solve_range(given[0], flat, *given[1:], start_g, tol, max_iter, start, stop, *results)  # type: ignore[call-arg]

    over_range(batch, solve)
    f, g, value, error = (torch.from_numpy(array) for array in made)
    return Solution(f, g, error, torch.from_numpy(iterations), value), status


def _merged(solution: Solution, chosen: Tensor, finer: Solution) -> Solution:
    """The solution with the chosen problems replaced; potentials of the whole batch take the finer dtype."""
    for name, part in vars(finer).items():
        whole = getattr(solution, name).to(part.dtype)
        whole[chosen] = part
        setattr(solution, name, whole)
    return solution


def _room(n: int, m: int, depth: int, dtype: Any) -> Work:
    """This thread's work arrays, from its last solve if they fit."""
    key = (n, m, depth, dtype)
    if getattr(_rooms, "key", None) == key:
        return _rooms.work  # type: ignore[no-any-return]
    work = new_work(n, m, depth, dtype)
    if work.kernel.nbytes <= _KEPT:
        _rooms.key, _rooms.work = key, work
    return work
