"""Pictures of one's own: a folder for each class, in parts or to be parted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from monge.data.cache import workspace
from monge.data.examples import Splits
from monge.data.formats.picture import picture_flaw
from monge.data.formats.places import PICTURE_ENDINGS
from monge.data.formats.sniff import shown
from monge.data.image_files import ImageFiles, PictureCache
from monge.data.sources.left_out import tell
from monge.data.sources.listed_images import Reading, check_options, into_memory
from monge.data.sources.own_files import OwnFiles, Positions, read_own_files
from monge.data.synthetic.layouts import write_fake_class_folders
from monge.errors import DataFormatError, MongeError

OWN_IMAGES = "images"
"""Name of these data."""
ENDINGS = (*PICTURE_ENDINGS, ".gif", ".tif", ".tiff", ".ppm", ".pgm")
"""Of the files that are taken for pictures; of several in one file the first counts."""
OWN_IMAGE_OPTIONS = ("levels", *(field.name for field in fields(Reading)))
"""What may be chosen."""
Level = str | int | float


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
    found = read_own_files(folder, ENDINGS, flaws, each="picture", flaw_of=picture_flaw)
    classes, labels = _in_order(found, levels)
    tell(OWN_IMAGES, flaws)
    cache = PictureCache(reading.cache_bytes) if reading.cache_bytes else None
    whole = ImageFiles(list(found.files.paths), torch.from_numpy(labels), reading.size, cache=cache)
    train, val, test = (whole.subset(torch.from_numpy(part)) for part in found.parts)
    sizes = f"{len(train):,} train / {len(val):,} val / {len(test):,} test"
    return Splits(
        train=train,
        val=val,
        test=test,
        classes=classes,
        source=f"pictures of one's own, read from {shown(found.folder)}",
        definition="; ".join([f"{sizes} of {len(classes)} classes: {found.how}", *found.remarks(flaws)]),
        ordered=levels is not None,
    )


def _in_order(found: OwnFiles, levels: Sequence[Level] | None) -> tuple[tuple[str, ...], Positions]:
    """The classes in the order that the levels say, and the labels by it."""
    if levels is None:
        return found.classes, found.files.labels
    names = [str(level) for level in levels]
    if sorted(names) != sorted(found.classes):
        expected = f"all classes from low to high: {', '.join(found.classes)}"
        raise DataFormatError(shown(found.folder), "", f"levels {', '.join(names)}", expected, "set data.levels")
    return tuple(names), np.array([names.index(name) for name in found.classes], np.int64)[found.files.labels]
