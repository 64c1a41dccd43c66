"""Files of one's own by class: each looked at, then in training, validation and test parts, copies never parted."""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.class_folders import ClassFolders, read_class_folders
from monge.data.formats.flaws import Flaws
from monge.data.formats.labelled_files import LabelledFiles, some
from monge.data.formats.sniff import shown
from monge.data.splits import SPLIT_SEED, split_by_fraction
from monge.errors import DataFormatError, MongeError

Positions = NDArray[np.int64]
_TEST, _VAL, _VAL_OF_TRAIN = 0.2, 0.125, 0.1
# Retrieval within a part finds one by another.
_LEAST = 2
_PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class OwnFiles:
    """Files by class and part.

    Args:
        folder: Where the folders are.
        classes: Their names, sorted.
        files: The files and their classes.
        parts: Positions of training, validation and test.
        how: Half a sentence that says how the parts were made.
        others: What was passed over for the endings of the names; empty if nothing was.
    """

    folder: Path
    classes: tuple[str, ...]
    files: LabelledFiles
    parts: tuple[Positions, ...]
    how: str
    others: str

    def remarks(self, flaws: Flaws) -> list[str]:
        """What was left out and passed over."""
        return [f"left out {entries}" for entries in flaws.told()] + [self.others] * bool(self.others)


def read_own_files(
    folder: str | Path,
    endings: tuple[str, ...],
    flaws: Flaws,
    *,
    each: str,
    flaw_of: Callable[[Path], DataFormatError | None] = lambda path: None,
) -> OwnFiles:
    """Lists files by class and parts them where the folder does not.

    Args:
        folder: See `monge.data.formats.class_folders`. Without parts 70/10/20 % of every class are drawn, without a
            part for validation 10 % of training; copies of a file stay together.
        endings: Of the files, in small letters.
        flaws: Takes damaged files, and those that are in two classes or parts; settled here.
        each: What a file is called in messages, e.g. ``"picture"``.
        flaw_of: What is wrong with a file.

    Raises:
        DataFormatError: Not such a folder, or, unless flaws are left out, one of them.
        MongeError: A part is empty.

    Warns:
        UserWarning: A class misses a part, or files were passed over.
    """
    found = read_class_folders(folder, endings, flaws, each=each)
    files, given = _whole(found)
    digests = _digests(files.paths)
    kept = _sound(files, given, digests, found.folder, flaws, each, flaw_of)
    flaws.settle()
    files, given = files.subset(kept), given[kept]
    parts, how = _parts(files, given, digests)
    for part, places in zip(_PARTS, parts, strict=True):
        if not len(places):
            raise MongeError(f"{shown(found.folder)}: the part {part} is empty ({how}): it has too few {each}s")
        lacking = [
            name for number, name in enumerate(found.classes) if number not in set(files.labels[places].tolist())
        ]
        if lacking:
            told = f"{shown(found.folder)}: no {each} of the part {part} has the class {some(lacking)}"
            warnings.warn(told, UserWarning, stacklevel=6)
    others = ""
    if found.others:
        names = some([path.name for path in found.others])
        others = f"passed over, since no {each}s by their names: {len(found.others):,} ({names})"
        warnings.warn(f"{shown(found.folder)}: {others}", UserWarning, stacklevel=6)
    return OwnFiles(found.folder, found.classes, files, tuple(parts), how, others)


def _whole(found: ClassFolders) -> tuple[LabelledFiles, Positions]:
    """All files in one list, and the part that each was found in: its number, or -1 where there are no parts."""
    paths = tuple(path for files in found.parts.values() for path in files.paths)
    labels = np.concatenate([files.labels for files in found.parts.values()])
    numbers = [_PARTS.index(part) if part in _PARTS else -1 for part in found.parts]
    given = np.repeat(numbers, [len(files) for files in found.parts.values()])
    return LabelledFiles(paths, labels), given.astype(np.int64)


def _sound(
    files: LabelledFiles,
    given: Positions,
    digests: Mapping[Path, str],
    folder: Path,
    flaws: Flaws,
    each: str,
    flaw_of: Callable[[Path], DataFormatError | None],
) -> Positions:
    """Positions of the files that are whole and contradict no other."""
    kept = []
    first: dict[str, int] = {}
    for place, path in enumerate(files.paths):
        if (error := flaw_of(path)) is not None:
            flaws.note(f"damaged {each}s", path, "", error.found, error.expected)
            continue
        other = first.setdefault(digests[path], place)
        same = f"the same {each} as {shown(files.paths[other].relative_to(folder))}"
        if files.labels[other] != files.labels[place]:
            flaws.note(f"{each}s in two classes", path, "", same, f"each {each} in one class")
        elif given[other] != given[place]:
            flaws.note(f"{each}s in two parts", path, "", same, f"each {each} in one part")
        else:
            kept.append(place)
    return np.array(kept, np.int64)


def _digests(paths: Sequence[Path]) -> dict[Path, str]:
    """What makes two files one: their bytes; those that no other is as long as are not read."""
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
