"""Exact transport between equally many equally heavy points is an assignment."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from monge.extras import require

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


def assign_batch(costs: NDArray[Any]) -> Indices:
    """Cheapest permutation of each square problem.

    lapx does the whole batch where it is installed, SciPy one problem after the other where not. A pool of threads
    does not help SciPy, which keeps the interpreter lock.

    Args:
        costs: ``(B, N, N)``, float32 or float64, finite.

    Returns:
        Column of every row, ``(B, N)``.
    """
    lapx = _lapx()
    if lapx is not None:
        threads = torch.get_num_threads()
        _, columns = lapx.lapjvr_batch(np.ascontiguousarray(costs), return_cost=False, n_threads=threads)
        return np.stack(columns)
    solver = require("scipy.optimize", extra="exact", purpose="exact transport").linear_sum_assignment
    return np.stack([solver(cost)[1] for cost in costs])


def assign(cost: Floats) -> Indices | None:
    """Cheapest permutation of one square problem; ``None`` if forbidden pairs (``+inf``) leave none."""
    if np.isfinite(cost).all():
        return assign_batch(cost[None]).ravel()
    solver = require("scipy.optimize", extra="exact", purpose="exact transport").linear_sum_assignment
    try:
        return np.asarray(solver(cost)[1])
    except ValueError:  # "cost matrix is infeasible"; NaN and -inf have been refused before
        return None


def _lapx() -> ModuleType | None:
    # lapx installs as `lap`, and so does an older package that has no batch solver.
    try:
        module = importlib.import_module("lap")
    except ModuleNotFoundError:
        return None
    return module if hasattr(module, "lapjvr_batch") else None
