"""Times the transport engine beside POT, geomloss and ott-jax on the same problems, in one interleaved run.

    python benchmarks/engine.py                                              # all cells
    python benchmarks/engine.py --cells batch --rounds 5                     # only names that contain "batch"
    python benchmarks/engine.py --out benchmarks/results/engine.csv          # rows are added as each cell ends

With ``--out`` cells that the file has are left out, so that a run goes on where an earlier one stopped.

Every solver's own stopping knob is tightened until the plan it returns meets the target L1 marginal error; only then is
it timed. All take a turn in every round, each round in an order of its own: who comes after a solver that has filled
the caches pays for it. Medians and ratios to the best peer that met the target are printed. The process runs on one
core with one thread, except for the cells about busy neighbours. Times say little on another machine, ratios more.
First calls, in which kernels are compiled, are nobody's time.
"""

from __future__ import annotations

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
os.environ["JAX_PLATFORMS"] = "cpu"
CORES = sorted(os.sched_getaffinity(0))
os.sched_setaffinity(0, CORES[-1:])  # XLA sizes its thread pool by this alone

import argparse
import csv
import datetime
import platform
import random
import statistics
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass, fields, replace
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from busy_neighbour import threads_beside_a_neighbour
from line_loss import measure as line_measure
from peak_memory import peak_in_tensors
from solver_peers import (
    Array,
    Cell,
    Entry,
    exact_entries,
    forward_entries,
    plan_gradient_entries,
    value_gradient_entries,
)

from monge.ot import sinkhorn

torch.set_num_threads(1)
warnings.filterwarnings("ignore")

TARGET = 1e-3
LADDER = (1.0, 0.3, 0.1, 0.03, 0.01, 1e-3)  # of the target
BUDGET = 8.0  # seconds a solver may take for one call before it is left out


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    cell: str
    solver: str
    milliseconds: float  # NaN where no time was taken
    ratio_to_best_peer: float
    error: float  # of both marginals, or of the gradient
    note: str = ""


def clustered(n: int, epsilon: float, batch: int = 0, dtype: torch.dtype = torch.float32) -> Cell:
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
    a, b = ((w / w.sum(-1, keepdim=True)).to(dtype) for w in weights)
    return Cell(cost.to(dtype), a, b, epsilon)


def marginal_error(cell: Cell, plan: Array) -> float:
    """Largest L1 error of both marginals over the batch."""
    exact = np.asarray(plan, dtype=np.float64)
    rows = np.abs(exact.sum(-1) - cell.a.numpy()).sum(-1)
    return float(np.max(rows + np.abs(exact.sum(-2) - cell.b.numpy()).sum(-1)))


def _seconds(entry: Entry, tol: float) -> float:
    start = time.perf_counter()
    entry(tol)
    return time.perf_counter() - start


def calibrate(entry: Entry, error: Callable[[Array], float], target: float) -> tuple[float, float] | None:
    """Loosest tolerance whose answer meets the target, with the error found; ``None`` if none does in time."""
    for tol in (target * part for part in LADDER):
        try:
            if _seconds(entry, tol) > 3 * BUDGET:  # too long even if some of it was compiling
                return None
            start = time.perf_counter()
            answer = entry(tol)
            took = time.perf_counter() - start
            found = error(answer)
        except (RuntimeError, ValueError, TypeError, FloatingPointError) as problem:
            print(f"    left out: {type(problem).__name__}: {str(problem).splitlines()[0][:90]}")
            return None
        if took > BUDGET:
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
    order = random.Random(name)
    for _ in range(rounds):
        for solver in order.sample(sorted(ready), len(ready)):
            times[solver].append(_seconds(entries[solver], ready[solver][0]))
    median = {solver: 1e3 * statistics.median(t) for solver, t in times.items()}
    best_peer = min((t for solver, t in median.items() if not solver.startswith("monge")), default=float("nan"))
    rows = [
        Row(name, s, median[s], median[s] / best_peer, ready[s][1]) for s in sorted(median, key=lambda s: median[s])
    ]
    missed = sorted(settings.keys() - ready.keys())
    return rows + [Row(name, s, float("nan"), float("nan"), float("nan"), f"did not reach {target:g}") for s in missed]


def forward_cell(
    n: int, epsilon: float, batch: int, rounds: int, dtype: torch.dtype = torch.float32, target: float = TARGET
) -> list[Row]:
    """Plans to the target marginal error."""
    cell = clustered(n, epsilon, batch, dtype)
    name = f"plan, {'batch of ' + str(batch) if batch else 'one'} {n}x{n}, epsilon {epsilon:g}"
    if dtype == torch.float64:
        name += f", float64 to {target:g}"
    return measure(name, forward_entries(cell), lambda plan: marginal_error(cell, plan), target, rounds)


def gradient_cell(n: int, epsilon: float, batch: int, rounds: int, *, of_plan: bool) -> list[Row]:
    """Forward and backward, to a relative L2 error of the gradient against a tight float64 solve; then peak memory.

    Values are held to 1e-2, gradients of plans to 1e-3.
    """
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
    rows = measure(name, entries, error, 1e-3 if of_plan else 1e-2, rounds)
    peak = peak_in_tensors("implicit" if of_plan else "envelope", n, epsilon)
    note = f"peak memory beside the cost: {peak:.1f} times the cost"
    return [*rows, Row(f"{name}, memory", "monge", float("nan"), float("nan"), float("nan"), note)]


def exact_cell(n: int, rounds: int) -> list[Row]:
    """Optimal cost of equal weights, as many rows as columns; the error is relative to the float64 optimum."""
    cell = clustered(n, 0.0)
    entries = exact_entries(cell)
    optimum = float(entries["POT emd"](0.0))
    name = f"exact, one {n}x{n}, uniform weights"
    rows = measure(name, entries, lambda v: abs(float(v) / optimum - 1.0), 1e-5, rounds)
    of_pot = next(row.milliseconds for row in rows if row.solver == "POT emd")
    return [replace(row, note=f"ratio to POT emd: {row.milliseconds / of_pot:.3f}") for row in rows]


def line_cell(rounds: int) -> list[Row]:
    """Squared EMD of 4096 predictions over 100 ordered classes, forward and backward; see ``line_loss.py``."""
    name, note = "squared EMD on a line, 4096x100, forward and backward", "ratio to dlordinal"
    timed = [row for row in line_measure(4096, 100, "classes", 5 * rounds) if row["loss"] != "cross-entropy"]
    return [Row(name, row["loss"], row["step_ms"], row["ratio_to_dlordinal"], float("nan"), note) for row in timed]


def busy_cell(n: int, epsilon: float, batch: int, rounds: int) -> list[Row]:
    """One and two threads while another process keeps one core busy; the ratio is to one thread."""
    name = f"busy neighbour, {'batch of ' + str(batch) if batch else 'one'} {n}x{n}, epsilon {epsilon:g}"
    times = threads_beside_a_neighbour(n, epsilon, batch, max(rounds, 9), CORES)
    note = "beside a process that keeps one of two cores busy; ratio to one thread"
    alone = times[1]
    return [
        Row(name, f"monge, {threads} thread{'s' * (threads > 1)}", t, t / alone, float("nan"), note)
        for threads, t in times.items()
    ]


def honesty_cell(rounds: int) -> list[Row]:
    """Every result over a wide grid meets the tolerance, measured in float64, or says that it does not."""
    solved = flagged = wrong = 0
    for n in (8, 49, 128, 512, 1024):
        for epsilon in (1.0, 0.1, 0.01, 1e-3, 1e-4):
            for scale in (1.0, 1e6):
                cell = clustered(n, epsilon, 2)
                a, b = cell.a.clone(), cell.b.clone()
                a[:, 0], b[:, -1] = 0.0, 0.0
                a, b = a / a.sum(1, keepdim=True), b / b.sum(1, keepdim=True)
                most = 3000 if n < 512 else 500
                result = sinkhorn(
                    scale * cell.cost, a, b, epsilon=scale * epsilon, tol=TARGET, max_iter=most, on_fail="ignore"
                )
                plan = result.plan.double()
                error = (plan.sum(2) - a).abs().sum(1) + (plan.sum(1) - b).abs().sum(1)
                good = error <= 1.2 * TARGET
                wrong += int((~torch.isfinite(error) | (result.converged & ~good)).sum())
                solved += int((result.converged & good).sum())
                flagged += int((~result.converged).sum())
    note = f"{solved} met the tolerance, {flagged} said that they did not, {wrong} were wrong or NaN"
    return [Row("honesty over epsilon, size, zero weights, scale", "monge", *[float("nan")] * 3, note)]


CELLS: dict[str, Callable[[int], list[Row]]] = {
    **{
        f"one-{n}-{e:g}": (lambda r, n=n, e=e: forward_cell(n, e, 0, r))
        for e in (0.1, 0.01)
        for n in (64, 128, 512, 1024, 2048)
    },
    "batch-256x49-0.1": lambda r: forward_cell(49, 0.1, 256, r),
    "batch-256x49-0.01": lambda r: forward_cell(49, 0.01, 256, r),
    "batch-64x196-0.1": lambda r: forward_cell(196, 0.1, 64, r),
    "batch-64x196-0.01": lambda r: forward_cell(196, 0.01, 64, r),
    "gradient-value-256x49": lambda r: gradient_cell(49, 0.1, 256, r, of_plan=False),
    "gradient-value-64x196": lambda r: gradient_cell(196, 0.1, 64, r, of_plan=False),
    "gradient-plan-256x49": lambda r: gradient_cell(49, 0.1, 256, r, of_plan=True),
    "gradient-plan-64x196": lambda r: gradient_cell(196, 0.1, 64, r, of_plan=True),
    "float64-128-0.01": lambda r: forward_cell(128, 0.01, 0, r, torch.float64, 1e-6),
    "exact-512": lambda r: exact_cell(512, r),
    "exact-1024": lambda r: exact_cell(1024, r),
    "line-4096x100": line_cell,
    "busy-256x49-0.01": lambda r: busy_cell(49, 0.01, 256, r),
    "busy-64x196-0.01": lambda r: busy_cell(196, 0.01, 64, r),
    "busy-one-2048-0.01": lambda r: busy_cell(2048, 0.01, 0, r),
    "honesty": honesty_cell,
}


def machine() -> str:
    """Processor and cores, as far as the system tells."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, {platform.system()}"


def versions() -> str:
    """Of everything that is timed."""
    names = ("monge", "torch", "numba", "POT", "geomloss", "ott-jax", "jax", "lapx", "dlordinal")
    return ", ".join(f"{name} {metadata.version(name)}" for name in names)


def show(rows: Iterable[Row]) -> None:
    """Prints a cell."""
    for row in rows:
        print(
            f"  {row.solver:28s} {row.milliseconds:9.2f} ms   x{row.ratio_to_best_peer:6.3f}   "
            f"error {row.error:.1e}   {row.note}",
            flush=True,
        )


def cells_in(path: Path) -> set[str]:
    """Keys of the cells that a file of results has."""
    if not path.exists():
        return set()
    with path.open(newline="", encoding="utf-8") as file:
        return {row["key"] for row in csv.DictReader(file)}


def main() -> None:
    """Runs the chosen cells; rows are written as each of them ends."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cells", default="", help="only cells whose name contains one of these, separated by commas")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, help="CSV file to add rows to")
    options = parser.parse_args()
    stamp = (datetime.date.today().isoformat(), machine(), versions())
    wanted = options.cells.split(",")
    known = cells_in(options.out) if options.out else set()
    for name, cell in CELLS.items():
        if name in known or not any(part in name for part in wanted):
            continue
        rows = cell(options.rounds)
        print(f"\n{rows[0].cell}")
        show(rows)
        if options.out:
            is_new = not options.out.exists()
            with options.out.open("a", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                if is_new:
                    writer.writerow(["key", *(field.name for field in fields(Row)), "date", "machine", "versions"])
                writer.writerows([name, *_rounded(row), *stamp] for row in rows)


def _rounded(row: Row) -> list[str]:
    return [f"{value:.4g}" if isinstance(value, float) else value for value in astuple(row)]


if __name__ == "__main__":
    main()
