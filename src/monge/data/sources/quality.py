"""Images with a known quality: Fashion-MNIST, or drawn digits, degraded in five severities."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch

from monge.data.degrade import STEPS, STRENGTHS, degrade, jpeg_library
from monge.data.examples import Splits
from monge.data.images import ImageSet
from monge.data.splits import SPLIT_SEED, split_by_counts

QUALITIES = ("none", "slight", "moderate", "strong", "worst")
# Images of every garment in train, val and test.
_COUNTS = (2000, 300, 1000)


def degraded_splits(clean: Splits, *, whole: bool = False) -> Splits:
    """Takes 20,000, 3,000 and 10,000 images of a data set of ten classes and degrades each by one kind.

    What is drawn, images, severities, kinds, strengths and noise, is the same in every run and on every machine.

    Args:
        clean: Grey images; every part is made of the same part here, by as many of every class, at most as many as the
            smallest class has.
        whole: Take every image instead.

    Returns:
        Images whose class is their severity, from ``"none"`` to ``"worst"``.

    Raises:
        MissingExtraError: Pillow is not installed.
    """
    parts = [cast(ImageSet, part) for part in (clean.train, clean.val, clean.test)]
    if not whole:
        parts = [_some(part, count) for part, count in zip(parts, _COUNTS, strict=True)]
    train, val, test = (_degraded(part, SPLIT_SEED + place) for place, part in enumerate(parts))
    kinds = " or ".join([", ".join(list(STRENGTHS)[:-1]), list(STRENGTHS)[-1]])
    how = (
        f"every part is made of the same part of its source, each image degraded by {kinds} in one of "
        f"{len(QUALITIES)} severities, all equally often (fixed draw, seed {SPLIT_SEED})"
    )
    jpeg = f"compression is JPEG by {jpeg_library()}, and another version may give other bytes"
    return Splits(
        train=train,
        val=val,
        test=test,
        classes=QUALITIES,
        source=f"{clean.source}; degraded in {len(QUALITIES)} known severities, not a quality-assessment benchmark",
        definition=f"{len(train):,} train / {len(val):,} val / {len(test):,} test: {how}; {jpeg}",
        ordered=True,
    )


def _some(part: ImageSet, count: int) -> ImageSet:
    """As many images of every class as asked for, or as the smallest class has."""
    labels = part.labels.numpy()
    (chosen,) = split_by_counts(labels, [min(count, int(np.unique(labels, return_counts=True)[1].min()))])
    return part.subset(torch.from_numpy(chosen))


def _degraded(part: ImageSet, seed: int) -> ImageSet:
    """The images of a part, degraded, with their severities as labels."""
    # The one NumPy generator whose stream is frozen for good, as for the splits.
    random = np.random.RandomState(seed)
    count = len(part)
    ways = random.permutation(np.arange(count) % (len(QUALITIES) * len(STRENGTHS)))
    severities, kinds = ways % len(QUALITIES), ways // len(QUALITIES)
    steps = random.randint(0, STEPS, count, np.int64)
    worse = degrade(part.images[:, 0].numpy(), severities, kinds, steps, random)
    return ImageSet(torch.from_numpy(worse)[:, None], torch.from_numpy(severities).long())
