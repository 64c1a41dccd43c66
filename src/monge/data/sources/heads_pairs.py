"""The synthetic heads in training, validation and test, with pairs in the forms of LFW, AgeDB and CFP-FP."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from monge.data.face_pairs import FaceSplits, PairSet
from monge.data.images import ImageSet
from monge.data.pair_draws import Allowed, Places, draw_pairs
from monge.data.sources.heads import Heads, read_heads
from monge.data.sources.heads_parameters import FRONTAL, PROFILE
from monge.data.splits import SPLIT_SEED
from monge.errors import MongeError

AGE_GAP = 0.35
"""How far apart the ages of an age pair are at least; the scale of a whole life is 1."""
_SHARES = (0.6, 0.1)
_FOLDS = 10
_PER_FOLD = 300
_VAL_FOLDS = 3


def load_heads(size: int) -> FaceSplits:
    """Loads the heads that `monge data make heads` made.

    Test pairs come in three sets of ten folds: ``"test"``, any two pictures (the form of LFW); ``"age"``, two ages far
    apart (AgeDB); ``"profile"``, a frontal picture and one in profile (CFP-FP).

    Args:
        size: Height and width; not larger than they were made.

    Raises:
        MongeError: Not made yet, damaged, or made smaller.
    """
    heads = read_heads()
    made = heads.images.shape[-1]
    if size > made:
        raise MongeError(
            f"data.size: found {size}, but heads were made at {made}: `monge data make heads --size {size}`"
        )
    people = int(heads.labels.max()) + 1
    order = np.random.RandomState(SPLIT_SEED).permutation(people)
    ends = [round(_SHARES[0] * people), round(sum(_SHARES) * people)]
    learners, choosers, testers = (np.sort(part) for part in np.split(order, ends))
    told = f"synthetic: heads made by {people} draws from a parametric model (anny), not photographs"
    train, _ = _part(heads, learners, size)
    val_images, _ = _part(heads, choosers, size)
    val = draw_pairs(val_images, name="val", source=told, folds=_VAL_FOLDS, per_fold=_PER_FOLD)
    images, rows = _part(heads, testers, size)
    tests = [_pairs(name, images, allowed, told) for name, allowed in _forms(heads, rows).items()]
    pairs = ", ".join(f"{len(pairs):,} {pairs.name} pairs" for pairs in (val, *tests))
    return FaceSplits(
        train=train,
        val=val,
        test={pairs.name: pairs for pairs in tests},
        classes=tuple(f"head {number}" for number in learners),
        source=told,
        definition=f"{len(learners)} people to learn from ({len(train):,} pictures), {len(choosers)} to choose by, "
        f"{len(testers)} to test with (fixed draw, seed {SPLIT_SEED}); {pairs}, half of them impostors; ages of age "
        f"pairs are {AGE_GAP:g} of a life apart, profile pairs join a yaw up to {FRONTAL:g} and one from "
        f"{PROFILE[0]:g} degrees",
    )


def _part(heads: Heads, people: NDArray[np.int64], size: int) -> tuple[ImageSet, NDArray[np.int64]]:
    """Pictures of these people, numbered from 0, and their rows among all."""
    rows = np.flatnonzero(np.isin(heads.labels, people))
    images = torch.from_numpy(heads.images[rows])
    if size != images.shape[-1]:
        small = [
            interpolate(part.float(), size=(size, size), mode="bilinear", antialias=True).round().to(torch.uint8)
            for part in (images[start : start + 256] for start in range(0, len(images), 256))
        ]
        images = torch.cat(small)
    labels = torch.from_numpy(np.searchsorted(people, heads.labels[rows]))
    return ImageSet(images, labels), rows


def _forms(heads: Heads, rows: NDArray[np.int64]) -> dict[str, Allowed | None]:
    """Which pairs each set may have."""
    ages, yaws = heads.ages[rows], np.abs(heads.yaws[rows])

    def far_in_age(first: Places, second: Places, genuine: NDArray[np.bool_]) -> NDArray[np.bool_]:
        apart: NDArray[np.bool_] = ages[second] - ages[first] >= AGE_GAP
        return apart

    def frontal_and_profile(first: Places, second: Places, genuine: NDArray[np.bool_]) -> NDArray[np.bool_]:
        turned: NDArray[np.bool_] = (yaws[first] <= FRONTAL) & (yaws[second] >= PROFILE[0])
        return turned

    return {"test": None, "age": far_in_age, "profile": frontal_and_profile}


def _pairs(name: str, images: ImageSet, allowed: Allowed | None, told: str) -> PairSet:
    return draw_pairs(images, name=name, source=told, folds=_FOLDS, per_fold=_PER_FOLD, allowed=allowed)
