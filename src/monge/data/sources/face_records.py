"""CASIA-WebFace, MS1M and Glint360K in InsightFace's layout, with its verification sets."""

from __future__ import annotations

import hashlib
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from monge.data.cache import cache_dir, workspace
from monge.data.encoded_images import EncodedImages
from monge.data.face_pairs import FaceSplits, PairSet
from monge.data.formats.insightface import FaceRecords, picture_of, read_face_records
from monge.data.formats.places import find_place
from monge.data.formats.recordio import RecordFile
from monge.data.formats.sniff import names_in, shown
from monge.data.formats.verification_bin import read_verification_bin
from monge.data.image_files import PictureCache
from monge.data.pair_draws import draw_pairs
from monge.data.sources.package import Progress
from monge.data.splits import SPLIT_SEED
from monge.errors import DataFormatError, MongeError

RECORDS, INDEX, PROPERTY = "train.rec", "train.idx", "property"
COUNTS = {
    "casia-webface": (490_623, 10_572),
    "ms1mv2": (5_822_653, 85_742),
    "ms1mv3": (5_179_510, 93_431),
    "glint360k": (17_091_657, 360_232),
}
"""Pictures and identities of the complete sets."""
_PAIRS = {"lfw": 6000, "cfp_fp": 7000, "cfp_ff": 7000, "agedb_30": 6000, "calfw": 6000, "cplfw": 6000, "vgg2_fp": 5000}
_MOST_VAL = 300
_FOLDS = 10
_PER_FOLD = 300
_VERSION = 1


@dataclass(frozen=True)
class RecordPictures:
    """Pictures of a ``.rec`` file.

    Args:
        file: It.
        keys: Of the records, int64 ``(N,)``.
        offsets: Where they start, int64 ``(N,)``.
    """

    file: RecordFile
    keys: NDArray[np.int64]
    offsets: NDArray[np.int64]

    @property
    def path(self) -> Path:
        """The ``.rec`` file."""
        return self.file.path

    def __len__(self) -> int:
        return len(self.keys)

    def content(self, index: int) -> bytes:
        """One encoded picture."""
        return picture_of(self.file, int(self.offsets[index]), f"key {self.keys[index]}")

    def where(self, index: int) -> str:
        """Its key and byte."""
        return f"key {self.keys[index]}, byte {self.offsets[index]}"


def load_face_records(
    name: str,
    folder: Path,
    *,
    size: int,
    val_identities: int = 0,
    cache_bytes: int = 0,
    progress: Progress = lambda sentence: None,
) -> FaceSplits:
    """Loads a training set with its ``*.bin`` files as tests.

    The heads of all records are read and checked once; what they say is kept in the data cache.

    Args:
        name: One of `COUNTS`.
        folder: With ``train.rec``, ``train.idx``, ``property`` and ``*.bin`` files.
        size: Height and width of the pictures.
        val_identities: Identities that are set aside, of which the pairs to choose by are drawn; 0: none, as in the
            published protocols: the pairs are of training identities, and say nothing of strangers.
        cache_bytes: Memory for decoded pictures.
        progress: Called with one sentence before each step.

    Raises:
        DataFormatError: A file is missing or damaged.
        MongeError: More identities to be set aside than there are.

    Warns:
        UserWarning: The folder does not hold the complete set.
    """
    place = find_place(folder, lambda below: (below / RECORDS).is_file(), RECORDS)
    progress(f"{name}: looking through {shown(place / RECORDS)}")
    records = _kept_records(place)
    told = f"official layout: {name} read from {shown(place)}"
    tests = {
        path.stem: read_bin_pairs(path, size)
        for path in (place / entry for entry in names_in(place))
        if path.suffix == ".bin" and not path.name.startswith(".") and path.is_file()
    }
    if not tests:
        expected = "verification sets such as lfw.bin, agedb_30.bin, cfp_fp.bin"
        raise DataFormatError(shown(place), "", "no .bin file", expected, "they come with the training set")
    _warn_of_missing(name, records, tests)
    store = RecordPictures(records.file, records.keys, records.offsets)
    labels = torch.from_numpy(records.labels)
    cache = PictureCache(cache_bytes) if cache_bytes else None
    images = EncodedImages(store, torch.arange(len(labels)), labels, size, cache)
    train, val, classes, parted = _parted(images, records.identities, val_identities, told)
    sets = ", ".join(f"{test} ({len(pairs):,})" for test, pairs in tests.items())
    return FaceSplits(
        train=train,
        val=val,
        test=tests,
        classes=classes,
        source=told,
        definition=f"{len(train):,} pictures of {len(classes):,} identities; {parted}; test pairs: {sets}",
    )


def read_bin_pairs(path: Path, size: int, *, folds: int = _FOLDS) -> PairSet:
    """A verification set as pairs; whom its pictures show is not told (-1).

    Args:
        path: The ``.bin`` file.
        size: Height and width of the pictures.
        folds: Number of folds.

    Raises:
        DataFormatError: As for `monge.data.formats.verification_bin.read_verification_bin`.

    Example:
        >>> import tempfile
        >>> from monge.data.synthetic.face_layouts import write_fake_bin
        >>> write_fake_bin(file := Path(tempfile.mkdtemp()) / "agedb_30.bin", size=16)
        >>> pairs = read_bin_pairs(file, 16)
        >>> pairs.name, len(pairs), pairs.num_folds
        ('agedb_30', 60, 10)
    """
    read = read_verification_bin(path, folds=folds)
    count = len(read.pictures)
    images = EncodedImages(read.pictures, torch.arange(count), torch.full((count,), -1), size)
    return PairSet(
        images=images,
        first=torch.arange(0, count, 2),
        second=torch.arange(1, count, 2),
        same=torch.from_numpy(read.same),
        folds=torch.from_numpy(read.folds),
        name=path.stem,
        source=f"pairs read from {shown(path)}",
    )


def _parted(
    images: EncodedImages, identities: int, val_identities: int, told: str
) -> tuple[EncodedImages, PairSet, tuple[str, ...], str]:
    """Training pictures, pairs to choose by, names of the training identities, and how it was done."""
    counts = torch.bincount(images.labels, minlength=identities)
    # RandomState is the one NumPy generator whose stream is frozen for good.
    shuffled = np.random.RandomState(SPLIT_SEED).permutation(identities)
    several = shuffled[counts.numpy()[shuffled] > 1]
    if not 0 <= val_identities <= min(len(several), identities - 2):
        expected = f"0 to {min(len(several), identities - 2):,}, the identities with more than one picture"
        raise MongeError(f"data.val_identities: found {val_identities}, expected {expected}")
    if val_identities:
        chosen = torch.from_numpy(np.sort(several[:val_identities]))
        stays = torch.ones(identities, dtype=torch.bool)
        stays[chosen] = False
        renumbered = stays.cumsum(0) - 1
        kept = stays[images.labels].nonzero()[:, 0]
        train = EncodedImages(
            images.store, images.places[kept], renumbered[images.labels[kept]], images.size, images.cache
        )
        how = f"val pairs of {val_identities:,} identities set aside (fixed draw, seed {SPLIT_SEED})"
    else:
        chosen = torch.from_numpy(np.sort(several[: min(_MOST_VAL, len(several))]))
        stays, train = torch.ones(identities, dtype=torch.bool), images
        how = "no identity is set aside: val pairs are of training identities and say nothing of strangers"
    seen = images.subset(torch.isin(images.labels, chosen).nonzero()[:, 0])
    folds = min(_FOLDS, len(chosen) // 2)
    if folds < 1:
        raise MongeError(f"data.val_identities: {len(chosen)} identities give no pairs to choose by, need 2 or more")
    val = draw_pairs(seen, name="val", source=told, folds=folds, per_fold=_PER_FOLD // 2)
    return train, val, tuple(str(label) for label in stays.nonzero()[:, 0].tolist()), f"{how}, {len(val):,} pairs"


def _warn_of_missing(name: str, records: FaceRecords, tests: dict[str, PairSet]) -> None:
    found, whole = (len(records.keys), records.identities), COUNTS[name]
    if found != whole:
        told = f"{found[0]:,} of {whole[0]:,} pictures and {found[1]:,} of {whole[1]:,} identities"
        warnings.warn(f"{name} is not complete: {told}", UserWarning, stacklevel=4)
    short = [
        f"{test} {len(pairs):,} of {_PAIRS[test]:,}"
        for test, pairs in tests.items()
        if len(pairs) != _PAIRS.get(test, len(pairs))
    ]
    if short:
        warnings.warn(f"verification sets are not complete: pairs of {', '.join(short)}", UserWarning, stacklevel=4)


def _kept_records(place: Path) -> FaceRecords:
    """What the heads of all records say, from the data cache while the files stay as they are."""
    properties = place / PROPERTY if (place / PROPERTY).is_file() else None
    files = [place / RECORDS, place / INDEX, *([properties] if properties else [])]
    try:
        facts = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    except OSError:
        # The reader says which one is missing.
        return read_face_records(place / RECORDS, place / INDEX, properties)
    key = hashlib.sha256(repr((_VERSION, facts)).encode()).hexdigest()[:24]
    kept = cache_dir() / "face-records" / f"{key}.npz"
    try:
        with np.load(kept, allow_pickle=False) as stored:
            told = (stored["keys"], stored["offsets"], stored["labels"])
            return FaceRecords(RecordFile(files[0]), *told, int(stored["identities"]))
    except (OSError, ValueError, KeyError, EOFError):
        pass
    records = read_face_records(files[0], files[1], properties)
    with workspace() as work:
        np.savez(
            work / "records.npz",
            keys=records.keys,
            offsets=records.offsets,
            labels=records.labels,
            identities=np.int64(records.identities),
        )
        kept.parent.mkdir(parents=True, exist_ok=True)
        os.replace(work / "records.npz", kept)
    return records
