"""Chance and ridge regression on the packaged pairs, to set beside what networks learn from the same features.

Ridge regression maps the features of pictures (clips: the mean over frames) to those of sentences, both centred; items
are compared by cosine. Its strength is chosen on the validation part, by the figure that chooses the networks' epochs.

    python benchmarks/ridge_pairs.py --out benchmarks/results/ridge_pairs.csv
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from result_table import write_table
from torch import Tensor

from monge.data.cross_modal import CrossModalSplits
from monge.data.pairs import load_pairs
from monge.metrics.cross_modal import cross_modal_retrieval

STRENGTHS = [10.0**power for power in range(-2, 6)]
COLUMNS = ["data", "method", "strength", "part", "q2g_r1", "q2g_r5", "q2g_r10", "q2g_medr"]
COLUMNS += ["g2q_r1", "g2q_r5", "g2q_r10", "g2q_medr", "geometric_mean"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", nargs="*", default=["stamps", "emoji-clips"])
    arguments = parser.parse_args()
    rows = [row for name in arguments.data for row in measured(name)]
    write_table(arguments.out, [{name: row.get(name) for name in COLUMNS} for row in rows])
    for row in rows:
        print(row)


def measured(name: str) -> list[dict[str, object]]:
    """Chance and ridge regression on one data set."""
    splits = load_pairs(name, tokens="mean", frames="mean")
    found = {strength: figures(splits, "val", strength)["geometric_mean"] for strength in STRENGTHS}
    best = max(found, key=lambda strength: found[strength])
    rows = [
        {"data": name, "method": "chance", "part": "test", **chance(splits)},
        *(
            {"data": name, "method": "ridge", "strength": best, "part": part, **figures(splits, part, best)}
            for part in ("val", "test")
        ),
    ]
    return [{key: round(v, 4) if isinstance(v, float) else v for key, v in row.items()} for row in rows]


def figures(splits: CrossModalSplits, part: str, strength: float) -> dict[str, float]:
    """Retrieval in a part by the map that the training part gives."""
    texts, pictures, wanted = training_pairs(splits)
    centre, middle = pictures.mean(0), texts.mean(0)
    x, y = pictures - centre, wanted - wanted.mean(0)
    way = torch.linalg.solve(x.T @ x + strength * torch.eye(x.shape[1], dtype=x.dtype), x.T @ y)
    queries, gallery = splits.part(part)
    asked = queries.inputs(torch.arange(len(queries))).double() - middle
    there = (gallery.inputs(torch.arange(len(gallery))).double() - centre) @ way
    return cross_modal_retrieval(
        asked.float(), there.float(), queries.labels, gallery.labels, distance="cosine", recall_at=(1, 5, 10)
    )


def training_pairs(splits: CrossModalSplits) -> tuple[Tensor, Tensor, Tensor]:
    """Features of captions, of pictures, and for each picture the mean of its captions."""
    queries, gallery = splits.part("train")
    texts = queries.inputs(torch.arange(len(queries))).double()
    pictures = gallery.inputs(torch.arange(len(gallery))).double()
    wanted = torch.stack([texts[queries.labels == label].mean(0) for label in gallery.labels])
    return texts, pictures, wanted


def chance(splits: CrossModalSplits, draws: int = 200) -> dict[str, float]:
    """The mean over random embeddings."""
    queries, gallery = splits.part("test")
    random = torch.Generator().manual_seed(0)
    totals: dict[str, float] = {}
    for _ in range(draws):
        sides = (torch.randn(len(side), 16, generator=random) for side in (queries, gallery))
        labels = (queries.labels, gallery.labels)
        found = cross_modal_retrieval(*sides, *labels, distance="cosine", recall_at=(1, 5, 10))
        for name in COLUMNS[4:]:
            totals[name] = totals.get(name, 0.0) + found[name] / draws
    return totals


if __name__ == "__main__":
    main()
