"""The test embeddings a run stored, with their labels and pictures; sampled down where there are very many."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from monge.report.stored_items import stored_items
from monge.report.stored_tensors import class_names, read_tensors
from monge.report.svg import clean


@dataclass(frozen=True)
class StoredEmbeddings:
    """Test items of a run.

    Args:
        vectors: Embeddings, float32 ``(N, D)``, finite.
        labels: Class numbers, int64 ``(N,)``, counted without gaps over the classes that occur.
        classes: Printable names of the classes that occur.
        images: All pictures of the file, uint8 ``(total, C, H, W)`` mapped from disk, or ``None``.
        rows: Row of each item in ``images``, int64 ``(N,)``.
        total: Items in the file, ``N`` or more.
        source: Which data they are of, as the file says; empty if it does not.
        problem: What is wrong with the file; empty if nothing is.
        views: Views of every item of the file, uint8 ``(total, V, C, H, W)``, or ``None``.
    """

    vectors: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    images: Tensor | None
    rows: Tensor
    total: int
    source: str
    problem: str = ""
    views: Tensor | None = None

    def name(self, index: int) -> str:
        """Class name of one item."""
        return self.classes[int(self.labels[index])]

    def pictures(self, indices: Tensor) -> Tensor | None:
        """Pictures ``(K, C, H, W)`` of some items, read from disk now; ``None`` if the run stored none."""
        return None if self.images is None else self.images[self.rows[indices]]

    def strip(self, index: int) -> Tensor | None:
        """Views of one item, ``(V, C, H, W)``; ``None`` if the run stored none."""
        return None if self.views is None else self.views[int(self.rows[index])]


def load_embeddings(path: Path) -> StoredEmbeddings | str:
    """Reads ``embeddings.safetensors``; returns a sentence where that is not possible."""
    stored = read_tensors(path, prefix="test/")
    if isinstance(stored, str):
        return stored
    problems: list[str] = []
    items = stored_items("test", stored.tensors, problems)
    if isinstance(items, str):
        return f"{path.name}: {items}"
    if len(items.vectors) < 2:
        return f"{path.name}: found fewer than two items with finite embeddings below 1e15"
    present, labels = torch.unique(items.labels, return_inverse=True)
    problem = f"{path.name}: " + "; ".join(problems) if problems else ""
    source = clean(stored.metadata.get("source", ""), 400)
    classes = class_names(stored.metadata.get("classes", ""), present.tolist())
    return StoredEmbeddings(
        items.vectors, labels, classes, items.images, items.rows, items.total, source, problem, items.views
    )
