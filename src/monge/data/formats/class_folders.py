"""A folder for each class, in parts or not: how most people keep pictures and models of their own.

``<class>/<file>``, or with parts ``<part>/<class>/<file>`` or ``<class>/<part>/<file>``.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from monge.data.formats.flaws import Flaws
from monge.data.formats.labelled_files import LabelledFiles, files_in, labelled
from monge.data.formats.places import find_place, folders_in
from monge.data.formats.sniff import names_in, shown
from monge.errors import DataFormatError

PART_NAMES = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
"""What folders and files of the parts are called."""
_JUNK = ("thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class ClassFolders:
    """Files by class.

    Args:
        folder: Where the folders are.
        classes: Their names, sorted; label ``k`` is ``classes[k]``.
        parts: The files of ``"train"``, ``"test"`` and perhaps ``"val"``; all of them under ``"all"`` where the folder
            has no parts.
        others: Files in the folders of the classes that have another ending.
    """

    folder: Path
    classes: tuple[str, ...]
    parts: Mapping[str, LabelledFiles]
    others: tuple[Path, ...]


def read_class_folders(folder: str | Path, endings: tuple[str, ...], flaws: Flaws, *, each: str) -> ClassFolders:
    """Lists files by class and part.

    Args:
        folder: The folder of the classes or of the parts, or the one above.
        endings: Of the files, in small letters.
        flaws: Takes folders of classes without files, classes of the other parts that training has not, files beside
            the folders and folders below them; not settled here.
        each: What a file is called in messages, e.g. ``"picture"``.

    Raises:
        DataFormatError: No such layout, training without a test part or the other way round, fewer than two classes, or
            names that differ in capitals alone.

    Example:
        >>> import tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> for name in ("cat/1.jpg", "cat/2.jpg", "dog/1.jpg"):
        ...     (root / name).parent.mkdir(exist_ok=True)
        ...     (root / name).touch()
        >>> found = read_class_folders(root, (".jpg",), Flaws(strict=True), each="picture")
        >>> found.classes, found.parts["all"].labels.tolist()
        (('cat', 'dog'), [0, 0, 1])
    """
    expected = f"folders of {each}s by class, in train/ and test/ or not"
    place = find_place(folder, lambda path: bool(_placed(path, endings)), expected)
    placed = _placed(place, endings)
    _check_parts(place, placed)
    named = _classes(place, placed, endings, flaws, each)
    if len(named) < 2:
        found = f"{len(named)} folder{'s' * (len(named) != 1)} with {each}s"
        raise DataFormatError(shown(place), "", found, f"two or more: {expected}", "check the path")
    number = {name: label for label, name in enumerate(named)}
    listed: dict[str, list[tuple[Path, int]]] = {}
    for one in placed:
        if one.name in number:
            listed.setdefault(one.part, []).extend((file, number[one.name]) for file in files_in(one.path, endings))
        for below in folders_in(one.path):
            if files_in(below, endings):
                flaws.note("folders within classes", below, "", "a folder", f"{each}s in the folder of the class")
    for beside in sorted({one.path.parent for one in placed} | {place}):
        for file in files_in(beside, endings):
            flaws.note(f"{each}s beside the folders", file, "", "no class", f"{each}s in the folder of their class")
    parts = {part: labelled(files) for part, files in listed.items() if files}
    others = tuple(path for one in placed for path in _others(one.path, endings))
    return ClassFolders(place, tuple(shown(name) for name in named), parts, others)


@dataclass(frozen=True)
class _Placed:
    """A folder that may hold files of a class: its part, the name of the class, where it is."""

    part: str
    name: str
    path: Path


def _placed(place: Path, endings: tuple[str, ...]) -> list[_Placed]:
    """The folders of the classes, whichever layout it is; none where it is no such folder."""
    below = folders_in(place)
    tops = [(part, path) for path in below if (part := _part(path)) and not files_in(path, endings)]
    above = [_Placed(part, _name(inner), inner) for part, path in tops for inner in folders_in(path)]
    within = [_Placed(part, _name(path), one) for path in below for one in folders_in(path) if (part := _part(one))]
    flat = [_Placed("all", _name(path), path) for path in below]
    for found in (above, within, flat):
        if any(files_in(one.path, endings) for one in found):
            return found
    return []


def _check_parts(place: Path, placed: list[_Placed]) -> None:
    """Refuses a part alone, two folders for the same part of a class, and folders beside those of the parts."""
    parts = {one.part for one in placed}
    if "all" in parts:
        return
    for part in ("train", "test"):
        if part not in parts:
            found = f"{' and '.join(sorted(parts))} alone"
            raise DataFormatError(shown(place), "", found, f"{part} too, or the folders of the classes, to be split")
    first: dict[tuple[str, str], Path] = {}
    for one in placed:
        if (other := first.setdefault((one.part, one.name), one.path)) != one.path:
            both = f"{shown(other.relative_to(place))} and {shown(one.path.relative_to(place))}"
            raise DataFormatError(shown(place), "", both, "one of them", f"both are the {one.part} part of a class")
    used = {one.path.relative_to(place).parts[0] for one in placed}
    for path in folders_in(place):
        if path.name not in used and _part(path) is None:
            raise DataFormatError(
                shown(path), "", "a folder without parts beside others that have them", "parts here too"
            )


def _classes(place: Path, placed: list[_Placed], endings: tuple[str, ...], flaws: Flaws, each: str) -> list[str]:
    """Names of the classes, sorted; those that hold nothing, or that training does not have, are flaws."""
    learned = sorted({one.name for one in placed if one.part in ("train", "all")})
    lower: dict[str, str] = {}
    for name in learned:
        if (other := lower.setdefault(name.lower(), name)) != name:
            both = f"{shown(other)} and {shown(name)}"
            raise DataFormatError(shown(place), "", both, "one of them", "the names differ only in capitals")
    empty = set()
    for one in placed:
        if one.name not in learned:
            near = difflib.get_close_matches(one.name, learned, n=1)
            wanted = f"a class of train{f', perhaps {shown(near[0])}' if near else ''}"
            flaws.note("classes that train has not", one.path, "", f"the class {shown(one.name)}", wanted)
        elif not files_in(one.path, endings):
            flaws.note(f"folders of classes without {each}s", one.path, "", f"no {each}", f"{each}s of the class")
            if one.part in ("train", "all"):
                empty.add(one.name)
    return [name for name in learned if name not in empty]


def _others(path: Path, endings: tuple[str, ...]) -> list[Path]:
    names = [name for name in names_in(path) if not name.startswith(".") and name.lower() not in _JUNK]
    return [path / name for name in names if not name.lower().endswith(endings) and (path / name).is_file()]


def _part(path: Path) -> str | None:
    """Which part a folder's name says, if any."""
    return next((part for part, names in PART_NAMES.items() if path.name.lower() in names), None)


def _name(path: Path) -> str:
    """Name of the class of a folder; systems differ in how they store accents."""
    return unicodedata.normalize("NFC", path.name)
