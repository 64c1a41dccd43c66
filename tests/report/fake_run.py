"""A small run folder and a small comparison, made from tensors without training anything."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file

METRICS = {
    "test/map": 0.912345678,
    "test/nn": 0.95,
    "test/knn": 0.961,
    "test/svm": 0.9625,
    "test/ft": 0.85,
    "test/queries": 48.0,
}

RECIPE: dict[str, Any] = {
    "name": "fake",
    "title": "Blobs under the batch-wise loss",
    "data": {"name": "blobs", "source": "packaged"},
    "loss": {"name": "batchwise_ot", "margin": 1.0, "gamma": 10.0, "epsilon": 0.2},
    "sampler": {"name": "balanced", "classes_per_batch": 4, "samples_per_class": 6},
    "evaluate": {"distance": "euclidean"},
    "expected": {"source": "packaged", "metrics": {"test/map": [0.9, 0.93]}, "note": "three seeds"},
    "seed": 7,
}

ENVIRONMENT: dict[str, Any] = {
    "monge": "0.1.0",
    "torch": "2.14.1",
    "python": "3.11",
    "platform": "Linux",
    "device": "cpu",
    "threads": 1,
    "started": "2026-01-01T10:00:00",
    "finished": "2026-01-01T10:02:14",
    "train_seconds": 134.0,
    "data": {"name": "blobs", "source": "packaged: drawn blobs", "definition": "A fixed split."},
    "seed": 7,
    "resumed": 1,
    "packages": {"lightning": "2.6.6", "timm": None},
}


def blobs(count: int = 48, classes: int = 4, size: int = 12, channels: int = 1) -> dict[str, torch.Tensor]:
    """Unit vectors around one centre a class, some in between, and pictures whose brightness tells the class."""
    generator = torch.Generator().manual_seed(5)
    labels = torch.arange(count) % classes
    centres = torch.nn.functional.normalize(torch.randn(classes, 8, generator=generator), dim=1)
    vectors = torch.nn.functional.normalize(centres[labels] + 0.35 * torch.randn(count, 8, generator=generator), dim=1)
    noise = torch.randint(0, 40, (count, channels, size, size), generator=generator)
    images = (noise + 200 * labels[:, None, None, None] // classes).to(torch.uint8)
    return {"test/embeddings": vectors, "test/labels": labels, "test/images": images}


def records() -> list[dict[str, float]]:
    """Lines of ``metrics.jsonl``: a falling loss, four validations, the test."""
    lines: list[dict[str, float]] = []
    for step in range(1, 121):
        lines.append({"step": step, "epoch": step // 30, "time": step / 10, "train/loss": 2.0 * math.exp(-step / 25)})
        if step % 30 == 0:
            lines.append({"step": step, "epoch": step // 30, "val/map": 0.5 + step / 300, "val/nn": 0.6 + step / 400})
    return [*lines, {"step": 120, "epoch": 4, **METRICS}]


def make_run(folder: Path, *, classes: list[str] | None = None, recipe: dict[str, Any] | None = None) -> Path:
    """Writes a complete run folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe or RECIPE, sort_keys=False))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in records()))
    (folder / "environment.json").write_text(json.dumps(ENVIRONMENT))
    write_embeddings(folder, blobs(), classes or ["ant", "bee", "cat", "dog"])
    return folder


def write_embeddings(folder: Path, tensors: dict[str, torch.Tensor], classes: list[str]) -> None:
    """Writes ``embeddings.safetensors``."""
    metadata = {"classes": json.dumps(classes), "source": "packaged: drawn blobs"}
    save_file(tensors, folder / "embeddings.safetensors", metadata=metadata)


def comparison() -> dict[str, Any]:
    """The content of a ``compare.json`` with three losses and two seeds; the last loss diverged once."""
    losses = []
    for name, top in (("triplet", 0.90), ("batchwise_ot", 0.95), ("n_pairs", 0.80)):
        runs: list[dict[str, Any]] = []
        for seed in (0, 1):
            curve = [{"step": 50 * k, "val/map": top - 0.3 / k + 0.001 * seed} for k in range(1, 9)]
            test = {"test/map": top + 0.002 * seed, "test/nn": top + 0.01}
            runs.append(
                {"seed": seed, "path": f"runs/{name}/seed{seed}", "test": test, "curve": curve, "train_seconds": 12.5}
            )
        goal = {"target": 0.85, "median": None if name == "n_pairs" else 150.0}
        losses.append(
            {
                "name": name,
                "lr": 0.001,
                "search": [
                    {"lr": lr, "val/map": top - 50 * abs(lr - 0.001), "extension": False} for lr in (3e-4, 1e-3)
                ],
                "runs": runs,
                "mean": {"test/map": top + 0.001, "test/nn": top + 0.01},
                "interval": {"test/map": 0.0127, "test/nn": None},
                "steps_to_target": goal,
            }
        )
    losses[2]["runs"][1].update(test={}, diverged="training diverged at step 90")  # type: ignore[attr-defined]
    return {
        "recipe": "fake",
        "data": ENVIRONMENT["data"],
        "seeds": [0, 1],
        "budget": {"steps": 400, "batch": 24, "model": "lenet5"},
        "search": {"lrs": [3e-4, 1e-3], "on": "val/map", "seed": 1000, "rule": "highest val/map"},
        "target": {"val/map": 0.85, "rule": "given"},
        "command": "monge compare fake --losses triplet,batchwise_ot,n_pairs --seeds 2",
        "losses": losses,
    }


def make_comparison(folder: Path, content: dict[str, Any] | None = None) -> Path:
    """Writes a folder with ``compare.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "compare.json").write_text(json.dumps(comparison() if content is None else content))
    return folder
