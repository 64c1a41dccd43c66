"""Captions and clips, or pictures, by name: published sets in a folder, one's own features, packaged pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from monge.data.cache import workspace
from monge.data.clip_pairs import FeatureOptions, Many, pair_splits
from monge.data.cross_modal import CrossModalSplits
from monge.data.formats.captions import CaptionedClips, hold_out_clips
from monge.data.formats.charades import Sentences, read_charades
from monge.data.formats.didemo import read_didemo
from monge.data.formats.flaws import Flaws
from monge.data.formats.msrvtt import MSRVTTSplit, read_msrvtt
from monge.data.formats.own_captions import read_own_captions
from monge.data.formats.rudder import read_rudder
from monge.data.formats.sniff import shown
from monge.data.sources.feature_cache import Progress, silent
from monge.data.sources.packaged_pairs import PACKAGED_PAIRS, PairOptions, load_packaged_pairs
from monge.data.synthetic.text_video_layouts import (
    write_fake_charades,
    write_fake_didemo,
    write_fake_msrvtt,
    write_fake_pairs,
    write_fake_rudder,
)
from monge.errors import MongeError

MSRVTT: dict[str, MSRVTTSplit] = {"msrvtt": "full", "msrvtt-1ka": "1k-A", "msrvtt-1kb": "1k-B"}
CLIPS = (*MSRVTT, "didemo", "charades-sta", "rudder", "features")
"""Names of captions and clips that lie in a folder."""
_TITLES = {"didemo": "DiDeMo", "charades-sta": "Charades-STA", "rudder": "RUDDER", "features": "own features"}
# Clips set aside of the training part of sets that have no validation part.
_VAL_CLIPS = {"msrvtt-1ka": 500, "msrvtt-1kb": 500, "charades-sta": 500}
_SYNTHETIC_CLIPS = 240
_ROWS = 32


def load_pairs(
    name: str,
    source: str = "packaged",
    *,
    experts: Mapping[str, str] | None = None,
    text: str | None = None,
    frames: Many | None = None,
    tokens: Many | None = None,
    captions: int | None = None,
    sentences: Sentences | None = None,
    languages: Sequence[str] | None = None,
    val_clips: int | None = None,
    mirrored: bool | None = None,
    parts: int | None = None,
    strict: bool = True,
    progress: Progress = silent,
) -> CrossModalSplits:
    """Loads captions as queries and clips as the gallery; never another data set than asked for.

    Features were extracted beforehand, see `monge.data.formats.features` for their forms and `monge.data.feature_files`
    for where they lie. Labels are the numbers of the clips, so that all captions of a clip are right answers to it.

    Args:
        name: ``"msrvtt"`` (the full split), ``"msrvtt-1ka"``, ``"msrvtt-1kb"``, ``"didemo"``, ``"charades-sta"``,
            ``"rudder"``, ``"features"`` for one's own, or the packaged ``"stamps"`` and ``"emoji-clips"``.
        source: Path of the folder, or ``"synthetic"`` (made-up clips, written in the layout of the set and read back);
            ``"packaged"`` of stamps and emoji-clips.
        experts: Files of the experts that saw the clips, by name; unset: those that the folder has.
        text: File with the features of the captions, ``"minilm"`` for those of the packaged sentence encoder, which
            knows English; unset: what the folder has.
        frames: Most rows of each expert and clip, evenly spaced in time, or ``"mean"``; unset: 32, of emoji-clips 8.
        tokens: Most rows of each caption, or ``"mean"``; unset: 32, of stamps and emoji-clips the mean.
        captions: Most captions of a clip in training.
        sentences: Of charades-sta alone: ``"each"`` is a query (the default), or ``"all"`` of a clip together.
        languages: Of rudder and features: codes of the languages whose captions are used; of stamps and emoji-clips:
            those of further captions, besides English.
        val_clips: Clips of training set aside for validation, of sets without such a part (msrvtt-1ka, msrvtt-1kb,
            charades-sta): 500, or a tenth of fewer than 5,000; 0: validate on the test part, as published rows do.
        mirrored: Of stamps: whether pictures to learn from are there mirrored too (the default).
        parts: Of emoji-clips: how many of its three packages; unset: all.
        strict: Whether clips and captions that are damaged or lack something are an error, or left out and counted.
        progress: Called with the numbers of captions or pictures encoded and of all, where they are encoded.

    Returns:
        Captions and clips of the three parts, both `FeatureSet`, with sentences on their source and split.

    Raises:
        DataFormatError: A file that is not good; one line that names the place.
        MongeError: Unknown name or option, or no package has it.

    Warns:
        UserWarning: A folder does not hold the complete set, or entries were left out.

    Example:
        >>> splits = load_pairs("msrvtt", "synthetic")
        >>> splits.train_gallery.shape, splits.train_queries.shape, splits.paired
        ((8, 64), (11, 24), True)
    """
    known = (*CLIPS, *PACKAGED_PAIRS)
    if name not in known:
        raise MongeError(f"no captions and clips are called {name!r}, expected one of {', '.join(known)}")
    _check_options(name, sentences=sentences, languages=languages, val_clips=val_clips, mirrored=mirrored, parts=parts)
    if name in PACKAGED_PAIRS:
        _check_options(name, experts=experts, text=text, captions=captions)
        chosen = {"tokens": tokens, "languages": languages, "mirrored": mirrored, "frames": frames, "parts": parts}
        given: dict[str, Any] = {option: value for option, value in chosen.items() if value is not None}
        return load_packaged_pairs(name, source, PairOptions(**given, progress=progress))
    frames, tokens = _ROWS if frames is None else frames, _ROWS if tokens is None else tokens
    options = FeatureOptions(experts, text, frames, tokens, captions, progress)
    read = _reader(name, sentences=sentences or "each", languages=languages)
    if source == "packaged":
        raise MongeError(f"no package has {name}: give the path of a folder (--data FOLDER), or synthetic")
    if source == "synthetic":
        with workspace() as work:
            _WRITERS[name](work)
            told = f"synthetic: made-up clips in the layout of {_title(name)}, {_SYNTHETIC_CLIPS} of them, no real ones"
            return _load(name, work, read, replace(options, experts=None, text=None), val_clips, True, told, quiet=True)
    place = Path(source).expanduser()
    told = f"{_title(name)}: {shown(place)}"
    return _load(name, place, read, options, val_clips, strict, told)


Reader = Callable[[Path, Flaws], CaptionedClips]


def _load(
    name: str,
    folder: Path,
    read: Reader,
    options: FeatureOptions,
    val_clips: int | None,
    strict: bool,
    told: str,
    *,
    quiet: bool = False,
) -> CrossModalSplits:
    """Annotations, then features beside them."""
    flaws = Flaws(strict)
    listed = read(folder, flaws)
    if name in _VAL_CLIPS:
        train = len(listed.clips["train"])
        few = min(_VAL_CLIPS[name], max(1, train // 10))
        listed = hold_out_clips(listed, few if val_clips is None else val_clips)
    if quiet:
        listed = replace(listed, missing="")
    # Annotations name the folder, or a file in it.
    place = listed.path if listed.path.is_dir() else listed.path.parent
    return pair_splits(name, listed, place, options, flaws, told, own=name in ("rudder", "features"))


def _reader(name: str, *, sentences: Sentences, languages: Sequence[str] | None) -> Reader:
    if name in MSRVTT:
        return lambda folder, flaws: read_msrvtt(folder, MSRVTT[name], flaws)
    if name == "didemo":
        return read_didemo
    if name == "charades-sta":
        return lambda folder, flaws: read_charades(folder, flaws, sentences=sentences)
    read = read_rudder if name == "rudder" else read_own_captions
    return lambda folder, flaws: read(folder, flaws, languages=languages)


def _check_options(name: str, **given: Any) -> None:
    """Refuses choices that a set does not leave."""
    takes = {
        "sentences": ("charades-sta",),
        "languages": ("rudder", "features", *PACKAGED_PAIRS),
        "val_clips": tuple(_VAL_CLIPS),
        "mirrored": ("stamps",),
        "parts": ("emoji-clips",),
        **dict.fromkeys(("experts", "text", "captions"), CLIPS),
    }
    for option, value in given.items():
        if value is not None and name not in takes[option]:
            raise MongeError(f"data.{option}: {name} leaves no such choice; leave it out")


def _title(name: str) -> str:
    return f"MSR-VTT, split {MSRVTT[name]}" if name in MSRVTT else _TITLES[name]


_WRITERS: dict[str, Callable[[Path], None]] = {
    **dict.fromkeys(("msrvtt", "msrvtt-1ka"), lambda work: write_fake_msrvtt(work, clips=_SYNTHETIC_CLIPS, captions=4)),
    "msrvtt-1kb": lambda work: write_fake_msrvtt(work, clips=_SYNTHETIC_CLIPS, captions=4, layout="experts"),
    "didemo": lambda work: write_fake_didemo(work, clips=_SYNTHETIC_CLIPS),
    "charades-sta": lambda work: write_fake_charades(work, clips=_SYNTHETIC_CLIPS),
    "rudder": lambda work: write_fake_rudder(work, clips=_SYNTHETIC_CLIPS),
    "features": lambda work: write_fake_pairs(work, count=_SYNTHETIC_CLIPS),
}
