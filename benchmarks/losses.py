"""Step time and peak memory of BatchwiseOTLoss beside pytorch-metric-learning's contrastive and triplet losses.

One step is a forward and a backward pass on one CPU thread. The losses take turns within a round, so that whatever else
the machine does strikes all of them; the table holds medians over the rounds and ratios to the contrastive loss. Peak
memory is measured in a fresh process each (Linux): how far one step raises the process's largest resident size.

    python benchmarks/losses.py                    # batches of 128, 512 and 2048, dimension 256
    python benchmarks/losses.py --out benchmarks/results/losses.csv
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peak_memory import resident_bytes
from result_table import write_table
from torch import Tensor
from turns import in_turns, median_ratio

from monge.losses import BatchwiseOTLoss
from monge.train.baselines import build_baseline

LOSSES = ("batchwise_ot", "contrastive", "triplet")
REFERENCE = "contrastive"
SAMPLES_PER_CLASS = 8


def build(name: str, dim: int, classes: int) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss of a name with its default settings; ``triplet`` includes its semi-hard miner."""
    return BatchwiseOTLoss() if name == "batchwise_ot" else build_baseline(name, None, dim, classes)


def make_batch(size: int, dim: int) -> tuple[Tensor, Tensor]:
    """Unit vectors (B, D) as early in training, squared distance near 0.3 within, 0.9 between classes; labels (B,)."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(size) // SAMPLES_PER_CLASS  # (B,)
    directions = torch.nn.functional.normalize(torch.randn(int(labels[-1]) + 2, dim, generator=generator), dim=1)
    noise = torch.nn.functional.normalize(torch.randn(size, dim, generator=generator), dim=1)
    mixed = directions[-1] + 0.8 * directions[labels] + 0.5 * noise  # (B, D)
    return torch.nn.functional.normalize(mixed, dim=1), labels


def step_seconds(loss: Callable[[Tensor, Tensor], Tensor], embeddings: Tensor, labels: Tensor) -> float:
    """Seconds of one forward and backward pass."""
    leaf = embeddings.clone().requires_grad_()
    start = time.perf_counter()
    loss(leaf, labels).backward()  # type: ignore[no-untyped-call]
    return time.perf_counter() - start


def peak_megabytes(name: str, size: int, dim: int) -> float:
    """What one step adds to the largest resident size of a fresh process, in MB."""
    command = [sys.executable, __file__, "--memory-of", name, "--sizes", str(size), "--dim", str(dim)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def print_peak(name: str, size: int, dim: int) -> None:
    """Body of the fresh process: a small step first, so that only what grows with the batch is counted."""
    classes = max(2, size // SAMPLES_PER_CLASS)
    loss = build(name, dim, classes)
    step_seconds(loss, *make_batch(2 * SAMPLES_PER_CLASS, dim))
    embeddings, labels = make_batch(size, dim)
    Path("/proc/self/clear_refs").write_text("5")  # the mark starts anew: importing alone went higher
    before = resident_bytes("VmRSS")
    step_seconds(loss, embeddings, labels)
    print((resident_bytes("VmHWM") - before) / 2**20)


def measure(size: int, dim: int, rounds: int) -> list[dict[str, Any]]:
    """One row a loss for batches of one size."""
    embeddings, labels = make_batch(size, dim)
    losses = {name: build(name, dim, int(labels[-1]) + 1) for name in LOSSES}
    seconds = in_turns({name: partial(step_seconds, loss, embeddings, labels) for name, loss in losses.items()}, rounds)
    return [
        {
            "batch": size,
            "loss": name,
            "step_ms": round(1e3 * statistics.median(seconds[name]), 3),
            "ratio_to_contrastive": round(median_ratio(seconds[name], seconds[REFERENCE]), 3),
            "peak_mb": round(peak_megabytes(name, size, dim), 1),
            "rounds": rounds,
        }
        for name in LOSSES
    ]


def main() -> None:
    """Prints the table and writes it where ``--out`` says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 512, 2048], help="batch sizes")
    parser.add_argument("--dim", type=int, default=256, help="length of an embedding")
    parser.add_argument("--rounds", type=int, default=0, help="rounds; 0: 50 up to 512, 7 above")
    parser.add_argument("--out", type=Path, help="write the table as CSV")
    parser.add_argument("--memory-of", choices=LOSSES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.memory_of:
        print_peak(options.memory_of, options.sizes[0], options.dim)
        return
    print(f"torch {torch.__version__}, {platform.machine()}, one thread, dimension {options.dim}, ratio to {REFERENCE}")
    print(f"{'batch':>6} {'loss':<14} {'step ms':>10} {'ratio':>7} {'peak MB':>9}")
    rows = []
    for size in options.sizes:
        for row in measure(size, options.dim, options.rounds or (50 if size <= 512 else 7)):
            rows.append(row)
            print(
                f"{row['batch']:>6} {row['loss']:<14} {row['step_ms']:>10.2f} {row['ratio_to_contrastive']:>7.2f}"
                f" {row['peak_mb']:>9.1f}",
                flush=True,
            )
    if options.out:
        write_table(options.out, rows, {"dim": options.dim, "torch": torch.__version__, "threads": 1})


if __name__ == "__main__":
    main()
