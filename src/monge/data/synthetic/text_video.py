"""Clips that are made up: who does what, then what else, and where; features of them, and captions that say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_WORDS = {
    "who": ("dog puppy", "cat kitten", "man guy", "woman lady", "horse pony",
            "child kid", "robot android", "bird crow"),
    "does": ("runs races", "sings hums", "jumps leaps", "cooks fries", "sleeps naps", "paints draws", "eats dines",
             "reads studies", "swims dives", "dances twirls"),
    "where": ("park garden", "kitchen galley", "street road", "beach shore", "forest woods", "stage podium",
              "snow ice", "office desk"),
}  # fmt: skip
_FILLERS = ("a", "the", "there", "is", "that", "then", "in", "near", "who")
_TEMPLATES = (
    "a {who} {does} then {after} in the {where}",
    "in the {where} a {who} {does} then {after}",
    "there is a {who} that {does} then {after} near the {where}",
    "the {who} {does} then {after} in a {where}",
)
_LATENT = 16
TEXT_WIDTH = 24
WIDTHS: dict[str, int] = {"rgb": 32, "flow": 20, "audio": 12}
"""Experts and the length of their vectors."""


@dataclass(frozen=True)
class DrawnClips:
    """Clips with captions and features, by number.

    Args:
        captions: Texts of each clip.
        tokens: Of each caption a vector for each word, ``(L, 24)``.
        experts: Of each expert and clip ``(T, D)``; a clip without sound is one row of NaN there.
    """

    captions: list[list[str]]
    tokens: list[list[NDArray[np.float32]]]
    experts: Mapping[str, list[NDArray[np.float32]]]

    def __len__(self) -> int:
        return len(self.captions)


def draw_clips(count: int, *, captions: int = 4, seed: int = 0) -> DrawnClips:
    """Draws clips.

    A clip shows somebody who does one thing in its first half and another in its second, somewhere. ``rgb`` sees who
    and where, and a little of what is done; ``flow`` sees what is done; ``audio`` hears the place, and nothing at all
    in every third clip. Captions call everything by one of two names. The vector of a word and what an expert sees of
    the thing are two noisy linear views of one hidden vector, so that a model can learn to match them, also for clips
    that it has not seen. Which of the two things came first shows in the order of frames and words alone.

    Args:
        count: Clips.
        captions: Of each.
        seed: Seed of the clips; what things look like is the same for every seed.

    Example:
        >>> clips = draw_clips(3)
        >>> clips.captions[0][0].split()[-3:-1], clips.tokens[0][0].shape[1], sorted(clips.experts)
        (['in', 'the'], 24, ['audio', 'flow', 'rgb'])
    """
    looks = np.random.default_rng(1903)
    hidden = {kind: looks.normal(size=(len(names), _LATENT)) for kind, names in _WORDS.items()}
    views = {name: looks.normal(size=(_LATENT, width)) / 4 for name, width in WIDTHS.items()}
    vectors = _word_vectors(hidden, looks)
    random = np.random.default_rng([seed, count])
    drawn = DrawnClips([], [], {name: [] for name in WIDTHS})
    for number in range(count):
        who, where = int(random.integers(len(_WORDS["who"]))), int(random.integers(len(_WORDS["where"])))
        does, after = random.permutation(len(_WORDS["does"]))[:2].tolist()
        texts = [_caption(random, place, who, does, after, where) for place in range(captions)]
        drawn.captions.append(texts)
        drawn.tokens.append([np.stack([vectors[word] for word in text.split()]) for text in texts])
        for name, view in views.items():
            seen = _seen(name, hidden, int(random.integers(4, 9)), who, does, after, where)
            rows = (seen @ view + random.normal(size=(len(seen), view.shape[1])) * 0.15).astype(np.float32)
            silent = name == "audio" and number % 3 == 2
            drawn.experts[name].append(np.full((1, view.shape[1]), np.nan, np.float32) if silent else rows)
    return drawn


def _word_vectors(
    hidden: Mapping[str, NDArray[np.float64]], looks: np.random.Generator
) -> dict[str, NDArray[np.float32]]:
    view = looks.normal(size=(_LATENT, TEXT_WIDTH)) / 4
    vectors = {word: looks.normal(size=TEXT_WIDTH) * 0.3 for word in _FILLERS}
    for kind, names in _WORDS.items():
        for vector, both in zip(hidden[kind], names):
            vectors |= {word: vector @ view + looks.normal(size=TEXT_WIDTH) * 0.1 for word in both.split()}
    return {word: vector.astype(np.float32) for word, vector in vectors.items()}


def _caption(random: np.random.Generator, place: int, who: int, does: int, after: int, where: int) -> str:
    chosen = {
        name: _WORDS[kind][number].split()[random.integers(2)]
        for name, kind, number in (
            ("who", "who", who),
            ("does", "does", does),
            ("after", "does", after),
            ("where", "where", where),
        )
    }
    return _TEMPLATES[place % len(_TEMPLATES)].format(**chosen)


def _seen(
    name: str, hidden: Mapping[str, NDArray[np.float64]], frames: int, who: int, does: int, after: int, where: int
) -> NDArray[np.float64]:
    """What an expert looks at, frame by frame, ``(frames, 16)``."""
    done = hidden["does"][np.where(np.arange(frames) < frames / 2, does, after)]
    around = hidden["where"][where]
    if name == "audio":
        return np.repeat(around[None], frames, 0)
    return done if name == "flow" else hidden["who"][who] + around + 0.3 * done
