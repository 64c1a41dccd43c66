"""A RecordIO stream word by word, from the description of the format."""

from __future__ import annotations

import struct

MAGIC = struct.pack("<I", 0xCED7230A)


def read_all(content: bytes) -> list[tuple[int, bytes]]:
    """Offset and bytes of every record."""
    records, place, parts, start = [], 0, [], 0
    while place < len(content):
        assert content[place : place + 4] == MAGIC
        (word,) = struct.unpack_from("<I", content, place + 4)
        kind, length = word >> 29, word & (2**29 - 1)
        if kind in (0, 1):
            start = place
        parts.append(content[place + 8 : place + 8 + length])
        place += 8 + length
        while place % 4:
            place += 1
        if kind in (0, 3):
            records.append((start, MAGIC.join(parts)))
            parts = []
    return records
