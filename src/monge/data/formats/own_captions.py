"""Captions of one's own clips, pictures or anything else: ``captions.json`` or ``pairs.csv``.

``captions.json`` is a list, an object for each clip: ``{"id": "clip7", "captions": ["a dog runs", ...]}``. The captions
may be one text, a list of texts, or an object from languages to either of these; ``"split"`` may be ``"train"``,
``"val"`` or ``"test"``.

``pairs.csv`` has a line for each query: ``gallery`` (id of what it is to find), and ``query`` (id of its features) or
``text`` (its words) or both; a column ``split`` may say the part. Several queries may name one gallery item.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from monge.data.formats.captions import PARTS, Caption, CaptionedClips, Part, assemble, caption_text
from monge.data.formats.clip_ids import clip_id, distinct_ids
from monge.data.formats.flaws import Flaws
from monge.data.formats.json_file import read_json
from monge.data.formats.places import find_place
from monge.data.formats.sniff import shown
from monge.data.formats.text_rows import text_rows
from monge.data.splits import SPLIT_SEED
from monge.errors import DataFormatError

CAPTIONS, PAIRS = "captions.json", "pairs.csv"
SHARES = (0.7, 0.1, 0.2)
_PARTS: dict[str, Part] = {"train": "train", "val": "val", "validate": "val", "validation": "val", "test": "test"}


def read_own_captions(folder: str | Path, flaws: Flaws, *, languages: Sequence[str] | None = None) -> CaptionedClips:
    """Reads ``captions.json`` or ``pairs.csv``.

    Args:
        folder: The folder with the file, or the one above it.
        flaws: Takes empty captions and clips without any.
        languages: Those to keep, of captions in several; ``None``: all.

    Returns:
        The parts that the file says; where it says none, 70/10/20 % of the clips by a fixed draw.

    Raises:
        DataFormatError: Not such a file, parts for some clips alone, or a clip that is there twice.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "captions.json"
        >>> _ = file.write_text('[{"id": "a", "split": "train", "captions": {"en": "a cat", "fr": "un chat"}},'
        ...     '{"id": "b", "split": "test", "captions": {"en": "a dog"}}]')
        >>> listed = read_own_captions(file.parent, Flaws(strict=True), languages=["fr", "en"])
        >>> [caption.text for caption in listed.captions["train"]]
        ['a cat', 'un chat']
    """
    place = find_place(folder, _holds, f"{CAPTIONS} or {PAIRS}")
    if (place / CAPTIONS).is_file():
        path = place / CAPTIONS
        captions, parts = _json(path, languages, flaws)
    else:
        path = place / PAIRS
        captions, parts = _csv(path, flaws)
    split = f"the parts of {path.name}"
    if not parts:
        parts, split = _drawn(list(captions)), f"70/10/20 % of the clips (fixed draw, seed {SPLIT_SEED})"
    elif len(parts) != len(captions):
        without = next(one for one in captions if one not in parts)
        raise DataFormatError(
            shown(path), "", f"no split for {shown(without)!r}", "a split for every clip, or for none"
        )
    clips: dict[Part, tuple[str, ...]] = {
        part: tuple(one for one, own in parts.items() if own == part) for part in PARTS
    }
    return assemble(path, clips, dict.fromkeys(PARTS, captions), split, flaws)


def _holds(place: Path) -> bool:
    return (place / CAPTIONS).is_file() or (place / PAIRS).is_file()


def _json(
    path: Path, languages: Sequence[str] | None, flaws: Flaws
) -> tuple[dict[str, list[Caption]], dict[str, Part]]:
    content = read_json(path, "captions")
    if not isinstance(content, list) or not all(isinstance(item, dict) for item in content):
        raise DataFormatError(shown(path), "", "something else", "a list of objects with 'id' and 'captions'")
    captions: dict[str, list[Caption]] = {}
    parts: dict[str, Part] = {}
    heard: set[str] = set()
    for number, item in enumerate(content):
        where = f"[{number}]"
        if not isinstance(item.get("id"), (str, int)) or "captions" not in item:
            raise DataFormatError(shown(path), where, f"keys {', '.join(map(str, item))[:60]}", "'id' and 'captions'")
        one, texts = clip_id(str(item["id"])), _texts(path, where, item["captions"])
        heard |= {language for language, _ in texts}
        if item.get("split") is not None:
            parts[one] = _part(path, where, item["split"])
        # Numbers count all languages, so that features stay with their captions whichever are kept.
        captions[one] = [
            Caption(one, caption_text(text, path, where, flaws), (place,), language)
            for place, (language, text) in enumerate(texts)
            if languages is None or language in languages
        ]
    distinct_ids((str(item["id"]) for item in content), path)
    if unknown := [language for language in languages or () if language not in heard]:
        found = f"no captions in {unknown[0]!r}"
        raise DataFormatError(shown(path), "", found, f"languages among {', '.join(sorted(heard)) or 'none'}")
    return captions, parts


def _texts(path: Path, where: str, value: Any) -> list[tuple[str, Any]]:
    """Language and text of each caption."""
    if isinstance(value, dict):
        return [(str(language), text) for language, inner in value.items() for _, text in _texts(path, where, inner)]
    texts = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in texts):
        raise DataFormatError(
            shown(path), where, "captions that are no text", "a text, a list of texts, or by language"
        )
    return [("", text) for text in texts]


def _csv(path: Path, flaws: Flaws) -> tuple[dict[str, list[Caption]], dict[str, Part]]:
    rows = text_rows(path, ["gallery"])
    if not {"query", "text"} & set(rows[0][1]):
        raise DataFormatError(shown(path), "line 1", "gallery alone", "a column query or text beside it")
    captions: dict[str, list[Caption]] = {}
    parts: dict[str, Part] = {}
    asked: set[str] = set()
    for where, row in rows:
        one, query = clip_id(row["gallery"]), clip_id(row.get("query", ""))
        if not one or ("query" in row and not query):
            raise DataFormatError(shown(path), where, "an empty id", "ids of the query and of the gallery item")
        if query in asked:
            found = f"the query {shown(query)!r} again"
            raise DataFormatError(shown(path), where, found, "each query once, with the one item that it is to find")
        asked |= {query} if query else set()
        text = caption_text(row["text"], path, where, flaws) if "text" in row else query
        own = captions.setdefault(one, [])
        own.append(Caption(one, text, (len(own),), query=query))
        if "split" in row:
            part = _part(path, where, row["split"])
            if parts.setdefault(one, part) != part:
                found = f"{shown(one)!r} in {parts[one]} and in {part}"
                raise DataFormatError(shown(path), where, found, "each gallery item in one part")
    return captions, parts


def _part(path: Path, where: str, value: Any) -> Part:
    if (part := _PARTS.get(str(value).strip().lower())) is None:
        raise DataFormatError(shown(path), where, f"split {shown(str(value))[:20]!r}", "train, val or test")
    return part


def _drawn(clips: list[str]) -> dict[str, Part]:
    """A part for each clip."""
    order = np.random.RandomState(SPLIT_SEED).permutation(np.array(sorted(clips), dtype=object)).tolist()
    val, test = (max(1, round(share * len(order))) for share in SHARES[1:])
    part = dict(zip(order, ["test"] * test + ["val"] * val + ["train"] * len(order)))
    return {one: part[one] for one in clips}
