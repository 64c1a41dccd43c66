"""Captions and features put together: which caption goes with which clip, and what is missing on either side."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from monge.data.cross_modal import CrossModalSplits
from monge.data.feature_files import find_experts, find_text
from monge.data.feature_set import FeatureSet, RowsOf
from monge.data.formats.captions import PARTS, Caption, CaptionedClips, Part
from monge.data.formats.clip_features import ClipFeatures, read_caption_features, read_clip_features
from monge.data.formats.clip_features import Rows as ClipRows
from monge.data.formats.clip_ids import spelled_as
from monge.data.formats.flaws import Flaws
from monge.data.formats.sniff import shown
from monge.data.sources.encoded import text_features
from monge.data.sources.feature_cache import Progress, silent
from monge.errors import DataFormatError

Many = int | Literal["mean"]
MINILM = "minilm"


@dataclass(frozen=True)
class FeatureOptions:
    """Which features, and how much of them.

    Args:
        experts: Files of the experts that saw the clips, by name; ``None``: those that the folder has.
        text: File with features of the captions, ``"minilm"`` to encode their words, or ``None``: what the folder has.
        frames: Most rows that are kept of each expert and clip, evenly spaced, or ``"mean"``.
        tokens: Most rows that are kept of each caption, from the front, or ``"mean"``.
        captions: Most captions of a clip in training; ``None``: all.
        progress: Called with the captions encoded and all, where they are encoded.
    """

    experts: Mapping[str, str] | None = None
    text: str | None = None
    frames: Many = 32
    tokens: Many = 32
    captions: int | None = None
    progress: Progress = silent


@dataclass(frozen=True)
class _Side:
    """Rows of each caption by its place in a list, and what a reader calls them."""

    rows: list[ClipRows | None]
    width: int
    path: Path


def pair_splits(
    name: str, listed: CaptionedClips, place: Path, options: FeatureOptions, flaws: Flaws, source: str, *, own: bool
) -> CrossModalSplits:
    """Queries and gallery of what annotations and features say.

    Args:
        name: Of the data set.
        listed: Its annotations.
        place: Folder of the features.
        options: Which of them.
        flaws: Takes clips and captions without features, and features that nothing describes.
        source: The sentence on the source.
        own: The features are of these clips and no others, so that a clip without a caption is an error.

    Raises:
        DataFormatError: Features that are not there, not good, or not those of these clips.

    Warns:
        UserWarning: It is not the complete set, or entries were left out.
    """
    wanted = {one for part in PARTS for one in listed.clips[part]}
    experts = {
        expert: _spelled(read_clip_features(path, flaws, length=options.frames), wanted)
        for expert, path in find_experts(place, options.experts).items()
    }
    _check_experts(listed, experts, flaws, own=own)
    captions = {part: _few(listed.captions[part], options.captions if part == "train" else None) for part in PARTS}
    seen = {one for part in PARTS for one in listed.clips[part] if any(one in rows.rows for rows in experts.values())}
    asked = [caption for part in PARTS for caption in captions[part] if caption.clip in seen]
    text = _text(name, asked, place, options, flaws)
    flaws.settle()
    if told := flaws.told():
        warnings.warn(f"{name}: left out: {'; '.join(told)}", UserWarning, stacklevel=4)
    if listed.missing:
        warnings.warn(f"{name} read from {shown(place)}: {listed.missing}", UserWarning, stacklevel=4)
    return _Assembly(listed, experts, captions, asked, text, seen).splits(name, source)


def _spelled(read: ClipFeatures, wanted: set[str]) -> ClipFeatures:
    """Features by the ids of the annotations, which may differ in capitals."""
    silent = frozenset(spelled_as(dict.fromkeys(read.silent), wanted))
    return replace(read, rows=spelled_as(read.rows, wanted), silent=silent)


def _check_experts(listed: CaptionedClips, experts: Mapping[str, ClipFeatures], flaws: Flaws, *, own: bool) -> None:
    """Notes clips that no expert has seen, and refuses files that are of other clips."""
    wanted = {one for part in PARTS for one in listed.clips[part]}
    first = next(iter(experts.values()))
    for rows in experts.values():
        known = rows.rows.keys() | rows.silent
        if not known & wanted:
            found = f"features of {len(known):,} clips ({shown(min(known))} ...), none of them in {listed.path.name}"
            expected = f"the clips of the captions ({shown(min(wanted))} ...)"
            raise DataFormatError(shown(rows.path), "", found, expected, "are these of another data set?")
        for one in sorted(known - wanted) if own else ():
            found = f"features of {shown(one)!r}, which has no caption"
            flaws.note("clips without a caption", rows.path, "", found, "a caption for every clip")
    seen = {one for rows in experts.values() for one in rows.rows}
    for one in sorted(wanted - seen):
        silent = any(one in rows.silent for rows in experts.values())
        found = f"{'NaN alone' if silent else 'no features'} for the clip {shown(one)!r}"
        expected = "features by at least one expert" if len(experts) > 1 else "features of every clip"
        flaws.note("clips without features", first.path, "", found, expected)


def _few(captions: Sequence[Caption], most: int | None) -> list[Caption]:
    """The first captions of each clip."""
    counts: dict[str, int] = {}
    kept = []
    for caption in captions:
        counts[caption.clip] = counts.get(caption.clip, 0) + 1
        if most is None or counts[caption.clip] <= most:
            kept.append(caption)
    return kept


def _text(name: str, asked: list[Caption], place: Path, options: FeatureOptions, flaws: Flaws) -> _Side:
    """Rows of every caption."""
    if options.text == MINILM:
        return _encoded(name, asked, options)
    path, by_name = find_text(place, options.text)
    if by_name:
        queries = read_clip_features(path, flaws, length=options.tokens)
        rows: list[ClipRows | None] = [queries.rows.get(caption.query) for caption in asked]
        width = queries.width
    else:
        read = read_caption_features(path, flaws, length=None if options.tokens != "mean" else "mean")
        by_clip = spelled_as(read.rows, {caption.clip for caption in asked})
        rows = [_of_caption(caption, by_clip, options.tokens) for caption in asked]
        width = read.width
    if not any(row is not None for row in rows):
        found = f"features of none of the {len(asked):,} captions"
        hint = "are these of another data set?"
        raise DataFormatError(shown(path), "", found, "features of the captions that the annotations list", hint)
    for caption, row in zip(asked, rows):
        if row is None:
            called = caption.query or f"{caption.clip}, caption {caption.numbers[0]}"
            flaws.note("captions without features", path, shown(called), "no features", "features of every caption")
    return _Side(rows, width, path)


def _of_caption(caption: Caption, by_clip: Mapping[str, list[ClipRows | None]], tokens: Many) -> ClipRows | None:
    """Rows of a caption; those of the sentences of a paragraph one after the other."""
    own = by_clip.get(caption.clip, [])
    parts = [own[number] for number in caption.numbers if number < len(own)]
    rows = [part for part in parts if part is not None]
    if not rows:
        return None
    whole = rows[0] if len(rows) == 1 else np.concatenate(rows)
    if tokens == "mean":
        return whole.mean(0, keepdims=True) if len(whole) > 1 else whole
    return whole[:tokens]


def _encoded(name: str, asked: list[Caption], options: FeatureOptions) -> _Side:
    """Vectors of the words, by the packaged encoder; those of several languages too, though it knows English alone."""
    texts = [caption.text for caption in asked]
    vectors = text_features(name, texts, None if options.tokens == "mean" else options.tokens, options.progress)
    rows = [row.reshape(-1, row.shape[-1]) for row in vectors.numpy()]
    return _Side([row[~np.isnan(row).all(1)] for row in rows], vectors.shape[-1], Path(MINILM))


@dataclass(frozen=True)
class _Assembly:
    """All that the parts are made of."""

    listed: CaptionedClips
    experts: Mapping[str, ClipFeatures]
    captions: Mapping[Part, list[Caption]]
    asked: list[Caption]
    text: _Side
    seen: set[str]

    def splits(self, name: str, source: str) -> CrossModalSplits:
        """The parts, with sentences on what is in them."""
        clips = {part: [one for one in self.listed.clips[part] if one in self.seen] for part in PARTS}
        numbers: dict[str, int] = {}
        for part in PARTS:
            for one in clips[part]:
                numbers.setdefault(one, len(numbers))
        spans = {part: self._span(part) for part in PARTS}
        frames = max(len(rows) for expert in self.experts.values() for rows in expert.rows.values())
        kept = [row for row in self.text.rows if row is not None]
        tokens = max(map(len, kept))
        vectors = all(len(row) == 1 for row in kept)
        gallery = {part: self._gallery(clips[part], numbers, frames) for part in PARTS}
        queries = {part: self._queries(spans[part], numbers, None if vectors else tokens) for part in PARTS}
        for part in PARTS:
            if not len(queries[part]):
                found = f"no caption with features in {part}"
                raise DataFormatError(shown(self.listed.path), "", found, "at least one")
        sizes = " / ".join(f"{len(gallery[part]):,} clips and {len(queries[part]):,} captions {part}" for part in PARTS)
        return CrossModalSplits(
            train_queries=queries["train"],
            train_gallery=gallery["train"],
            val_queries=queries["val"],
            val_gallery=gallery["val"],
            test_queries=queries["test"],
            test_gallery=gallery["test"],
            classes=(),
            source=source,
            definition=f"{sizes}: {self.listed.split}; {self._told(numbers)}",
            paired=True,
            query_name="caption",
            gallery_name="clip",
        )

    def _span(self, part: Part) -> list[int]:
        """Places of a part's captions among all of them, of those that have features."""
        start = 0
        for before in PARTS:
            count = sum(caption.clip in self.seen for caption in self.captions[before])
            if before == part:
                return [place for place in range(start, start + count) if self.text.rows[place] is not None]
            start += count
        raise AssertionError(part)  # not reached: PARTS has them all

    def _gallery(self, clips: list[str], numbers: Mapping[str, int], frames: int) -> FeatureSet:
        rows = tuple(
            _laid_end_to_end([expert.rows.get(one) for one in clips], expert.width) for expert in self.experts.values()
        )
        labels = torch.tensor([numbers[one] for one in clips], dtype=torch.int64)
        return FeatureSet(rows, labels, frames, tuple(clips), names=tuple(self.experts))

    def _queries(self, span: list[int], numbers: Mapping[str, int], tokens: int | None) -> FeatureSet:
        rows = _laid_end_to_end([self.text.rows[place] for place in span], self.text.width)
        labels = torch.tensor([numbers[self.asked[place].clip] for place in span], dtype=torch.int64)
        texts = tuple(self.asked[place].text for place in span)
        return FeatureSet((rows,), labels, tokens, texts)

    def _told(self, numbers: Mapping[str, int]) -> str:
        """Experts, with the share of the clips that each has seen."""
        shares = {name: np.mean([one in expert.rows for one in numbers]) for name, expert in self.experts.items()}
        experts = ", ".join(
            f"{name} ({self.experts[name].width})" + (f" of {share:.0%}" if share < 1 else "")
            for name, share in shares.items()
        )
        return f"clips by {experts}; captions by {shown(self.text.path.name)} ({self.text.width})"


def _laid_end_to_end(pieces: Sequence[ClipRows | None], width: int) -> RowsOf:
    """The rows of each example, copied once; ``None`` has no rows."""
    starts = torch.tensor([0, *(0 if piece is None else len(piece) for piece in pieces)]).cumsum(0)
    there = [piece for piece in pieces if piece is not None]
    rows = np.concatenate(there) if there else np.empty((0, width), np.float32)
    return RowsOf(torch.from_numpy(rows), starts)
