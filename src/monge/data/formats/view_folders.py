"""Pictures of ModelNet that were rendered by others, as MVCNN and those who came after it hand them out.

``<class>/{train,test}/<object>.obj.shaded_v001.png`` is the newer layout, twelve views of 224 x 224 on black;
``<class>/{train,test}/<class>_000000001_001.jpg`` the older one. Views belong to an object by its name, never by their
place in the sorted list: one missing picture would shift all that follow.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from monge.data.formats.flaws import Flaws
from monge.data.formats.picture import picture_flaw
from monge.data.formats.places import find_place, folders_in, pictures_in
from monge.data.formats.sniff import shown
from monge.errors import DataFormatError
from monge.extras import require

PARTS = ("train", "test")
_NEWER = re.compile(r"(?P<name>.+?)(?:\.(?:obj|off))?(?P<kind>[._](?:shaded|depth|[a-z]+))?_v(?P<view>\d{1,4})\.\w+")
_OLDER = re.compile(r"(?P<name>.+)(?P<kind>)_(?P<view>\d{3})\.\w+")


@dataclass(frozen=True)
class ViewedObject:
    """One object and its pictures.

    Args:
        name: Its name without ending, e.g. ``"airplane_0627"``.
        label: Class number.
        paths: Its pictures in the order of their numbers.
    """

    name: str
    label: int
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class ViewFolders:
    """What the folders hold.

    Args:
        classes: Class names: the folders, sorted.
        parts: Objects of ``"train"`` and of ``"test"``, sorted by class and name.
        views: Pictures of each object.
        size: Width and height of the pictures.
    """

    classes: tuple[str, ...]
    parts: dict[str, tuple[ViewedObject, ...]]
    views: int
    size: tuple[int, int]


def read_view_folders(folder: str | Path, flaws: Flaws, *, kind: str | None = None) -> ViewFolders:
    """Finds the pictures of every object.

    Args:
        folder: The folder of the classes, or the one above it.
        flaws: Takes objects with missing or surplus views or views of another size, pictures without a number, objects
            that are in both parts, and classes that are in one part alone; settled before this returns.
        kind: Which pictures, where there are several of an object: ``"shaded"`` or ``"depth"``.

    Raises:
        DataFormatError: No such folders, entries are bad, or pictures of several kinds.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> root = Path(tempfile.mkdtemp())
        >>> for part in PARTS:
        ...     (root / "bed" / part).mkdir(parents=True)
        ...     for view in (1, 2):
        ...         Image.new("L", (8, 8)).save(root / "bed" / part / f"bed_{part}.obj.shaded_v{view:03}.png")
        >>> found = read_view_folders(root, Flaws(strict=True))
        >>> found.classes, found.views, found.size, found.parts["test"][0].name
        (('bed',), 2, (8, 8), 'bed_test')
    """
    place = find_place(folder, _holds, "<class>/train and <class>/test")
    roots = [root for root in folders_in(place) if any((root / part).is_dir() for part in PARTS)]
    found = {part: _objects(roots, part, flaws, kind) for part in PARTS}
    everything = [one for part in PARTS for one in found[part]]
    if not everything:
        raise DataFormatError(shown(place), "", "no pictures with a view number", "<object>.obj.shaded_v001.png")
    views = Counter(len(paths) for _, _, paths in everything).most_common(1)[0][0]
    sizes = {path: _size(path, flaws) for _, _, paths in everything for path in paths.values()}
    size = Counter(filter(None, sizes.values())).most_common(1)[0][0]
    parts = {}
    for part in PARTS:
        parts[part] = tuple(
            ViewedObject(name, label, tuple(paths[number] for number in sorted(paths)))
            for label, name, paths in found[part]
            if _is_whole(name, paths, views, flaws) & _is_even(name, paths, sizes, size, flaws)
        )
    _compare_parts(place, [root.name for root in roots], parts, flaws)
    flaws.settle()
    return ViewFolders(tuple(shown(root.name) for root in roots), parts, views, size)


def _holds(place: Path) -> bool:
    return any((root / part).is_dir() for root in folders_in(place) for part in PARTS)


def _objects(roots: list[Path], part: str, flaws: Flaws, kind: str | None) -> list[tuple[int, str, dict[int, Path]]]:
    """Class number, name and pictures by number of every object of a part."""
    objects = []
    for label, root in enumerate(roots):
        by_name: dict[str, dict[int, Path]] = {}
        kinds: dict[str, Path] = {}
        for file in pictures_in(root / part):
            path = root / part / file
            match = _NEWER.fullmatch(file) or _OLDER.fullmatch(file)
            if match is None:
                expected = "a name that ends in _v001 or _001"
                flaws.note("pictures without a view number", path, "", f"the name {file!r}", expected)
                continue
            of_kind = (match["kind"] or "").lstrip("._")
            if kind is not None and of_kind != kind:
                continue
            kinds.setdefault(of_kind, path)
            if len(kinds) > 1:
                found = f"{' and '.join(repr(one) for one in sorted(kinds))} pictures"
                raise DataFormatError(shown(path), "", found, "one kind", "choose with kind, e.g. kind=shaded")
            by_name.setdefault(match["name"], {})[int(match["view"])] = path
        objects += [(label, name, by_name[name]) for name in sorted(by_name)]
    return objects


def _size(path: Path, flaws: Flaws) -> tuple[int, int] | None:
    """Width and height, from the head of the file alone."""
    if (flaw := picture_flaw(path)) is not None:
        flaws.note("unreadable pictures", path, flaw.where, flaw.found, flaw.expected)
        return None
    with open(path, "rb") as stream:
        head = stream.read(24)
        if head.startswith(b"\x89PNG") and len(head) == 24:
            width, height = struct.unpack(">II", head[16:])
            return int(width), int(height)
        images = require("PIL.Image", extra="train", purpose="reading pictures")
        stream.seek(0)
        size: tuple[int, int] = images.open(stream).size
        return size


def _is_whole(name: str, paths: dict[int, Path], views: int, flaws: Flaws) -> bool:
    """Whether an object has all its views, numbered from 0 or 1 without a gap."""
    start = 0 if 0 in paths else 1
    if sorted(paths) == list(range(start, start + views)):
        return True
    missing = sorted(set(range(start, start + views)) - set(paths))
    surplus = sorted(set(paths) - set(range(start, start + views)))
    parts = [f"no view {', '.join(map(str, missing[:3]))}"] if missing else []
    parts += [f"also view {', '.join(map(str, surplus[:3]))}"] if surplus else []
    first = paths[min(paths)]
    flaws.note("objects with missing or surplus views", first, name, " and ".join(parts), f"{views} views of each")
    return False


def _is_even(
    name: str,
    paths: dict[int, Path],
    sizes: dict[Path, tuple[int, int] | None],
    size: tuple[int, int],
    flaws: Flaws,
) -> bool:
    """Whether all views of an object can be read and have the size of the others."""
    for path in paths.values():
        if sizes[path] not in (size, None):
            found = "{} x {} pixels".format(*sizes[path])  # type: ignore[misc]
            flaws.note("pictures of another size", path, "", found, f"{size[0]} x {size[1]}, as most have")
    return all(sizes[path] == size for path in paths.values())


def _compare_parts(place: Path, classes: list[str], parts: dict[str, tuple[ViewedObject, ...]], flaws: Flaws) -> None:
    for label, name in enumerate(classes):
        there = [part for part in PARTS if any(one.label == label for one in parts[part])]
        if len(there) == 1:
            flaws.note("classes in one part alone", place / name, "", f"objects for {there[0]} alone", "train and test")
    both = {(one.label, one.name) for one in parts["train"]} & {(one.label, one.name) for one in parts["test"]}
    for label, name in sorted(both):
        path = place / classes[label] / "test" / name
        flaws.note("objects in both parts", path, "", "an object that is in train too", "every object in one part")
