"""A drawn table with the columns of the diamonds: the same names and levels, relations that can be learned."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.table import Table, TextColumn

# Levels from worst to best, and the share of the stones that has each; close to those of the real table.
_GRADES: dict[str, tuple[tuple[str, ...], tuple[float, ...]]] = {
    "cut": (("Fair", "Good", "Very Good", "Premium", "Ideal"), (0.03, 0.09, 0.22, 0.26, 0.40)),
    "color": (("J", "I", "H", "G", "F", "E", "D"), (0.05, 0.10, 0.15, 0.21, 0.18, 0.18, 0.13)),
    "clarity": (
        ("I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"),
        (0.01, 0.17, 0.24, 0.23, 0.15, 0.09, 0.07, 0.04),
    ),
}
_DECIMALS = {"carat": 2, "depth": 1, "table": 1, "price": 0, "x": 2, "y": 2, "z": 2}
_ORDER = ("carat", "cut", "color", "clarity", "depth", "table", "price", "x", "y", "z")


def draw_diamonds(rows: int = 2000, *, seed: int = 0) -> Table:
    """Draws stones: the better the cut, the closer are depth and table to their ideals, and the price follows all.

    Args:
        rows: How many.
        seed: The same seed and number give the same stones.

    Returns:
        A table with the ten columns of the real one.

    Example:
        >>> list(draw_diamonds(5).columns)
        ['carat', 'cut', 'color', 'clarity', 'depth', 'table', 'price', 'x', 'y', 'z']
    """
    columns = {
        name: TextColumn.of(values) if name in _GRADES else np.array(values, np.float64)
        for name, values in _texts(rows, seed).items()
    }
    return Table(Path("drawn diamonds"), "drawn", columns)


def write_fake_diamonds(path: str | Path, *, rows: int = 2000, seed: int = 0) -> None:
    """Writes drawn stones as the CSV file that the package carries.

    Args:
        path: The file to write.
        rows: How many.
        seed: Seed of the stones.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "diamonds.csv"
        >>> write_fake_diamonds(file, rows=3)
        >>> file.read_text().splitlines()[0]
        'carat,cut,color,clarity,depth,table,price,x,y,z'
    """
    columns = _texts(rows, seed)
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def _texts(rows: int, seed: int) -> dict[str, list[str]]:
    """Every cell as it stands in the file."""
    random = np.random.default_rng([seed, rows])
    grades = {name: random.choice(len(levels), rows, p=shares) for name, (levels, shares) in _GRADES.items()}
    numbers = _measures(grades, random)
    texts = {name: [_GRADES[name][0][level] for level in column] for name, column in grades.items()}
    for name, column in numbers.items():
        texts[name] = [f"{value:.{_DECIMALS[name]}f}" for value in column]
    return {name: texts[name] for name in _ORDER}


def _measures(grades: dict[str, NDArray[np.int64]], random: np.random.Generator) -> dict[str, NDArray[np.float64]]:
    """Weight, proportions, price and size of stones with the given grades."""
    cut, color, clarity = (grades[name] for name in _GRADES)
    rows = len(cut)
    carat = np.clip(np.exp(random.normal(-0.4, 0.55, rows) - 0.06 * clarity), 0.2, 5)
    depth = 61.8 + random.normal(0, 1, rows) * (2.4 - 0.5 * cut) + (cut == 0) * 2
    table = 60 - cut + random.normal(0, 1.2, rows)
    width = 6.4 * np.cbrt(carat) * (61.8 / depth) ** (1 / 3)
    grade = 0.05 * cut + 0.09 * color + 0.13 * clarity
    return {
        "carat": carat,
        "depth": depth,
        "table": table,
        "price": 2500 * carat**1.7 * np.exp(grade + random.normal(0, 0.1, rows)),
        "x": width,
        "y": width * random.normal(1, 0.006, rows),
        "z": width * depth / 100,
    }
