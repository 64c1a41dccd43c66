"""Test items as runs store them, embeddings with labels and pictures: checked, and sampled where there are many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from monge.report.stored_tensors import are_pictures

MOST_ITEMS = 20_000
"""A larger set is sampled: distances between all its items would take minutes and tell nothing more."""

# Squares of larger values leave float32; such a model has exploded.
_LARGEST = 1e15


@dataclass(frozen=True)
class StoredItems:
    """The items of one set that can be used.

    Args:
        vectors: Embeddings, float32 ``(N, D)``, finite.
        labels: As stored, int64 ``(N,)``, not negative.
        images: Pictures of the file, uint8 ``(total, C, H, W)``, or ``None``.
        views: Views of the file, uint8 ``(total, V, C, H, W)``, or ``None``.
        rows: Row of each item in those, int64 ``(N,)``.
        total: Items in the file, ``N`` or more.
    """

    vectors: Tensor
    labels: Tensor
    images: Tensor | None
    views: Tensor | None
    rows: Tensor
    total: int


def stored_items(prefix: str, tensors: Mapping[str, Tensor], problems: list[str]) -> StoredItems | str:
    """The items under a name; a sentence where there are none that could be read.

    Args:
        prefix: What the names of their tensors begin with.
        tensors: The file.
        problems: Takes a sentence for each thing that is left out.

    Example:
        >>> found = {"test/embeddings": torch.eye(2), "test/labels": torch.tensor([0, -1])}
        >>> problems = []
        >>> len(stored_items("test", found, problems).vectors), problems
        (1, ['1 items of test with values that are NaN or beyond 1e15 or a negative label left out'])
    """
    vectors, labels = tensors.get(f"{prefix}/embeddings"), tensors.get(f"{prefix}/labels")
    if vectors is None or labels is None:
        return f"found no {prefix}/embeddings with {prefix}/labels in it"
    right = vectors.ndim == 2 and vectors.is_floating_point() and labels.shape == vectors.shape[:1]
    if not right or labels.is_floating_point():
        shapes = f"{tuple(vectors.shape)} {vectors.dtype} and {tuple(labels.shape)} {labels.dtype}"
        return f"found {prefix}/embeddings and {prefix}/labels of {shapes}, expected float (N, D) and integer (N,)"
    total = len(vectors)
    images, views = _seen(prefix, tensors, total, problems)
    rows = torch.arange(total)
    if total > MOST_ITEMS:
        rows = torch.randperm(total, generator=torch.Generator().manual_seed(0))[:MOST_ITEMS].sort().values
    # Indexing comes before conversion: the file is mapped into memory, and only the sampled rows are then read.
    vectors, labels = vectors[rows].float(), labels[rows].long()
    good = (vectors.isfinite() & (vectors.abs() < _LARGEST)).all(dim=1) & (labels >= 0)
    if not good.all():
        told = "with values that are NaN or beyond 1e15 or a negative label left out"
        problems.append(f"{int((~good).sum())} items of {prefix} {told}")
    return StoredItems(vectors[good], labels[good], images, views, rows[good], total)


def _seen(
    prefix: str, tensors: Mapping[str, Tensor], total: int, problems: list[str]
) -> tuple[Tensor | None, Tensor | None]:
    images, views = tensors.get(f"{prefix}/images"), tensors.get(f"{prefix}/views")
    if images is not None and not are_pictures(images, total):
        problems.append(f"{prefix}/images of {tuple(images.shape)} {images.dtype} are not pictures, left out")
        images = None
    if views is not None and (views.ndim != 5 or not are_pictures(views[:, 0], total)):
        problems.append(f"{prefix}/views of {tuple(views.shape)} {views.dtype} are not views, left out")
        views = None
    return images, views
