"""The pairs a face run was measured on, with the embeddings, pictures and feature maps it stored of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from monge.metrics.telling_pairs import limits_of
from monge.metrics.verification import Verification, pair_distances, verify
from monge.report.stored_tensors import are_pictures, parsed, read_tensors
from monge.report.svg import clean

_LARGEST = 1e15
_MOST_SETS = 12


@dataclass(frozen=True)
class StoredPairs:
    """One set of pairs.

    Args:
        name: What the set is called, printable.
        first: Row of each pair's first picture, int64 ``(P,)``.
        second: Row of its second one.
        same: Whether both show the same identity, bool ``(P,)``.
        folds: Fold of each pair, int64 ``(P,)``.
        embeddings: float32 ``(N, D)``, finite.
        shown: Rows of the pictures that were stored, rising, int64 ``(S,)``.
        images: These pictures, uint8 ``(S, C, H, W)`` mapped from disk, or ``None``.
        maps: Their feature maps ``(S, C, h, w)``, or ``None``.
    """

    name: str
    first: Tensor
    second: Tensor
    same: Tensor
    folds: Tensor
    embeddings: Tensor
    shown: Tensor
    images: Tensor | None
    maps: Tensor | None

    @cached_property
    def distances(self) -> Tensor:
        """Squared distances of the unit embeddings, float64 ``(P,)``."""
        return pair_distances(self.embeddings, self.first, self.second)

    @property
    def similarities(self) -> Tensor:
        """Cosine similarities, float64 ``(P,)``."""
        return 1 - self.distances / 2

    @cached_property
    def found(self) -> Verification:
        """The verdict of each fold by the best threshold there is on the others."""
        return verify(self.distances, self.same, self.folds, protocol="exact")

    @cached_property
    def on_grid(self) -> Verification:
        """The same by the thresholds that InsightFace's program tries."""
        return verify(self.distances, self.same, self.folds, protocol="insightface")

    @cached_property
    def limits(self) -> Tensor:
        """Squared distance below which each pair counts as the same, by the threshold of its fold, ``(P,)``."""
        return limits_of(self.found.thresholds, self.folds)

    def place(self, row: int) -> int | None:
        """Where a picture is among those stored, or ``None``."""
        place = int(torch.searchsorted(self.shown, row))
        return place if place < len(self.shown) and int(self.shown[place]) == row else None


@dataclass(frozen=True)
class StoredVerification:
    """What a face run stored.

    Args:
        sets: The sets of pairs, in the order of the run.
        source: Which data they are of, as the file says; empty if it does not.
        problem: What is wrong with the file; empty if nothing is.
    """

    sets: tuple[StoredPairs, ...]
    source: str
    problem: str = ""


def load_verification(path: Path) -> StoredVerification | str:
    """Reads ``verification.safetensors``; returns a sentence where that is not possible."""
    stored = read_tensors(path)
    if isinstance(stored, str):
        return stored
    listed = parsed(stored.metadata.get("sets", ""))
    names = [str(name) for name in listed] if isinstance(listed, list) else []
    names = names or list(dict.fromkeys(key.rpartition("/")[0] for key in stored.tensors))
    sets, problems = [], []
    for name in names[:_MOST_SETS]:
        pairs = _pairs(name, stored.tensors)
        if isinstance(pairs, str):
            problems.append(f"{clean(name, 40)}: {pairs}")
        else:
            sets.append(pairs)
    problem = f"{path.name}: " + "; ".join(problems) if problems else ""
    if not sets:
        return problem or f"{path.name}: found no set of pairs in it"
    return StoredVerification(tuple(sets), clean(stored.metadata.get("source", ""), 400), problem)


def _pairs(name: str, tensors: Mapping[str, Tensor]) -> StoredPairs | str:
    """A set of pairs, or what is wrong with it."""
    fields = ("first", "second", "same", "folds", "embeddings")
    missing = [field for field in fields if f"{name}/{field}" not in tensors]
    if missing:
        return f"found no {', '.join(missing)}"
    first, second, same, folds, embeddings = (tensors[f"{name}/{field}"] for field in fields)
    numbers = (first, second, same, folds)
    if any(n.shape != first.shape or n.ndim != 1 or n.is_floating_point() for n in numbers):
        shapes = ", ".join(f"{tuple(n.shape)} {n.dtype}" for n in numbers)
        return f"found pairs, labels and folds of {shapes}, expected integers (P,)"
    if embeddings.ndim != 2 or not embeddings.is_floating_point():
        return f"found embeddings of {tuple(embeddings.shape)} {embeddings.dtype}, expected float (N, D)"
    rows = torch.cat([first, second])
    if not len(rows) or int(rows.min()) < 0 or int(rows.max()) >= len(embeddings):
        return f"found pairs of other rows than the {len(embeddings)} embeddings"
    vectors = embeddings.float()
    if not bool((vectors.isfinite() & (vectors.abs() < _LARGEST)).all()):
        return "found embeddings that are NaN or beyond 1e15"
    same = same.bool()
    _, fold = torch.unique(folds, return_inverse=True)
    for left_out in range(int(fold.max()) + 1):
        others = same[fold != left_out]
        if not bool(others.any()) or bool(others.all()):
            return "found folds that leave pairs of one kind only, or none, to learn a threshold from"
    shown = _shown(tensors.get(f"{name}/shown"), len(vectors))
    images, maps = tensors.get(f"{name}/images"), tensors.get(f"{name}/maps")
    if images is not None and not are_pictures(images, len(shown)):
        images = None
    if maps is not None and (maps.ndim != 4 or len(maps) != len(shown) or not maps.is_floating_point()):
        maps = None
    return StoredPairs(clean(name, 40), first.long(), second.long(), same, folds.long(), vectors, shown, images, maps)


def _shown(stored: Tensor | None, total: int) -> Tensor:
    """Rows of the pictures stored: none where they make no sense, all where nothing says which."""
    if stored is None:
        return torch.arange(total)
    if stored.ndim != 1 or stored.is_floating_point() or not bool((stored.long().diff() > 0).all()):
        return torch.empty(0, dtype=torch.int64)
    return stored.long()
