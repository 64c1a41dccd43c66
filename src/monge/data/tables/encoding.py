"""From columns to features: what it takes is learned from the training rows and then applied to any rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.table import Table, is_missing
from monge.data.tables.kinds import Kind, numbers_of, texts_of
from monge.errors import DataFormatError

MAX_LEVELS = 50
_MAX_BYTES = 8 << 30


@dataclass(frozen=True)
class NumericColumn:
    """A number, standardised, and whether it was missing.

    Args:
        name: Of the column.
        mean: Of the training values; takes the place of missing ones.
        scale: Their standard deviation; 1 for a column that does not vary.
        indicator: Whether a second feature says 1 where the value is missing: so if any was in training.
    """

    name: str
    mean: float
    scale: float
    indicator: bool

    @classmethod
    def fit(cls, table: Table, name: str, rows: NDArray[np.int64]) -> NumericColumn:
        """Learns from the given rows."""
        values = numbers_of(table, name)[rows]
        missing = np.isnan(values)
        present = values[~missing] if not missing.all() else np.zeros(1)
        mean, spread = float(present.mean()), float(present.std())
        # What rounding leaves of a constant is no spread.
        varies = spread > 1e-12 * float(np.abs(present).max())
        return cls(name, mean, spread if varies else 1.0, bool(missing.any()))

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features."""
        return (self.name, f"{self.name} is missing") if self.indicator else (self.name,)

    def encode(self, table: Table) -> NDArray[np.float32]:
        """Features ``(N, 1)``, or ``(N, 2)`` with the indicator."""
        values = numbers_of(table, self.name)
        missing = np.isnan(values)
        scaled = np.where(missing, 0.0, (values - self.mean) / self.scale)
        return np.column_stack([scaled, missing] if self.indicator else [scaled]).astype(np.float32)


@dataclass(frozen=True)
class CategoricalColumn:
    """A feature for each level that was seen in training: 1 where the row has it, else 0.

    Args:
        name: Of the column.
        levels: The most frequent ones, in alphabetical order.
        other: Whether a further feature stands for the levels beyond the limit; levels that training never saw go
            there too, or nowhere if there is no such feature.
        missing: Whether a further feature stands for missing values: so if any was in training.
    """

    name: str
    levels: tuple[str, ...]
    other: bool
    missing: bool

    @classmethod
    def fit(cls, table: Table, name: str, rows: NDArray[np.int64], max_levels: int) -> CategoricalColumn:
        """Learns from the given rows."""
        column = texts_of(table, name)
        counts = np.bincount(column.codes[rows], minlength=len(column.values))
        seen = [(-int(count), text) for count, text in zip(counts, column.values) if count]
        present = sorted((count, text) for count, text in seen if not is_missing(text))
        levels = tuple(sorted(text for _, text in present[:max_levels]))
        return cls(name, levels, other=len(present) > max_levels, missing=any(is_missing(text) for _, text in seen))

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features."""
        names = [f"{self.name} = {level}" for level in self.levels]
        names += [f"{self.name} is another"] * self.other + [f"{self.name} is missing"] * self.missing
        return tuple(names)

    def encode(self, table: Table) -> NDArray[np.float32]:
        """Features ``(N, number of levels)``."""
        column = texts_of(table, self.name)
        place = {level: number for number, level in enumerate(self.levels)}
        width = len(self.features)
        # One row of features for each distinct text, then one look-up for each row of the table.
        codes = np.zeros((len(column.values), width), np.float32)
        for number, text in enumerate(column.values):
            if is_missing(text):
                codes[number, width - 1 :] = self.missing
            elif text in place:
                codes[number, place[text]] = 1
            elif self.other:
                codes[number, len(self.levels)] = 1
        return codes[column.codes]


@dataclass(frozen=True)
class TableEncoding:
    """How the columns of a table become features; see :class:`NumericColumn` and :class:`CategoricalColumn`.

    Args:
        columns: One for each column that is used, in the order of the table.

    Example:
        >>> from pathlib import Path
        >>> from monge.data.formats.table import TextColumn
        >>> columns = {"carat": TextColumn.of(["1", "3", "9"]), "cut": TextColumn.of(["Fair", "Good", "Ideal"])}
        >>> table = Table(Path("a.csv"), "comma-separated", columns)
        >>> encoding = TableEncoding.fit(table, {"carat": "numeric", "cut": "categorical"}, [0, 1])
        >>> encoding.features
        ('carat', 'cut = Fair', 'cut = Good')
        >>> encoding.encode(table).tolist()
        [[-1.0, 1.0, 0.0], [1.0, 0.0, 1.0], [7.0, 0.0, 0.0]]
    """

    columns: tuple[NumericColumn | CategoricalColumn, ...]

    @classmethod
    def fit(
        cls,
        table: Table,
        kinds: Mapping[str, Kind],
        rows: Sequence[int] | NDArray[np.int64],
        *,
        max_levels: int = MAX_LEVELS,
    ) -> TableEncoding:
        """Learns from some rows of a table.

        Args:
            table: The table.
            kinds: The columns to use, and what each one holds.
            rows: Positions of the training rows; no other row has any influence.
            max_levels: Levels of a categorical column that get a feature of their own.

        Raises:
            DataFormatError: A numeric column with something else in it.
        """
        chosen = np.asarray(rows, np.int64)
        return cls(
            tuple(
                NumericColumn.fit(table, name, chosen)
                if kind == "numeric"
                else CategoricalColumn.fit(table, name, chosen, max_levels)
                for name, kind in kinds.items()
            )
        )

    @property
    def features(self) -> tuple[str, ...]:
        """Names of all features."""
        return tuple(name for column in self.columns for name in column.features)

    def encode(self, table: Table) -> NDArray[np.float32]:
        """Features of every row of a table with these columns.

        Args:
            table: The one that was learned from, or another.

        Returns:
            float32 ``(N, F)``, finite.

        Raises:
            DataFormatError: A numeric column with something else in it, or more features than memory should hold.
        """
        width = len(self.features)
        if len(table) * width * 4 > _MAX_BYTES:
            found = f"{len(table)} rows of {width} features"
            raise DataFormatError(table.path, "", found, f"at most {_MAX_BYTES >> 30} GiB", "drop some columns")
        return np.concatenate([column.encode(table) for column in self.columns], axis=1)
