"""Step time of inverse optimal transport, under each of its constraints, beside InfoNCE.

One step is a forward and a backward pass over a batch of pairs on one CPU thread. The reference is InfoNCE in both
directions as it is usually written: one product of unit vectors and two calls of ``cross_entropy``. Times are CPU times
of that thread, and all losses take turns within a round, so that whatever else the machine does strikes all of them;
the table holds medians over the rounds and medians of the ratios within a round. Pairs have a cosine near 0.33, as in a
network that has learnt for a while, where plans are neither flat nor settled.

    python benchmarks/cross_modal.py               # batches of 256, 1024 and 4096, dimension 256
    python benchmarks/cross_modal.py --out benchmarks/results/cross_modal.csv
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from result_table import write_table
from torch import Tensor
from torch.nn import functional
from turns import in_turns, median_ratio

from monge.losses import InfoNCELoss, InverseOTLoss, MaxMarginLoss

REFERENCE = "infonce"
EPSILON = 0.07


def plain_infonce(x: Tensor, y: Tensor) -> Tensor:
    """InfoNCE in both directions, the i-th x with the i-th y."""
    logits = functional.normalize(x, dim=1) @ functional.normalize(y, dim=1).mT / EPSILON  # (B, B)
    own = torch.arange(len(x))
    return 0.5 * (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.mT, own))


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    REFERENCE: plain_infonce,
    "infonce, monge": InfoNCELoss(temperature=EPSILON),
    "inverse-ot, row": InverseOTLoss(constraint="row", epsilon=EPSILON),
    "inverse-ot, balanced": InverseOTLoss(constraint="balanced", epsilon=EPSILON),
    "inverse-ot, unbalanced": InverseOTLoss(constraint="unbalanced", epsilon=EPSILON),
    "inverse-ot, partial": InverseOTLoss(constraint="partial", epsilon=EPSILON),
    "gca-rince": InverseOTLoss(constraint="balanced", epsilon=EPSILON, rince_weight=1.0, kl_weight=0.0),
    "gca-uot": InverseOTLoss(constraint="unbalanced", epsilon=EPSILON, rince_weight=1.0, kl_weight=0.2),
    "max-margin": MaxMarginLoss(),
}


def make_batch(size: int, dim: int) -> tuple[Tensor, Tensor]:
    """Unit vectors (B, D) of both modalities around shared ones, cosine of a pair near 0.33."""
    generator = torch.Generator().manual_seed(0)
    shared, x_own, y_own = (functional.normalize(torch.randn(size, dim, generator=generator), dim=1) for _ in range(3))
    return tuple(functional.normalize(shared + 1.4 * own, dim=1) for own in (x_own, y_own))  # type: ignore[return-value]


def step_seconds(loss: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> float:
    """CPU seconds of one forward and backward pass."""
    leaves = x.clone().requires_grad_(), y.clone().requires_grad_()
    start = time.process_time()
    loss(*leaves).backward()  # type: ignore[no-untyped-call]
    return time.process_time() - start


def measure(size: int, dim: int, rounds: int) -> list[dict[str, Any]]:
    """One row a loss for batches of one size."""
    x, y = make_batch(size, dim)
    seconds = in_turns({name: partial(step_seconds, loss, x, y) for name, loss in LOSSES.items()}, rounds)
    return [
        {
            "batch": size,
            "loss": name,
            "step_ms": round(1e3 * statistics.median(taken), 3),
            "ratio_to_infonce": round(median_ratio(taken, seconds[REFERENCE]), 3),
            "rounds": rounds,
        }
        for name, taken in seconds.items()
    ]


def main() -> None:
    """Prints the table and writes it where ``--out`` says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 1024, 4096], help="batch sizes")
    parser.add_argument("--dim", type=int, default=256, help="length of an embedding")
    parser.add_argument("--rounds", type=int, default=0, help="rounds; 0: 50 at 256, 15 at 1024, 3 above")
    parser.add_argument("--out", type=Path, help="write the table as CSV")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for size in options.sizes:
        rounds = options.rounds or (50 if size <= 256 else 15 if size <= 1024 else 3)
        found = measure(size, options.dim, rounds)
        for row in found:
            print(f"{row['batch']:6d}  {row['loss']:24s} {row['step_ms']:10.2f} ms  {row['ratio_to_infonce']:6.2f}")
        rows += found
    if options.out:
        beside = {"dim": options.dim, "epsilon": EPSILON, "torch": torch.__version__, "threads": 1}
        write_table(options.out, rows, beside)


if __name__ == "__main__":
    main()
