"""From pictures that a data set lists to training, validation and test parts, with sentences on all that was done."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from monge.data.examples import Examples, Splits
from monge.data.formats.flaws import Flaws
from monge.data.formats.picture import picture_flaw
from monge.data.image_files import ImageFiles, PictureCache
from monge.data.images import ImageSet
from monge.data.owner_splits import split_by_owner
from monge.data.sources.left_out import tell
from monge.data.splits import SPLIT_SEED, split_by_fraction
from monge.errors import MongeError

Positions = NDArray[np.int64]

VAL_FRACTION = 0.1
TEST_FRACTION = 0.2
DRAWN = f"fixed draw, seed {SPLIT_SEED}"
_CHUNK = 256


@dataclass(frozen=True)
class Reading:
    """How pictures are read, whatever the data set.

    Args:
        size: Height and width that they are given.
        strict: Whether missing, damaged and contradictory entries are an error, or left out, counted and told.
        cache_bytes: Memory for decoded pictures, so that later epochs need not decode them again; 0: none.

    Raises:
        MongeError: A value of another kind.

    Example:
        >>> Reading(size=64).strict
        True
    """

    size: int = 224
    strict: bool = True
    cache_bytes: int = 1 << 30

    def __post_init__(self) -> None:
        if type(self.size) is not int or not 4 <= self.size <= 1024:
            raise MongeError(f"found size={self.size!r}, expected a whole number from 4 to 1024")
        if type(self.strict) is not bool:
            raise MongeError(f"found strict={self.strict!r}, expected true or false")
        if type(self.cache_bytes) is not int or self.cache_bytes < 0:
            raise MongeError(f"found cache_bytes={self.cache_bytes!r}, expected a whole number of bytes, at least 0")

    def flaws(self) -> Flaws:
        """An empty collection of flaws, as strict as this reading."""
        return Flaws(self.strict)


def check_options(name: str, known: Sequence[str], options: Iterable[str]) -> None:
    """Refuses choices that a data set does not leave.

    Args:
        name: Name of the data set.
        known: Names of its options.
        options: Names of those that were given.

    Raises:
        MongeError: One that is not known.

    Example:
        >>> check_options("adience", ["fold", "size"], {"flod": 2})
        Traceback (most recent call last):
        monge.errors.MongeError: adience: unknown option 'flod'; did you mean fold?
    """
    for option in options:
        if option not in known:
            near = difflib.get_close_matches(option, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}"
            raise MongeError(f"{name}: unknown option {option!r}; {hint}")


@dataclass(frozen=True)
class Listing:
    """What a data set lists, sorted into parts.

    Args:
        paths: The pictures.
        labels: Class of each, int64 ``(N,)``.
        parts: Positions of training, validation and test.
        classes: Class names.
        positions: Places of the classes on a line.
        split: Half a sentence that says how the parts were made.
        edition: Which edition was read, if there are several.
        remarks: What was dropped or mapped by rule, each with its number.
        lacks: How it differs from the complete set; empty if it does not.
        targets: Distributions over the classes, float32 ``(N, K)``.
        boxes: Squares to cut out, float32 ``(N, 3)``.
    """

    paths: Sequence[Path]
    labels: NDArray[np.int64]
    parts: tuple[Positions, Positions, Positions]
    classes: tuple[str, ...]
    positions: tuple[float, ...]
    split: str
    edition: str = ""
    remarks: tuple[str, ...] = ()
    lacks: str = ""
    targets: NDArray[np.float32] | None = None
    boxes: NDArray[np.float32] | None = None


def listing_to_splits(
    name: str, listing: Listing, reading: Reading, flaws: Flaws, folder: str, *, told: bool = True
) -> Splits:
    """Pictures that stay on disk until they are wanted.

    Unless the reading is strict, the files are looked at first, and those that cannot be decoded are left out; a strict
    reading refuses them when they are wanted.

    Args:
        name: Name of the data set.
        listing: What it lists.
        reading: How to read it.
        flaws: What its reader left out.
        folder: Where it was read from, for the source's sentence.
        told: Whether to say that the set is not complete.

    Warns:
        UserWarning: It is not the complete set, or entries were left out.

    Raises:
        MongeError: A part is empty.
    """
    kept = listing if reading.strict else _without_damaged(listing, flaws)
    source = f"official layout: {name} read from {folder}" + (f" ({kept.edition})" if kept.edition else "")
    if kept.lacks and told:
        source += f", not the complete set: {kept.lacks}"
        warnings.warn(source, UserWarning, stacklevel=4)
    tell(name, flaws)
    for part, places in zip(("training", "validation", "test"), kept.parts, strict=True):
        if not len(places):
            raise MongeError(f"{name}: the {part} part of {folder} is empty ({kept.split}): it has too few pictures")
    remarks = list(kept.remarks) + [f"left out {entries}" for entries in flaws.told()]
    sizes = "{:,} train / {:,} val / {:,} test".format(*map(len, kept.parts))
    whole = ImageFiles(
        list(kept.paths),
        torch.from_numpy(kept.labels),
        reading.size,
        None if kept.targets is None else torch.from_numpy(kept.targets),
        None if kept.boxes is None else torch.from_numpy(kept.boxes),
        PictureCache(reading.cache_bytes) if reading.cache_bytes else None,
    )
    train, val, test = (whole.subset(torch.from_numpy(part)) for part in kept.parts)
    return Splits(
        train=train,
        val=val,
        test=test,
        classes=kept.classes,
        source=source,
        definition="; ".join([f"{sizes}: {kept.split}", *remarks]),
        ordered=True,
        positions=kept.positions,
    )


def into_memory(splits: Splits, source: str) -> Splits:
    """The same splits with every picture decoded, so that their files may go.

    Args:
        splits: Any.
        source: Sentence on where they come from.
    """

    def decoded(part: Examples) -> ImageSet:
        pictures = [part.inputs(range(start, min(start + _CHUNK, len(part)))) for start in range(0, len(part), _CHUNK)]
        return ImageSet(torch.cat(pictures), part.labels, part.targets)

    train, val, test = (decoded(part) for part in (splits.train, splits.val, splits.test))
    return replace(splits, train=train, val=val, test=test, source=source)


def parts_by_owner(owners: Sequence[object], test: NDArray[np.bool_] | None, name: str) -> tuple[Positions, ...]:
    """Training, validation and test parts that no owner is in two of.

    Args:
        owners: Whom each picture belongs to.
        test: Which pictures are tested; ``None``: a fifth of them.
        name: Name of the data set, for the error message.

    Raises:
        MongeError: Too few owners.
    """
    keys = [str(owner) for owner in owners]
    try:
        if test is None:
            rest, tested = split_by_owner(keys, TEST_FRACTION)
        else:
            rest, tested = np.flatnonzero(~test), np.flatnonzero(test)
        stay, aside = split_by_owner([keys[place] for place in rest], VAL_FRACTION)
    except ValueError as error:
        raise MongeError(f"{name}: too few pictures to split ({error})") from None
    return rest[stay], rest[aside], tested


def parts_at_random(strata: ArrayLike) -> tuple[Positions, ...]:
    """Training, validation and test parts: a fifth of each stratum is tested, a tenth of the rest chosen by.

    Args:
        strata: Class by which each picture counts, ``(N,)``.
    """
    values = np.asarray(strata)
    rest, tested = split_by_fraction(values, TEST_FRACTION)
    stay, aside = split_by_fraction(values[rest], VAL_FRACTION)
    return rest[stay], rest[aside], tested


def _without_damaged(listing: Listing, flaws: Flaws) -> Listing:
    """The listing without the pictures that cannot be decoded."""
    bad: dict[Path, bool] = {}
    for path in listing.paths:
        if path not in bad:
            error = picture_flaw(path)
            bad[path] = error is not None
            if error is not None:
                flaws.note("damaged pictures", path, "", error.found, error.expected)
    damaged = np.array([bad[path] for path in listing.paths], bool)
    train, val, test = (part[~damaged[part]] for part in listing.parts)
    return replace(listing, parts=(train, val, test)) if damaged.any() else listing
