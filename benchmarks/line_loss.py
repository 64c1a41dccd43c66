"""Step time of the squared EMD for ordered classes beside dlordinal's EMDLoss and torch's cross-entropy.

One step is forward, mean and backward to the logits, float32, on one CPU thread. The losses take turns within a round,
in an order that changes from round to round, so that whatever else the machine does strikes all of them; the table
holds medians over the rounds of times and of ratios within a round.

    python benchmarks/line_loss.py                 # 4096 x 100 and three other shapes, half a minute
    python benchmarks/line_loss.py --out benchmarks/results/line_loss.csv
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numba
import torch
from dlordinal.losses import EMDLoss
from result_table import surroundings, write_table
from torch import Tensor
from torch.nn.functional import cross_entropy
from turns import in_turns, median_ratio

from monge.ot import cramer_line_from_logits, use_backend

Loss = Callable[[Tensor, Tensor], Tensor]
SHAPES = ((4096, 100), (256, 10), (1024, 1000), (32, 100_000))


def losses(classes: int) -> dict[str, Loss]:
    """Everything that is timed, by name."""
    return {
        "monge, compiled": lambda logits, target: cramer_line_from_logits(logits, target).mean(),
        "monge, torch": lambda logits, target: cramer_line_from_logits(logits, target).mean(),
        "dlordinal": EMDLoss(classes),
        "cross-entropy": cross_entropy,
    }


def step_seconds(name: str, loss: Loss, logits: Tensor, target: Tensor) -> float:
    """Seconds of one forward and backward pass."""
    leaf = logits.clone().requires_grad_()
    with use_backend("torch" if name == "monge, torch" else "auto"):
        start = time.perf_counter()
        loss(leaf, target).backward()  # type: ignore[no-untyped-call]
        return time.perf_counter() - start


def measure(samples: int, classes: int, targets: str, rounds: int) -> list[dict[str, Any]]:
    """One row a loss for logits of one shape."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(samples, classes, generator=generator)
    target = torch.randint(classes, (samples,), generator=generator)
    if targets == "probabilities":
        target = torch.rand(samples, classes, generator=generator).pow(4)
        target = target / target.sum(1, keepdim=True)
    tries = {name: partial(step_seconds, name, loss, logits, target) for name, loss in losses(classes).items()}
    seconds = in_turns(tries, rounds)
    return [
        {
            "samples": samples,
            "classes": classes,
            "targets": targets,
            "loss": name,
            "step_ms": round(1e3 * statistics.median(taken), 4),
            "ratio_to_dlordinal": round(median_ratio(taken, seconds["dlordinal"]), 3),
            "ratio_to_cross_entropy": round(median_ratio(taken, seconds["cross-entropy"]), 3),
            "rounds": rounds,
        }
        for name, taken in seconds.items()
    ]


def main() -> None:
    """Prints the table and writes it where ``--out`` says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--out", type=Path, help="write the table as CSV")
    options = parser.parse_args()
    torch.set_num_threads(1)
    beside = {"threads": 1} | surroundings(torch=torch.__version__, numba=numba.__version__)
    print(", ".join(f"{key} {value}" for key, value in beside.items()))
    print(f"{'logits':>12} {'targets':<14} {'loss':<16} {'step ms':>9} {'x dlordinal':>12} {'x cross-entropy':>16}")
    rows = []
    for samples, classes in SHAPES:
        for targets in ("classes", "probabilities"):
            for row in measure(samples, classes, targets, options.rounds):
                rows.append(row)
                print(
                    f"{samples:>5} x {classes:<6}{targets:<14} {row['loss']:<16} {row['step_ms']:>9.3f}"
                    f" {row['ratio_to_dlordinal']:>12.2f} {row['ratio_to_cross_entropy']:>16.2f}",
                    flush=True,
                )
    if options.out:
        write_table(options.out, rows, beside)


if __name__ == "__main__":
    main()
