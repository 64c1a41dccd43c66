"""What tables of results have in common: the columns that say where and when, and the file."""

from __future__ import annotations

import csv
import datetime
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def surroundings(**versions: Any) -> dict[str, Any]:
    """What the numbers depend on besides the code: the machine, versions as they are given, the date."""
    return {"machine": platform.machine(), **versions, "date": datetime.date.today().isoformat()}


def write_table(path: Path, rows: Iterable[Mapping[str, Any]], beside: Mapping[str, Any] | None = None) -> None:
    """Writes rows as CSV, and beside each of them what is the same for all; rows may lack columns of others."""
    rows, beside = list(rows), beside or {}
    columns = dict.fromkeys(name for row in [*rows, beside] for name in row)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(columns))
        writer.writeheader()
        writer.writerows({**row, **beside} for row in rows)
