"""Emoji as identities: the same code point as several makers draw it, from npm's @iconify-json packages.

``emoji_identity.csv`` lists the single code points that five makers or more have drawn in colour, with the name that
each of ten sets gives them. Sequences (families, professions, flags, skin tones) are left out: many sets draw two of
them alike. So are squares and circles, which differ in nothing but size and colour. Names were matched by code point
where a set tells it, else by its CLDR name or its old name in Unicode; all pictures were then looked at on sheets, and
what was wrong went: a country for the bird, a browser's window for that of a house, one icon under two names, empty
drawings, two code points drawn alike to the pixel.

Sets of one maker resemble each other (Fluent flat and in relief, both of Noto, both of EmojiOne), so a pair to verify
always joins two makers. 60 % of the identities of every kind are for training, 10 % for validation, 30 % for the test.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.data.cache import cache_dir
from monge.data.formats.sniff import shown
from monge.data.raster import Box
from monge.data.sources.clients import npm_pack
from monge.data.sources.emoji_identity_drawing import SIZES, Pictures, draw_emoji, kept_pictures
from monge.data.sources.package import Package, Progress
from monge.data.sources.reviewed import reviewed_rows
from monge.errors import MongeError

SIZE = 64
"""Height and width of the pictures that fetching draws beforehand."""
_NAME = "emoji-identity"
_SAME_NAME = "="
_MAX_SET_BYTES = 256 << 20


@dataclass(frozen=True)
class EmojiSet:
    """A set of emoji by one maker.

    Args:
        name: What npm's package @iconify-json/NAME and the columns of the list call it.
        maker: Who drew it; sets of one maker resemble each other.
        version: Of the package.
        sha256: Of the package's archive.
    """

    name: str
    maker: str
    version: str
    sha256: str

    @property
    def archive(self) -> str:
        """File that npm gives."""
        return f"iconify-json-{self.name}-{self.version}.tgz"


EMOJI_SETS = (
    EmojiSet("twemoji", "Twitter", "1.2.5", "19046dff7d8707ce96212ec86468b36ac5f8e60409629dd13f809265c6d0ebb7"),
    EmojiSet("noto", "Google", "1.2.9", "3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad"),
    EmojiSet("noto-v1", "Google", "1.2.5", "2bf62c26c2c2884aa99e90aec942cdaee17a5921f05690694f4978ad4b017c37"),
    EmojiSet("openmoji", "OpenMoji", "1.2.29", "03181e2c156cab35cf4a62f1f7886bd971d59212e75ac3f189d5a4cae3930fc5"),
    EmojiSet(
        "fluent-emoji-flat", "Microsoft", "1.2.6", "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175"
    ),
    EmojiSet("fluent-emoji", "Microsoft", "1.2.7", "8044210dbf11e016d4de85f15d01a243423bd832457e7e2491df1b751c0e272b"),
    EmojiSet("emojione", "EmojiOne", "1.2.3", "26a14f44284407e8bcde91799388dca2bfd91dbcd55a97f425524a1c5b73610e"),
    EmojiSet("emojione-v1", "EmojiOne", "1.2.3", "6641d59d48a42823fdc2b84e7427e9f302944eb98d2c7d94d6e67c139e7b37b3"),
    EmojiSet("fxemoji", "Mozilla", "1.2.2", "f3e72b3c59d05e1db03b7e308d55c0d05bd7ba3f625a90da1b79313c12858eef"),
    EmojiSet(
        "streamline-emojis", "Streamline", "1.2.4", "5dac87c876b322500989828c5823143e0100d78881627a2e4081a4b897cbfdbc"
    ),
)
"""The sets in the order of the list's columns."""


@dataclass(frozen=True)
class Emoji:
    """One identity of the list.

    Args:
        code: Its code point in hexadecimal.
        name: Its name in CLDR.
        kind: Its subgroup in CLDR, e.g. ``"animal-bird"``.
        part: ``"train"``, ``"val"`` or ``"test"``.
        icons: Its icon's name by set, of those that have it.
    """

    code: str
    name: str
    kind: str
    part: str
    icons: Mapping[str, str]


@cache
def emoji_identities() -> tuple[Emoji, ...]:
    """The identities in the order of CLDR.

    Example:
        >>> emoji = emoji_identities()
        >>> len(emoji), emoji[0].name, emoji[0].icons["noto"]
        (1045, 'grinning face', 'grinning-face')
    """
    return tuple(_identity(row) for row in reviewed_rows("emoji_identity.csv"))


def _identity(row: Mapping[str, str]) -> Emoji:
    named = {kept.name: row[kept.name] for kept in EMOJI_SETS if row[kept.name]}
    icons = {name: row["twemoji"] if icon == _SAME_NAME else icon for name, icon in named.items()}
    return Emoji(row["code"], row["name"], row["subgroup"], row["part"], icons)


def emoji_pictures(emoji_set: EmojiSet, size: int = SIZE, progress: Progress = lambda sentence: None) -> Pictures:
    """The pictures of one set, of those identities that it has, in the order of the list; drawn once for a size.

    Args:
        emoji_set: One of `EMOJI_SETS`.
        size: Height and width.
        progress: Called with one sentence where they must be drawn.

    Returns:
        uint8 ``(N, 3, size, size)``.

    Raises:
        MongeError: Not fetched yet, a size out of bounds, a damaged copy, or the cache cannot be written.
        MissingExtraError: resvg-py or Pillow is not installed.
    """
    if not SIZES[0] <= size <= SIZES[1]:
        raise MongeError(f"{_NAME}: found size {size}, expected {SIZES[0]} to {SIZES[1]}")
    if not EMOJI_IDENTITY.is_cached():
        folder = shown(EMOJI_IDENTITY.folder)
        raise MongeError(f"{_NAME} is not in the data cache ({folder}): run `monge data get {_NAME}`")
    names = [emoji.icons[emoji_set.name] for emoji in emoji_identities() if emoji_set.name in emoji.icons]

    def draw() -> list[Pictures]:
        progress(f"{_NAME}: drawing {len(names):,} icons of {emoji_set.name} at {size} x {size}")
        return [_drawn(emoji_set.name, name, size, icon) for name, icon in zip(names, _icons(emoji_set, names))]

    # Another list or another version of the set has other pictures.
    key = hashlib.sha256("\n".join([emoji_set.sha256, *names]).encode()).hexdigest()[:16]
    file = cache_dir() / f"{_NAME}-pictures" / f"{emoji_set.name}-{size}-{key}.npz"
    return kept_pictures(file, len(names), size, draw)


def _icons(emoji_set: EmojiSet, names: list[str]) -> list[tuple[str, Box]]:
    """Body and box of each icon."""
    path = EMOJI_IDENTITY.folder / f"{emoji_set.name}.json.gz"
    try:
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            kept = json.load(stream)
        found = [kept[name] for name in names]
        return [(str(icon["body"]), tuple(map(float, icon["box"]))) for icon in found]  # type: ignore[misc]
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, RecursionError) as error:
        told = f"{shown(path)}: cannot be read ({type(error).__name__}: {error})"
        raise MongeError(f"{told}: run `monge data get {_NAME}`") from None


def _drawn(set_name: str, name: str, size: int, icon: tuple[str, Box]) -> Pictures:
    try:
        return draw_emoji(icon[0], size, icon[1])
    except MongeError as error:
        raise MongeError(f"{_NAME}: {set_name}:{name}: {error}") from None


def _take(folder: Path) -> Mapping[str, Path]:
    taken = {}
    for emoji_set in EMOJI_SETS:
        place = folder / emoji_set.name
        place.mkdir()
        taken[emoji_set.archive] = npm_pack(f"@iconify-json/{emoji_set.name}@{emoji_set.version}", place)
    return taken


def _convert(files: Mapping[str, Path], into: Path) -> None:
    """Keeps the listed icons alone; the archives are never unpacked."""
    for emoji_set in EMOJI_SETS:
        wanted = {emoji.icons[emoji_set.name] for emoji in emoji_identities() if emoji_set.name in emoji.icons}
        content = _content(files[emoji_set.archive])
        try:
            kept = {name: _kept(content, name) for name in sorted(wanted)}
        except (KeyError, TypeError) as error:
            raise MongeError(f"{_NAME}: {emoji_set.archive} lacks the icon {error}") from None
        # Without a time of writing, so that the same icons are the same file.
        with open(into / f"{emoji_set.name}.json.gz", "wb") as raw, gzip.GzipFile("", "wb", 6, raw, 0) as stream:
            stream.write(json.dumps(kept, sort_keys=True).encode())


def _content(archive: Path) -> dict[str, Any]:
    try:
        with tarfile.open(archive, "r|gz") as members:
            for member in members:
                if member.name == "package/icons.json" and member.isreg() and member.size <= _MAX_SET_BYTES:
                    stream = members.extractfile(member)
                    assert stream is not None  # since it is a regular file
                    return dict(json.loads(stream.read()))
    except (tarfile.TarError, zlib.error, EOFError, ValueError, TypeError, RecursionError) as error:
        raise MongeError(f"{_NAME}: {archive.name} is damaged ({type(error).__name__}: {error})") from None
    raise MongeError(f"{_NAME}: {archive.name} does not hold package/icons.json")


def _kept(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    icon = content["icons"][name]
    # A set gives the box for all its icons, an icon another one for itself.
    whole = {"left": 0, "top": 0, "width": 16, "height": 16} | dict(content) | icon
    return {"body": icon["body"], "box": [whole[edge] for edge in ("left", "top", "width", "height")]}


@dataclass(frozen=True)
class _EmojiPackage(Package):
    """Fetches the sets, and draws them at the usual size; a run that was stopped goes on at the next set."""

    def fetch(self, progress: Progress) -> Path:
        folder = super().fetch(progress)
        for emoji_set in EMOJI_SETS:
            emoji_pictures(emoji_set, SIZE, progress)
        return folder


EMOJI_IDENTITY = _EmojiPackage(
    name=_NAME,
    title=f"{len(EMOJI_SETS)} sets of @iconify-json",
    hashes={emoji_set.archive: emoji_set.sha256 for emoji_set in EMOJI_SETS},
    take=_take,
    convert=_convert,
)


def emoji_makers(places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of the maker of each picture, given the place of its set in `EMOJI_SETS`.

    Example:
        >>> emoji_makers(np.array([1, 2, 3])).tolist()
        [1, 1, 2]
    """
    makers = list(dict.fromkeys(emoji_set.maker for emoji_set in EMOJI_SETS))
    numbers = np.array([makers.index(emoji_set.maker) for emoji_set in EMOJI_SETS], np.int64)
    return np.take(numbers, places)
