"""Pairs of pictures that show the same identity or do not, and the parts that training for verification needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from monge.data.examples import Examples


@dataclass(frozen=True)
class PairSet:
    """Pairs to be told apart: genuine ones of one identity, impostors of two.

    Args:
        images: The pictures; their labels are identities numbered for this set alone, -1 where the set does not tell.
        first: Place of each pair's first picture in ``images``, int64 ``(P,)``.
        second: Place of its second one, int64 ``(P,)``.
        same: Whether both show the same identity, bool ``(P,)``.
        folds: Fold of each pair, from 0, int64 ``(P,)``: a threshold is chosen on the other folds.
        name: What the set is called, e.g. ``"lfw"``.
        source: One sentence that says which data these really are.

    Raises:
        ValueError: Lengths or kinds that differ, places outside of ``images``, or negative folds.

    Example:
        >>> from monge.data import ImageSet
        >>> images = ImageSet(torch.zeros(3, 3, 8, 8, dtype=torch.uint8), torch.tensor([0, 0, 1]))
        >>> first, second = torch.tensor([0, 0]), torch.tensor([1, 2])
        >>> pairs = PairSet(images, first, second, torch.tensor([True, False]), torch.tensor([0, 1]), "two", "made up")
        >>> len(pairs), pairs.num_folds, pairs.genuine
        (2, 2, 1)
    """

    images: Examples
    first: Tensor
    second: Tensor
    same: Tensor
    folds: Tensor
    name: str
    source: str

    def __post_init__(self) -> None:
        kinds = {"first": torch.int64, "second": torch.int64, "same": torch.bool, "folds": torch.int64}
        for field, dtype in kinds.items():
            value: Tensor = getattr(self, field)
            if value.dtype != dtype or value.shape != self.first.shape or value.ndim != 1:
                found = f"{value.dtype} {tuple(value.shape)}"
                raise ValueError(f"{field} must be {dtype} ({len(self.first)},), got {found}")
        if not len(self.first):
            return
        places = torch.cat([self.first, self.second])
        if not 0 <= int(places.min()) <= int(places.max()) < len(self.images):
            found = f"{int(places.min())} to {int(places.max())}"
            raise ValueError(f"places must be 0 to {len(self.images) - 1}, got {found}")
        if int(self.folds.min()) < 0:
            raise ValueError(f"folds must be 0 or more, got {int(self.folds.min())}")

    def __len__(self) -> int:
        return len(self.first)

    @property
    def num_folds(self) -> int:
        """Number of folds."""
        return int(self.folds.max()) + 1 if len(self.folds) else 0

    @property
    def genuine(self) -> int:
        """Number of pairs of the same identity."""
        return int(self.same.sum())


@dataclass(frozen=True)
class FaceSplits:
    """Identities to learn from, and pairs of others to choose by and to report.

    Args:
        train: What the model learns from; labels are identities.
        val: Pairs that settings and epochs are chosen by.
        test: Pairs that are reported, by name.
        classes: Names of the training identities; label ``k`` is ``classes[k]``.
        source: One sentence that says which data these really are.
        definition: One sentence that says how the parts were made, with their sizes.

    Raises:
        ValueError: No set to test with, a set under another name than its own, or a label that is none of the classes.

    Example:
        >>> from monge.data import load_faces
        >>> splits = load_faces("emoji-identity", "synthetic", size=32)
        >>> splits.train.shape, sorted(splits.test)
        ((3, 32, 32), ['hard', 'test'])
    """

    train: Examples
    val: PairSet
    test: Mapping[str, PairSet]
    classes: tuple[str, ...]
    source: str
    definition: str

    def __post_init__(self) -> None:
        if not self.test:
            raise ValueError("test needs at least one set of pairs")
        for name, pairs in self.test.items():
            if pairs.name != name:
                raise ValueError(f"test[{name!r}] must be a set of that name, got {pairs.name!r}")
        labels = self.train.labels
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < len(self.classes):
            found = f"{int(labels.min())} to {int(labels.max())}"
            raise ValueError(f"labels of train must be 0 to {len(self.classes) - 1}, got {found}")
