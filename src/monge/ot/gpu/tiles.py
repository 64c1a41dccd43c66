"""How a program divides its problem: tiles of whole rows, small enough to stay in registers."""

from __future__ import annotations

from typing import NamedTuple

_ENTRIES = 4096
_SMALLEST = 16


class Tile(NamedTuple):
    """Rows and columns of a tile, powers of two, and the warps that share it."""

    rows: int
    columns: int
    warps: int


def tile_of(n: int, m: int) -> Tile:
    """The tile for problems of ``n`` rows and ``m`` columns.

    Example:
        >>> tile_of(49, 49), tile_of(200, 256)
        (Tile(rows=64, columns=64, warps=4), Tile(rows=16, columns=256, warps=4))
    """
    columns = max(_SMALLEST, 1 << (m - 1).bit_length())
    rows = max(_SMALLEST, 1 << (n - 1).bit_length())
    return Tile(min(rows, max(1, _ENTRIES // columns)), columns, 4)
