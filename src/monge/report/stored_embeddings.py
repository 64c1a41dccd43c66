"""The test embeddings a run stored, with their labels and pictures; sampled down where there are very many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from monge.report.stored_tensors import are_pictures, class_names, read_tensors
from monge.report.svg import clean

_LARGEST = 1e15
MOST_ITEMS = 20_000
"""A larger test set is sampled: distances between all its items would take minutes and tell nothing more."""


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
    found = stored.tensors
    vectors, labels = found.get("test/embeddings"), found.get("test/labels")
    if vectors is None or labels is None:
        return f"{path.name}: found no test/embeddings with test/labels in it"
    if (
        vectors.ndim != 2
        or not vectors.is_floating_point()
        or labels.shape != vectors.shape[:1]
        or labels.is_floating_point()
    ):
        shapes = f"{tuple(vectors.shape)} {vectors.dtype} and {tuple(labels.shape)} {labels.dtype}"
        return f"{path.name}: found test/embeddings and test/labels of {shapes}, expected float (N, D) and integer (N,)"
    return _checked(path.name, vectors, labels, (found.get("test/images"), found.get("test/views")), stored.metadata)


def _checked(
    name: str,
    vectors: Tensor,
    labels: Tensor,
    seen: tuple[Tensor | None, Tensor | None],
    metadata: Mapping[str, str],
) -> StoredEmbeddings | str:
    total = len(vectors)
    problems = []
    images, views = seen
    if views is not None and (views.ndim != 5 or not are_pictures(views[:, 0], total)):
        problems.append(f"test/views of {tuple(views.shape)} {views.dtype} are not views, left out")
        views = None
    if images is not None and not are_pictures(images, total):
        problems.append(f"test/images of {tuple(images.shape)} {images.dtype} are not pictures, left out")
        images = None
    rows = torch.arange(total)
    if total > MOST_ITEMS:
        rows = torch.randperm(total, generator=torch.Generator().manual_seed(0))[:MOST_ITEMS].sort().values
    # Indexing comes before conversion: the file is mapped into memory, and only the sampled rows are then read.
    vectors, labels = vectors[rows].float(), labels[rows].long()
    # Squares of larger values leave float32; such a model has exploded.
    good = (vectors.isfinite() & (vectors.abs() < _LARGEST)).all(dim=1) & (labels >= 0)
    if not good.all():
        problems.append(
            f"{int((~good).sum())} items with values that are NaN or beyond 1e15 or a negative label left out"
        )
    if int(good.sum()) < 2:
        return f"{name}: found fewer than two items with finite embeddings below 1e15"
    present, labels = torch.unique(labels[good], return_inverse=True)
    problem = f"{name}: " + "; ".join(problems) if problems else ""
    source = clean(metadata.get("source", ""), 400)
    classes = class_names(metadata.get("classes", ""), present.tolist())
    return StoredEmbeddings(vectors[good], labels, classes, images, rows[good], total, source, problem, views)
