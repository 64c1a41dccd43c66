"""Files that are either wholly there or not there at all, whenever the process dies."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

# How torch and safetensors say that a disk is full.
_FULL = ("unexpected pos", "No space left", "StorageFull")


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Lets `write` fill a neighbouring file and moves it into place.

    Args:
        path: Where the file shall be.
        write: Gets the path of the neighbour.

    Raises:
        OSError: It cannot be written; names the file.

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
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    except Exception as error:
        if not any(words in str(error) for words in _FULL):
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
    finally:
        neighbour.unlink(missing_ok=True)
