"""Digit-like images from a seed: strokes under a random affine map, with jitter, pen width, colours and noise."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from monge.data.examples import Splits
from monge.data.images import ImageSet
from monge.data.synthetic.strokes import number_segments

_CHUNK = 128


def draw_digits(
    labels: ArrayLike, *, size: int = 28, channels: int = 1, digits: int = 1, seed: int = 0
) -> NDArray[np.uint8]:
    """Draws one image for each label.

    Args:
        labels: Numbers below ``10 ** digits``, ``(N,)``.
        size: Height and width in pixels.
        channels: 1 for light strokes on black, 3 for random colours.
        digits: Digits of each number.
        seed: The same seed and labels give the same images.

    Returns:
        uint8 ``(N, channels, size, size)``.

    Example:
        >>> draw_digits([3, 8], size=20).shape
        (2, 1, 20, 20)
    """
    values = np.asarray(labels, np.int64)
    random = np.random.default_rng(seed)
    images = np.empty((len(values), channels, size, size), np.uint8)
    for number in np.unique(values):
        members = np.flatnonzero(values == number)
        for start in range(0, len(members), _CHUNK):
            chunk = members[start : start + _CHUNK]
            ends = _deformed(number_segments(int(number), digits), len(chunk), 0.7 + 0.3 * digits, random)
            images[chunk] = _coloured(_ink(ends, size, 1.0 / digits, random), channels, random)
    return images


def synthetic_splits(
    *,
    classes: int = 10,
    size: int = 28,
    channels: int = 1,
    counts: tuple[int, int, int] = (1200, 300, 300),
    seed: int = 0,
) -> Splits:
    """Training, validation and test parts of drawn digits, classes as even as the counts allow.

    Args:
        classes: 10 for single digits, 100 for numbers of two digits.
        size: Height and width in pixels.
        channels: 1 or 3.
        counts: Images in train, validation and test.
        seed: Seed of everything.

    Example:
        >>> splits = synthetic_splits(counts=(40, 10, 10))
        >>> splits.train.labels.bincount().tolist()
        [4, 4, 4, 4, 4, 4, 4, 4, 4, 4]
    """
    digits = len(str(classes - 1))
    parts = []
    for place, count in enumerate(counts):
        labels = np.random.default_rng([seed, place]).permutation(np.arange(count) % classes)
        # Three seeds apart, so that no part of one seed is a part of another.
        images = draw_digits(labels, size=size, channels=channels, digits=digits, seed=3 * seed + place)
        parts.append(ImageSet(torch.from_numpy(images), torch.from_numpy(labels)))
    what = "two-digit numbers" if digits == 2 else "digits"
    train, val, test = parts
    return Splits(
        train,
        val,
        test,
        classes=tuple(f"{number:0{digits}d}" for number in range(classes)),
        source=f"synthetic: {what} drawn by monge's generator (seed {seed}), not a published data set",
        definition="{} train / {} val / {} test, drawn independently".format(*counts),
    )


def _deformed(
    segments: NDArray[np.float32], count: int, widen: float, random: np.random.Generator
) -> NDArray[np.float32]:
    """Segments ``(S, 2, 2)`` under one random affine map each, ``(count, S, 2, 2)``, in a frame from 0 to 1."""
    turn, shear = random.normal(0, 0.16, count), random.normal(0, 0.15, count)
    width, height = widen * random.uniform(0.42, 0.72, count), random.uniform(0.5, 0.76, count)
    matrix = np.empty((count, 2, 2), np.float32)
    matrix[:, 0, 0], matrix[:, 0, 1] = np.cos(turn) * width, (shear - np.sin(turn)) * height
    matrix[:, 1, 0], matrix[:, 1, 1] = np.sin(turn) * width, np.cos(turn) * height
    middle = random.normal(0.5, 0.05, (count, 1, 1, 2)).astype(np.float32)
    # Ends that meet must stay together, so the jitter is a smooth field of the position, not one draw for each end.
    wave = random.normal(0, 0.05, (count, 2, 2)).astype(np.float32)
    phase = random.uniform(0, 2 * np.pi, (count, 1, 1, 2)).astype(np.float32)
    centred = segments[None] - 0.5
    bent = centred + np.einsum("nseo,noc->nsec", np.sin(2 * np.pi * centred + phase), wave)
    ends: NDArray[np.float32] = np.einsum("nsec,noc->nseo", bent, matrix) + middle
    return ends


def _ink(ends: NDArray[np.float32], size: int, scale: float, random: np.random.Generator) -> NDArray[np.float32]:
    """Coverage from 0 to 1, ``(N, size, size)``, of a round pen along the segments ``(N, S, 2, 2)``."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size
    x, y = axis[None, None, :], axis[None, :, None]
    nearest = np.full((len(ends), size, size), np.inf, np.float32)
    for number in range(ends.shape[1]):
        x0, y0, dx, dy = (part[:, None, None] for part in _start_and_step(ends[:, number]))
        ax, ay = x - x0, y - y0
        share = np.clip((ax * dx + ay * dy) / np.maximum(dx**2 + dy**2, np.float32(1e-9)), 0, 1)
        np.minimum(nearest, (ax - share * dx) ** 2 + (ay - share * dy) ** 2, out=nearest)
    pen = (random.uniform(0.02, 0.055, (len(ends), 1, 1)) * (0.5 + 0.5 * scale)).astype(np.float32)
    covered: NDArray[np.float32] = np.clip((pen - np.sqrt(nearest)) * size + 0.5, 0, 1)
    return covered


def _start_and_step(segment: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    """x and y of where the segments ``(N, 2, 2)`` begin, then how far they go."""
    start, step = segment[:, 0], segment[:, 1] - segment[:, 0]
    return start[:, 0], start[:, 1], step[:, 0], step[:, 1]


def _coloured(ink: NDArray[np.float32], channels: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """Paints coverage ``(N, H, W)`` as uint8 ``(N, channels, H, W)`` and adds noise."""
    shape = (len(ink), channels, 1, 1)
    if channels == 1:
        paper, pen = np.zeros(shape), random.uniform(150, 255, shape)
    else:
        dark, light = random.uniform(0, 100, shape), random.uniform(150, 255, shape)
        swapped = random.random((len(ink), 1, 1, 1)) < 0.5
        paper, pen = np.where(swapped, light, dark), np.where(swapped, dark, light)
    painted = paper + (pen - paper) * ink[:, None]
    noise = random.normal(0, 14, painted.shape)
    return np.clip(painted + noise, 0, 255).astype(np.uint8)
