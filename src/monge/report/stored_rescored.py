"""Figures of a cross-modal run that knows other queries than the one that asks, as ``rescored.json`` has them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from monge.report.stored_tensors import parsed

_LARGEST_FILE = 1 << 20
_SHOWN = ("r1", "r5", "r10", "r50", "medr", "meanr", "geometric_mean", "queries")
_METHODS = {"dual_softmax": "dual softmax", "querybank": "query bank"}


@dataclass(frozen=True)
class Rescored:
    """Rows of a table.

    Args:
        rows: Method, whether queries search the gallery or the other way round, and figures by name.
        bank: Training items that the query bank had of either side; empty if the file does not tell.
    """

    rows: tuple[tuple[str, bool, dict[str, float]], ...]
    bank: tuple[int, ...]


def load_rescored(path: Path) -> Rescored | None:
    """Reads what is there; ``None`` where there is no such file or nothing in it can be used."""
    try:
        if path.stat().st_size > _LARGEST_FILE:
            return None
        found = parsed(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None
    if not isinstance(found, Mapping):
        return None
    rows = []
    for key, method in _METHODS.items():
        for way in ("q2g", "g2q"):
            figures = _figures(found.get(key), way)
            if figures is not None:
                rows.append((method, way == "q2g", figures))
    bank = found.get("bank")
    sizes = tuple(bank) if isinstance(bank, list) and len(bank) == 2 and all(type(k) is int for k in bank) else ()
    return Rescored(tuple(rows), sizes) if rows else None


def _figures(found: object, way: str) -> dict[str, float] | None:
    if not isinstance(found, Mapping):
        return None
    values = {name: found.get(f"{way}_{name}") for name in _SHOWN}
    kept = {name: float(v) for name, v in values.items() if isinstance(v, (int, float)) and math.isfinite(v)}
    return kept if len(kept) == len(_SHOWN) else None
