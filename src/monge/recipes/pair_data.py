"""The ``data:`` section of captions that clips or pictures are found by."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field, NonNegativeInt, PositiveInt

from monge.recipes.section import Section

PairName = Literal[
    "msrvtt",
    "msrvtt-1ka",
    "msrvtt-1kb",
    "didemo",
    "charades-sta",
    "rudder",
    "features",
    "stamps",
    "emoji-clips",
]
PAIRS: tuple[PairName, ...] = get_args(PairName)
"""Names of data that are captions and what they describe."""

_Many = PositiveInt | Literal["mean"]


class PairData(Section):
    """Which captions and clips: a data set that `monge.data.load_pairs` knows.

    Attributes:
        name: Name of the data set.
        source: ``"packaged"`` (stamps, emoji-clips), ``"synthetic"`` or the path of a folder.
        experts: Feature files of the clips by the name of the expert; unset: those that the folder has.
        text: Feature file of the captions, or ``"minilm"`` for those of the packaged sentence encoder; unset: what the
            folder has.
        frames: Most rows of each expert and clip, evenly spaced in time, or ``"mean"``.
        tokens: Most rows of each caption, or ``"mean"``.
        captions: Most captions of a clip in training; unset: all.
        sentences: Of charades-sta: ``"each"`` is a query, or ``"all"`` of a clip together.
        languages: Codes of the languages whose captions are used, of sets that have several; stamps and emoji-clips
            have English ones besides.
        mirrored: Of stamps: whether pictures to learn from are there mirrored too; unset: they are.
        parts: Of emoji-clips: how many of its three packages; unset: all.
        val_clips: Clips of training set aside for validation, of sets without such a part; 0: validate on the test
            part, as published rows do.
        strict: False: clips and captions that are damaged or lack something are left out and counted.
    """

    kind: ClassVar[str] = "pairs"
    name: PairName
    source: str = "packaged"
    experts: dict[str, str] | None = None
    text: str | None = None
    frames: _Many | None = None
    tokens: _Many | None = None
    captions: PositiveInt | None = None
    sentences: Literal["each", "all"] | None = None
    languages: Annotated[tuple[str, ...], Field(strict=False, min_length=1)] | None = None
    val_clips: NonNegativeInt | None = None
    mirrored: bool | None = None
    parts: PositiveInt | None = None
    strict: bool = True

    def options(self) -> dict[str, Any]:
        """The choices that are made; what is unset is left to the data set."""
        return {name: value for name, value in self if name not in ("name", "source") and value is not None}
