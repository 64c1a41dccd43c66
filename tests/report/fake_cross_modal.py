"""Run folders of two modalities, made from tensors: drawings and shapes by class, sentences and stamps by pair."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import yaml
from fake_run import ENVIRONMENT
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import normalize

CLASSES = ("bed", "chair", "lamp", "sofa", "table")


def drawings_and_shapes() -> tuple[dict[str, Tensor], dict[str, str]]:
    """40 drawings and 25 shapes of six views around one centre a class; lamps are drawn badly."""
    generator = torch.Generator().manual_seed(3)
    centres = normalize(torch.randn(5, 8, generator=generator), dim=1)
    tensors = {}
    for side, count in (("query", 40), ("gallery", 25)):
        labels = torch.arange(count) % 5
        noise = torch.where((labels == 2) & (side == "query"), 2.0, 0.3)[:, None]
        points = centres[labels] + noise * torch.randn(count, 8, generator=generator)
        tensors |= {f"test/{side}/embeddings": normalize(points, dim=1), f"test/{side}/labels": labels}
    tensors["test/query/images"] = torch.randint(0, 255, (40, 1, 20, 20), generator=generator).to(torch.uint8)
    tensors["test/gallery/views"] = torch.randint(0, 255, (25, 6, 1, 20, 20), generator=generator).to(torch.uint8)
    names = {"query_name": "drawing", "gallery_name": "shape", "paired": "false"}
    return tensors, {"classes": json.dumps(CLASSES), "source": "packaged: drawn blobs", **names}


def sentences_and_stamps() -> tuple[dict[str, Tensor], dict[str, str]]:
    """60 sentences, two a stamp."""
    generator = torch.Generator().manual_seed(4)
    stamps, labels = normalize(torch.randn(30, 8, generator=generator), dim=1), torch.arange(30).repeat_interleave(2)
    sentences = normalize(stamps[labels] + 0.5 * torch.randn(60, 8, generator=generator), dim=1)
    tensors = {
        "test/query/embeddings": sentences,
        "test/query/labels": labels,
        "test/gallery/embeddings": stamps,
        "test/gallery/labels": torch.arange(30),
        "test/gallery/images": torch.randint(0, 255, (30, 3, 40, 40), generator=generator).to(torch.uint8),
    }
    texts = [f"a red king number {i}" for i in range(60)]
    names = {"query_name": "sentence", "gallery_name": "stamp", "paired": "true", "query_texts": json.dumps(texts)}
    return tensors, {"classes": json.dumps([str(i) for i in range(30)]), "source": "packaged: drawn blobs", **names}


def make_run(
    folder: Path,
    stored: tuple[dict[str, Tensor], dict[str, str]],
    metrics: dict[str, float],
    **loss: Any,
) -> Path:
    """Writes a run folder.

    Args:
        folder: Where to.
        stored: Tensors and metadata of ``embeddings.safetensors``.
        metrics: The final ones.
        **loss: The recipe's ``loss`` section.
    """
    folder.mkdir(parents=True)
    save_file(stored[0], folder / "embeddings.safetensors", metadata=stored[1])
    rows = [{"step": s, "epoch": s, "train/loss": 2 / s, "val/map": 0.1 * s} for s in range(1, 6)]
    lines = [*rows, {"step": 6, "epoch": 6, **metrics}]
    (folder / "metrics.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    recipe = {
        "name": "fake",
        "task": "cross-modal",
        "title": "Two sides",
        "data": {"name": "blobs", "source": "packaged: drawn blobs"},
        "loss": loss,
        "sampler": {"name": "two-modality", "classes_per_batch": 4, "queries_per_class": 3, "gallery_per_class": 2},
        "evaluate": {"distance": "cosine"},
        "seed": 0,
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    (folder / "environment.json").write_text(json.dumps(ENVIRONMENT))
    return folder
