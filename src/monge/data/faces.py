"""Faces by name, as identities to learn and pairs to verify: packaged, in folders of the field's files, or drawn."""

from __future__ import annotations

from pathlib import Path

import torch

from monge.data.face_pairs import FaceSplits
from monge.data.images import ImageSet
from monge.data.pair_draws import draw_pairs
from monge.data.sources.emoji_identity_pairs import load_emoji_identity
from monge.data.sources.package import Progress
from monge.data.sources.registry import FACES, folder_of
from monge.data.synthetic.drawn_identities import draw_identities
from monge.errors import MongeError

_SMALLEST = 8


def load_faces(
    name: str, source: str = "packaged", *, size: int = 64, progress: Progress = lambda sentence: None
) -> FaceSplits:
    """Loads identities to learn from and pairs to verify; never another data set than asked for.

    Args:
        name: ``"emoji-identity"``, ``"casia-webface"``, ``"ms1mv2"``, ``"ms1mv3"``, ``"glint360k"`` or ``"faces"``.
        source: ``"packaged"`` (fetched or made before), ``"synthetic"`` (drawn faces), or the path of a folder.
        size: Height and width that every picture is given.
        progress: Called with one sentence before each step that takes its time.

    Returns:
        Pictures of the training identities, uint8 ``(3, size, size)``, and sets of pairs of other identities.

    Raises:
        MongeError: Unknown name or option, not fetched yet, or no package has it.
        DataFormatError: A file that is not good; one line that names the place.

    Example:
        >>> splits = load_faces("faces", "synthetic", size=24)
        >>> len(splits.classes), len(splits.val), splits.val.num_folds
        (40, 200, 10)
    """
    if name not in FACES:
        raise MongeError(f"no faces are called {name!r}, expected one of {', '.join(FACES)}")
    if size < _SMALLEST:
        raise MongeError(f"data.size: found {size}, expected at least {_SMALLEST}")
    if source == "synthetic":
        return _synthetic(size)
    if name == "emoji-identity" and source == "packaged":
        return load_emoji_identity(size, progress)
    folder = folder_of(name) if source == "packaged" else Path(source).expanduser()
    raise MongeError(f"{name} cannot be loaded from {folder} yet")


def _synthetic(size: int) -> FaceSplits:
    """Drawn faces: 40 identities to learn, 20 to choose by, 20 to test with; the hard pairs turn the head further."""
    told = "synthetic: drawn faces of made-up identities, not a published data set"

    def part(first: int, count: int, each: int, yaw: float, seed: int) -> ImageSet:
        labels = torch.arange(count).repeat_interleave(each)
        drawn = draw_identities(labels + first, size=size, yaw=yaw, seed=seed)
        return ImageSet(torch.from_numpy(drawn.images), labels)

    train = part(0, 40, 10, 0.5, 0)
    val = draw_pairs(part(40, 20, 6, 0.5, 0), name="val", source=told, per_fold=10)
    test = draw_pairs(part(60, 20, 6, 0.5, 0), name="test", source=told, per_fold=20)
    hard = draw_pairs(part(60, 20, 6, 0.9, 0), name="hard", source=told, per_fold=20)
    pairs = ", ".join(f"{len(part):,} {part.name} pairs" for part in (val, test, hard))
    return FaceSplits(
        train=train,
        val=val,
        test={"test": test, "hard": hard},
        classes=tuple(f"drawn {number}" for number in range(40)),
        source=told,
        definition=f"{len(train):,} pictures of 40 identities to learn from; {pairs}, of 20 identities each that are "
        "in no other part, but that test and hard share theirs; hard turns the heads further",
    )
