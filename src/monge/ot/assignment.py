"""Exact transport between equally many equally heavy points is an assignment."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from monge.extras import require
from monge.ot.backend import compiled_for

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

# Largest violation of the dual constraints, relative to the numbers in them, of an answer that counts as proven.
CERTIFICATE = 1e-10


class Assigned(NamedTuple):
    """The cheapest permutations of a batch."""

    columns: Indices  # (B, N) column of every row
    potentials: tuple[Floats, Floats] | None  # (B, N) each, f_i + g_j <= C_ij; lapx and SciPy give none


def assign_batch(costs: NDArray[Any]) -> Assigned:
    """Cheapest permutation of each square problem.

    The compiled solver's answers are taken if their potentials prove them. Without Numba lapx does the whole batch
    where it is installed, SciPy one problem after the other where not. A pool of threads does not help SciPy, which
    keeps the interpreter lock.

    Args:
        costs: ``(B, N, N)``, float32 or float64, finite.

    Returns:
        The permutations.
    """
    if compiled_for():
        from monge.ot.compiled.assignment import solve_assignments  # brings Numba

        made = solve_assignments(costs)
        size = np.maximum(np.abs(made.f), np.abs(made.g)).max(axis=1)
        if bool(((made.slack >= -CERTIFICATE * size) & np.isfinite(size)).all()):
            return Assigned(made.columns, (made.f, made.g))
    lapx = _lapx()
    if lapx is not None:
        threads = torch.get_num_threads()
        _, columns = lapx.lapjvr_batch(np.ascontiguousarray(costs), return_cost=False, n_threads=threads)
        return Assigned(np.stack(columns), None)
    solver = require("scipy.optimize", extra="exact", purpose="exact transport").linear_sum_assignment
    return Assigned(np.stack([solver(cost)[1] for cost in costs]), None)


def assign(cost: Floats) -> Assigned | None:
    """As a batch of one, ``(N, N)``; ``None`` if forbidden pairs (``+inf``) leave no permutation."""
    if np.isfinite(cost).all():
        return assign_batch(cost[None])
    solver = require("scipy.optimize", extra="exact", purpose="exact transport").linear_sum_assignment
    try:
        return Assigned(np.asarray(solver(cost)[1])[None], None)
    except ValueError:  # "cost matrix is infeasible"; NaN and -inf have been refused before
        return None


def _lapx() -> ModuleType | None:
    # lapx installs as `lap`, and so does an older package that has no batch solver.
    try:
        module = importlib.import_module("lap")
    except ModuleNotFoundError:
        return None
    return module if hasattr(module, "lapjvr_batch") else None
