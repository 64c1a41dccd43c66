"""Finds the four IDX files of MNIST and its relatives under the names and folders in which they circulate."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from monge.data.formats.sniff import names_in, nearest_hint, shown
from monge.errors import DataFormatError

# Stem and number of dimensions in the name; "t10k" is what the test part has been called from the start.
_PARTS = {
    "train_images": "train-images",
    "train_labels": "train-labels",
    "test_images": "t10k-images",
    "test_labels": "t10k-labels",
}


@dataclass(frozen=True)
class MnistFiles:
    """Where the four files are."""

    train_images: Path
    train_labels: Path
    test_images: Path
    test_labels: Path


def find_mnist_files(folder: str | Path, *, prefer: str = "MNIST") -> MnistFiles:
    """Finds training and test images and labels.

    Accepted are ``train-images-idx3-ubyte`` and ``train-images.idx3-ubyte``, each with or without ``.gz``, in any
    capitalisation; in the folder itself, one level below, or in a ``raw`` folder below that (``MNIST/raw``).

    Args:
        folder: The folder the user named.
        prefer: Sub-folder that is taken where several hold complete sets.

    Raises:
        DataFormatError: Files are missing (names what was looked for, what was there, and the nearest match), a name
            exists twice up to capitalisation, or several sub-folders could be meant.

    Example:
        >>> import tempfile
        >>> from monge.data.synthetic.layouts import write_fake_mnist
        >>> root = Path(tempfile.mkdtemp())
        >>> write_fake_mnist(root / "MNIST" / "raw", train=20, test=10)
        >>> find_mnist_files(root).test_labels.relative_to(root).as_posix()
        'MNIST/raw/t10k-labels-idx1-ubyte'
    """
    folder = Path(folder)
    if not os.path.isdir(folder):
        found, hint = (
            ("a file", "give the folder it is in")
            if os.path.exists(folder)
            else ("nothing there", nearest_hint(folder))
        )
        raise DataFormatError(shown(folder), "", found, "a folder with the four IDX files", hint)
    places = {place: parts for place in _places(folder) if (parts := _parts_in(place))}
    complete = [place for place, found in places.items() if len(found) == len(_PARTS)]
    if folder in complete:
        complete = [folder]
    if len(complete) > 1:
        complete = [place for place in complete if prefer in place.relative_to(folder).parts] or complete
    if len(complete) == 1:
        return MnistFiles(**places[complete[0]])
    if complete:
        names = " and ".join(shown(place) for place in complete)
        raise DataFormatError(shown(folder), "", f"complete sets in {names}", "one set", "name the one you mean")
    raise _missing(folder, places)


def _places(folder: Path) -> list[Path]:
    """The folder, its sub-folders, and a ``raw`` folder in each; nothing deeper, so links cannot lead astray."""
    below = [folder / name for name in names_in(folder) if os.path.isdir(folder / name)]
    return [folder, *below, *(place / "raw" for place in below if os.path.isdir(place / "raw"))]


def _parts_in(place: Path) -> dict[str, Path]:
    by_lower: dict[str, list[str]] = {}
    for name in names_in(place):
        by_lower.setdefault(name.lower(), []).append(name)
    found = {}
    for part, stem in _PARTS.items():
        for name in _accepted(stem):
            matches = by_lower.get(name, [])
            if len(matches) > 1:
                both = " and ".join(matches)
                raise DataFormatError(shown(place), "", both, f"one {name}", "the names differ only in capitals")
            if matches and os.path.isfile(place / matches[0]):
                found[part] = place / matches[0]
                break
    return found


def _accepted(stem: str) -> list[str]:
    """Names in the order of preference: without gzip first, since that reads faster."""
    kind = "idx3-ubyte" if stem.endswith("images") else "idx1-ubyte"
    return [f"{stem}{joint}{kind}{end}" for end in ("", ".gz") for joint in ("-", ".")]


def _missing(folder: Path, places: dict[Path, dict[str, Path]]) -> DataFormatError:
    expected = "{} (or .idx3-ubyte/.idx1-ubyte, or with .gz), here or one level below"
    if places:
        place, found = max(places.items(), key=lambda item: len(item[1]))
        wanted = [_accepted(stem)[0] for part, stem in _PARTS.items() if part not in found]
        there = "only " + ", ".join(shown(path.name) for path in found.values())
        hint = nearest_hint(place / wanted[0])
    else:
        place, there, wanted = folder, "none of the files", [_accepted(stem)[0] for stem in _PARTS.values()]
        nearby = [shown(near) for near in _places(folder.parent) if len(_parts_in(near)) == len(_PARTS)]
        hint = f"a complete set is in {nearby[0]}" if nearby else nearest_hint(place / wanted[0])
    return DataFormatError(shown(place), "", there, expected.format(", ".join(wanted)), hint)
