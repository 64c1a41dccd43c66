"""Checks the kernels for NVIDIA GPUs against float64 on the CPU, then times them: one call, one table.

    python benchmarks/gpu.py                     # on a machine with a GPU and POT; writes benchmarks/results/gpu.csv
    TRITON_INTERPRET=1 python benchmarks/gpu.py  # anywhere: the checks alone, on small sizes, in Triton's interpreter

Times are medians of whole calls, after warming up, with the device waited for before and after.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import torch
from result_table import surroundings, write_table
from torch import Tensor
from torch.nn.functional import normalize

import monge
from monge import ot
from monge.losses import BatchwiseOTLoss
from monge.ot.backend import use_backend

RESULTS = Path(__file__).parent / "results" / "gpu.csv"
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = torch.device("cpu" if INTERPRETED else "cuda")


def costs(batch: int, n: int, m: int) -> Tensor:
    """Squared distances of points on a sphere, as between feature maps."""
    drawn = torch.Generator().manual_seed(0)
    x, y = (normalize(torch.randn(batch, size, 64, generator=drawn), dim=2) for size in (n, m))
    return ot.pairwise_cost(x, y).to(DEVICE)


def check_plans(batch: int, n: int, m: int, epsilon: float) -> tuple[str, float, float]:
    """Largest difference (L1) of a plan from the one solved in float64 on the CPU, and the bound that it must keep."""
    cost = costs(batch, n, m)
    with use_backend("triton"):
        ours = ot.sinkhorn(cost, epsilon=epsilon, tol=1e-4, grad="none")
    with use_backend("torch"):
        true = ot.sinkhorn(cost.double().cpu(), epsilon=epsilon, tol=1e-10, max_iter=100_000, grad="none")
    gap = (ours.plan.double().cpu() - true.plan).abs().sum((1, 2)).max()
    return f"plan, {batch} of {n}x{m}, epsilon {epsilon}", float(gap), 1e-4 / epsilon * 0.5


def check_loss(n: int, epsilon: float) -> tuple[str, float, float]:
    """Relative difference of the streamed loss's gradient from the dense one in float64 on the CPU."""
    drawn = torch.Generator().manual_seed(0)
    x, labels = normalize(torch.randn(n, 32, generator=drawn), dim=1), torch.arange(n) % 8
    gradients = []
    for backend, home, kind, pairs in (("triton", DEVICE, torch.float32, n * n), ("torch", "cpu", torch.float64, None)):
        leaf = x.to(home, kind).requires_grad_()
        with use_backend("triton" if backend == "triton" else "torch"):
            loss = BatchwiseOTLoss(max_pairs=pairs, epsilon=epsilon, tol=1e-4)(leaf, labels.to(home))
            gradients.append(torch.autograd.grad(loss, leaf)[0].double().cpu())
    gap = (gradients[0] - gradients[1]).abs().max() / gradients[1].abs().max()
    return f"gradient of the batch-wise loss, {n} samples, epsilon {epsilon}", float(gap), 5e-3


def timed(call: Callable[[], object], runs: int = 20) -> float:
    """Median milliseconds of a call."""
    for _ in range(3):
        call()
    taken = []
    for _ in range(runs):
        torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        torch.cuda.synchronize()
        taken.append(1e3 * (time.perf_counter() - start))
    return median(taken)


def rows() -> list[tuple[str, str, float]]:
    """Cell, solver, milliseconds."""
    found: list[tuple[str, str, float]] = []
    for batch, n, epsilon in ((2048, 49, 0.1), (2048, 49, 0.02), (256, 196, 0.1), (64, 256, 0.02)):
        cost, cell = costs(batch, n, n), f"plan, {batch} of {n}x{n}, epsilon {epsilon}"
        for backend in ("triton", "torch"):
            with use_backend("triton" if backend == "triton" else "torch"):
                found.append((cell, f"monge, {backend}", timed(partial(_plan, cost, epsilon))))
        found.append((cell, "POT solve_batch, log", timed(partial(_pot, cost, epsilon))))
    cost = costs(2048, 49, 49)
    with use_backend("triton"):
        # A tolerance that is never met: exactly 100 iterations.
        many = timed(lambda: ot.sinkhorn(cost, epsilon=0.02, tol=1e-12, max_iter=100, on_fail="ignore"))
    found.append(("2048 of 49x49, 100 iterations", "monge, triton", many))
    for n in (4096, 16_384, 65_536):
        x = normalize(torch.randn(n, 128, device=DEVICE), dim=1).requires_grad_()
        labels, loss = torch.arange(n, device=DEVICE) % 100, BatchwiseOTLoss(max_pairs=1 << 26)
        cell = f"batch-wise loss and gradient, {n} samples"
        for backend in ("triton", "torch"):
            with use_backend("triton" if backend == "triton" else "torch"):
                spent = timed(partial(_gradient, loss, x, labels), runs=3)
            found.append((cell, f"monge, {backend}", spent))
    return found


def _plan(cost: Tensor, epsilon: float) -> Tensor:
    return ot.sinkhorn(cost, epsilon=epsilon).plan


def _gradient(loss: BatchwiseOTLoss, x: Tensor, labels: Tensor) -> Tensor:
    return torch.autograd.grad(loss(x, labels), x)[0]


def _pot(cost: Tensor, epsilon: float) -> Tensor:
    from ot.batch import solve_batch

    plan: Tensor = solve_batch(cost, reg=epsilon, max_iter=1000, tol=1e-3).plan
    return plan


def main() -> int:
    """Runs the checks; with a GPU the timings as well. Returns 1 if a check failed."""
    if not INTERPRETED and not torch.cuda.is_available():
        print("no NVIDIA GPU here; TRITON_INTERPRET=1 runs the checks without one", file=sys.stderr)
        return 2
    small = ((2, 49, 49, 0.1), (2, 20, 100, 0.02)) if INTERPRETED else ((64, 49, 49, 0.1), (16, 200, 256, 0.01))
    checks = [check_plans(*one) for one in small]
    checks += [check_loss(48 if INTERPRETED else 2048, epsilon) for epsilon in (0.2, 0.02)]
    failed = 0
    for what, gap, bound in checks:
        failed += not gap <= bound
        print(f"{'ok  ' if gap <= bound else 'FAIL'} {what}: {gap:.1e}, at most {bound:.1e}", flush=True)
    if INTERPRETED or failed:
        return int(failed > 0)
    found = rows()
    for cell, solver, spent in found:
        print(f"{cell:50s} {solver:24s} {spent:10.3f} ms")
    beside = surroundings(device=torch.cuda.get_device_name(), torch=torch.__version__, monge=monge.__version__)
    write_table(RESULTS, ({"cell": c, "solver": s, "milliseconds": round(ms, 4)} for c, s, ms in found), beside)
    return 0


if __name__ == "__main__":
    sys.exit(main())
