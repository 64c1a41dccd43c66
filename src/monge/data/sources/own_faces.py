"""Faces of one's own: a folder for each person, and lists of pairs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from monge.data.aligned_files import AlignedFiles
from monge.data.examples import Examples
from monge.data.face_pairs import FaceSplits, PairSet
from monge.data.formats.identity_folders import LANDMARKS, IdentityFolders, read_identity_folders, read_landmarks
from monge.data.formats.pairs_txt import read_pairs_txt, resolve_pictures
from monge.data.formats.picture import picture_flaw
from monge.data.formats.sniff import shown
from monge.data.image_files import ImageFiles, PictureCache
from monge.data.pair_draws import draw_pairs
from monge.data.splits import SPLIT_SEED
from monge.errors import DataFormatError, MongeError

_FOLDS = 10
_PER_FOLD = 300
_SHARES = {"val": 0.1, "test": 0.2}
_FEWEST = 2
# Two folds, each with a genuine pair and impostors.
_PAIRED = 4


def load_own_faces(folder: Path, *, size: int, pairs: str | Path | None = None, cache_bytes: int = 0) -> FaceSplits:
    """Loads a folder of people; identities are parted, never the pictures of one, and every file is looked at first.

    Without a list of pairs 20 % of the identities are for the test and 10 % for validation, and their pairs are drawn.
    With one, the people of its pairs are for the test, and nobody else is.

    Args:
        folder: ``<person>/<picture>``; with ``landmarks.txt`` in it faces are aligned by them, else the middle square
            of each picture is taken.
        size: Height and width of the faces.
        pairs: A list of pairs of these pictures, in a form of `monge.data.formats.pairs_txt`; a name is looked for in
            the folder.
        cache_bytes: Memory for decoded pictures.

    Raises:
        DataFormatError: Not such a folder or list, or a picture that is damaged.
        MongeError: Too few people to be parted.
    """
    faces = read_identity_folders(folder)
    for path in faces.paths:
        if (error := picture_flaw(path)) is not None:
            raise error
    images = _images(faces, folder, size, cache_bytes)
    told = f"faces of one's own, read from {shown(folder)}"
    listed = None if pairs is None else _listed_pairs(folder, faces, images, pairs, told)
    people = np.random.RandomState(SPLIT_SEED).permutation(_with_several(faces))
    if listed is None:
        count = max(_PAIRED, round(_SHARES["test"] * len(people)))
        testers, people = people[:count], people[count:]
    else:
        testers = np.unique(images.labels[torch.cat([listed.first, listed.second])].numpy())
        people = people[~np.isin(people, testers)]
    choosers = people[: max(_PAIRED, round(_SHARES["val"] * len(people)))]
    learners = np.setdiff1d(np.arange(len(faces.people)), np.concatenate([testers, choosers]))
    if len(people) - len(choosers) < _FEWEST or len(choosers) < _PAIRED:
        left = "" if pairs is None else f" and no place in {shown(Path(pairs).name)}"
        found = f"{len(people) + (0 if pairs is not None else len(testers))} people with two pictures or more{left}"
        expected = f"at least {_FEWEST} to learn from, {_PAIRED} to choose by" + (
            f" and {_PAIRED} to test with" if pairs is None else ""
        )
        raise MongeError(f"{shown(folder)}: found {found}, expected {expected}")
    test = _drawn_pairs(images, testers, "test", told) if listed is None else listed
    val = _drawn_pairs(images, choosers, "val", told)
    train, classes = _learned(images, learners, faces)
    how = (
        f"people of {shown(Path(pairs).name)} for the test" if pairs is not None else "20 % of the people for the test"
    )
    return FaceSplits(
        train=train,
        val=val,
        test={test.name: test},
        classes=classes,
        source=told,
        definition=f"{len(train):,} pictures of {len(classes):,} people to learn from, {len(choosers):,} others to "
        f"choose by ({len(val):,} pairs), {how} ({len(testers):,} people, {len(test):,} pairs); fixed draw, seed "
        f"{SPLIT_SEED}",
    )


def read_listed_pairs(path: Path, folder: Path, *, size: int) -> PairSet:
    """A list of pairs with the pictures of a folder of people, to verify and not to learn.

    Args:
        path: The list, in a form of `monge.data.formats.pairs_txt`.
        folder: ``<person>/<picture>``, with ``landmarks.txt`` or without.
        size: Height and width of the faces.

    Raises:
        DataFormatError: Not such a list or folder, or a picture is missing.

    Example:
        >>> import tempfile
        >>> from monge.data.synthetic.face_layouts import write_fake_lfw
        >>> write_fake_lfw(folder := Path(tempfile.mkdtemp()), folds=2, per_fold=3)
        >>> pairs = read_listed_pairs(folder / "pairs.txt", folder, size=32)
        >>> len(pairs), pairs.num_folds, pairs.images.shape
        (12, 2, (3, 32, 32))
    """
    faces = read_identity_folders(folder)
    return _listed_pairs(folder, faces, _images(faces, folder, size, 0), path, f"pairs read from {shown(path)}")


def _images(faces: IdentityFolders, folder: Path, size: int, cache_bytes: int) -> ImageFiles | AlignedFiles:
    cache = PictureCache(cache_bytes) if cache_bytes else None
    labels = torch.from_numpy(faces.labels)
    for place in dict.fromkeys((faces.folder, folder)):
        if (place / LANDMARKS).is_file():
            points = torch.from_numpy(read_landmarks(place / LANDMARKS, faces))
            return AlignedFiles(faces.paths, points, labels, size, cache)
    return ImageFiles(faces.paths, labels, size, cache=cache)


def _with_several(faces: IdentityFolders) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    counts = np.bincount(faces.labels)
    return np.flatnonzero(counts > 1)


def _listed_pairs(folder: Path, faces: IdentityFolders, images: Examples, pairs: str | Path, told: str) -> PairSet:
    path = Path(pairs).expanduser()
    if not path.is_file() and not path.is_absolute():
        path = folder / path
    listed = read_pairs_txt(path)
    first, second = resolve_pictures(listed, path, faces.find, shown(faces.folder))
    wrong = np.flatnonzero((faces.labels[first] == faces.labels[second]) != listed.same)
    if wrong.size:
        row = wrong[0]
        both = " and ".join(shown(faces.people[faces.labels[side[row]]]) for side in (first, second))
        told_there = "a genuine pair" if listed.same[row] else "two people"
        hint = f"{wrong.size:,} such pairs"
        raise DataFormatError(
            shown(path), f"line {listed.lines[row]}", f"{told_there}", f"what the folders say: {both}", hint
        )
    return PairSet(
        images=images,
        first=torch.from_numpy(first),
        second=torch.from_numpy(second),
        same=torch.from_numpy(listed.same),
        folds=torch.from_numpy(listed.folds),
        name=path.stem,
        source=told,
    )


def _drawn_pairs(images: Examples, people: np.ndarray[tuple[int], np.dtype[np.int64]], name: str, told: str) -> PairSet:
    chosen = torch.isin(images.labels, torch.from_numpy(np.sort(people))).nonzero()[:, 0]
    folds = min(_FOLDS, len(people) // 2)
    try:
        return draw_pairs(images.subset(chosen), name=name, source=told, folds=folds, per_fold=_PER_FOLD)
    except ValueError as error:
        raise MongeError(f"{told}: {error}") from None


def _learned(
    images: ImageFiles | AlignedFiles, people: np.ndarray[tuple[int], np.dtype[np.int64]], faces: IdentityFolders
) -> tuple[Examples, tuple[str, ...]]:
    """Pictures of these people, renumbered from 0, and their names."""
    kept = torch.isin(images.labels, torch.from_numpy(people)).nonzero()[:, 0]
    part = images.subset(kept)
    labels = torch.searchsorted(torch.from_numpy(people), part.labels)
    return replace(part, labels=labels), tuple(faces.people[person] for person in people)
