"""What a cross-modal run stored of its test queries and of their gallery: embeddings, labels, pictures, texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from monge.report.stored_items import MOST_ITEMS, stored_items
from monge.report.stored_tensors import class_names, parsed, read_tensors
from monge.report.svg import clean

_LONGEST_TEXT = 240


@dataclass(frozen=True)
class StoredSide:
    """The test items of one modality.

    Args:
        name: What one of them is called.
        vectors: Embeddings, float32 ``(N, D)``, finite.
        labels: Class or pair numbers, int64 ``(N,)``.
        images: Pictures of the file, uint8 ``(total, C, H, W)``, or ``None``.
        views: Views of the file, uint8 ``(total, V, C, H, W)``, or ``None``.
        texts: Texts of the file, or ``None``.
        rows: Row of each item in those, int64 ``(N,)``.
        total: Items in the file, ``N`` or more.
    """

    name: str
    vectors: Tensor
    labels: Tensor
    images: Tensor | None
    views: Tensor | None
    texts: tuple[str, ...] | None
    rows: Tensor
    total: int

    @property
    def seen(self) -> bool:
        """Whether there is a picture of each item."""
        return self.images is not None or self.views is not None

    def strip(self, index: int) -> Tensor | None:
        """All views of one item, ``(V, C, H, W)``; one for a picture, ``None`` where there is nothing to see."""
        row = int(self.rows[index])
        if self.views is not None:
            return self.views[row]
        return None if self.images is None else self.images[row : row + 1]

    def pictures(self, indices: Tensor) -> Tensor | None:
        """One picture of each of some items, ``(K, C, H, W)``; of views the second, a half profile."""
        if self.views is not None:
            return self.views[self.rows[indices], min(1, self.views.shape[1] - 1)]
        return None if self.images is None else self.images[self.rows[indices]]

    def text(self, index: int) -> str:
        """What one item says; empty where there are no texts."""
        return "" if self.texts is None else clean(self.texts[int(self.rows[index])], _LONGEST_TEXT)


@dataclass(frozen=True)
class StoredCrossModal:
    """Queries and gallery of a run.

    Args:
        query: The queries.
        gallery: What they search.
        classes: Printable names of the labels that occur; of pairs their numbers.
        paired: Whether labels name pairs and not classes.
        source: Which data they are of, as the file says; empty if it does not.
        problem: What is wrong with the file; empty if nothing is.
    """

    query: StoredSide
    gallery: StoredSide
    classes: tuple[str, ...]
    paired: bool
    source: str
    problem: str = ""

    def sides(self) -> tuple[StoredSide, StoredSide]:
        """Queries, then gallery."""
        return self.query, self.gallery


def load_cross_modal(path: Path) -> StoredCrossModal | str:
    """Reads ``embeddings.safetensors`` of a cross-modal run; returns a sentence where that is not possible."""
    stored = read_tensors(path, prefix="test/")
    if isinstance(stored, str):
        return stored
    problems: list[str] = []
    found = []
    for side in ("query", "gallery"):
        made = _side(side, stored.tensors, stored.metadata, problems)
        if isinstance(made, str):
            return f"{path.name}: {made}"
        found.append(made)
    query, gallery = found
    if query.vectors.shape[1] != gallery.vectors.shape[1]:
        widths = f"{query.vectors.shape[1]} and {gallery.vectors.shape[1]}"
        return f"{path.name}: found embeddings of {widths} numbers, expected both sides as long"
    present = torch.unique(torch.cat([query.labels, gallery.labels]))
    for side_of in found:
        side_of.labels.copy_(torch.searchsorted(present, side_of.labels))
    classes = class_names(stored.metadata.get("classes", ""), present.tolist())
    problem = f"{path.name}: " + "; ".join(problems) if problems else ""
    source = clean(stored.metadata.get("source", ""), 400)
    return StoredCrossModal(query, gallery, classes, stored.metadata.get("paired") == "true", source, problem)


def is_cross_modal(path: Path) -> bool:
    """Whether a file holds queries and a gallery; ``False`` where it cannot be read."""
    stored = read_tensors(path, prefix="test/query/labels")
    return not isinstance(stored, str) and bool(stored.tensors)


def _side(
    side: str, tensors: Mapping[str, Tensor], metadata: Mapping[str, str], problems: list[str]
) -> StoredSide | str:
    prefix = f"test/{side}"
    items = stored_items(prefix, tensors, problems)
    if isinstance(items, str):
        return items
    if items.total > MOST_ITEMS:
        problems.append(f"{MOST_ITEMS:,} of {items.total:,} items of {prefix} taken, drawn with seed 0")
    if not len(items.vectors):
        return f"found no item of {prefix} with finite embeddings"
    name = clean(metadata.get(f"{side}_name", ""), 40) or ("query" if side == "query" else "gallery item")
    texts = _texts(f"{side}_texts", metadata, items.total, problems)
    return StoredSide(name, items.vectors, items.labels, items.images, items.views, texts, items.rows, items.total)


def _texts(key: str, metadata: Mapping[str, str], total: int, problems: list[str]) -> tuple[str, ...] | None:
    if key not in metadata:
        return None
    texts = parsed(metadata[key])
    if not isinstance(texts, list) or len(texts) != total:
        problems.append(f"{key}: expected a list of {total:,} texts, left out")
        return None
    return tuple(str(text) for text in texts)
