"""Packaged pairs of text and pictures as features: stamps with their sentences, animated emoji with their captions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monge.data.cross_modal import CrossModalSplits
from monge.data.feature_set import FeatureSet
from monge.data.sources.emoji_clips import CLIPS, LANGUAGES, PARTS, clip_frames, emoji_clips, split_clips
from monge.data.sources.encoded import picture_features, text_features
from monge.data.sources.feature_cache import Features, Progress, silent
from monge.data.sources.stamps import STAMPS, split_stamps, stamp_pictures, stamps
from monge.data.splits import SPLIT_SEED
from monge.data.synthetic.pair_features import synthetic_pair_features
from monge.errors import MongeError

PACKAGED_PAIRS = (STAMPS.name, CLIPS.name)
"""Names of the data sets here."""
Parts = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
# The weights of the network were trained with 224; a clip has many frames, so that theirs are smaller.
_STAMP_SIZE, _FRAME_SIZE = 224, 160
_FRAMES = 8
_ENCODERS = "pictures by EfficientNet-Lite0, sentences by MiniLM"


@dataclass(frozen=True)
class PairOptions:
    """Choices of the packaged pairs.

    Args:
        tokens: Tokens kept of each caption, markers included, a vector each; ``"mean"``: one vector for all.
        languages: Languages of further captions, besides English.
        mirrored: Whether stamps of the training part are there mirrored too.
        frames: Frames of a clip, evenly spread, a vector each; ``"mean"``: the mean of eight.
        parts: How many of the three packages of clips.
        progress: Called with the numbers of items done and of all, where features are computed.
    """

    tokens: int | Literal["mean"] = "mean"
    languages: Sequence[str] = ()
    mirrored: bool = True
    frames: int | Literal["mean"] = _FRAMES
    parts: int = PARTS
    progress: Progress = silent

    def __post_init__(self) -> None:
        for name, most in (("tokens", 256), ("frames", 32), ("parts", PARTS)):
            value = getattr(self, name)
            if value != "mean" and not 1 <= value <= most:
                raise MongeError(f"{name}: found {value}, expected 1 to {most}")


def load_packaged_pairs(name: str, source: str, options: PairOptions) -> CrossModalSplits:
    """Loads stamps or animated emoji.

    Args:
        name: One of `PACKAGED_PAIRS`.
        source: ``"packaged"``, or ``"synthetic"`` for made-up features of the same shape.
        options: Choices.

    Raises:
        MongeError: Another source, or as for :func:`load_stamps` and :func:`load_emoji_clips`.
    """
    clips = name == CLIPS.name
    if source == "packaged":
        return load_emoji_clips(options) if clips else load_stamps(options)
    if source != "synthetic":
        raise MongeError(f"{name} comes in a package alone: found source {source}, expected packaged or synthetic")
    tokens = None if options.tokens == "mean" else options.tokens
    frames = None if options.frames == "mean" or not clips else options.frames
    return synthetic_pair_features(name, tokens=tokens, frames=frames, captions=2 if clips else 1)


def load_stamps(options: PairOptions) -> CrossModalSplits:
    """Stamps: sentences are queries, pictures the gallery, and stamps with the same sentence have one label.

    Args:
        options: See the class; ``frames`` and ``parts`` are those of clips.

    Raises:
        MongeError: Something is not fetched yet or damaged, or a language that no stamp has.
    """
    found = stamps()
    _check_languages(options.languages, sorted({name for stamp in found for name in stamp.translations}))
    number = {name: place for place, name in enumerate(sorted({stamp.identity for stamp in found}))}
    labels = [number[stamp.identity] for stamp in found]
    captions = [
        [stamp.caption, *(stamp.translations[name] for name in options.languages if name in stamp.translations)]
        for stamp in found
    ]
    features = picture_features(
        STAMPS.name,
        [stamp.digest for stamp in found],
        lambda place: stamp_pictures([found[place]], _STAMP_SIZE),
        size=_STAMP_SIZE,
        mirrored=True,
        progress=options.progress,
    )
    single = {name: rows[:, 0] if rows.ndim == 3 else rows for name, rows in features.items()}
    names = ("sentence", "picture")
    how = "65/15/20 % of every category, equal sentences and equal pictures in the same part"
    whole = _Pairs(STAMPS.name, names, labels, captions, single, options)
    return whole.splits(split_stamps(found), STAMPS.title, how)


def load_emoji_clips(options: PairOptions) -> CrossModalSplits:
    """Animated emoji: names and keywords are queries, clips the gallery; the label is the number of the clip.

    Args:
        options: See the class.

    Raises:
        MongeError: Something is not fetched yet or damaged, or a language that there are no captions in.
    """
    _check_languages(options.languages, LANGUAGES[1:])
    clips = emoji_clips(options.parts)
    frames = _FRAMES if options.frames == "mean" else options.frames
    hashes = [next(iter(package.hashes.values())) for package in CLIPS.parts]
    features = picture_features(
        CLIPS.name,
        [f"{hashes[clip.part - 1]}/{clip.code}/{frames}" for clip in clips],
        lambda place: clip_frames(clips[place], frames, _FRAME_SIZE),
        size=_FRAME_SIZE,
        progress=options.progress,
    )
    if options.frames == "mean":
        features["features"] = features["features"].mean(dim=1)
    captions = [clip.captions(("en", *options.languages)) for clip in clips]
    how = "65/15/20 % of every group, man, woman and person at the same thing in the same part"
    title = ", ".join(package.title for package in (CLIPS.base, *CLIPS.parts[: options.parts]))
    whole = _Pairs(CLIPS.name, ("caption", "clip"), list(range(len(clips))), captions, features, options)
    return whole.splits(split_clips(clips), title, how)


@dataclass(frozen=True)
class _Pairs:
    """All pairs of a data set, before they are parted."""

    name: str
    names: tuple[str, str]
    labels: Sequence[int]
    captions: Sequence[Sequence[str]]
    features: Features
    options: PairOptions

    def splits(self, parts: Parts, title: str, how: str) -> CrossModalSplits:
        """The three parts, with sentences on them."""
        texts = sorted({text for several in self.captions for text in several})
        options, mirrored = self.options, "mirrored" in self.features and self.options.mirrored
        tokens = None if options.tokens == "mean" else options.tokens
        vectors = text_features(self.name, texts, tokens, options.progress)
        row = {text: place for place, text in enumerate(texts)}
        queries = [self._queries(part, row, vectors) for part in parts]
        galleries = [self._gallery(part, mirrored and not place) for place, part in enumerate(parts)]
        texts_of, items = (f"{name}s" for name in self.names)
        sizes = [f"{len(query):,} {texts_of} and {len(part):,} {items}" for query, part in zip(queries, parts)]
        twice = "; pictures of the training part also mirrored" if mirrored else ""
        also = f"; captions also in {', '.join(options.languages)}" if options.languages else ""
        return CrossModalSplits(
            train_queries=queries[0],
            train_gallery=galleries[0],
            val_queries=queries[1],
            val_gallery=galleries[1],
            test_queries=queries[2],
            test_gallery=galleries[2],
            classes=(),
            source=f"packaged: {len(self.labels):,} {self.names[1]}s from {title}; {_ENCODERS}",
            definition=(
                f"{sizes[0]} train / {sizes[1]} val / {sizes[2]} test: {how} (fixed draw, seed {SPLIT_SEED})"
                f"{twice}{also}"
            ),
            paired=True,
            query_name=self.names[0],
            gallery_name=self.names[1],
        )

    def _queries(self, part: NDArray[np.int64], row: dict[str, int], vectors: Tensor) -> FeatureSet:
        """The captions of a part; one that is there twice for an identity, but for upper case, is one query."""
        once: dict[tuple[int, str], str] = {}
        for place in part.tolist():
            for text in self.captions[place]:
                once.setdefault((self.labels[place], text.casefold()), text)
        labels, said = [label for label, _ in once], list(once.values())
        return FeatureSet.of(vectors[[row[text] for text in said]], torch.tensor(labels), texts=said)

    def _gallery(self, part: NDArray[np.int64], mirrored: bool) -> FeatureSet:
        """The items of a part, then their mirror images if asked for."""
        places = torch.from_numpy(part)
        labels = torch.tensor(self.labels)[places]
        pictures, rows = self.features["pictures"][places], self.features["features"][places]
        if mirrored:
            labels, pictures = labels.repeat(2), torch.cat([pictures, pictures.flip(-1)])
            rows = torch.cat([rows, self.features["mirrored"][places]])
        return FeatureSet.of(rows, labels, images=lambda chosen: pictures[chosen])


def _check_languages(asked: Sequence[str], known: Sequence[str]) -> None:
    other = [name for name in asked if name not in known]
    if other:
        raise MongeError(f"languages: found {other[0]!r}, expected some of {', '.join(known)}")
