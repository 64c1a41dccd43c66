"""The data cache: one folder, written only by renaming finished folders into place."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from monge.errors import MongeError

_WORK = ".work-"
_STALE_SECONDS = 24 * 3600


def cache_dir() -> Path:
    """Where fetched data are kept: ``$MONGE_CACHE``, or ``~/.cache/monge``.

    Example:
        >>> cache_dir().is_absolute()
        True
    """
    named = os.environ.get("MONGE_CACHE", "")
    return Path(named).expanduser().absolute() if named else Path.home() / ".cache" / "monge"


@contextlib.contextmanager
def workspace() -> Iterator[Path]:
    """A temporary folder inside the cache, gone afterwards; leftovers of killed runs older than a day go too.

    Raises:
        MongeError: The cache cannot be written; the message says how to choose another place.
    """
    root = cache_dir()
    try:
        root.mkdir(parents=True, exist_ok=True)
        for old in root.glob(f"{_WORK}*"):
            if time.time() - old.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=_WORK, dir=root, ignore_cleanup_errors=True) as folder:
            yield Path(folder)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        hint = "set MONGE_CACHE to a folder that can be written and has room"
        raise MongeError(f"cannot write to the data cache {root} ({reason}): {hint}") from None


def publish(ready: Path, target: Path, is_good: Callable[[], bool]) -> None:
    """Renames a finished folder to its place in the cache.

    Needs no lock: the rename is atomic, and of two runs that finish together the second finds a good folder and drops
    its own.

    Args:
        ready: The finished folder, inside a workspace.
        target: Where it goes.
        is_good: Whether what is at ``target`` already can stay.

    Raises:
        OSError: The rename failed for another reason than a folder in its way.
    """
    for attempt in range(5):
        try:
            os.rename(ready, target)
            return
        except OSError:
            if not target.exists() or attempt == 4:
                raise
        if is_good():
            return
        with contextlib.suppress(FileNotFoundError):
            os.rename(target, ready.parent / f"replaced-{attempt}")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hexadecimal.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "empty"
        >>> file.touch()
        >>> sha256_of(file)[:8]
        'e3b0c442'
    """
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
