"""Tables by name: the packaged diamonds, drawn ones, and a user's own files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from monge.data.examples import Splits
from monge.data.formats.csv_table import read_csv_table
from monge.data.formats.sniff import shown
from monge.data.sources.diamonds import DIAMOND_LEVELS, DIAMONDS, DIAMONDS_CSV
from monge.data.sources.registry import TABLES
from monge.data.splits import SPLIT_SEED
from monge.data.synthetic.diamonds import draw_diamonds
from monge.data.tables.classes import Level
from monge.data.tables.kinds import Kind
from monge.data.tables.own import SHARES, TableOptions, load_own_table, split_table
from monge.errors import MongeError


def load_table(
    name: str,
    source: str = "packaged",
    *,
    target: str | None = None,
    levels: Sequence[Level] | None = None,
    ordered: bool = True,
    drop: Sequence[str] = (),
    kinds: Mapping[str, Kind] | None = None,
    split: tuple[float, float, float] = SHARES,
    split_seed: int = SPLIT_SEED,
) -> Splits:
    """Loads a table as rows of features with classes; never another one than asked for.

    Numbers are standardised, a missing one is the mean and has a further feature that says so; categories get a
    feature for each level. All of it is learned from the training rows alone.

    Args:
        name: ``"diamonds"``, or ``"table"`` for one's own.
        source: ``"packaged"`` (fetched before, diamonds alone), ``"synthetic"`` (drawn rows like those of diamonds), or
            the path of a CSV or Parquet file, or of a folder with ``train``, ``test`` and perhaps ``val`` files.
        target: Column with the classes; ``cut`` for diamonds unless given, where ``color`` and ``clarity`` are graded
            too.
        levels: The classes from low to high; known for the diamonds, and not needed where the classes are numbers.
        ordered: Whether the order of the classes means anything.
        drop: Columns that are no features.
        kinds: ``"numeric"`` or ``"categorical"`` for columns that say it badly themselves.
        split: Shares of train, val and test of every class, where a single file is split.
        split_seed: Another seed gives other parts.

    Returns:
        Three `TableSet`, with sentences on their source and split.

    Raises:
        DataFormatError: A file that is not good, a column that is not there; one line that names the place.
        MongeError: Unknown name, not fetched yet, or no target.
        MissingExtraError: A Parquet file without pyarrow.

    Example:
        >>> splits = load_table("diamonds", "synthetic")
        >>> splits.train.shape, splits.classes
        ((22,), ('Fair', 'Good', 'Very Good', 'Premium', 'Ideal'))
    """
    if name not in TABLES:
        raise MongeError(f"no table is called {name!r}, expected one of {', '.join(TABLES)}")
    if name == "table" and source == "packaged":
        raise MongeError("no package has a table of one's own: give --data PATH of a CSV or Parquet file, or synthetic")
    if target is None and name == "table" and source != "synthetic":
        raise MongeError("data.target: missing, a table of one's own needs the name of the column with the classes")
    chosen = target or "cut"
    known = DIAMOND_LEVELS.get(chosen) if name == "diamonds" or source == "synthetic" else None
    options = TableOptions(chosen, known if levels is None else levels, ordered, tuple(drop), kinds, split, split_seed)
    if source not in ("packaged", "synthetic"):
        return load_own_table(source, options, "own table" if name == "table" else f"{name} by path")
    if source == "synthetic":
        drawn = draw_diamonds()
        told = f"synthetic: {len(drawn):,} drawn rows with the columns of diamonds (seed 0), no real stones"
        return split_table(drawn, options, told)
    return _packaged_diamonds(options)


def _packaged_diamonds(options: TableOptions) -> Splits:
    """The table in the cache."""
    if not DIAMONDS.is_cached():
        raise MongeError(f"diamonds is not in the data cache ({shown(DIAMONDS.folder)}): run `monge data get diamonds`")
    try:
        table = read_csv_table(DIAMONDS.folder / DIAMONDS_CSV)
    except MongeError as error:
        raise MongeError(f"{error}; the cached copy is damaged: run `monge data get diamonds`") from None
    return split_table(table, options, f"packaged: diamonds, {len(table):,} rows, from {DIAMONDS.title}")
