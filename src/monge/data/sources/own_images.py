"""Pictures of one's own: a folder for each class, in parts or to be parted."""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from monge.data.cache import workspace
from monge.data.examples import Splits
from monge.data.formats.class_folders import ClassFolders, read_class_folders
from monge.data.formats.flaws import Flaws
from monge.data.formats.labelled_files import LabelledFiles, some
from monge.data.formats.picture import picture_flaw
from monge.data.formats.places import PICTURE_ENDINGS
from monge.data.formats.sniff import shown
from monge.data.image_files import ImageFiles, PictureCache
from monge.data.sources.left_out import tell
from monge.data.sources.listed_images import Reading, check_options, into_memory
from monge.data.splits import SPLIT_SEED, split_by_fraction
from monge.data.synthetic.layouts import write_fake_class_folders
from monge.errors import DataFormatError, MongeError

OWN_IMAGES = "images"
"""Name of these data."""
ENDINGS = (*PICTURE_ENDINGS, ".gif", ".tif", ".tiff", ".ppm", ".pgm")
"""Of the files that are taken for pictures; of several in one file the first counts."""
_TEST, _VAL, _VAL_OF_TRAIN = 0.2, 0.125, 0.1
# Retrieval within a part finds one picture by another.
_LEAST = 2
_PARTS = ("train", "val", "test")
OWN_IMAGE_OPTIONS = ("levels", *(field.name for field in fields(Reading)))
"""What may be chosen."""
Level = str | int | float
Positions = NDArray[np.int64]


def load_own_images(data: str, options: Mapping[str, Any]) -> Splits:
    """Loads a folder of pictures by class; every file is looked at before anything is trained on it.

    Args:
        data: ``"synthetic"``, or the path of a folder as `monge.data.formats.class_folders` has it. Without parts
            70/10/20 % of every class are drawn, without a part for validation 10 % of training; copies of a picture
            stay together.
        options: ``size``, ``strict`` and ``cache_bytes``, see :class:`~monge.data.sources.listed_images.Reading`, and
            ``levels``: the classes from low to high, where they have an order.

    Raises:
        DataFormatError: Not such a folder, or a flaw of it.
        MongeError: An unknown option or value, a part is empty, or the levels are not the classes.

    Warns:
        UserWarning: Entries were left out, or a class misses a part.

    Example:
        >>> splits = load_own_images("synthetic", {"size": 16})
        >>> splits.train.shape, splits.classes[:2]
        ((3, 16, 16), ('digit 0', 'digit 1'))
    """
    check_options(OWN_IMAGES, OWN_IMAGE_OPTIONS, options)
    levels = options.get("levels")
    if not isinstance(levels, list | tuple | None):
        raise MongeError(f"found levels={levels!r}, expected the names of the classes from low to high")
    reading = Reading(**{name: value for name, value in options.items() if name != "levels"})
    if data != "synthetic":
        return _load(Path(data).expanduser(), reading, levels)
    with workspace() as work:
        write_fake_class_folders(work)
        return into_memory(_load(work, reading, levels), "synthetic: drawn digits in folders by class")


def _load(folder: Path, reading: Reading, levels: Sequence[Level] | None) -> Splits:
    """The pictures of a folder."""
    flaws = reading.flaws()
    found = read_class_folders(folder, ENDINGS, flaws, each="picture")
    files, given = _whole(found)
    digests = _digests(files.paths)
    kept = _sound(files, given, digests, found.folder, flaws)
    flaws.settle()
    files, given = files.subset(kept), given[kept]
    parts, how = _parts(files, given, digests)
    classes, labels = _in_order(found, files.labels, levels)
    for part, places in zip(_PARTS, parts, strict=True):
        if not len(places):
            raise MongeError(f"{shown(found.folder)}: the part {part} is empty ({how}): it has too few pictures")
        lacking = [name for number, name in enumerate(classes) if number not in set(labels[places].tolist())]
        if lacking:
            told = f"{shown(found.folder)}: no picture of the part {part} has the class {some(lacking)}"
            warnings.warn(told, UserWarning, stacklevel=5)
    tell(OWN_IMAGES, flaws)
    remarks = [f"left out {entries}" for entries in flaws.told()]
    if found.others:
        names = some([path.name for path in found.others])
        remarks.append(f"passed over, since no pictures by their names: {len(found.others):,} ({names})")
        warnings.warn(f"{shown(found.folder)}: {remarks[-1]}", UserWarning, stacklevel=5)
    cache = PictureCache(reading.cache_bytes) if reading.cache_bytes else None
    whole = ImageFiles(list(files.paths), torch.from_numpy(labels), reading.size, cache=cache)
    train, val, test = (whole.subset(torch.from_numpy(part)) for part in parts)
    sizes = f"{len(train):,} train / {len(val):,} val / {len(test):,} test"
    return Splits(
        train=train,
        val=val,
        test=test,
        classes=classes,
        source=f"pictures of one's own, read from {shown(found.folder)}",
        definition="; ".join([f"{sizes} of {len(classes)} classes: {how}", *remarks]),
        ordered=levels is not None,
    )


def _whole(found: ClassFolders) -> tuple[LabelledFiles, Positions]:
    """All files in one list, and the part that each was found in: its number, or -1 where there are no parts."""
    paths = tuple(path for files in found.parts.values() for path in files.paths)
    labels = np.concatenate([files.labels for files in found.parts.values()])
    numbers = [_PARTS.index(part) if part in _PARTS else -1 for part in found.parts]
    given = np.repeat(numbers, [len(files) for files in found.parts.values()])
    return LabelledFiles(paths, labels), given.astype(np.int64)


def _sound(
    files: LabelledFiles, given: Positions, digests: Mapping[Path, str], folder: Path, flaws: Flaws
) -> Positions:
    """Positions of the files that are pictures and contradict no other."""
    kept = []
    first: dict[str, int] = {}
    for place, path in enumerate(files.paths):
        if (error := picture_flaw(path)) is not None:
            flaws.note("damaged pictures", path, "", error.found, error.expected)
            continue
        other = first.setdefault(digests[path], place)
        same = f"the same picture as {shown(files.paths[other].relative_to(folder))}"
        if files.labels[other] != files.labels[place]:
            flaws.note("pictures in two classes", path, "", same, "each picture in one class")
        elif given[other] != given[place]:
            flaws.note("pictures in two parts", path, "", same, "each picture in one part")
        else:
            kept.append(place)
    return np.array(kept, np.int64)


def _digests(paths: Sequence[Path]) -> dict[Path, str]:
    """What makes two files one picture: their bytes; those that no other is as long as are not read."""
    sizes = {path: path.stat().st_size if path.is_file() else -1 for path in paths}
    often = Counter(sizes.values())
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest() if size > 0 and often[size] > 1 else str(path)
        for path, size in sizes.items()
    }


def _parts(files: LabelledFiles, given: Positions, digests: Mapping[Path, str]) -> tuple[list[Positions], str]:
    """Positions of training, validation and test, and how they came about."""
    numbers = given.copy()
    names = [digests[path] for path in files.paths]
    drawn = f"fixed draw, seed {SPLIT_SEED}"
    if (given < 0).any():
        rest = _draw(files.labels, names, numbers, np.flatnonzero(given < 0), _TEST, part=2)
        _draw(files.labels, names, numbers, rest, _VAL, part=1)
        numbers[numbers < 0] = 0
        how = f"70/10/20 % of every class ({drawn})"
    elif not (given == 1).any():
        _draw(files.labels, names, numbers, np.flatnonzero(given == 0), _VAL_OF_TRAIN, part=1)
        how = f"the folder's own parts; val is 10 % of every class of train ({drawn})"
    else:
        how = "the folder's own parts"
    return [np.flatnonzero(numbers == number) for number in range(len(_PARTS))], how


def _draw(
    labels: Positions, names: Sequence[str], numbers: Positions, places: Positions, share: float, *, part: int
) -> Positions:
    """Gives a share of some files to a part, those of one name together; returns the places that stay."""
    copies: dict[str, list[int]] = {}
    for place in places.tolist():
        copies.setdefault(names[place], []).append(place)
    groups = list(copies.values())
    _, aside = split_by_fraction([int(labels[group[0]]) for group in groups], share, least=_LEAST)
    taken = np.array([place for group in aside.tolist() for place in groups[group]], np.int64)
    numbers[taken] = part
    return np.setdiff1d(places, taken)


def _in_order(
    found: ClassFolders, labels: Positions, levels: Sequence[Level] | None
) -> tuple[tuple[str, ...], Positions]:
    """The classes in the order that the levels say, and the labels by it."""
    if levels is None:
        return found.classes, labels
    names = [str(level) for level in levels]
    if sorted(names) != sorted(found.classes):
        expected = f"all classes from low to high: {', '.join(found.classes)}"
        raise DataFormatError(shown(found.folder), "", f"levels {', '.join(names)}", expected, "set data.levels")
    return tuple(names), np.array([names.index(name) for name in found.classes], np.int64)[labels]
