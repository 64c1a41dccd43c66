"""Writes RecordIO files with labelled pictures, with every quirk that the reader has to know."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

from monge.data.formats.recordio import LENGTH_BITS, MAGIC_BYTES


def packed(label: float | Sequence[float], content: bytes = b"", key: int = 0) -> bytes:
    """One record's bytes: flag, label and ids, then further labels, then the picture.

    Args:
        label: A number, or several, which are written behind the head.
        content: The encoded picture; empty in records that tell of identities.
        key: Goes where MXNet writes the id.

    Example:
        >>> len(packed(3.0)), len(packed([3.0, 1.0], b"jpeg"))
        (24, 36)
    """
    if isinstance(label, (int, float)):
        return struct.pack("<IfQQ", 0, label, key, 0) + content
    return struct.pack(f"<IfQQ{len(label)}f", len(label), 0.0, key, 0, *label) + content


def framed(payload: bytes) -> bytes:
    """A payload as a record, cut into parts wherever it holds the magic word at a multiple of four.

    Example:
        >>> len(framed(b"abc")), len(framed(MAGIC_BYTES))
        (12, 16)
    """
    cuts = [place for place in range(0, len(payload) - 3, 4) if payload[place : place + 4] == MAGIC_BYTES]
    starts, ends = [0, *(cut + 4 for cut in cuts)], [*cuts, len(payload)]
    parts = []
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        kind = 0 if not cuts else 1 if number == 0 else 3 if number == len(cuts) else 2
        head = MAGIC_BYTES + struct.pack("<I", kind << LENGTH_BITS | end - start)
        parts.append(head + payload[start:end] + b"\0" * (-(end - start) % 4))
    return b"".join(parts)


def write_records(path: str | Path, payloads: Sequence[tuple[int, bytes]], *, order: Sequence[int] = ()) -> None:
    """Writes ``.rec`` and, beside it, ``.idx``.

    Args:
        path: The ``.rec`` file.
        payloads: Key and bytes of each record, in the order of the file.
        order: In which order the index lists them, as positions; empty: as in the file.

    Example:
        >>> import tempfile
        >>> write_records(file := Path(tempfile.mkdtemp()) / "two.rec", [(0, b"a"), (1, b"b")], order=[1, 0])
        >>> file.with_suffix(".idx").read_text()
        '1\\t12\\n0\\t0\\n'
    """
    lines, place, content = [], 0, []
    for key, payload in payloads:
        record = framed(payload)
        lines.append(f"{key}\t{place}\n")
        content.append(record)
        place += len(record)
    path = Path(path)
    path.write_bytes(b"".join(content))
    path.with_suffix(".idx").write_text("".join(lines[position] for position in order or range(len(lines))))
