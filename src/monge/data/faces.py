"""Faces by name, as identities to learn and pairs to verify: packaged, in folders of the field's files, or drawn."""

from __future__ import annotations

from pathlib import Path

import torch

from monge.data.face_pairs import FaceSplits, PairSet
from monge.data.images import ImageSet
from monge.data.pair_draws import draw_pairs
from monge.data.sources.emoji_identity_pairs import load_emoji_identity
from monge.data.sources.face_records import COUNTS, load_face_records, read_bin_pairs
from monge.data.sources.heads_pairs import load_heads
from monge.data.sources.own_faces import load_own_faces, read_listed_pairs
from monge.data.sources.package import Progress
from monge.data.sources.registry import FACES, folder_of
from monge.data.synthetic.drawn_identities import draw_identities
from monge.errors import MongeError

_SMALLEST = 8


def load_faces(
    name: str,
    source: str = "packaged",
    *,
    size: int = 64,
    pairs: str | Path | None = None,
    val_identities: int = 0,
    cache_bytes: int = 0,
    progress: Progress = lambda sentence: None,
) -> FaceSplits:
    """Loads identities to learn from and pairs to verify; never another data set than asked for.

    Args:
        name: ``"emoji-identity"``, ``"heads"``, ``"casia-webface"``, ``"ms1mv2"``, ``"ms1mv3"``, ``"glint360k"`` or
            ``"faces"``.
        source: ``"packaged"`` (fetched or made before), ``"synthetic"`` (drawn faces), or the path of a folder: with
            ``train.rec`` and ``*.bin`` files, or for ``"faces"`` with a folder for each person.
        size: Height and width that every picture is given.
        pairs: Of ``"faces"`` in a folder alone, a list of pairs to test with; ``None``: pairs are drawn.
        val_identities: Of sets in record files alone, identities that are set aside to choose by; 0: none, as in the
            published protocols.
        cache_bytes: Memory for decoded pictures of a folder.
        progress: Called with one sentence before each step that takes its time.

    Returns:
        Pictures of the training identities, uint8 ``(3, size, size)``, and sets of pairs of other identities.

    Raises:
        MongeError: Unknown name or option, not fetched yet, or no package has it.
        DataFormatError: A file that is not good; one line that names the place.

    Warns:
        UserWarning: A folder does not hold the complete set.

    Example:
        >>> splits = load_faces("faces", "synthetic", size=24)
        >>> len(splits.classes), len(splits.val), splits.val.num_folds
        (40, 200, 10)
    """
    if name not in FACES:
        raise MongeError(f"no faces are called {name!r}, expected one of {', '.join(FACES)}")
    if size < _SMALLEST:
        raise MongeError(f"data.size: found {size}, expected at least {_SMALLEST}")
    if pairs is not None and (name != "faces" or source == "synthetic"):
        raise MongeError(f"data.pairs: {name} brings its own pairs; leave it out")
    if val_identities and (name not in COUNTS or source == "synthetic"):
        raise MongeError(f"data.val_identities: {name} has a part of its own to choose by; leave it out")
    if source == "synthetic":
        return _synthetic(size)
    if source == "packaged" and name == "emoji-identity":
        return load_emoji_identity(size, progress)
    if source == "packaged" and name == "heads":
        return load_heads(size)
    # No package has it; to ask for its folder says so, and where it is to be had.
    folder = folder_of(name) if source == "packaged" else Path(source).expanduser()
    if name in COUNTS:
        return load_face_records(
            name, folder, size=size, val_identities=val_identities, cache_bytes=cache_bytes, progress=progress
        )
    if name == "faces":
        return load_own_faces(folder, size=size, pairs=pairs, cache_bytes=cache_bytes)
    raise MongeError(f"{name} is not read from a folder: leave the path out, or give packaged or synthetic")


def load_pair_set(path: str | Path, *, size: int, pictures: str | Path | None = None) -> PairSet:
    """Loads pairs to verify from a file.

    Args:
        path: An InsightFace ``.bin`` file, or a list such as LFW's ``pairs.txt``.
        size: Height and width that every picture is given.
        pictures: Of a list alone, the folder with a folder for each person; ``None``: the one that the list is in.

    Raises:
        DataFormatError: A file that is not good; one line that names the place.

    Example:
        >>> import tempfile
        >>> from monge.data.synthetic.face_layouts import write_fake_lfw
        >>> write_fake_lfw(folder := Path(tempfile.mkdtemp()), folds=2, per_fold=3)
        >>> len(load_pair_set(folder / "pairs.txt", size=32))
        12
    """
    path = Path(path).expanduser()
    if path.suffix == ".bin":
        return read_bin_pairs(path, size)
    return read_listed_pairs(path, path.parent if pictures is None else Path(pictures).expanduser(), size=size)


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
