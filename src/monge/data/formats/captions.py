"""Captions of clips in the three parts of training, whichever files they were read from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from monge.data.formats.clip_ids import clip_id
from monge.data.formats.flaws import Flaws
from monge.data.formats.places import text_lines
from monge.data.formats.sniff import shown
from monge.data.splits import SPLIT_SEED
from monge.errors import DataFormatError, MongeError

Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class Caption:
    """One text that describes a clip.

    Args:
        clip: Id of the clip, without the ending of a video file.
        text: The words.
        numbers: Which of the clip's captions it is, counted from 0 in the order of the file; a paragraph is several.
        language: Code of the language, where there are several.
        moment: First and last second that it describes, where it is not all of the clip.
        query: What its features are called, where queries have names of their own.
    """

    clip: str
    text: str
    numbers: tuple[int, ...] = (0,)
    language: str = ""
    moment: tuple[float, float] | None = None
    query: str = ""


@dataclass(frozen=True)
class CaptionedClips:
    """What the annotations of a data set say.

    Args:
        path: The file, or the folder, that they were read from.
        clips: Clips of each part, in order.
        captions: Captions of each part, those of a clip together.
        split: How the parts were made, as part of a sentence.
        missing: Where the counts are not those of the complete set, what was found and what it has; else empty.

    Example:
        >>> clips = {"train": ("a",), "val": (), "test": ("b",)}
        >>> captions = {"train": (Caption("a", "a cat"),), "val": (), "test": (Caption("b", "a dog"),)}
        >>> CaptionedClips(Path("x.json"), clips, captions, "the official split").counts()
        (1, 0, 1)
    """

    path: Path
    clips: Mapping[Part, tuple[str, ...]]
    captions: Mapping[Part, tuple[Caption, ...]]
    split: str
    missing: str = ""

    def counts(self) -> tuple[int, int, int]:
        """Clips of training, validation and test."""
        return len(self.clips["train"]), len(self.clips["val"]), len(self.clips["test"])


def caption_text(text: object, path: Path, where: str, flaws: Flaws) -> str:
    """The words of a caption, blanks at its ends and between words made one; ``""`` is noted as a flaw.

    Args:
        text: A string, or words in a list, as some copies have them.
        path: The file it is from.
        where: Place in it.
        flaws: Takes empty captions.

    Raises:
        DataFormatError: Something that is no text.

    Example:
        >>> caption_text(["a", "dog "], Path("a.json"), "", Flaws(strict=True)), caption_text(b" a  dog", Path("a"), "",
        ...     Flaws(strict=True))
        ('a dog', 'a dog')
    """
    words = text if isinstance(text, (list, tuple)) else [text]
    if not all(isinstance(word, (str, bytes)) for word in words):
        raise DataFormatError(shown(path), where, f"a caption that is a {type(text).__name__}", "text")
    plain = [word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word) for word in words]
    joined = " ".join(" ".join(plain).split())
    if not joined:
        flaws.note("empty captions", path, where, "a caption without words", "at least one word")
    return joined


def read_list(path: Path, expected: str) -> tuple[str, ...]:
    """Clips that a text file lists, one a line.

    Args:
        path: The file.
        expected: What it should be, for the error messages.

    Raises:
        DataFormatError: Not such a file, or a clip that it lists twice.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "list.txt"
        >>> _ = file.write_text("video1\\nvideo7.mp4\\n")
        >>> read_list(file, "a list of clips")
        ('video1', 'video7')
    """
    seen: dict[str, int] = {}
    for number, line in text_lines(path, expected):
        one = clip_id(line)
        if len(line.split()) != 1 or not one:
            raise DataFormatError(shown(path), f"line {number}", f"{shown(line.strip())[:60]!r}", "the id of one clip")
        if one in seen:
            found = f"the clip {shown(one)!r} again"
            raise DataFormatError(shown(path), f"line {number}", found, f"each clip once; it is on line {seen[one]}")
        seen[one] = number
    return tuple(seen)


def assemble(
    path: Path,
    clips: Mapping[Part, Iterable[str]],
    captions: Mapping[Part, Mapping[str, list[Caption]]],
    split: str,
    flaws: Flaws,
) -> CaptionedClips:
    """Puts parts and captions together and notes what contradicts.

    Args:
        path: Where the annotations come from.
        clips: Clips of each part.
        captions: Captions of each clip, for each part; parts may share them.
        split: How the parts were made.
        flaws: Takes clips that are in two parts (left in the later one), clips without captions, and empty captions.

    Raises:
        DataFormatError: A part that has to have clips has none.
    """
    wanted = {part: tuple(clips[part]) for part in PARTS}
    pairs: tuple[tuple[Part, Part], ...] = (("train", "val"), ("train", "test"), ("val", "test"))
    for early, late in pairs:
        both = set(wanted[early]) & set(wanted[late])
        for one in sorted(both):
            found = f"the clip {shown(one)!r} in {early} and in {late}"
            flaws.note(f"clips in {early} and in {late}", path, "", found, "each clip in one part")
        wanted[early] = tuple(one for one in wanted[early] if one not in both)
    kept: dict[Part, tuple[str, ...]] = {}
    told: dict[Part, tuple[Caption, ...]] = {}
    for part, ids in wanted.items():
        with_text = {one: [caption for caption in captions[part].get(one, []) if caption.text] for one in ids}
        for one in ids:
            if not captions[part].get(one):
                found = f"the clip {shown(one)!r} of {part} without a caption"
                flaws.note("clips without a caption", path, "", found, "at least one for each clip")
        kept[part] = tuple(one for one, texts in with_text.items() if texts)
        told[part] = tuple(caption for texts in with_text.values() for caption in texts)
    flaws.settle()
    for part in PARTS:
        if not kept[part] and part != "val":
            raise DataFormatError(shown(path), "", f"no clip with a caption in {part}", "at least one")
    return CaptionedClips(path, kept, told, split)


def hold_out_clips(listed: CaptionedClips, count: int) -> CaptionedClips:
    """Sets clips of training aside for validation, drawn by a fixed seed from their sorted ids.

    Args:
        listed: Annotations without a validation part.
        count: How many clips; 0: validate on the test part, as published rows that have no other do.

    Raises:
        MongeError: More than half of the clips of training.

    Example:
        >>> clips = {"train": ("a", "b", "c"), "val": (), "test": ("d",)}
        >>> captions = {part: tuple(Caption(one, "text") for one in ids) for part, ids in clips.items()}
        >>> hold_out_clips(CaptionedClips(Path("x.json"), clips, captions, "two parts"), 1).counts()
        (2, 1, 1)
    """
    train = listed.clips["train"]
    if not count:
        clips = {**listed.clips, "val": listed.clips["test"]}
        captions = {**listed.captions, "val": listed.captions["test"]}
        return replace(listed, clips=clips, captions=captions, split=f"{listed.split}; val is the test part itself")
    if not 0 < count <= len(train) // 2:
        raise MongeError(f"data.val_clips: found {count}, expected 0 to {len(train) // 2}, half of the training clips")
    aside = set(np.random.RandomState(SPLIT_SEED).permutation(np.array(sorted(train), dtype=object))[:count].tolist())
    clips = {
        "train": tuple(one for one in train if one not in aside),
        "val": tuple(one for one in train if one in aside),
        "test": listed.clips["test"],
    }
    captions = {
        "train": tuple(caption for caption in listed.captions["train"] if caption.clip not in aside),
        "val": tuple(caption for caption in listed.captions["train"] if caption.clip in aside),
        "test": listed.captions["test"],
    }
    split = f"{listed.split}; val is {count:,} of the training clips (fixed draw, seed {SPLIT_SEED})"
    return replace(listed, clips=clips, captions=captions, split=split)


def against_complete(listed: CaptionedClips, complete: tuple[int, ...], parts: tuple[Part, ...]) -> CaptionedClips:
    """The same with a note where a part has another number of clips than the complete set.

    Args:
        listed: Annotations.
        complete: Clips that the complete set has in each of `parts`.
        parts: Which parts those are.
    """
    found = tuple(len(listed.clips[part]) for part in parts)
    if found == complete:
        return listed
    names = " / ".join(parts)
    has, wants = (" / ".join(f"{number:,}" for number in numbers) for numbers in (found, complete))
    return replace(listed, missing=f"not the complete set: {has} clips ({names}) of {wants}")
