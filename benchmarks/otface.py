"""OTFace beside what it is added to, and beside a loop over triplets as its released program has it.

Three measurements, float32 on one CPU thread, in seconds of that thread, so that neighbours do not count:

* ``transport``: 512 groups of a batch of 256 with maps of 512 x 7 x 7, mining, forward and backward to the maps. A
  Python loop over the same triplets solves two problems each by ten sweeps that autograd goes back through: once with
  maps indexed for each triplet, whose backward passes each fill a tensor of the whole batch, and once with the maps of
  the batch taken apart beforehand. About half of the triplets cost something, as early in a training.
* ``step``: forward and backward of IResNet-18 at 112 x 112, of the margin head over 10,572 identities and of the
  transport; the network is timed on 32 pictures at a time.
* ``memory``: peak of a process that takes two steps of SGD with momentum on the margin head alone, over 85,742
  identities of 512 numbers with batches of 256; importing torch is part of it.

    python benchmarks/otface.py --out benchmarks/results/otface.csv
"""

from __future__ import annotations

import argparse
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
from result_table import surroundings, write_table
from torch import Tensor
from torch.nn.functional import normalize
from turns import in_turns

from monge.losses import FeatureMapOTLoss, MarginSoftmax
from monge.losses.feature_map_ot import OTFacePreset
from monge.mining import hard_triplets

_MINE = "monge-benchmark-margin-memory"
BATCH, CHANNELS, SIDE, DIM, GROUPS = 256, 512, 7, 512, 512
IDENTITIES = 10_572


def batch() -> tuple[Tensor, Tensor, Tensor]:
    """Embeddings, labels and maps of 64 identities, nothing learned yet: many more hard triplets than groups."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(BATCH) // 4
    centres = torch.randn(64, DIM, generator=generator)
    embeddings = 0.2 * centres[labels] + torch.randn(BATCH, DIM, generator=generator)
    return embeddings, labels, torch.randn(BATCH, CHANNELS, SIDE, SIDE, generator=generator)


def one_distance(x: Tensor, y: Tensor) -> Tensor:
    """W of two maps ``(C, H, W)`` as the program computes it, one pair at a time."""
    x, y = (normalize(part.flatten(1), dim=0) for part in (x, y))
    cost = 1.0 - x.T @ y
    kernel = torch.exp(-cost)
    share = cost.new_full((len(cost),), 1.0 / len(cost))
    v = torch.ones_like(share)
    for _ in range(10):
        u = share / (kernel @ v)
        v = share / (kernel.T @ u)
    return (u.unsqueeze(1) * kernel * v * cost).sum()


def loop(maps: Tensor | tuple[Tensor, ...], triplets: list[list[int]]) -> Tensor:
    """Mean hinge over triplets, one after the other."""
    gaps = [one_distance(maps[a], maps[p]) - one_distance(maps[a], maps[n]) for a, p, n in triplets]
    active = [gap for gap in gaps if gap > 0]
    return torch.stack(active).mean() if active else maps[0].sum() * 0.0


def seconds(step: Callable[[], Tensor], leaf: Tensor) -> float:
    """Processor time of forward and backward."""
    leaf.grad = None
    start = time.process_time()
    step().backward()  # type: ignore[no-untyped-call]
    return time.process_time() - start


def transport(rounds: int) -> tuple[list[dict[str, Any]], float]:
    """Rows of the transport, and seconds of the recommended settings."""
    embeddings, labels, maps = batch()
    leaf = maps.requires_grad_()
    groups = hard_triplets(embeddings, labels, max_groups=GROUPS)
    triplets = torch.stack(groups[:3], 1)[groups.valid].tolist()
    names: tuple[OTFacePreset, ...] = ("recommended", "released", "groups-2020")
    losses = {name: FeatureMapOTLoss.preset(name) for name in names}
    steps: dict[str, Callable[[], Tensor]] = {
        name: (lambda loss=loss: loss(embeddings, labels, leaf)) for name, loss in losses.items()
    }
    steps["loop, maps indexed"] = lambda: loop(leaf, triplets)
    steps["loop, maps taken apart"] = lambda: loop(leaf.unbind(0), triplets)
    taken = in_turns({name: partial(seconds, step, leaf) for name, step in steps.items()}, rounds)
    spent = {name: statistics.median(times) for name, times in taken.items()}
    rows = [
        {
            "measured": "transport",
            "what": name,
            "groups": len(triplets),
            "loop_over_this": round(spent["loop, maps indexed"] / spent[name], 1),
            "lean_loop_over_this": round(spent["loop, maps taken apart"] / spent[name], 1),
        }
        for name in steps
    ]
    return rows, spent["recommended"]


def network_seconds() -> float:
    """Forward and backward of IResNet-18 on a batch, in parts."""
    from monge.nn.iresnet import IResNet

    network, parts = IResNet(18, embedding_dim=DIM), 32
    images = torch.randn(parts, 3, 112, 112)
    taken = []
    for _ in range(3):
        start = time.process_time()
        network(images).sum().backward()
        taken.append(time.process_time() - start)
    return min(taken) * BATCH / parts


def whole_step(rounds: int, transport_seconds: float) -> list[dict[str, Any]]:
    """The row of a whole training step."""
    embeddings, labels, _ = batch()
    leaf, head = embeddings.requires_grad_(), MarginSoftmax(DIM, IDENTITIES)
    margin = statistics.median(seconds(lambda: head(leaf, labels), leaf) for _ in range(rounds))
    alone = network_seconds() + margin
    return [
        {
            "measured": "step",
            "what": "OTFace over its margin head alone, IResNet-18, 112 x 112",
            "groups": GROUPS,
            "ratio": round((alone + transport_seconds) / alone, 3),
        }
    ]


def memory() -> list[dict[str, Any]]:
    """The row of the peak memory."""
    done = subprocess.run([sys.executable, __file__, _MINE], capture_output=True, text=True, check=True)
    peak = float(done.stdout.split()[-1])
    return [{"measured": "memory", "what": "85,742 identities x 512, batch 256, SGD", "peak_gb": round(peak, 2)}]


def _child() -> None:
    torch.set_num_threads(1)
    head = MarginSoftmax(DIM, 85_742)
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    for step in range(2):
        embeddings = torch.randn(BATCH, DIM, requires_grad=True)
        optimizer.zero_grad()
        head(embeddings, torch.randint(85_742, (BATCH,), generator=torch.Generator().manual_seed(step))).backward()
        optimizer.step()
    print(resident_bytes("VmHWM") / 1e9)


def main() -> None:
    """Prints the table and writes it where ``--out`` says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write the table as CSV")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows, spent = transport(options.rounds)
    rows += whole_step(options.rounds, spent) + memory()
    for row in rows:
        print(", ".join(f"{key} {value}" for key, value in row.items()))
    if options.out:
        write_table(options.out, rows, {"threads": 1} | surroundings(torch=torch.__version__))


if __name__ == "__main__":
    if sys.argv[1:2] == [_MINE]:
        _child()
    else:
        main()
