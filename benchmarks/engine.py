"""Times the transport engine beside POT, geomloss and ott-jax on the same problems, in one interleaved run.

    python benchmarks/engine.py                 # all cells, about five minutes
    python benchmarks/engine.py --cells batch   # only names that contain "batch"

Every solver's own stopping knob is tightened until the plan it returns meets the target L1 marginal error; only then is
it timed. Rounds go A B C A B C; medians and ratios to the best peer that met the target are printed. The whole process
runs on one core with one thread. Times say little on another machine, ratios more.
"""

from __future__ import annotations

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
os.environ["JAX_PLATFORMS"] = "cpu"
os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # XLA sizes its thread pool by this alone

import argparse
import csv
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from solver_peers import Array, Cell, Entry, forward_entries, plan_gradient_entries, value_gradient_entries

torch.set_num_threads(1)
warnings.filterwarnings("ignore")

TARGET = 1e-3
LADDER = (1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 1e-6)
BUDGET = 8.0  # seconds a solver may take for one call before it is left out


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    cell: str
    solver: str
    milliseconds: float
    ratio: float
    error: float


def clustered(n: int, epsilon: float, batch: int = 0) -> Cell:
    """Squared-Euclidean costs between clustered 16-d points, mean one; batches have uneven weights."""
    rng = np.random.default_rng(n)
    lead = (batch,) if batch else ()
    points = []
    for _ in range(2):
        centres = rng.normal(size=(*lead, 8, 16))
        chosen = np.take_along_axis(centres, rng.integers(0, 8, size=(*lead, n, 1)), -2)
        points.append(chosen + 0.6 * rng.normal(size=(*lead, n, 16)))
    cost = torch.cdist(*(torch.from_numpy(p) for p in points)).square()
    cost = cost / cost.mean((-1, -2), keepdim=True)
    weights = [torch.from_numpy(rng.random((*lead, n)) + 0.05) if batch else torch.ones(n) for _ in range(2)]
    a, b = ((w / w.sum(-1, keepdim=True)).float() for w in weights)
    return Cell(cost.float(), a, b, epsilon)


def marginal_error(cell: Cell, plan: Array) -> float:
    """Largest L1 error of both marginals over the batch."""
    exact = np.asarray(plan, dtype=np.float64)
    rows = np.abs(exact.sum(-1) - cell.a.numpy()).sum(-1)
    return float(np.max(rows + np.abs(exact.sum(-2) - cell.b.numpy()).sum(-1)))


def calibrate(entry: Entry, error: Callable[[Array], float], target: float) -> tuple[float, float] | None:
    """Loosest tolerance whose answer meets the target, with the error found; ``None`` if none does in time."""
    for tol in LADDER:
        try:
            entry(tol)
            start = time.perf_counter()
            found = error(entry(tol))
        except (RuntimeError, ValueError, TypeError, FloatingPointError) as problem:
            print(f"    left out: {type(problem).__name__}: {str(problem).splitlines()[0][:90]}")
            return None
        if time.perf_counter() - start > BUDGET:
            return None
        if found <= target:
            return tol, found
    return None


def measure(
    name: str, entries: dict[str, Entry], error: Callable[[Array], float], target: float, rounds: int
) -> list[Row]:
    """Calibrates, then times all entries in turn."""
    settings = {solver: calibrate(entry, error, target) for solver, entry in entries.items()}
    ready = {solver: found for solver, found in settings.items() if found is not None}
    times: dict[str, list[float]] = {solver: [] for solver in ready}
    for _ in range(rounds):
        for solver, (tol, _) in ready.items():
            start = time.perf_counter()
            entries[solver](tol)
            times[solver].append(time.perf_counter() - start)
    median = {solver: 1e3 * statistics.median(t) for solver, t in times.items()}
    best_peer = min((t for solver, t in median.items() if not solver.startswith("monge")), default=float("nan"))
    rows = [
        Row(name, s, median[s], median[s] / best_peer, ready[s][1]) for s in sorted(median, key=lambda s: median[s])
    ]
    print(f"\n{name}")
    for row in rows:
        print(f"  {row.solver:22s} {row.milliseconds:9.2f} ms   x{row.ratio:6.2f}   error {row.error:.1e}")
    for solver in settings.keys() - ready.keys():
        print(f"  {solver:22s} did not reach {target:g}")
    return rows


def forward_cell(n: int, epsilon: float, batch: int, rounds: int) -> list[Row]:
    """Plans to the target marginal error."""
    cell = clustered(n, epsilon, batch)
    name = f"plan, {'batch of ' + str(batch) if batch else 'one'} {n}x{n}, epsilon {epsilon:g}"
    return measure(name, forward_entries(cell), lambda plan: marginal_error(cell, plan), TARGET, rounds)


def gradient_cell(n: int, epsilon: float, batch: int, rounds: int, *, of_plan: bool) -> list[Row]:
    """Forward and backward, to a relative L2 error of the gradient against a tight float64 solve."""
    cell = clustered(n, epsilon, batch)
    exact = Cell(cell.cost.double(), cell.a.double(), cell.b.double(), epsilon)
    direction = torch.randn(cell.cost.shape, generator=torch.Generator().manual_seed(0))
    if of_plan:
        reference = plan_gradient_entries(exact, direction.double())["monge implicit"](1e-10)
        entries = plan_gradient_entries(cell, direction)
    else:
        reference = value_gradient_entries(exact)["monge envelope"](1e-10)
        entries = value_gradient_entries(cell)

    def error(gradient: Array) -> float:
        return float(np.linalg.norm(gradient - reference) / np.linalg.norm(reference))

    name = f"{'plan' if of_plan else 'value'} gradient, batch of {batch} {n}x{n}, epsilon {epsilon:g}"
    return measure(name, entries, error, 1e-2, rounds)


CELLS: dict[str, Callable[[int], list[Row]]] = {
    **{
        f"one-{n}-{e:g}": (lambda r, n=n, e=e: forward_cell(n, e, 0, r))
        for e in (0.1, 0.01)
        for n in (64, 128, 512, 1024)
    },
    "batch-256x49-0.1": lambda r: forward_cell(49, 0.1, 256, r),
    "batch-256x49-0.01": lambda r: forward_cell(49, 0.01, 256, r),
    "batch-64x196-0.1": lambda r: forward_cell(196, 0.1, 64, r),
    "batch-64x196-0.01": lambda r: forward_cell(196, 0.01, 64, r),
    "gradient-value-256x49": lambda r: gradient_cell(49, 0.1, 256, r, of_plan=False),
    "gradient-plan-256x49": lambda r: gradient_cell(49, 0.1, 256, r, of_plan=True),
}


def main() -> None:
    """Runs the chosen cells and writes the table if asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cells", default="", help="only cells whose name contains this")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, help="CSV file to write")
    options = parser.parse_args()
    rows = [row for name, cell in CELLS.items() if options.cells in name for row in cell(options.rounds)]
    if options.out:
        with options.out.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["cell", "solver", "milliseconds", "ratio_to_best_peer", "error"])
            writer.writerows(
                [r.cell, r.solver, f"{r.milliseconds:.3f}", f"{r.ratio:.3f}", f"{r.error:.2e}"] for r in rows
            )


if __name__ == "__main__":
    main()
