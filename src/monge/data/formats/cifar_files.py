"""Finds CIFAR-10 and CIFAR-100 on disk: which edition is there, whole, and where."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from monge.data.formats.sniff import names_in, nearest_hint, shown
from monge.errors import DataFormatError


@dataclass(frozen=True)
class CifarLayout:
    """Names and numbers of one edition of one data set.

    Args:
        edition: ``"binary"`` or ``"python"``.
        folder: Name of the folder in the official archive.
        train: Files of the training part, in order.
        test: File of the test part.
        names: File with the class names.
        labels: Classes of each label column; the last one is the label that is used.
    """

    edition: str
    folder: str
    train: tuple[str, ...]
    test: str
    names: str
    labels: tuple[int, ...]


_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
_BINARY = tuple(f"{name}.bin" for name in _BATCHES)
LAYOUTS = {
    10: (
        CifarLayout("binary", "cifar-10-batches-bin", _BINARY, "test_batch.bin", "batches.meta.txt", (10,)),
        CifarLayout("python", "cifar-10-batches-py", _BATCHES, "test_batch", "batches.meta", (10,)),
    ),
    100: (
        CifarLayout("binary", "cifar-100-binary", ("train.bin",), "test.bin", "fine_label_names.txt", (20, 100)),
        CifarLayout("python", "cifar-100-python", ("train",), "test", "meta", (20, 100)),
    ),
}


def find_cifar(folder: str | Path, num_classes: int) -> tuple[CifarLayout, Path]:
    """The first complete edition, binary before python, in the folder itself or in the official folder below it.

    Args:
        folder: E.g. ``cifar-10-batches-bin``, or the folder that holds it.
        num_classes: 10 or 100.

    Returns:
        The edition's layout and the folder with its files.

    Raises:
        DataFormatError: Nothing there, or only some of the batches; names them and the nearest match.

    Example:
        >>> import tempfile
        >>> from monge.data.synthetic.layouts import write_fake_cifar10
        >>> root = Path(tempfile.mkdtemp())
        >>> write_fake_cifar10(root, edition="python", train=50, test=10)
        >>> find_cifar(root, 10)[0].edition
        'python'
    """
    folder, layouts = Path(folder), LAYOUTS[num_classes]
    if not os.path.isdir(folder):
        found, hint = "nothing there", nearest_hint(folder)
        if os.path.exists(folder):
            found, hint = "a file", "unpack the archive and give the folder"
        raise DataFormatError(shown(folder), "", found, f"a folder with CIFAR-{num_classes}", hint)
    places = [(layout, place) for layout in layouts for place in (folder, folder / layout.folder)]
    for layout, place in places:
        if not _lacking(layout, place):
            return layout, place
    layout, place = min(places, key=lambda pair: len(_lacking(*pair)) / (len(pair[0].train) + 1))
    lacking = _lacking(layout, place)
    if len(lacking) <= len(layout.train):
        expected = f"{', '.join(lacking)} as well"
        raise DataFormatError(shown(place), "", "only some of the batches", expected, "unpack the archive again")
    expected = " or ".join(f"{layout.folder}/ ({layout.edition} edition)" for layout in layouts)
    raise DataFormatError(shown(folder), "", f"no CIFAR-{num_classes}", expected, _nearby(folder, num_classes))


def _lacking(layout: CifarLayout, place: Path) -> list[str]:
    return [name for name in (*layout.train, layout.test) if not os.path.isfile(place / name)]


def _nearby(folder: Path, num_classes: int) -> str:
    """Where a complete edition lies instead: beside, above, one level below, or of the other data set."""
    for near in (folder.parent, folder.parent.parent, *(folder / name for name in names_in(folder))):
        for layout in LAYOUTS[num_classes]:
            for place in (near, near / layout.folder):
                if not _lacking(layout, place):
                    return f"there is one in {shown(place)}"
    for other in set(LAYOUTS) - {num_classes}:
        if any(not _lacking(layout, folder / sub) for layout in LAYOUTS[other] for sub in (".", layout.folder)):
            return f"the folder holds CIFAR-{other}"
    if any(name.startswith("cifar-") and name.endswith(".tar.gz") for name in names_in(folder)):
        return "unpack the .tar.gz first"
    return "check the path"
