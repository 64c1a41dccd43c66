"""Run folders of a classifier, made from tensors: classes on a circle or a line, a ground distance that is learned."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
import yaml
from fake_run import ENVIRONMENT
from safetensors.torch import save_file
from torch import Tensor

from monge.metrics import ordinal_metrics

NAMES = ["Fair", "Good", "Very Good", "Premium", "Ideal"]

RECIPE: dict[str, Any] = {
    "name": "fake-classes",
    "title": "Grades under the squared EMD loss",
    "task": "classification",
    "data": {"name": "grades", "source": "packaged"},
    "loss": {"name": "xemd2", "ground": "learned"},
    "evaluate": {"decode": "argmax", "select": None},
    "seed": 3,
}


def predictions(count: int = 300, classes: int = 5, seed: int = 0) -> dict[str, Tensor]:
    """Forecasts of ordered classes: mass around the truth, some of it far off, and pictures of both extremes."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (count,), generator=generator)
    centre = labels + 0.9 * torch.randn(count, generator=generator)
    width = 0.3 + 1.2 * torch.rand(count, 1, generator=generator)
    logits = -((torch.arange(classes) - centre[:, None]) ** 2) / width
    probabilities = logits.softmax(dim=1)
    shown = torch.arange(min(count, 48))
    images = torch.randint(0, 60, (len(shown), 1, 12, 12), generator=generator)
    images = (images + 180 * labels[shown][:, None, None, None] // classes).to(torch.uint8)
    return {
        "test/probabilities": probabilities,
        "test/labels": labels,
        "test/shown": shown,
        "test/images": images,
    }


def distances(classes: int = 5, epochs: int = 8) -> dict[str, Tensor]:
    """A distance that settles from noise to neighbourhood on a ring."""
    generator = torch.Generator().manual_seed(1)
    angle = torch.arange(classes) * 2 * math.pi / classes
    ring = (1 - torch.cos(angle[:, None] - angle)) / 2
    steps = []
    for epoch in range(epochs):
        noise = torch.rand(classes, classes, generator=generator)
        mixed = ring + (noise + noise.T) / (2 + 2 * epoch)
        steps.append((mixed / mixed.max()).fill_diagonal_(0))
    return {"matrix": steps[-1], "history": torch.stack(steps), "epochs": torch.arange(1, epochs + 1)}


def metadata(classes: list[str], *, ordered: bool = True, positions: list[float] | None = None) -> dict[str, str]:
    """What is stored beside the predictions."""
    return {
        "classes": json.dumps(classes),
        "source": "packaged: drawn blobs",
        "ordered": json.dumps(ordered),
        "positions": json.dumps(positions),
    }


def records(scores: dict[str, float]) -> list[dict[str, float]]:
    """Lines of ``metrics.jsonl``: loss and its terms, a validation every 30 steps, the test."""
    lines: list[dict[str, float]] = []
    for step in range(1, 241):
        terms = {"train/cross_entropy": 1.5 * math.exp(-step / 70) + 0.2, "train/emd": 0.4 * math.exp(-step / 50)}
        total = terms["train/cross_entropy"] + 0.3 * terms["train/emd"]
        lines.append({"step": step, "epoch": step // 30, "train/loss": total, **terms, "train/emd_weight": 0.3})
        if step % 30 == 0:
            worse = 1 + math.exp(-step / 60)
            shown = {f"val/{k}": v * worse if k in ("mae", "rps", "nll") else v / worse for k, v in scores.items()}
            lines.append({"step": step, "epoch": step // 30, **shown})
    return [*lines, {"step": 240, "epoch": 8, **{f"test/{k}": v for k, v in scores.items()}}]


def make_classification(
    folder: Path,
    *,
    classes: list[str] | None = None,
    ordered: bool = True,
    tensors: dict[str, Tensor] | None = None,
    ground: dict[str, Tensor] | None = None,
    recipe: dict[str, Any] | None = None,
) -> Path:
    """Writes a complete run folder."""
    folder.mkdir(parents=True, exist_ok=True)
    stored = predictions() if tensors is None else tensors
    names = classes or NAMES
    scores = ordinal_metrics(stored["test/probabilities"], stored["test/labels"], ordered=ordered)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe or RECIPE, sort_keys=False))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in records(scores)))
    (folder / "environment.json").write_text(json.dumps(ENVIRONMENT))
    save_file(stored, folder / "predictions.safetensors", metadata=metadata(names, ordered=ordered))
    kind = {"kind": "learned", "classes": json.dumps(names)}
    save_file(distances() if ground is None else ground, folder / "ground.safetensors", metadata=kind)
    return folder


def ordinal_comparison() -> dict[str, Any]:
    """The content of a ``compare.json`` of ordered classes: four losses, three seeds, paired tests on three metrics."""
    levels = {"cross_entropy": 0.62, "squared_emd": 0.52, "xemd1": 0.55, "coral": 0.60}
    losses = [_compared(name, level) for name, level in levels.items()]
    names = list(levels)
    paired = []
    for metric, scale in (("test/mae", 1.0), ("test/qwk", -0.5), ("test/rps", 0.8)):
        for i, a in enumerate(names):
            for b in names[i + 1 :]:
                gap = scale * (levels[a] - levels[b])
                clear = abs(levels[a] - levels[b]) > 0.06
                test = {"a": a, "b": b, "metric": metric, "difference": gap, "interval": 0.05}
                paired.append({**test, "p": 0.004 if clear else 0.3, "p_holm": 0.02 if clear else 0.9})
                paired[-1]["significant"] = clear
    return {
        "recipe": "diamonds",
        "data": {"name": "diamonds", "source": "packaged: drawn table", "definition": "A fixed split."},
        "seeds": [0, 1, 2],
        "budget": {"steps": 400, "batch": 64, "model": "mlp"},
        "search": {"lrs": [3e-4, 1e-3, 3e-3], "on": "val/mae", "seed": 1000, "rule": "lowest val/mae"},
        "select": {"metric": "val/mae", "higher_is_better": False},
        "target": {"val/mae": 0.6, "rule": "given"},
        "command": "monge compare diamonds --losses cross-entropy,squared-emd,xemd1,coral --seeds 3",
        "losses": losses,
        "paired": paired,
        "paired_rule": "paired two-sided t-test over seeds",
    }


def _compared(name: str, level: float) -> dict[str, Any]:
    runs = []
    for seed in range(3):
        curve = [{"step": 50 * k, "val/mae": level + 0.5 / k + 0.004 * seed} for k in range(1, 9)]
        test = {"test/mae": level + 0.01 * seed, "test/accuracy": 0.9 - level / 2, "test/within_one": 1.1 - level / 3}
        test |= {"test/qwk": 1.1 - level / 2 + 0.005 * seed, "test/rps": 0.8 * level - 0.003 * seed}
        runs.append(
            {"seed": seed, "path": f"runs/{name}/seed{seed}", "test": test, "curve": curve, "train_seconds": 9.0}
        )
    return {
        "name": name,
        "lr": 0.001,
        "search": [{"lr": lr, "val/mae": level + 90 * abs(lr - 0.001)} for lr in (3e-4, 1e-3, 3e-3)],
        "runs": runs,
        "mean": {key: sum(run["test"][key] for run in runs) / 3 for key in runs[0]["test"]},
        "interval": dict.fromkeys(runs[0]["test"], 0.02),
        "steps_to_target": {"target": 0.6, "median": None if level > 0.56 else 300.0},
    }
