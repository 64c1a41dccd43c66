"""Finds what a user's folder holds: the right level, text files line by line, and the pictures."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from monge.data.formats.sniff import names_in, nearest_hint, open_data, read_bounded, shown
from monge.errors import DataFormatError

PICTURE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_MAX_TEXT_BYTES = 256 << 20


def find_place(folder: str | Path, holds: Callable[[Path], bool], expected: str) -> Path:
    """The folder that holds a data set: the one named, or one directly below it.

    Args:
        folder: The folder the user named.
        holds: Whether a folder is the one.
        expected: What it should hold, for the error messages.

    Raises:
        DataFormatError: Nothing there, a file, not readable, none of them holds it (offers one nearby that does), or
            several below do.

    Example:
        >>> import tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> (root / "AVA").mkdir()
        >>> _ = (root / "AVA" / "AVA.txt").write_text("1")
        >>> find_place(root, lambda place: (place / "AVA.txt").is_file(), "AVA.txt").name
        'AVA'
    """
    folder = Path(folder)
    if not os.path.isdir(folder):
        found, hint = "nothing there", nearest_hint(folder)
        if os.path.exists(folder):
            found, hint = "a file", "unpack archives and give the folder"
        raise DataFormatError(shown(folder), "", found, f"a folder with {expected}", hint)
    if not os.access(folder, os.R_OK | os.X_OK):
        raise DataFormatError(shown(folder), "", "a folder that cannot be read", expected, "check its permissions")
    if holds(folder):
        return folder
    below = [place for place in folders_in(folder) if holds(place)]
    if len(below) == 1:
        return below[0]
    if below:
        found = "it in " + " and ".join(shown(place) for place in below)
        raise DataFormatError(shown(folder), "", found, f"one folder with {expected}", "name the one you mean")
    hint = _archive_hint(folder) or _nearby(folder, holds) or "check the path"
    raise DataFormatError(shown(folder), "", "none", f"{expected}, here or one level below", hint)


def folders_in(folder: Path) -> list[Path]:
    """Sub-folders, sorted; hidden ones and those that macOS leaves in archives are passed over.

    Example:
        >>> folders_in(Path("no/such/folder"))
        []
    """
    names = [name for name in names_in(folder) if not name.startswith(".") and name != "__MACOSX"]
    return [folder / name for name in names if os.path.isdir(folder / name)]


def pictures_in(folder: Path) -> list[str]:
    """Names of the pictures in a folder, sorted.

    Raises:
        DataFormatError: Two names differ only in capitals, so that one of them would be lost on other systems.

    Example:
        >>> pictures_in(Path("no/such/folder"))
        []
    """
    names = [name for name in names_in(folder) if name.lower().endswith(PICTURE_ENDINGS) and not name.startswith(".")]
    by_lower: dict[str, str] = {}
    for name in names:
        if (other := by_lower.setdefault(name.lower(), name)) != name:
            both = f"{shown(other)} and {shown(name)}"
            raise DataFormatError(shown(folder), "", both, "one of them", "the names differ only in capitals")
    return names


def text_lines(path: Path, expected: str) -> Iterator[tuple[int, str]]:
    """Lines of a UTF-8 text file with their numbers from 1, without line ends; empty ones are passed over.

    Args:
        path: The file.
        expected: What it should be, for the error messages.

    Raises:
        DataFormatError: Missing, empty, not text, or too large to be an annotation file.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "list.txt"
        >>> _ = file.write_bytes(b"a 1\\r\\n\\r\\nb 2 ")
        >>> list(text_lines(file, "a list"))
        [(1, 'a 1'), (3, 'b 2 ')]
    """
    with open_data(path, expected) as (stream, size):
        if size > _MAX_TEXT_BYTES:
            raise DataFormatError(shown(path), "", f"{size:,} bytes", f"{expected} of at most {_MAX_TEXT_BYTES:,}")
        content = bytes(read_bounded(path, stream, size, expected))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found, where = f"byte 0x{content[error.start]:02x}", f"byte {error.start}"
        raise DataFormatError(shown(path), where, found, f"{expected} in UTF-8", "is it another file?") from None
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), start=1):
        if line.strip():
            yield number, line


def is_plain_name(name: str) -> bool:
    """Whether a listed name is one inside of its folder, and not a way out of it.

    Example:
        >>> is_plain_name("a b.jpg"), is_plain_name("../a.jpg"), is_plain_name("")
        (True, False, False)
    """
    return bool(name) and name not in (".", "..") and not set(name) & set("/\\\0")


def _archive_hint(folder: Path) -> str:
    packed = [name for name in names_in(folder) if name.lower().endswith((".zip", ".tar", ".tar.gz", ".tgz", ".rar"))]
    return f"unpack {shown(packed[0])} first" if packed else ""


def _nearby(folder: Path, holds: Callable[[Path], bool]) -> str:
    near = [place for place in (folder.parent, *folders_in(folder.parent)) if holds(place)]
    return f"there is one in {shown(near[0])}" if near else ""
