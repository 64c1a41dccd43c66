"""The target column: which classes there are, in which order, and the label of every row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.table import Table, is_missing, names_in_words
from monge.data.tables.kinds import is_number, number_in_words, numbers_of, texts_of
from monge.errors import DataFormatError, MongeError

MAX_CLASSES = 100
Level = str | float


@dataclass(frozen=True)
class TargetClasses:
    """The classes of a target column.

    Args:
        names: From low to high if `ordered`.
        ordered: Whether the classes have an order.
        positions: Their numbers where the classes are numbers, increasing; else ``None``.
    """

    names: tuple[str, ...]
    ordered: bool
    positions: tuple[float, ...] | None = None

    def labels(self, table: Table, target: str) -> NDArray[np.int64]:
        """The class of every row, int64 ``(N,)``.

        Args:
            table: A table with the target column.
            target: Its name.

        Raises:
            DataFormatError: A row without a class, or with one that is not among them.
        """
        column = texts_of(table, target)
        place = {_key(name): number for number, name in enumerate(self.names)}
        labels = np.array([place.get(_key(text), -1) for text in column.values], np.int64)[column.codes]
        if (unknown := labels < 0).any():
            row = int(np.argmax(unknown))
            text = column.values[column.codes[row]]
            more = f" (and {int(unknown.sum()) - 1} more rows with none of them)" if unknown.sum() > 1 else ""
            found = "no value" if is_missing(text) else repr(text)
            raise DataFormatError(
                table.path, table.place(row, target), found + more, f"one of {names_in_words(self.names)}",
                "remove these rows, or give levels with every class",
            )  # fmt: skip
        return labels


def classes_of(
    tables: Sequence[Table], target: str, levels: Sequence[Level] | None = None, *, ordered: bool = True
) -> TargetClasses:
    """Finds the classes of a target column.

    Levels that are given count, in their order. Without them, numbers are classes by size, with the numbers themselves
    as positions, and text is refused, since nothing says its order; unless there is none: then by the alphabet.

    Args:
        tables: The table, or all of those that belong together.
        target: Name of the target column.
        levels: The classes from low to high.
        ordered: Whether the order of the classes means anything.

    Raises:
        DataFormatError: Text without levels, a single class, or more than a hundred numbers.
        MongeError: A level that is given twice, or fewer than two levels.
    """
    if levels is not None:
        return _given(levels, ordered)
    path = tables[0].path
    where = f"column {target!r}"
    found = {text: None for table in tables for text in texts_of(table, target).values if not is_missing(text)}
    if len(found) < 2:
        only = f"only the value {next(iter(found))!r}" if found else "no value at all"
        raise DataFormatError(path, where, only, "at least two classes", "choose another target")
    numbers = None
    names = tuple(sorted(found))
    if all(is_number(text) for text in found):
        every = np.unique(np.concatenate([numbers_of(table, target) for table in tables]))
        numbers = tuple(float(number) for number in every[~np.isnan(every)])
        names = tuple(number_in_words(number) for number in numbers)
    elif ordered:
        seen = f"{len(found)} texts ({names_in_words(sorted(found))})"
        hint = "give levels, all classes from low to high, or ordered: false"
        raise DataFormatError(path, where, seen, "levels that say their order", hint)
    if len(names) > MAX_CLASSES:
        seen, hint = f"{len(names)} different values", "give levels, or put the values into groups first"
        raise DataFormatError(path, where, seen, f"at most {MAX_CLASSES} classes", hint)
    return TargetClasses(names, ordered, numbers if ordered else None)


def _given(levels: Sequence[Level], ordered: bool) -> TargetClasses:
    names = tuple(level.strip() if isinstance(level, str) else number_in_words(level) for level in levels)
    keys = [_key(name) for name in names]
    twice = [name for name, key in zip(names, keys) if keys.count(key) > 1]
    if twice or len(names) < 2:
        told = f"{twice[0]!r} more than once" if twice else f"{len(names)} of them"
        raise MongeError(f"levels: found {told}, expected at least two different classes from low to high")
    numbers = [key for key in keys if isinstance(key, float)]
    rising = len(numbers) == len(keys) and all(low < high for low, high in pairwise(numbers))
    return TargetClasses(names, ordered, tuple(numbers) if ordered and rising else None)


def _key(text: str) -> str | float:
    """What makes two spellings one class: ``"1"`` and ``"1.0"`` are the same number."""
    return float(text) if is_number(text) else text
