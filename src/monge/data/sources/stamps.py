"""Pictures with a sentence each: the stamps of Tux Paint, from the Debian package tuxpaint-stamps-default.

950 photographs and drawings of animals, food, vehicles, signs and so on, each with a sentence ("A red kangaroo.") in up
to 77 languages. Where a stamp is there as PNG and as SVG, the PNG counts. Sounds and spoken texts are left behind.

Stamps with the same sentence are one identity, of 774 (six are "A flower."), so that none is a wrong answer for
another, and an identity is never in two parts of the split; nor is a picture. "The letter A." and "The letter a." are
one too, since the sentence encoder sees no difference.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.sniff import shown
from monge.data.group_splits import split_by_groups
from monge.data.sources.clients import apt_download, unpack_deb
from monge.data.sources.package import Package
from monge.data.sources.pasted import paste_on_white
from monge.errors import DataFormatError, MongeError
from monge.extras import require

_NAME = "stamps"
_PACKAGE = "tuxpaint-stamps-default"
_VERSION = "2022.06.04-1"
_DEB = f"{_PACKAGE}_{_VERSION}_all.deb"
_ROOT = "usr/share/tuxpaint/stamps"
_PICTURES = "stamps.zip"
_SENTENCES = "stamps.json"
_FRACTIONS = (0.65, 0.15, 0.2)
_MAX_FILE_BYTES = 64 << 20
_DPI = 96


@dataclass(frozen=True)
class Stamp:
    """One stamp.

    Args:
        key: Its place in the package without the ending, e.g. ``"animals/marsupials/kangaroo"``.
        file: Its picture, by the name in the archive of pictures.
        digest: SHA-256 of the picture.
        caption: Its English sentence.
        translations: The sentence in other languages, by names such as ``"de"``, ``"pt_BR"``, ``"sr@latin"``.
    """

    key: str
    file: str
    digest: str
    caption: str
    translations: Mapping[str, str] = field(default_factory=dict)

    @property
    def category(self) -> str:
        """What it is about: the first folder of its place."""
        return self.key.partition("/")[0]

    @property
    def identity(self) -> str:
        """The English sentence without what only looks different."""
        return " ".join(self.caption.casefold().rstrip(".!").split())


def stamps(folder: str | Path | None = None) -> list[Stamp]:
    """All stamps, in the order of their keys.

    Args:
        folder: A folder as `monge data get stamps` writes it; ``None``: the one in the data cache.

    Raises:
        MongeError: Not fetched yet.
        DataFormatError: The list is damaged.
    """
    path = _folder(folder) / _SENTENCES
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            found = f"{path.stat().st_size:,} bytes"
            raise DataFormatError(shown(path), "", found, f"at most {_MAX_FILE_BYTES:,}")
        rows = json.loads(path.read_text(encoding="utf-8"))
        return [Stamp(**row) for row in rows]
    except (OSError, ValueError, TypeError, RecursionError) as error:
        found = f"no readable list of stamps ({type(error).__name__}: {error})"
        hint = f"run `monge data get {_NAME}`"
        raise DataFormatError(shown(path), "", found, "what `monge data get` wrote", hint) from None


def stamp_pictures(chosen: Sequence[Stamp], size: int, folder: str | Path | None = None) -> NDArray[np.uint8]:
    """Pictures of stamps on white, as large as fits into a square with a small margin.

    Args:
        chosen: Which.
        size: Height and width.
        folder: As in :func:`stamps`.

    Returns:
        uint8 ``(N, 3, size, size)``.

    Raises:
        MongeError: Not fetched yet.
        DataFormatError: A picture is missing or damaged.
        MissingExtraError: Pillow or resvg-py is not installed.
    """
    path = _folder(folder) / _PICTURES
    pictures = np.zeros((len(chosen), 3, size, size), np.uint8)
    hint = f"run `monge data get {_NAME}`"
    try:
        with zipfile.ZipFile(path) as archive:
            for place, stamp in enumerate(chosen):
                pictures[place] = paste_on_white(_opened(stamp.file, archive.read(stamp.file), 2 * size), size)
    except (OSError, KeyError, ValueError, SyntaxError, zipfile.BadZipFile) as error:
        found = f"no readable picture ({str(error).splitlines()[0][:120]})"
        raise DataFormatError(shown(path), "", found, "the pictures of every stamp", hint) from None
    return pictures


def split_stamps(
    found: Sequence[Stamp],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the training, validation and test stamps: about 65/15/20 % of every category; fixed for good.

    Stamps with the same sentence or the same picture are in the same part.

    Args:
        found: All stamps, as :func:`stamps` gives them.

    Example:
        >>> few = [Stamp(f"food/{i}", f"{i}.png", str(i), f"Fruit {i % 10}.") for i in range(20)]
        >>> [len(part) for part in split_stamps(few)]
        [14, 2, 4]
    """
    categories = sorted({stamp.category for stamp in found})
    labels = [categories.index(stamp.category) for stamp in found]
    train, val, test = split_by_groups(labels, _families(found), _FRACTIONS)
    return train, val, test


def _families(found: Sequence[Stamp]) -> list[int]:
    """The first stamp that each is tied to by a sentence or a picture, over any number of steps."""
    family = list(range(len(found)))
    for keys in ([stamp.identity for stamp in found], [stamp.digest for stamp in found]):
        first: dict[str, int] = {}
        for place, key in enumerate(keys):
            here, there = family[place], family[first.setdefault(key, place)]
            family = [there if one == here else one for one in family]
    return family


def _folder(folder: str | Path | None) -> Path:
    if folder is not None:
        return Path(folder).expanduser()
    if not STAMPS.is_cached():
        raise MongeError(f"{_NAME} is not in the data cache ({shown(STAMPS.folder)}): run `monge data get {_NAME}`")
    return STAMPS.folder


def _opened(name: str, content: bytes, side: int) -> Any:
    """A picture of Pillow with transparency; an SVG is drawn to fit into a square of the given side."""
    images = require("PIL.Image", extra="text", purpose="reading stamps")
    if name.endswith(".svg"):
        resvg = require("resvg_py", extra="text", purpose="drawing stamps")
        # Sizes in points need a resolution; fonts of the machine would make pictures of one machine differ.
        svg = content.decode("utf-8")
        content = bytes(resvg.svg_to_bytes(svg_string=svg, width=side, height=side, dpi=_DPI, skip_system_fonts=True))
    return images.open(io.BytesIO(content), formats=("PNG",)).convert("RGBA")


def _take(folder: Path) -> Mapping[str, Path]:
    try:
        deb = apt_download(f"{_PACKAGE}={_VERSION}", folder)
    except MongeError as error:
        raise MongeError(f"{_NAME}: {error}") from None
    return {_DEB: deb}


def _convert(files: Mapping[str, Path], into: Path) -> None:
    """Keeps pictures and sentences; of 161 MB most are sounds."""
    unpacked = into.parent / "unpacked"
    unpack_deb(files[_DEB], unpacked)
    root = unpacked / _ROOT
    rows = []
    # Stored, since PNG is packed already, and without times, so that the archive is the same on every machine.
    with zipfile.ZipFile(into / _PICTURES, "w", zipfile.ZIP_STORED) as archive:
        for text in sorted(root.rglob("*.txt")):
            picture = next((file for end in (".png", ".svg") if (file := text.with_suffix(end)).is_file()), None)
            if picture is None or picture.is_symlink() or text.is_symlink():
                continue
            name, content = picture.relative_to(root).as_posix(), picture.read_bytes()
            archive.writestr(zipfile.ZipInfo(name), content)
            rows.append(_row(name, content, text.read_text(encoding="utf-8")))
    if not rows:
        raise MongeError(f"{_NAME}: {_DEB} does not hold {_ROOT}")
    (into / _SENTENCES).write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")


def _row(name: str, content: bytes, text: str) -> dict[str, Any]:
    """A stamp as it is kept: the first line of its text is English, the others are `language.utf8=sentence`."""
    english, *others = text.splitlines()
    translations = {}
    for line in others:
        language, equals, sentence = line.partition(".utf8=")
        if equals and sentence.strip():
            translations[language.strip()] = sentence.strip()
    return {
        "key": name.rpartition(".")[0],
        "file": name,
        "digest": hashlib.sha256(content).hexdigest(),
        "caption": english.strip(),
        "translations": translations,
    }


STAMPS = Package(
    name=_NAME,
    title=f"the Debian package {_PACKAGE} {_VERSION}",
    hashes={_DEB: "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34"},
    take=_take,
    convert=_convert,
)
