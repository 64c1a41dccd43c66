"""DiDeMo (Hendricks and others, ICCV 2017): clips of up to 30 seconds, each moment described by a sentence.

``train_data.json``, ``val_data.json`` and ``test_data.json`` are lists of ``{"annotation_id", "description", "video",
"times": [[first, last], ...], "num_segments", ...}``; times are counted in pieces of five seconds, the last included,
one pair from each of several people. Names of clips end in ``.avi``, ``.mov``, ``.3gp`` and so on, in the features they
do not.

For retrieval of whole clips all descriptions of a clip are joined into one paragraph, in the order of the file, with a
blank between them, and the paragraph is the query. The lists of the collaborative experts (``train_list.txt``,
``val_list.txt``, ``test_list.txt``: 8,392 / 1,065 / 1,004 clips), where they lie beside the files, choose the clips of
each part; otherwise each file is a part (8,395 / 1,065 / 1,004). Their captions alone (``raw-captions.pkl``) are read
too, and have no moments.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monge.data.formats.captions import (
    PARTS,
    Caption,
    CaptionedClips,
    Part,
    against_complete,
    assemble,
    caption_text,
    read_list,
)
from monge.data.formats.clip_ids import clip_id
from monge.data.formats.flaws import Flaws
from monge.data.formats.json_file import read_json
from monge.data.formats.pickles import load_pickle
from monge.data.formats.places import find_place
from monge.data.formats.sniff import shown
from monge.errors import DataFormatError

COUNTS = (8_395, 1_065, 1_004)
LISTED_COUNTS = (8_392, 1_065, 1_004)
SECONDS, LONGEST = 5.0, 30.0
RAW_CAPTIONS = "raw-captions.pkl"
_FILES = {part: f"{part}_data.json" for part in PARTS}
_LISTS = {part: f"{part}_list.txt" for part in PARTS}
_EXPECTED = f"{', '.join(_FILES.values())}, or {RAW_CAPTIONS} with {_LISTS['train']}"


def read_didemo(folder: str | Path, flaws: Flaws) -> CaptionedClips:
    """Reads the paragraphs of DiDeMo.

    Args:
        folder: The folder with the files, or the one above it.
        flaws: Takes empty descriptions, and moments that end before they begin or after the clip.

    Returns:
        One caption for each clip; its moment reaches from the first to the last of the moments of its sentences.

    Raises:
        DataFormatError: Files that are not there or not good, or lists that name an unknown clip.

    Example:
        >>> import tempfile
        >>> from monge.data.synthetic.text_video_layouts import write_fake_didemo
        >>> write_fake_didemo(root := tempfile.mkdtemp(), clips=30)
        >>> listed = read_didemo(root, Flaws(strict=True))
        >>> listed.counts(), len(listed.captions["test"])
        ((20, 4, 6), 6)
    """
    place = find_place(folder, _holds, _EXPECTED)
    official = (place / _FILES["train"]).is_file()
    lists = (place / _LISTS["train"]).is_file()
    if official:
        sentences, clips = _official(place, flaws)
    else:
        sentences, clips = _pickled(place / RAW_CAPTIONS, flaws), {}
    if lists or not official:
        clips = {part: read_list(place / name, "a list of clips") for part, name in _LISTS.items()}
        unknown = [one for ids in clips.values() for one in ids if one not in sentences]
        if unknown:
            found = f"{len(unknown):,} clips without a description, such as {shown(unknown[0])!r}"
            raise DataFormatError(shown(place / _LISTS["train"]), "", found, "clips that are described")
    paragraphs = {one: [_paragraph(one, own)] for one, own in sentences.items() if any(text.text for text in own)}
    split = "the official files" if not lists else "the lists of the collaborative experts"
    told = f"{split}, all descriptions of a clip joined into one query"
    listed = assemble(place, clips, dict.fromkeys(PARTS, paragraphs), told, flaws)
    return against_complete(listed, LISTED_COUNTS if lists else COUNTS, PARTS)


def _holds(place: Path) -> bool:
    return (place / _FILES["train"]).is_file() or all(
        (place / name).is_file() for name in (RAW_CAPTIONS, _LISTS["train"])
    )


def _official(place: Path, flaws: Flaws) -> tuple[dict[str, list[Caption]], dict[Part, tuple[str, ...]]]:
    """The sentences of every clip, and the clips of each file."""
    sentences: dict[str, list[Caption]] = {}
    clips: dict[Part, tuple[str, ...]] = {}
    for part, name in _FILES.items():
        path = place / name
        content = read_json(path, "descriptions of DiDeMo")
        if not isinstance(content, list):
            raise DataFormatError(shown(path), "", f"a {type(content).__name__}", "a list of descriptions")
        own: dict[str, list[Caption]] = {}
        for number, item in enumerate(content):
            sentence = _sentence(path, f"[{number}]", item, flaws)
            texts = own.setdefault(sentence.clip, [])
            texts.append(Caption(sentence.clip, sentence.text, (len(texts),), moment=sentence.moment))
        clips[part] = tuple(own)
        sentences.update(own)
    return sentences, clips


def _sentence(path: Path, where: str, item: Any, flaws: Flaws) -> Caption:
    if not isinstance(item, dict) or not isinstance(item.get("video"), str) or "description" not in item:
        raise DataFormatError(shown(path), where, "no 'video' with a 'description'", "both, as DiDeMo has them")
    text = caption_text(item["description"], path, where, flaws)
    return Caption(clip_id(item["video"]), text, moment=_moment(path, where, item.get("times", []), flaws))


def _moment(path: Path, where: str, times: Any, flaws: Flaws) -> tuple[float, float] | None:
    """From the mean first to the mean last piece, in seconds, within the 30 that the clips were cut to."""
    pairs = times if isinstance(times, list) else [times]
    for pair in pairs:
        good = isinstance(pair, list) and len(pair) == 2 and all(type(n) is int and 0 <= n < 1000 for n in pair)
        if not good:
            raise DataFormatError(
                shown(path), f"{where}.times", f"{str(pair)[:40]}", "[first, last], two whole numbers"
            )
        if pair[1] < pair[0]:
            flaws.note("moments that end before they begin", path, f"{where}.times", f"{pair}", "first <= last")
            return None
    if not pairs:
        return None
    first, last = (sum(pair[side] for pair in pairs) / len(pairs) for side in (0, 1))
    return min(first * SECONDS, LONGEST), min((last + 1) * SECONDS, LONGEST)


def _pickled(path: Path, flaws: Flaws) -> dict[str, list[Caption]]:
    content = load_pickle(path)
    if not isinstance(content, dict) or not all(isinstance(texts, (list, tuple)) for texts in content.values()):
        raise DataFormatError(shown(path), "", "something else", "a dictionary from ids to lists of captions")
    return {
        one: [
            Caption(one, caption_text(text, path, f"{shown(one)}, caption {number}", flaws), (number,))
            for number, text in enumerate(texts)
        ]
        for one, texts in ((clip_id(_plain(key)), texts) for key, texts in content.items())
    }


def _plain(key: Any) -> str:
    return key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)


def _paragraph(one: str, sentences: list[Caption]) -> Caption:
    told = [sentence for sentence in sentences if sentence.text]
    moments = [sentence.moment for sentence in told if sentence.moment is not None]
    whole = (min(first for first, _ in moments), max(last for _, last in moments)) if moments else None
    numbers = tuple(number for sentence in told for number in sentence.numbers)
    return Caption(one, " ".join(sentence.text for sentence in told), numbers, moment=whole)
