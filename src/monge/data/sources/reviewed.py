"""Lists that travel with monge: which entries of a package count, and as what."""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources


@cache
def reviewed_rows(name: str) -> tuple[dict[str, str], ...]:
    """Rows of a list, read once; lines that begin with ``#`` are remarks.

    Args:
        name: Name of its file.

    Example:
        >>> reviewed_rows("furniture.csv")[0]["class"]
        'appliance'
    """
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    return tuple(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
