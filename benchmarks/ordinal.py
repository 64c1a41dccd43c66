"""Step time of the losses for related classes: ordered ones, a given ground matrix, a learned one.

One step is forward and backward to the logits, float32, on one CPU thread. What is compared takes turns within a round,
in an order that changes from round to round; the table holds medians over the rounds of times and of ratios within one.

* ``ordered``: `SquaredEMDLoss` on 4096 x 100 logits beside dlordinal's EMDLoss and torch's cross-entropy.
* ``matrix``: losses with a given ground matrix of 1000 x 1000, batch 256, beside cross-entropy plus one product of the
  predictions with such a matrix.
* ``learned``: what observing and refreshing add to an epoch of LeNet-5 on 60,000 images of 28 x 28 in batches of 128:
  one call against one training step with cross-entropy, brought to an epoch of 469 steps.

    python benchmarks/ordinal.py
    python benchmarks/ordinal.py --out benchmarks/results/ordinal.csv
"""

from __future__ import annotations

import argparse
import platform
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from dlordinal.losses import EMDLoss
from result_table import surroundings, write_table
from torch import Tensor
from torch.nn.functional import cross_entropy
from turns import in_turns, median_ratio, seconds_of

from monge.ground import Learned
from monge.losses import (
    ConservativeWassersteinLoss,
    CrossEntropyEMDLoss,
    RelaxedEMDLoss,
    SquaredEMDLoss,
    WassersteinLoss,
)
from monge.nn import Classifier, LeNet5

Step = Callable[[], object]
STEPS_AN_EPOCH = 469


def timed_in_turns(steps: dict[str, Step], rounds: int) -> dict[str, list[float]]:
    """Seconds of each step in each round."""
    return in_turns({name: partial(seconds_of, step) for name, step in steps.items()}, rounds)


def step_of(loss: Callable[[Tensor, Tensor], Tensor], logits: Tensor, target: Tensor) -> Step:
    """Forward and backward of a loss."""

    def step() -> None:
        leaf = logits.clone().requires_grad_()
        loss(leaf, target).backward()  # type: ignore[no-untyped-call]

    return step


def rows_of(cell: str, seconds: dict[str, list[float]], goals: dict[tuple[str, str], float]) -> list[dict[str, Any]]:
    """One row for each pair of names with a goal, and one for each other name beside the first of the references."""
    first = next(reference for _, reference in goals)
    others = [name for name in seconds if all(name not in pair for pair in goals)]
    rows = []
    for (name, reference), goal in [*goals.items(), *(((name, first), float("nan")) for name in others)]:
        rows.append(
            {
                "cell": cell,
                "name": name,
                "ms": round(1e3 * statistics.median(seconds[name]), 3),
                "reference": reference,
                "reference_ms": round(1e3 * statistics.median(seconds[reference]), 3),
                "ratio": round(median_ratio(seconds[name], seconds[reference]), 3),
                "goal": goal,
            }
        )
    return rows


def ordered(rounds: int) -> list[dict[str, Any]]:
    """Ordered classes."""
    generator = torch.Generator().manual_seed(0)
    logits, target = torch.randn(4096, 100, generator=generator), torch.randint(100, (4096,), generator=generator)
    losses = {
        "SquaredEMDLoss": SquaredEMDLoss(),
        "RelaxedEMDLoss, rho 1.5": RelaxedEMDLoss(rho=1.5),
        "ConservativeWassersteinLoss": ConservativeWassersteinLoss(),
        "WassersteinLoss": WassersteinLoss(),
        "dlordinal EMDLoss": EMDLoss(100),
        "cross-entropy": cross_entropy,
    }
    seconds = timed_in_turns({name: step_of(loss, logits, target) for name, loss in losses.items()}, rounds)
    goals = {("SquaredEMDLoss", "dlordinal EMDLoss"): 0.8, ("SquaredEMDLoss", "cross-entropy"): 2.5}
    return rows_of("ordered 4096 x 100", seconds, goals)


def matrix(rounds: int) -> list[dict[str, Any]]:
    """A given ground matrix."""
    generator = torch.Generator().manual_seed(0)
    logits, target = torch.randn(256, 1000, generator=generator), torch.randint(1000, (256,), generator=generator)
    places = torch.rand(1000, 8, generator=generator)
    distances = torch.cdist(places, places).fill_diagonal_(0.0)
    distances = 0.5 * (distances + distances.T)
    predicted = logits.softmax(1)
    plain = step_of(cross_entropy, logits, target)
    reference = "cross-entropy + 1 product"
    steps: dict[str, Step] = {
        "SquaredEMDLoss": step_of(SquaredEMDLoss(distances), logits, target),
        "CrossEntropyEMDLoss": step_of(CrossEntropyEMDLoss(distances), logits, target),
        "ConservativeWassersteinLoss": step_of(ConservativeWassersteinLoss(distances), logits, target),
        "WassersteinLoss": step_of(WassersteinLoss(distances), logits, target),
        reference: lambda: (plain(), predicted @ distances),
        "cross-entropy": plain,
    }
    goals = {("SquaredEMDLoss", reference): 1.3, ("CrossEntropyEMDLoss", reference): 1.3}
    return rows_of("matrix 1000 x 1000, batch 256", timed_in_turns(steps, rounds), goals)


def learned(rounds: int) -> list[dict[str, Any]]:
    """Share of an epoch that a learned ground distance adds."""
    generator = torch.Generator().manual_seed(0)
    images, target = torch.rand(128, 1, 28, 28, generator=generator), torch.randint(10, (128,), generator=generator)
    network = Classifier(LeNet5(), feature_dim=256, outputs=10)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    ground = Learned(10, 256)
    features = network.features_and_logits(images)[0].detach()

    def train() -> None:
        optimizer.zero_grad()
        cross_entropy(network(images), target).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    def refresh() -> None:
        ground.observe(features, target)
        ground.refresh()

    steps: dict[str, Step] = {
        "training step": train,
        "observe": lambda: ground.observe(features, target),
        "observe and refresh": refresh,
    }
    seconds = timed_in_turns(steps, rounds)
    one = {name: statistics.median(values) for name, values in seconds.items()}
    added = STEPS_AN_EPOCH * one["observe"] + max(0.0, one["observe and refresh"] - one["observe"])
    epoch = STEPS_AN_EPOCH * one["training step"]
    row = {"cell": "learned, LeNet-5", "name": "Learned, share of an epoch", "ms": round(1e3 * added, 3)}
    row |= {"reference": "epoch with cross-entropy", "reference_ms": round(1e3 * epoch, 1)}
    return [row | {"ratio": round(added / epoch, 5), "goal": 0.03}]


def main() -> None:
    """Prints the table and writes it where ``--out`` says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100, help="rounds; a tenth of them for the network")
    parser.add_argument("--out", type=Path, help="write the table as CSV")
    options = parser.parse_args()
    torch.set_num_threads(1)
    beside = {"threads": 1} | surroundings(torch=torch.__version__, python=platform.python_version())
    print(", ".join(f"{key} {value}" for key, value in beside.items()))
    print(f"{'cell':<30} {'name':<28} {'ms':>9} {'reference':<26} {'ms':>10} {'ratio':>8} {'goal':>5}")
    rows = []
    for cell, rounds in ((ordered, options.rounds), (matrix, options.rounds), (learned, max(5, options.rounds // 10))):
        for row in cell(rounds):
            rows.append(row | {"rounds": rounds})
            print(
                f"{row['cell']:<30} {row['name']:<28} {row['ms']:>9.3f} {row['reference']:<26}"
                f" {row['reference_ms']:>10.3f} {row['ratio']:>8.3f} {row['goal']:>5.2f}",
                flush=True,
            )
    if options.out:
        write_table(options.out, rows, beside)


if __name__ == "__main__":
    main()
