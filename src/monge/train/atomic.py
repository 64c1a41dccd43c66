"""Files that are either wholly there or not there at all, whenever the process dies."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Lets `write` fill a neighbouring file and moves it into place.

    Args:
        path: Where the file shall be.
        write: Gets the path of the neighbour.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "a.txt"
        >>> write_atomically(file, lambda path: path.write_text("whole"))
        >>> file.read_text()
        'whole'
    """
    # Always the same name, so that what a killed process leaves behind is gone with the next write.
    neighbour = path.with_name(f".{path.name}.part")
    try:
        write(neighbour)
        with neighbour.open("rb+") as file:
            os.fsync(file.fileno())
        neighbour.replace(path)
    finally:
        neighbour.unlink(missing_ok=True)
