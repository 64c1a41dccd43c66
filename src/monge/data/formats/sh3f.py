"""Furniture libraries of Sweet Home 3D (``.sh3f``): zip archives of models with a catalogue in Java's properties.

The catalogue, ``PluginFurnitureCatalog.properties``, is latin-1 and numbers its pieces: ``name#7``, ``model#7``,
``creator#7`` and so on belong together. Nothing is ever unpacked to disk, and no member is read before its size is
known.
"""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from monge.data.formats.sniff import nearest_hint, shown
from monge.errors import DataFormatError

CATALOGUE = "PluginFurnitureCatalog.properties"
MAX_MEMBER_BYTES = 64 << 20
_MAX_CATALOGUE_BYTES = 8 << 20
_MAX_MEMBERS = 50_000
_EXPECTED = "a furniture library (.sh3f)"
_ENCRYPTED = 1
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
# The key ends at the first separator that no backslash protects.
_PAIR = re.compile(r"((?:\\.|[^\\=:\s])+)\s*[=:]?\s*(.*)", re.DOTALL)
_NUMBERED = re.compile(r"(\w+)#(\d{1,6})")
_UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Piece:
    """One entry of a catalogue.

    Args:
        model: Name of the model inside the archive, without a leading slash.
        name: What it is called in English.
        category: E.g. ``"Kitchen"``.
        creator: Who made it.
        rotation: Nine numbers, row by row, of the rotation that sets the model upright (y up, seen from +z).
    """

    model: str
    name: str
    category: str
    creator: str
    rotation: tuple[float, ...]


def read_catalogue(path: str | Path) -> list[Piece]:
    """Reads the catalogue of a furniture library.

    Args:
        path: The ``.sh3f`` file.

    Returns:
        Its pieces in the order of their numbers.

    Raises:
        DataFormatError: Not a zip archive, no catalogue in it, a piece without a model or with a name that leads out
            of the archive, or a rotation that is none.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "one.sh3f"
        >>> with zipfile.ZipFile(file, "w") as archive:
        ...     archive.writestr(CATALOGUE, "name#1=Chair\\nmodel#1=/a/chair.obj\\ncreator#1=Ann\\n")
        >>> [(piece.name, piece.model) for piece in read_catalogue(file)]
        [('Chair', 'a/chair.obj')]
    """
    path = Path(path)
    text = read_member(path, CATALOGUE, max_bytes=_MAX_CATALOGUE_BYTES).decode("latin-1")
    pieces: dict[int, dict[str, str]] = {}
    for key, value in _properties(text):
        if match := _NUMBERED.fullmatch(key):
            pieces.setdefault(int(match[2]), {})[match[1]] = value
    if not pieces:
        raise DataFormatError(shown(path), CATALOGUE, "no numbered pieces", "name#1, model#1 and so on")
    return [_piece(path, number, pieces[number]) for number in sorted(pieces)]


def read_member(path: str | Path, member: str, *, max_bytes: int = MAX_MEMBER_BYTES) -> bytes:
    """Reads one file out of a furniture library.

    Args:
        path: The ``.sh3f`` file.
        member: Name inside the archive.
        max_bytes: Refuse larger ones before reading them.

    Raises:
        DataFormatError: Not a zip archive, no such member, too large, encrypted or damaged.
    """
    path = Path(path)
    with _opened(path) as archive:
        try:
            info = archive.getinfo(member)
        except KeyError:
            raise DataFormatError(shown(path), "", f"no {member} inside", _EXPECTED, "fetch the file again") from None
        if info.file_size > max_bytes:
            raise DataFormatError(shown(path), member, f"{info.file_size:,} bytes", f"at most {max_bytes:,}")
        if info.flag_bits & _ENCRYPTED:
            raise DataFormatError(shown(path), member, "an encrypted member", "a plain one")
        content = archive.read(info)
        if len(content) != info.file_size:
            raise DataFormatError(shown(path), member, f"{len(content):,} bytes", f"{info.file_size:,}")
        return content


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        if not path.exists():
            raise DataFormatError(shown(path), "", "no such file", _EXPECTED, nearest_hint(path))
        if not path.is_file():
            raise DataFormatError(shown(path), "", "a folder or device", _EXPECTED, "give the file itself")
        with zipfile.ZipFile(path) as archive:
            if len(archive.filelist) > _MAX_MEMBERS:
                found = f"{len(archive.filelist):,} members"
                raise DataFormatError(shown(path), "", found, f"at most {_MAX_MEMBERS:,}")
            yield archive
    # What zipfile raises over damaged archives, unknown compression included.
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataFormatError(
            shown(path), "", f"a damaged archive ({reason})", _EXPECTED, "fetch the file again"
        ) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataFormatError(shown(path), "", f"an unreadable file ({reason})", _EXPECTED) from None


def _properties(text: str) -> Iterator[tuple[str, str]]:
    """Keys and values of Java's properties format: comments, escapes, lines continued by a backslash."""
    whole = ""
    # splitlines would also break lines at characters that only Unicode takes for line ends.
    for line in re.split(r"\r\n|\r|\n", text):
        line = line.lstrip(" \t\f")
        if not whole and (not line or line[0] in "#!"):
            continue
        if (len(line) - len(line.rstrip("\\"))) % 2:
            whole += line[:-1]
            continue
        if match := _PAIR.fullmatch(whole + line):
            yield _unescaped(match[1]), _unescaped(match[2])
        whole = ""


def _unescaped(text: str) -> str:
    def plain(match: re.Match[str]) -> str:
        code = match[1]
        return chr(int(code[1:], 16)) if len(code) == 5 else _ESCAPES.get(code, code)

    return _ESCAPE.sub(plain, text)


def _piece(path: Path, number: int, values: dict[str, str]) -> Piece:
    where = f"{CATALOGUE}: model#{number}"
    model = values.get("model", "").removeprefix("/")
    if not model:
        raise DataFormatError(shown(path), where, "nothing", "the name of a model inside the archive")
    if "\\" in model or ":" in model or model.startswith("/") or ".." in model.split("/"):
        raise DataFormatError(shown(path), where, repr(values["model"][:80]), "a name inside the archive")
    return Piece(
        model=model,
        name=values.get("name", "").strip(),
        category=values.get("category", "").strip(),
        creator=values.get("creator", "").strip(),
        rotation=_rotation(path, number, values.get("modelRotation")),
    )


def _rotation(path: Path, number: int, text: str | None) -> tuple[float, ...]:
    if text is None:
        return _UPRIGHT
    try:
        numbers = tuple(float(part) for part in text.split())
    except ValueError:
        numbers = ()
    # Rounded in the file, so that rows are of length one only nearly.
    rows = [numbers[start : start + 3] for start in (0, 3, 6)]
    if len(numbers) != 9 or any(not abs(math.hypot(*row) - 1) < 0.01 for row in rows):
        where = f"{CATALOGUE}: modelRotation#{number}"
        raise DataFormatError(shown(path), where, repr(text[:80]), "nine numbers of a rotation")
    return numbers
