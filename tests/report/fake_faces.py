"""A run folder of a face network, made from drawn identities without training anything."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import torch
import yaml
from fake_run import ENVIRONMENT
from safetensors.torch import save_file
from torch import Tensor

from monge.data.images import ImageSet
from monge.data.pair_draws import draw_pairs
from monge.data.synthetic.drawn_identities import draw_identities
from monge.metrics.verification import pair_distances, verification_metrics

RECIPE: dict[str, Any] = {
    "name": "fake-faces",
    "title": "Drawn faces under ArcFace and transport",
    "task": "face",
    "data": {"name": "drawn", "source": "packaged"},
    "loss": {"name": "otface", "margin": "arcface"},
    "seed": 3,
}
SOURCE = "packaged: drawn faces"


@cache
def pair_set(name: str, noise: float, seed: int, *, people: int = 20, size: int = 48) -> dict[str, Tensor]:
    """Pairs with embeddings around one centre a person, more or less noisy, and maps that follow the picture."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(people).repeat_interleave(6)
    drawn = torch.from_numpy(draw_identities(labels + 60, size=size, yaw=0.6, seed=seed).images)
    pairs = draw_pairs(ImageSet(drawn, labels), name=name, source=SOURCE, per_fold=12)
    centres = torch.randn(people, 16, generator=generator)
    vectors = centres[labels] + noise * torch.randn(len(labels), 16, generator=generator)
    cells = torch.nn.functional.unfold(drawn.float() / 255 - 0.5, size // 4, stride=size // 4)
    mixed = torch.randn(24, cells.shape[1], generator=generator) @ cells
    return {
        f"{name}/first": pairs.first,
        f"{name}/second": pairs.second,
        f"{name}/same": pairs.same,
        f"{name}/folds": pairs.folds,
        f"{name}/embeddings": vectors,
        f"{name}/images": drawn,
        f"{name}/maps": mixed.reshape(len(labels), 24, 4, 4).half(),
    }


def stored_pairs() -> dict[str, Tensor]:
    """Two sets of pairs, the second one harder."""
    return {key: value.clone() for key, value in (pair_set("test", 0.7, 1) | pair_set("hard", 1.1, 2)).items()}


def scores(tensors: dict[str, Tensor]) -> dict[str, float]:
    """The test metrics that belong to the tensors."""
    found: dict[str, float] = {}
    for name in dict.fromkeys(key.split("/")[0] for key in tensors):
        first, second, same, folds, vectors = (
            tensors[f"{name}/{part}"] for part in ("first", "second", "same", "folds", "embeddings")
        )
        distances = pair_distances(vectors, first, second)
        values = verification_metrics(distances, same, folds, protocol="exact", fars=(1e-1, 1e-2))
        found |= {f"test/{name}/{key}": value for key, value in values.items()}
    return found | {"test/accuracy": sum(v for k, v in found.items() if k.endswith("/accuracy")) / 2}


def make_face_run(folder: Path, tensors: dict[str, Tensor] | None = None, names: list[str] | None = None) -> Path:
    """Writes a complete run folder."""
    tensors = stored_pairs() if tensors is None else tensors
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE, sort_keys=False))
    environment = {**ENVIRONMENT, "data": {**ENVIRONMENT["data"], "name": "drawn", "source": SOURCE}}
    (folder / "environment.json").write_text(json.dumps(environment))
    lines: list[dict[str, float]] = []
    for step in range(1, 241):
        lines.append({"step": step, "epoch": step // 60, "train/loss": 12 * math.exp(-step / 90) + 3})
        if step % 40 == 0:
            lines.append({"step": step, "epoch": step // 60, "val/accuracy": 0.9 - math.exp(-step / 80)})
    lines.append({"step": 240, "epoch": 4, **scores(tensors)})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_pairs(folder, tensors, names or ["test", "hard"])
    return folder


def write_pairs(folder: Path, tensors: dict[str, Tensor], names: list[str]) -> None:
    """Writes ``verification.safetensors``."""
    kept = {key: tensor.contiguous() for key, tensor in tensors.items()}
    save_file(kept, folder / "verification.safetensors", metadata={"source": SOURCE, "sets": json.dumps(names)})
