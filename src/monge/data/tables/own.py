"""A table in a user's own files, as the three parts that training, choosing and reporting use."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from monge.data.examples import Splits
from monge.data.formats.sniff import shown
from monge.data.formats.table import Table, names_in_words
from monge.data.splits import SPLIT_SEED, split_by_fraction
from monge.data.tables.classes import Level, TargetClasses, classes_of
from monge.data.tables.encoding import MAX_LEVELS, TableEncoding
from monge.data.tables.files import check_same_columns, part_files, read_table, require_columns
from monge.data.tables.kinds import Kind, kind_of, numbers_of, texts_of
from monge.data.tables.table_set import TableSet
from monge.errors import DataFormatError, MongeError

SHARES = (0.7, 0.1, 0.2)
_VAL_OF_TRAIN = 0.1
Part = tuple[Table, NDArray[np.int64]]
"""A table and the positions of the rows in it that belong to the part."""


@dataclass(frozen=True)
class TableOptions:
    """What a table is to be used for.

    Args:
        target: Column with the classes.
        levels: The classes from low to high; see :func:`~monge.data.tables.classes.classes_of`.
        ordered: Whether the order of the classes means anything.
        drop: Columns that are no features.
        kinds: ``"numeric"`` or ``"categorical"`` for columns that say it badly themselves;
            see :func:`~monge.data.tables.kinds.kind_of`.
        split: Shares of train, val and test for a single file.
        split_seed: Another seed gives other parts.

    Raises:
        MongeError: Shares that do not sum to 1, a kind that there is not, or a column that is dropped and used.
    """

    target: str
    levels: Sequence[Level] | None = None
    ordered: bool = True
    drop: Sequence[str] = ()
    kinds: Mapping[str, Kind] | None = None
    split: tuple[float, float, float] = SHARES
    split_seed: int = SPLIT_SEED

    def __post_init__(self) -> None:
        if len(self.split) != 3 or min(self.split) <= 0 or abs(sum(self.split) - 1) > 1e-6:
            raise MongeError(f"split: found {list(self.split)}, expected three positive shares that sum to 1")
        for name, kind in (self.kinds or {}).items():
            if kind not in ("numeric", "categorical"):
                raise MongeError(f"kinds: found {kind!r} for {name!r}, expected numeric or categorical")
        twice = [name for name in self.drop if name == self.target or name in (self.kinds or {})]
        if twice:
            raise MongeError(f"drop: found {twice[0]!r}, which is the target or has a kind, expected other columns")


def load_own_table(path: str | Path, options: TableOptions, source: str = "own table") -> Splits:
    """Reads one file and splits it, or a folder with ``train``, ``test`` and perhaps ``val`` files.

    Args:
        path: A CSV or Parquet file, or a folder of them.
        options: Target, levels and the rest.
        source: How the sentence on the source begins; the files are added.

    Raises:
        DataFormatError: The files are not good, or do not have what the options name.
        MissingExtraError: A Parquet file without pyarrow.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "stones.csv"
        >>> _ = file.write_text("carat,grade\\n" + "0.2,low\\n0.9,high\\n" * 10)
        >>> splits = load_own_table(file, TableOptions("grade", levels=["low", "high"]))
        >>> splits.definition
        '14 train / 2 val / 4 test: 70/10/20 % of every class (fixed draw, seed 1903); 1 column as 1 feature...'
    """
    place = Path(path).expanduser()
    if not place.is_dir():
        table = read_table(place)
        kinds, classes = _columns_and_classes([table], options)
        parts, how = _drawn(table, classes, options)
        _warn_of_copies(parts, [*kinds, options.target])
        told = f"{source}: {shown(place)}, {table.form}, {len(table):,} rows"
        return _splits(parts, kinds, classes, options, told, how)
    files = part_files(place)
    tables = [read_table(file) for file in files if file is not None]
    check_same_columns(tables)
    kinds, classes = _columns_and_classes(tables, options)
    labels = [classes.labels(table, options.target) for table in tables]
    parts = [(table, np.arange(len(table))) for table in tables]
    how = "the files of the folder"
    if files[1] is None:
        stay, aside = split_by_fraction(labels[0], _VAL_OF_TRAIN, seed=options.split_seed)
        parts = [(tables[0], stay), (tables[0], aside), parts[1]]
        how += f"; val is 10 % of every class of {files[0].name} (fixed draw, seed {options.split_seed})"
    names = ", ".join(file.name for file in files if file is not None)
    _warn_of_copies(parts, [*kinds, options.target])
    return _splits(parts, kinds, classes, options, f"{source}: {names} of {shown(place)}", how)


def split_table(table: Table, options: TableOptions, source: str) -> Splits:
    """Splits one table, every class by the same shares.

    Args:
        table: The table.
        options: Target, levels and the rest.
        source: The sentence on the source.

    Raises:
        DataFormatError: The table does not have what the options name, or too few rows.
    """
    kinds, classes = _columns_and_classes([table], options)
    parts, how = _drawn(table, classes, options)
    return _splits(parts, kinds, classes, options, source, how)


def _drawn(table: Table, classes: TargetClasses, options: TableOptions) -> tuple[list[Part], str]:
    """Training, validation and test rows of one table, and how they were drawn."""
    labels = classes.labels(table, options.target)
    _, val_share, test_share = options.split
    rest, test = split_by_fraction(labels, test_share, seed=options.split_seed)
    stay, aside = split_by_fraction(labels[rest], val_share / (1 - test_share), seed=options.split_seed)
    shares = "/".join(f"{100 * share:g}" for share in options.split)
    how = f"{shares} % of every class (fixed draw, seed {options.split_seed})"
    return [(table, rest[stay]), (table, rest[aside]), (table, test)], how


def _columns_and_classes(tables: Sequence[Table], options: TableOptions) -> tuple[dict[str, Kind], TargetClasses]:
    """The columns that become features, and the classes of the target; the first table decides on the columns."""
    first, given = tables[0], options.kinds or {}
    require_columns(first, [options.target], "the target")
    require_columns(first, list(options.drop), "what drop names")
    require_columns(first, list(given), "what kinds names")
    kinds: dict[str, Kind] = {}
    empty: list[str] = []
    for name in first.columns:
        if name != options.target and name not in options.drop:
            kind = given.get(name) or kind_of(first, name)
            if kind is None:
                empty.append(name)
            else:
                kinds[name] = kind
    if empty:
        told = f"{first.path.name}: left out, since they hold no value: {names_in_words(empty)}"
        warnings.warn(told, UserWarning, stacklevel=5)
    if not kinds:
        raise DataFormatError(first.path, "", f"no column beside {options.target!r}", "at least one with features")
    _warn_of_row_numbers(first, kinds)
    _warn_of_names(first, kinds)
    return kinds, classes_of(tables, options.target, options.levels, ordered=options.ordered)


def _warn_of_row_numbers(table: Table, kinds: Mapping[str, Kind]) -> None:
    """A column that counts the rows tells a network the order of the file, which is often the order of the classes."""
    for name, kind in kinds.items():
        numbers = numbers_of(table, name) if kind == "numeric" and len(table) > 2 else np.zeros(2)
        if (np.diff(numbers) == 1).all():
            told = f"{table.path.name}: column {name!r} counts the rows: if it measures nothing, leave it out with drop"
            warnings.warn(told, UserWarning, stacklevel=6)


def _warn_of_names(table: Table, kinds: Mapping[str, Kind]) -> None:
    """A column of texts that hardly repeat, such as names and dates, says nothing of other rows."""
    for name, kind in kinds.items():
        distinct = int((texts_of(table, name).counts() > 0).sum()) if kind == "categorical" else 0
        if distinct > max(MAX_LEVELS, len(table) // 2):
            told = f"column {name!r} has {distinct:,} different texts in {len(table):,} rows"
            hint = "if they are names or dates, leave it out with drop"
            warnings.warn(f"{table.path.name}: {told}: {hint}", UserWarning, stacklevel=6)


def _warn_of_copies(parts: Sequence[Part], columns: Sequence[str]) -> None:
    """A test row that training has too is known by heart."""

    def cells(part: Part) -> Iterator[tuple[str, ...]]:
        table, rows = part
        texts = [texts_of(table, name) for name in columns]
        return zip(*(np.array(column.values, object)[column.codes[rows]] for column in texts), strict=True)

    train, _, test = parts
    known = set(cells(train))
    if copies := sum(row in known for row in cells(test)):
        told = f"{copies:,} of {len(test[1]):,} test rows are in the training part too, class and all"
        warnings.warn(f"{test[0].path.name}: {told}: if they are copies, remove them", UserWarning, stacklevel=4)


def _splits(
    parts: Sequence[Part],
    kinds: Mapping[str, Kind],
    classes: TargetClasses,
    options: TableOptions,
    source: str,
    how: str,
) -> Splits:
    """Encodes the parts by what the first one, training, teaches."""
    for (table, rows), part in zip(parts, ("train", "val", "test"), strict=True):
        if not len(rows):
            found = f"{len(table)} rows, which leave none for {part}"
            raise DataFormatError(table.path, "", found, "more rows of every class")
    encoding = TableEncoding.fit(parts[0][0], kinds, parts[0][1])
    # Two parts may come from one table, which is encoded once.
    whole = {id(table): _encoded(table, encoding, classes, options.target) for table, _ in parts}
    train, val, test = (whole[id(table)].subset(torch.from_numpy(rows)) for table, rows in parts)
    never = [name for number, name in enumerate(classes.names) if number not in set(train.labels.tolist())]
    if never:
        told = f"{parts[0][0].path.name}: no training row has the class {names_in_words(never)}"
        warnings.warn(told, UserWarning, stacklevel=5)
    width = len(encoding.features)
    columns = f"{len(kinds)} column{'s' * (len(kinds) > 1)} as {width} feature{'s' * (width > 1)}"
    order = f"{options.target}: {(' < ' if classes.ordered else ', ').join(classes.names)}"
    return Splits(
        train=train,
        val=val,
        test=test,
        classes=classes.names,
        source=source,
        definition=f"{len(train):,} train / {len(val):,} val / {len(test):,} test: {how}; {columns}, scaled by the "
        f"training part; target {order}",
        ordered=classes.ordered,
        positions=classes.positions,
    )


def _encoded(table: Table, encoding: TableEncoding, classes: TargetClasses, target: str) -> TableSet:
    """Every row of a table as features and label."""
    return TableSet(torch.from_numpy(encoding.encode(table)), torch.from_numpy(classes.labels(table, target)))
