"""Charades-STA (Gao, Sun, Yang, Nevatia; ICCV 2017): sentences on moments of clips made at home.

``charades_sta_train.txt`` and ``charades_sta_test.txt`` have a line for each sentence: ``AO8RW 0.0 6.9##a person is
putting a book on a shelf.``: clip, first and last second, and after the first ``##`` the sentence. Where
``Charades_v1_train.csv`` and ``Charades_v1_test.csv`` lie beside them (columns ``id`` and ``length``), moments that end
after their clip are cut and counted. The case of names of clips varies between copies; here it does not count.

The data set asks for moments; here whole clips are retrieved, by ``"each"`` sentence on its own, or by ``"all"``
sentences of a clip joined in the order of the file. Which of the two the published figures of batch-wise OT on this
data set mean is not known; ``"each"`` is what is done with other sets of many captions. There is no validation part.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from monge.data.formats.captions import Caption, CaptionedClips, Part, assemble, caption_text
from monge.data.formats.clip_ids import clip_id
from monge.data.formats.flaws import Flaws
from monge.data.formats.places import find_place, text_lines
from monge.data.formats.sniff import shown
from monge.data.formats.text_rows import text_rows
from monge.errors import DataFormatError, MongeError

Sentences = Literal["each", "all"]
TRAIN, TEST = "charades_sta_train.txt", "charades_sta_test.txt"
SENTENCES = (12_408, 3_720)
_LENGTHS = ("Charades_v1_train.csv", "Charades_v1_test.csv")
_LINE = re.compile(r"(\S+)\s+(\S+)\s+(\S+?)\s*##(.*)", re.DOTALL)


def read_charades(folder: str | Path, flaws: Flaws, *, sentences: Sentences = "each") -> CaptionedClips:
    """Reads the sentences of Charades-STA.

    Args:
        folder: The folder with the files, or the one above it.
        flaws: Takes empty sentences, and moments that end before they begin.
        sentences: Whether every sentence is a query, or all sentences of a clip together are one.

    Returns:
        Training and test; moments as the lines have them.

    Raises:
        DataFormatError: Files that are not there, or a line of another form; names the line.
        MongeError: Another choice of sentences.

    Example:
        >>> import tempfile
        >>> from monge.data.synthetic.text_video_layouts import write_fake_charades
        >>> write_fake_charades(root := tempfile.mkdtemp(), clips=30)
        >>> listed = read_charades(root, Flaws(strict=True))
        >>> listed.counts(), len(listed.captions["test"]), listed.captions["test"][0].moment
        ((24, 0, 6), 12, (0.0, 6.9))
    """
    if sentences not in ("each", "all"):
        raise MongeError(f"data.sentences: found {sentences!r}, expected each or all")
    place = find_place(folder, lambda place: (place / TRAIN).is_file(), f"{TRAIN} and {TEST}")
    lengths = _lengths(place)
    texts: dict[Part, Mapping[str, list[Caption]]] = {"val": {}}
    cut, counts = 0, []
    files: dict[Part, str] = {"train": TRAIN, "test": TEST}
    for part, name in files.items():
        own, late = _read(place / name, lengths, flaws)
        counts.append(sum(map(len, own.values())))
        cut += late
        texts[part] = own if sentences == "each" else {one: [_joined(one, told)] for one, told in own.items()}
    clips: dict[Part, tuple[str, ...]] = {part: tuple(own) for part, own in texts.items()}
    queries = "every sentence a query" if sentences == "each" else "all sentences of a clip joined into one query"
    split = f"the official files, {queries}" + (f"; {cut:,} moments end after their clip and were cut" if cut else "")
    listed = assemble(place, clips, texts, split, flaws)
    if tuple(counts) == SENTENCES:
        return listed
    has, wants = (" / ".join(f"{number:,}" for number in numbers) for numbers in (counts, SENTENCES))
    return replace(listed, missing=f"not the complete set: {has} sentences (train / test) of {wants}")


def _read(path: Path, lengths: Mapping[str, float], flaws: Flaws) -> tuple[dict[str, list[Caption]], int]:
    """Sentences of each clip, and how many moments were cut."""
    own: dict[str, list[Caption]] = {}
    names: dict[str, str] = {}
    cut = 0
    for number, line in text_lines(path, "sentences of Charades-STA"):
        where = f"line {number}"
        match = _LINE.fullmatch(line.strip())
        times = tuple(_seconds(word) for word in match.groups()[1:3]) if match else ()
        if match is None or any(math.isnan(time) for time in times):
            expected = "'<clip> <first second> <last second>##<sentence>'"
            raise DataFormatError(shown(path), where, f"{shown(line.strip())[:60]!r}", expected)
        one = names.setdefault(clip_id(match[1]).lower(), clip_id(match[1]))
        first, last = times
        if last < first:
            flaws.note("moments that end before they begin", path, where, f"{first:g} to {last:g}", "first <= last")
            continue
        if (end := lengths.get(one.lower(), last)) < last:
            cut += 1
            first, last = min(first, end), end
        told = own.setdefault(one, [])
        told.append(Caption(one, caption_text(match[4], path, where, flaws), (len(told),), moment=(first, last)))
    return own, cut


def _seconds(word: str) -> float:
    """A time that is not negative, or NaN."""
    try:
        time = float(word)
    except ValueError:
        return math.nan
    return time if 0 <= time < 1e6 else math.nan


def _joined(one: str, told: list[Caption]) -> Caption:
    kept = [caption for caption in told if caption.text]
    moments = [caption.moment for caption in kept if caption.moment is not None]
    whole = (min(first for first, _ in moments), max(last for _, last in moments)) if moments else None
    numbers = tuple(number for caption in kept for number in caption.numbers)
    return Caption(one, " ".join(caption.text for caption in kept), numbers, moment=whole)


def _lengths(place: Path) -> dict[str, float]:
    """Seconds of each clip, by its name in small letters, as far as files tell them."""
    lengths: dict[str, float] = {}
    for name in _LENGTHS:
        path = place / name
        for where, row in text_rows(path, ["id", "length"]) if path.is_file() else ():
            length = _seconds(row["length"])
            if math.isnan(length):
                raise DataFormatError(shown(path), where, f"length {shown(row['length'])[:20]!r}", "seconds")
            lengths[clip_id(row["id"]).lower()] = length
    return lengths
