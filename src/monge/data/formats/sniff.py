"""Opens data files with suspicion: what is there, how large it is, and whether it is data at all."""

from __future__ import annotations

import difflib
import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from monge.errors import DataFormatError

GZIP_MAGIC = b"\x1f\x8b"
# Deflate cannot do better than 1032:1; a header that promises more for each compressed byte is wrong.
MAX_DEFLATE_RATIO = 1032
HEAD = 512
_CHUNK = 1 << 20


@contextmanager
def open_data(path: Path, expected: str) -> Iterator[tuple[BinaryIO, int]]:
    """Opens a regular, non-empty file that does not look like a web page or a placeholder.

    Args:
        path: The file.
        expected: What it should be, for the error messages, e.g. ``"an IDX file"``.

    Yields:
        The stream at byte 0 and the file's size in bytes.

    Raises:
        DataFormatError: Missing, a folder, a device, unreadable, empty, an HTML page, a git-lfs pointer, a zip archive.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> page = Path(tempfile.mkdtemp()) / "data.idx"
        >>> _ = page.write_text("<!DOCTYPE html><html>Sign in</html>")
        >>> with open_data(page, "an IDX file") as opened:
        ...     pass
        Traceback (most recent call last):
        monge.errors.DataFormatError: ...data.idx: byte 0: found an HTML page, expected an IDX file (...)
    """
    try:
        # Ask before opening: opening a named pipe would wait for ever.
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a device or pipe"
            raise DataFormatError(path, "", kind, expected, "give the file itself")
        with open(path, "rb") as stream:
            refuse_impostor(path, stream.read(HEAD), expected)
            stream.seek(0)
            yield stream, status.st_size
    except FileNotFoundError:
        raise DataFormatError(path, "", "no such file", expected, nearest_hint(path)) from None
    except OSError as error:
        found = f"an unreadable file ({(error.strerror or str(error)).lower()})"
        raise DataFormatError(path, "", found, expected, "check permissions and links") from None


def refuse_impostor(path: Path, head: bytes, expected: str) -> None:
    """Raises for the things that are often saved under a data file's name.

    Args:
        path: The file the bytes come from.
        head: Its first bytes, a few hundred are enough.
        expected: What it should be.

    Raises:
        DataFormatError: Nothing there, an HTML page, a git-lfs pointer or a zip archive.

    Example:
        >>> refuse_impostor(Path("a.idx"), bytes([0, 0, 8, 1]), "an IDX file")
    """
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not head:
        found, hint = "an empty file", "the download stopped before it began; fetch it again"
    elif text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        found, hint = "an HTML page", "the download saved a web page instead of the data; fetch the file again"
    elif head.startswith(b"version https://git-lfs"):
        found, hint = "a git-lfs pointer", "run `git lfs pull` where the file came from"
    elif head.startswith(b"PK\x03\x04"):
        found, hint = "a zip archive", "unpack it first"
    else:
        return
    raise DataFormatError(path, "byte 0", found, expected, hint)


def read_bounded(path: Path, stream: BinaryIO, wanted: int, expected: str) -> bytearray:
    """Reads at most ``wanted`` bytes, growing only with what is really there.

    Args:
        path: The file, for the error messages.
        stream: An open file or ``gzip.GzipFile``.
        wanted: Upper bound in bytes; a shorter result means that the stream ended.
        expected: What the file should be.

    Raises:
        DataFormatError: The compressed stream is cut short or damaged.

    Example:
        >>> import io
        >>> read_bounded(Path("a"), io.BytesIO(b"abc"), 2, "text")
        bytearray(b'ab')
    """
    content = bytearray()
    try:
        while len(content) < wanted:
            chunk = stream.read(min(_CHUNK, wanted - len(content)))
            if not chunk:
                break
            content += chunk
    except EOFError:
        found = f"a gzip stream that stops after {len(content)} decompressed bytes"
        raise DataFormatError(path, "", found, f"{expected}, whole", "the file is truncated; fetch it again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        found = f"a damaged gzip stream ({error})"
        raise DataFormatError(path, "", found, f"{expected}, whole", "fetch the file again") from None
    return content


def shown(name: str | Path) -> str:
    """A file name that can always be printed: bytes that are not UTF-8 become backslash escapes.

    Example:
        >>> import os
        >>> shown(os.fsdecode(b"caf\\xe9.bin"))
        'caf\\\\xe9.bin'
    """
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def names_in(folder: Path) -> list[str]:
    """Sorted entry names of a folder, or an empty list where there is none to read.

    Example:
        >>> names_in(Path("no/such/folder"))
        []
    """
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def nearest_hint(path: Path) -> str:
    """A sentence that offers the entry of the parent folder whose name is nearest, or says what is missing.

    Args:
        path: The path that is not there.

    Example:
        >>> nearest_hint(Path("no/such/folder/file"))
        'there is no folder no/such/folder'
    """
    if not os.path.isdir(path.parent):
        return f"there is no folder {shown(path.parent)}"
    entries = [shown(name) for name in names_in(path.parent)]
    near = difflib.get_close_matches(shown(path.name), entries, n=1)
    return f"did you mean {shown(path.parent / near[0])}?" if near else "check the path"
