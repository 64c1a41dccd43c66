"""The identities of emoji in training, validation and test, with pairs in the form of LFW."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from monge.data.face_pairs import FaceSplits, PairSet
from monge.data.images import ImageSet
from monge.data.pair_draws import Places, draw_pairs
from monge.data.sources.emoji_identity import EMOJI_SETS, Emoji, emoji_identities, emoji_makers, emoji_pictures
from monge.data.sources.package import Progress
from monge.data.splits import SPLIT_SEED

_FOLDS = 10
_PER_FOLD = 300
_VAL_PER_FOLD = 100


def load_emoji_identity(size: int, progress: Progress = lambda sentence: None) -> FaceSplits:
    """Loads the packaged emoji, drawing them first where this size was not wanted before.

    Test pairs come in two sets of ten folds: in ``"test"`` the impostors are any two emoji, in ``"hard"`` two of the
    same subgroup of CLDR, such as two birds or two hearts.

    Args:
        size: Height and width of the pictures.
        progress: Called with one sentence for each set that must be drawn.

    Raises:
        MongeError: Not fetched yet, or damaged.
    """
    drawn = [emoji_pictures(emoji_set, size, progress) for emoji_set in EMOJI_SETS]
    train, names = _part("train", drawn)[0], tuple(emoji.name for emoji in _of("train"))
    told = "packaged: emoji as 5 to 7 makers draw them, from npm's @iconify-json; drawings, not faces"
    val = _pairs("val", "val", drawn, told, _VAL_PER_FOLD)
    test = _pairs("test", "test", drawn, told, _PER_FOLD)
    hard = _pairs("hard", "test", drawn, told, _PER_FOLD, same_kind=True)
    sizes = " / ".join(
        f"{len(_of(part))} {part} ({len(images):,} pictures)"
        for part, images in (("train", train), ("val", val.images), ("test", test.images))
    )
    pairs = ", ".join(f"{len(pairs):,} {pairs.name} pairs" for pairs in (val, test, hard))
    return FaceSplits(
        train=train,
        val=val,
        test={"test": test, "hard": hard},
        classes=names,
        source=told,
        definition=f"{sizes}: code points parted by kind, 60/10/30 % (fixed draw, seed {SPLIT_SEED}); {pairs}, each of "
        "two makers, half of them impostors, which in hard are of the same subgroup",
    )


def _of(part: str) -> list[Emoji]:
    return [emoji for emoji in emoji_identities() if emoji.part == part]


def _part(part: str, drawn: list[NDArray[np.uint8]]) -> tuple[ImageSet, NDArray[np.int64]]:
    """Pictures of a part identity by identity, and the maker of each."""
    taken = [0] * len(EMOJI_SETS)
    pictures, labels, sets, identity = [], [], [], 0
    for emoji in emoji_identities():
        for place, emoji_set in enumerate(EMOJI_SETS):
            if emoji_set.name not in emoji.icons:
                continue
            if emoji.part == part:
                pictures.append(drawn[place][taken[place]])
                labels.append(identity)
                sets.append(place)
            taken[place] += 1
        identity += emoji.part == part
    images = ImageSet(torch.from_numpy(np.stack(pictures)), torch.tensor(labels))
    return images, emoji_makers(np.array(sets))


def _pairs(
    name: str, part: str, drawn: list[NDArray[np.uint8]], told: str, per_fold: int, same_kind: bool = False
) -> PairSet:
    images, makers = _part(part, drawn)
    kinds = [emoji.kind for emoji in _of(part)]
    kind_of = np.unique(kinds, return_inverse=True)[1][images.labels.numpy()]  # (N,)

    def allowed(first: Places, second: Places, genuine: NDArray[np.bool_]) -> NDArray[np.bool_]:
        permitted = makers[first] != makers[second]
        if same_kind:
            permitted &= genuine | (kind_of[first] == kind_of[second])
        # Each pair one way round, whichever comes first in the list.
        kept: NDArray[np.bool_] = permitted & (first < second)
        return kept

    together = kinds if same_kind else None
    return draw_pairs(
        images, name=name, source=told, folds=_FOLDS, per_fold=per_fold, allowed=allowed, together=together
    )
