"""Animated emoji with captions: short clips to find by text. Drawn animations, not natural video.

The clips are Microsoft's animated Fluent emoji as @lobehub/fluent-emoji-anim-1 to -3 have them (npm, 544 MB): 586 are
animated and without a skin tone. Each has two captions, the annotation of OpenMoji, and the same with its keywords
("woman surfing: beach, ocean, person, sport ..."); in other languages these are emojibase's, which come from CLDR.

The first part alone has 187 of the clips. Man, woman and person at the same thing are near-copies in picture and words,
so they never part in a split; as each has its own annotation, they are different clips to be told apart.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.sniff import shown
from monge.data.group_splits import split_by_groups
from monge.data.sources.clients import npm_pack
from monge.data.sources.package import Package
from monge.data.sources.package_group import PackageGroup
from monge.data.sources.pasted import paste_on_white
from monge.errors import DataFormatError, MongeError
from monge.extras import require

PARTS = 3
_OTHERS = "bn da de es es-mx et fi fr hi hu it ja ko lt ms nb nl pl pt ru sv th uk vi zh zh-hant"
LANGUAGES = ("en", *_OTHERS.split())
"""Languages of captions; the English ones are OpenMoji's, the others emojibase's."""
_NAME = "emoji-clips"
_CLIPS, _CAPTIONS = "clips.zip", "captions.json"
_HASHES = {
    1: "4c03ac178c1eabf2e2a16dd498f3cc2b92dc30ec3466ae38fdc497d4774c99ea",
    2: "e431da8172e394036c330faa77648d6fbbae1fd3b0be95637c4497c9075019c0",
    3: "3624d0c34c819c1794b74ccf6ae9034adff7c4cb6318dd2a645145f0196feb43",
}
_OPENMOJI, _EMOJIBASE = "openmoji-17.0.0.tgz", "emojibase-data-17.0.0.tgz"
_FRACTIONS = (0.65, 0.15, 0.2)
_MAX_MEMBER_BYTES = 64 << 20
_SKIN = re.compile("1f3f[b-f]")
_FILE = re.compile(r"package/assets/([0-9a-f]+(?:-[0-9a-f]+)*)\.webp")
# A man, a woman and a person are one in the key of a family, and so are the signs for male and female.
_GENDER = {"1f468": "1f9d1", "1f469": "1f9d1", "2640": "", "2642": "", "fe0f": "", "200d": ""}


@dataclass(frozen=True)
class EmojiClip:
    """One animated emoji.

    Args:
        code: Its code points, e.g. ``"1f3c4-200d-2640-fe0f"``.
        part: Which package it is in, 1 to 3.
        group: OpenMoji's group, e.g. ``"people-body"``.
        labels: Its name by language.
        keywords: Further words on it by language.
    """

    code: str
    part: int
    group: str
    labels: Mapping[str, str]
    keywords: Mapping[str, tuple[str, ...]]

    @property
    def family(self) -> str:
        """Shared by man, woman and person at the same thing."""
        return "-".join(filter(None, (_GENDER.get(point, point) for point in self.code.split("-"))))

    def captions(self, languages: Sequence[str] = ("en",)) -> list[str]:
        """Its name, then its name with its keywords, in each language that has them.

        Keywords alone would not do: "boy, child, family, man" stands with several clips.

        Args:
            languages: Of `LANGUAGES`.
        """
        found = []
        for language in languages:
            if label := self.labels.get(language):
                words = ", ".join(self.keywords.get(language, ()))
                found += [label, f"{label}: {words}"] if words else [label]
        return found


def emoji_clips(parts: int = PARTS) -> list[EmojiClip]:
    """The clips of the first parts, in the order of parts and code points.

    Args:
        parts: How many parts, 1 to 3.

    Raises:
        MongeError: A part or the captions are not fetched yet.
        DataFormatError: The cached files are damaged.
    """
    texts = _texts()
    clips = []
    for part in range(1, parts + 1):
        for code in _codes(part):
            found = texts[code.replace("-fe0f", "")]
            keywords = {language: tuple(words) for language, words in found["keywords"].items()}
            clips.append(EmojiClip(code, part, found["group"], found["labels"], keywords))
    return clips


def clip_frames(clip: EmojiClip, count: int, size: int) -> NDArray[np.uint8]:
    """Frames evenly spread over a clip, on white.

    Args:
        clip: Which clip.
        count: Frames; a clip has 34 to 73.
        size: Height and width.

    Returns:
        uint8 ``(count, 3, size, size)``.

    Raises:
        MongeError: Its part is not fetched yet.
        DataFormatError: The clip is missing or damaged.
        MissingExtraError: Pillow is not installed.
    """
    images = require("PIL.Image", extra="train", purpose="reading clips")
    path = _part(clip.part).folder / _CLIPS
    frames = np.zeros((count, 3, size, size), np.uint8)
    try:
        with (
            zipfile.ZipFile(path) as archive,
            images.open(io.BytesIO(archive.read(f"{clip.code}.webp")), formats=("WEBP",)) as film,
        ):
            for place in range(count):
                film.seek(int((place + 0.5) * film.n_frames / count))
                frames[place] = paste_on_white(film.convert("RGBA"), size, trim=False)
    except (OSError, KeyError, ValueError, EOFError, SyntaxError, zipfile.BadZipFile) as error:
        found = f"no readable clip {clip.code} ({str(error).splitlines()[0][:120]})"
        raise DataFormatError(shown(path), "", found, "an animated WebP", f"run `monge data get {_NAME}`") from None
    return frames


def split_clips(
    clips: Sequence[EmojiClip],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the training, validation and test clips: about 65/15/20 % of every group; fixed for good.

    Man, woman and person at the same thing are in the same part.

    Args:
        clips: As :func:`emoji_clips` gives them.
    """
    groups = sorted({clip.group for clip in clips})
    labels = [groups.index(clip.group) for clip in clips]
    train, val, test = split_by_groups(labels, [clip.family for clip in clips], _FRACTIONS)
    return train, val, test


def _part(number: int) -> Package:
    package = _PARTS[number]
    if not package.is_cached():
        fewer = f", or ask for fewer parts (data.parts={number - 1})" if number > 1 else ""
        raise MongeError(
            f"part {number} of {_NAME} is not in the data cache ({shown(package.folder)}): "
            f"run `monge data get {_NAME}`{fewer}"
        )
    return package


def _codes(part: int) -> list[str]:
    path = _part(part).folder / _CLIPS
    try:
        with zipfile.ZipFile(path) as archive:
            return sorted(name.removesuffix(".webp") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile) as error:
        hint = f"run `monge data get {_NAME}`"
        raise DataFormatError(shown(path), "", f"no archive ({error})", "an archive of clips", hint) from None


def _texts() -> dict[str, Any]:
    path = _TEXTS.folder / _CAPTIONS
    hint = f"run `monge data get {_NAME}`"
    if not _TEXTS.is_cached():
        raise MongeError(f"{_NAME} is not in the data cache ({shown(CLIPS.folder)}): {hint}")
    try:
        texts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataFormatError(shown(path), "", f"no readable captions ({error})", "captions", hint) from None
    return texts


def _take_part(number: int, folder: Path) -> Mapping[str, Path]:
    return {_tgz(number): _packed(f"@lobehub/fluent-emoji-anim-{number}@1.0.0", folder)}


def _packed(requirement: str, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    try:
        return npm_pack(requirement, folder)
    except MongeError as error:
        raise MongeError(f"{_NAME}: {error}") from None


def _tgz(number: int) -> str:
    return f"lobehub-fluent-emoji-anim-{number}-1.0.0.tgz"


def _convert_part(number: int, files: Mapping[str, Path], into: Path) -> None:
    """Keeps what moves and has no skin tone, as it is; the archive is read as it streams and never unpacked."""
    kept: dict[str, bytes] = {}
    for name, content in _members(files[_tgz(number)], _FILE):
        code = _FILE.fullmatch(name)[1]  # type: ignore[index]  # only such names are given
        # The head of a WebP: RIFF, size, WEBP, VP8X with its ten bytes, then ANIM if it moves.
        if content[30:34] == b"ANIM" and not _SKIN.search(code):
            kept[code] = content
    if not kept:
        raise MongeError(f"{_NAME}: {_tgz(number)} holds no animated emoji")
    with zipfile.ZipFile(into / _CLIPS, "w", zipfile.ZIP_STORED) as archive:
        for code in sorted(kept):
            archive.writestr(zipfile.ZipInfo(f"{code}.webp"), kept[code])


def _take_texts(folder: Path) -> Mapping[str, Path]:
    return {
        _OPENMOJI: _packed("openmoji@17.0.0", folder / "openmoji"),
        _EMOJIBASE: _packed("emojibase-data@17.0.0", folder / "emojibase"),
    }


def _convert_texts(files: Mapping[str, Path], into: Path) -> None:
    """Group, names and keywords of every emoji without a skin tone, by its code points without the sign for colour."""
    texts: dict[str, Any] = {}
    ((_, content),) = _members(files[_OPENMOJI], re.compile(r"package/data/openmoji\.json"))
    for entry in json.loads(content):
        if not entry["skintone"] and not entry["group"].startswith("extras"):
            words = dict.fromkeys(filter(None, re.split(r",\s*", f"{entry['tags']}, {entry['openmoji_tags']}")))
            labels, keywords = {"en": entry["annotation"]}, {"en": list(words)}
            code = entry["hexcode"].lower().replace("-fe0f", "")
            texts[code] = {"group": entry["group"], "labels": labels, "keywords": keywords}
    others = _OTHERS.replace(" ", "|")
    found = _members(files[_EMOJIBASE], re.compile(rf"package/({others})/data\.json"))
    for name, content in found:
        language = name.split("/")[1]
        for entry in json.loads(content):
            text = texts.get(entry["hexcode"].lower().replace("-fe0f", ""))
            if text is not None:
                text["labels"][language] = entry["label"]
                text["keywords"][language] = entry.get("tags", [])
    (into / _CAPTIONS).write_text(json.dumps(texts, ensure_ascii=False, sort_keys=True), encoding="utf-8")


def _members(path: Path, wanted: re.Pattern[str]) -> list[tuple[str, bytes]]:
    """Names and contents of the plain files of an archive whose names are wanted."""
    found = []
    try:
        with tarfile.open(path, "r|gz") as archive:
            for member in archive:
                if wanted.fullmatch(member.name) and member.isreg() and member.size <= _MAX_MEMBER_BYTES:
                    stream = archive.extractfile(member)
                    assert stream is not None  # since it is a regular file
                    found.append((member.name, stream.read()))
    except (tarfile.TarError, zlib.error, EOFError) as error:
        raise MongeError(f"{_NAME}: {path.name} is damaged ({type(error).__name__}: {error})") from None
    if not found:
        raise MongeError(f"{_NAME}: {path.name} does not hold {wanted.pattern}")
    return found


_TEXTS = Package(
    name=_NAME,
    title="openmoji 17.0.0 and emojibase-data 17.0.0",
    hashes={
        _OPENMOJI: "55ee7d13485dec86e9f38c1f3a645a13382d33ff97c0cd845ee824b0aef45e68",
        _EMOJIBASE: "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a",
    },
    take=_take_texts,
    convert=_convert_texts,
    place=f"{_NAME}/captions",
)
_PARTS = {
    number: Package(
        name=_NAME,
        title=f"@lobehub/fluent-emoji-anim-{number}@1.0.0",
        hashes={_tgz(number): _HASHES[number]},
        take=partial(_take_part, number),
        convert=partial(_convert_part, number),
        place=f"{_NAME}/part-{number}",
    )
    for number in _HASHES
}
CLIPS = PackageGroup(name=_NAME, base=_TEXTS, parts=tuple(_PARTS.values()))
