"""How the losses of a finished comparison of faces do on the hardest tenth of the test pairs.

What is hard is decided without any of the compared networks, by the pictures alone: both are scaled to 16 x 16, their
mean is taken off, and the cosine of what is left tells how alike they look. Of each set of pairs the tenth of the
genuine ones that look least alike and the tenth of the impostors that look most alike are kept. For every run, all
thresholds chosen on all pairs of the other folds, hard or not:

- ``accuracy``: hard pairs that are decided rightly; 0.5 is what accepting or refusing all of them gives;
- ``auc``: chance that a hard genuine pair is nearer than a hard impostor pair;
- ``tar``: hard genuine pairs accepted where one in a thousand of all impostors is;
- ``far``: hard impostors accepted there.

    python benchmarks/hardest_pairs.py runs/compare-emoji-identity --out benchmarks/results/hardest-emoji-identity.csv
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from result_table import write_table
from safetensors import safe_open
from torch import Tensor
from torch.nn.functional import interpolate, normalize

from monge.metrics.verification import pair_distances, verify
from monge.train.run_files import RunFiles

SHARE = 0.1
FAR = 1e-3


def looks(images: Tensor) -> Tensor:
    """Unit vectors (N, D) whose cosines tell how alike pictures uint8 (N, C, H, W) look."""
    small = interpolate(images.float(), size=(16, 16), mode="bilinear", antialias=True).flatten(1)
    return normalize(small - small.mean(1, keepdim=True), dim=1)


def hardest(images: Tensor, first: Tensor, second: Tensor, same: Tensor) -> Tensor:
    """Places of the hardest pairs, ascending: as many of each kind as a tenth of that kind."""
    vectors = looks(images)
    alike = (vectors[first] * vectors[second]).sum(1)  # (P,)
    chosen = []
    for genuine in (True, False):
        places = (same == genuine).nonzero().squeeze(1)
        count = max(1, round(SHARE * len(places)))
        chosen.append(places[alike[places].topk(count, largest=not genuine).indices])
    return torch.cat(chosen).sort().values


def share(true: Tensor) -> float:
    """How much of it is true, to four places."""
    return round(float(true.double().mean()), 4)


def measure(file: Path) -> list[dict[str, Any]]:
    """One row for each set of pairs of a run."""
    rows = []
    with safe_open(file, "pt") as stored:
        for name in json.loads(stored.metadata()["sets"]):
            parts = ("images", "first", "second", "same", "folds", "embeddings")
            images, first, second, same, folds, embeddings = (stored.get_tensor(f"{name}/{part}") for part in parts)
            distances = pair_distances(embeddings, first, second)
            hard = hardest(images, first, second, same)
            found = verify(distances, same, folds, protocol="exact", far_target=FAR)
            fold = torch.unique(folds, return_inverse=True)[1][hard]
            near, genuine = distances[hard], same[hard]
            accepted = near < found.val_thresholds[fold]
            rows.append(
                {
                    "set": name,
                    "pairs": len(hard),
                    "accuracy": share((near < found.thresholds[fold]) == genuine),
                    "auc": share(near[genuine].unsqueeze(1) < near[~genuine]),
                    "tar": share(accepted[genuine]),
                    "far": share(accepted[~genuine]),
                }
            )
    return rows


def measure_all(folder: Path) -> list[dict[str, Any]]:
    """Rows of all tested runs of a comparison."""
    comparison = json.loads((folder / "compare.json").read_text(encoding="utf-8"))
    return [
        {"loss": loss["name"], "seed": run["seed"], **row}
        for loss in comparison["losses"]
        for run in loss["runs"]
        for row in measure(RunFiles(folder / run["path"]).verification)
    ]


def show(rows: list[dict[str, Any]]) -> None:
    """Means and standard deviations over the seeds."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["set"], row["loss"]].append(row)
    for (name, loss), found in groups.items():
        cells = []
        for metric in ("accuracy", "auc", "tar", "far"):
            values = [row[metric] for row in found]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            cells.append(f"{metric} {statistics.mean(values):.3f} ± {spread:.3f}")
        print(f"{name:10s} {loss:24s} {'  '.join(cells)}")


def main() -> None:
    """Prints the table and writes every run where ``--out`` says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a finished comparison")
    parser.add_argument("--out", type=Path, help="write every run's row as CSV")
    options = parser.parse_args()
    rows = measure_all(options.folder)
    show(rows)
    if options.out:
        write_table(options.out, rows)


if __name__ == "__main__":
    main()
