"""MSR-VTT (Xu, Mei, Yao, Rui; CVPR 2016): 10,000 clips of 20 captions each, in the three splits that are reported.

Two layouts are read. The official one: ``MSRVTT_data.json`` (all in one) or ``train_val_videodatainfo.json`` with
``test_videodatainfo.json``: ``{"videos": [{"video_id", "split", ...}], "sentences": [{"sen_id", "video_id",
"caption"}]}``; for 1k-A also ``MSRVTT_JSFUSION_test.csv`` (``key,vid_key,video_id,sentence``) and
``MSRVTT_train.9k.csv`` (or ``.7k.csv``; ``video_id``), with commas or semicolons. And that of the collaborative
experts: ``raw-captions.pkl`` (id -> captions) with ``train_list_full.txt``, ``val_list_full.txt`` and
``test_list_full.txt``, for 1k-A ``train_list_jsfusion.txt``, ``val_list_jsfusion.txt`` and
``jsfusion_val_caption_idx.pkl`` (id -> which caption), for 1k-B ``train_list_miech.txt`` and ``test_list_miech.txt``.
Where both are there, the second one is read, since the features that come with it are in the order of its captions. The
lists may also lie beside the official files.

In the full split every caption is a query. A clip of the test part of 1k-A has one caption, the one given; of 1k-B its
first. The two have no validation part of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

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
from monge.data.formats.clip_ids import clip_id, distinct_ids
from monge.data.formats.flaws import Flaws
from monge.data.formats.json_file import read_json
from monge.data.formats.pickles import load_pickle
from monge.data.formats.places import find_place
from monge.data.formats.sniff import shown
from monge.data.formats.text_rows import text_rows
from monge.errors import DataFormatError

MSRVTTSplit = Literal["full", "1k-A", "1k-B"]
COUNTS: dict[MSRVTTSplit, tuple[int, ...]] = {
    "full": (6_513, 497, 2_990),
    "1k-A": (9_000, 1_000),
    "1k-B": (6_656, 1_000),
}
RAW_CAPTIONS = "raw-captions.pkl"
ONE_FILE, TWO_FILES = "MSRVTT_data.json", ("train_val_videodatainfo.json", "test_videodatainfo.json")
TEST_CSV, TRAIN_CSVS = "MSRVTT_JSFUSION_test.csv", ("MSRVTT_train.9k.csv", "MSRVTT_train.7k.csv")
CAPTION_IDX = "jsfusion_val_caption_idx.pkl"
_LISTS = {
    "full": ("train_list_full.txt", "val_list_full.txt", "test_list_full.txt"),
    "1k-A": ("train_list_jsfusion.txt", "val_list_jsfusion.txt"),
    "1k-B": ("train_list_miech.txt", "test_list_miech.txt"),
}
_OFFICIAL: dict[str, Part] = {"train": "train", "validate": "val", "val": "val", "test": "test"}
_EXPECTED = f"{ONE_FILE}, {' and '.join(TWO_FILES)}, or {RAW_CAPTIONS}"


def read_msrvtt(folder: str | Path, split: MSRVTTSplit, flaws: Flaws) -> CaptionedClips:
    """Reads the captions of MSR-VTT.

    Args:
        folder: The folder with the files, or the one above it.
        split: Which of its splits.
        flaws: Takes what is wrong with single clips and captions.

    Raises:
        DataFormatError: Files that are not there or not good, a list that names an unknown clip, a test caption that is
            none of its clip's.

    Example:
        >>> import tempfile
        >>> from monge.data.synthetic.text_video_layouts import write_fake_msrvtt
        >>> write_fake_msrvtt(root := tempfile.mkdtemp(), clips=30)
        >>> read_msrvtt(root, "full", Flaws(strict=True)).counts()
        (20, 4, 6)
    """
    place = find_place(folder, _holds, _EXPECTED)
    captions, parts, path = _captions(place, flaws)
    if split == "full":
        return against_complete(_full(place, path, captions, parts, flaws), COUNTS["full"], PARTS)
    train, test = _two_parts(place, split)
    _require_known(path, captions, (*train, *test))
    chosen = _chosen(place, split, test, captions)
    clips: dict[Part, tuple[str, ...]] = {"train": train, "val": (), "test": test}
    texts: dict[Part, Mapping[str, list[Caption]]] = {"train": captions, "val": {}, "test": chosen}
    told = "the test part has the given caption of each clip" if split == "1k-A" else "of test clips the first caption"
    listed = assemble(path, clips, texts, f"split {split}; {told}", flaws)
    return against_complete(listed, COUNTS[split], ("train", "test"))


def _holds(place: Path) -> bool:
    return any((place / name).is_file() for name in (RAW_CAPTIONS, ONE_FILE, *TWO_FILES))


def _captions(place: Path, flaws: Flaws) -> tuple[dict[str, list[Caption]], dict[str, Part], Path]:
    """Captions of every clip, the part of each clip as far as the files say it, and the file."""
    if (place / RAW_CAPTIONS).is_file():
        return _pickled(place / RAW_CAPTIONS, flaws), {}, place / RAW_CAPTIONS
    one = (place / ONE_FILE).is_file()
    captions: dict[str, list[Caption]] = {}
    parts: dict[str, Part] = {}
    for name in (ONE_FILE,) if one else TWO_FILES:
        _read_official(place / name, captions, parts, flaws)
    return captions, parts, place / (ONE_FILE if one else TWO_FILES[0])


def _pickled(path: Path, flaws: Flaws) -> dict[str, list[Caption]]:
    content = load_pickle(path)
    if not isinstance(content, dict) or not all(isinstance(texts, (list, tuple)) for texts in content.values()):
        raise DataFormatError(shown(path), "", "something else", "a dictionary from ids to lists of captions")
    captions: dict[str, list[Caption]] = {}
    for key, texts in content.items():
        one = clip_id(key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key))
        captions[one] = [
            Caption(one, caption_text(text, path, f"{shown(one)}, caption {number}", flaws), (number,))
            for number, text in enumerate(texts)
        ]
    return captions


def _read_official(path: Path, captions: dict[str, list[Caption]], parts: dict[str, Part], flaws: Flaws) -> None:
    """Adds the clips and captions of one of the official files."""
    content = read_json(path, "annotations of MSR-VTT")
    for key in ("videos", "sentences"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise DataFormatError(shown(path), "", f"no list {key!r}", "lists 'videos' and 'sentences'")
    for number, video in enumerate(content["videos"]):
        where = f"videos[{number}]"
        one = clip_id(_text(path, where, video, "video_id"))
        split = _text(path, where, video, "split")
        if split not in _OFFICIAL:
            raise DataFormatError(shown(path), where, f"split {shown(split)[:20]!r}", f"one of {', '.join(_OFFICIAL)}")
        if one in parts:
            flaws.note("clips listed twice", path, where, f"the clip {shown(one)!r} again", "each clip once")
        parts[one] = _OFFICIAL[split]
    for number, sentence in enumerate(content["sentences"]):
        where = f"sentences[{number}]"
        one = clip_id(_text(path, where, sentence, "video_id"))
        if one not in parts:
            flaws.note("captions without a clip", path, where, f"a caption of {shown(one)!r}", "a clip of 'videos'")
            continue
        text = caption_text(_text(path, where, sentence, "caption"), path, where, flaws)
        own = captions.setdefault(one, [])
        own.append(Caption(one, text, (len(own),)))


def _text(path: Path, where: str, item: Any, key: str) -> str:
    if not isinstance(item, dict) or not isinstance(item.get(key), str):
        raise DataFormatError(shown(path), where, f"no text under {key!r}", f"an object with {key!r}")
    return str(item[key])


def _full(
    place: Path, path: Path, captions: dict[str, list[Caption]], parts: dict[str, Part], flaws: Flaws
) -> CaptionedClips:
    if parts:
        clips: dict[Part, tuple[str, ...]] = {
            part: tuple(one for one, own in parts.items() if own == part) for part in PARTS
        }
    else:
        clips = {part: read_list(place / name, "a list of clips") for part, name in zip(PARTS, _LISTS["full"])}
        _require_known(path, captions, tuple(one for ids in clips.values() for one in ids))
    return assemble(path, clips, dict.fromkeys(PARTS, captions), "the official split, every caption a query", flaws)


def _two_parts(place: Path, split: MSRVTTSplit) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Clips of training and test of a split that has no others."""
    train, test = (place / name for name in _LISTS[split])
    if split == "1k-A" and not test.is_file() and (place / TEST_CSV).is_file():
        named = next((name for name in TRAIN_CSVS if (place / name).is_file()), TRAIN_CSVS[0])
        return tuple(_column(place / named, "video_id")), tuple(_column(place / TEST_CSV, "video_id"))
    return read_list(train, "a list of clips"), read_list(test, "a list of clips")


def _chosen(
    place: Path, split: MSRVTTSplit, test: tuple[str, ...], captions: Mapping[str, list[Caption]]
) -> dict[str, list[Caption]]:
    """The one caption of each clip of test."""
    if split == "1k-B":
        return {one: captions[one][:1] for one in test}
    if (place / CAPTION_IDX).is_file():
        return _by_number(place / CAPTION_IDX, test, captions)
    path = place / TEST_CSV
    chosen: dict[str, list[Caption]] = {}
    for one, sentence in zip(test, _column(path, "sentence", distinct=False)):
        words = " ".join(sentence.split()).lower()
        same = [caption for caption in captions[one] if caption.text.lower() == words]
        if not same:
            found = f"the sentence {shown(sentence)[:60]!r} of {shown(one)}"
            raise DataFormatError(shown(path), "", found, "one of the captions of that clip")
        chosen[one] = same[:1]
    return chosen


def _by_number(path: Path, test: tuple[str, ...], captions: Mapping[str, list[Caption]]) -> dict[str, list[Caption]]:
    content = load_pickle(path)
    if not isinstance(content, dict):
        raise DataFormatError(shown(path), "", f"a {type(content).__name__}", "a dictionary from ids to numbers")
    plain = {clip_id(key.decode() if isinstance(key, bytes) else str(key)): value for key, value in content.items()}
    chosen: dict[str, list[Caption]] = {}
    for one in test:
        number = plain.get(one)
        if not isinstance(number, (int, np.integer)) or not 0 <= number < len(captions[one]):
            found = f"caption {number} of {shown(one)}"
            raise DataFormatError(shown(path), "", found, f"a number from 0 to {len(captions[one]) - 1}")
        chosen[one] = [captions[one][number]]
    return chosen


def _require_known(path: Path, captions: Mapping[str, list[Caption]], wanted: tuple[str, ...]) -> None:
    unknown = [one for one in wanted if one not in captions]
    if unknown:
        more = f" and {len(unknown) - 1:,} more" if len(unknown) > 1 else ""
        found = f"no captions of {shown(unknown[0])!r}{more}"
        raise DataFormatError(shown(path), "", found, "captions of every clip that the lists name")


def _column(path: Path, name: str, *, distinct: bool = True) -> list[str]:
    """A column of a CSV file; distinct ones are names of clips."""
    cells = [row[name] for _, row in text_rows(path, [name])]
    return list(distinct_ids(cells, path)) if distinct else cells
