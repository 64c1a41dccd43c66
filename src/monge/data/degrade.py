"""Images made worse in known severities: blur and noise in whole numbers, the same on every machine; JPEG by Pillow."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from monge.extras import require

Images = NDArray[np.uint8]

# Strengths at the ends of severities 1 to 4; severity k lies between entries k - 1 and k, each in eight steps.
STRENGTHS: dict[str, tuple[float, ...]] = {
    "blur": (0.35, 0.5, 0.7, 1.0, 1.4),  # standard deviation in pixels
    "noise": (3.0, 5.5, 9.0, 15.0, 25.0),  # standard deviation in grey values
    "compression": (85.0, 62.0, 42.0, 24.0, 9.0),  # JPEG quality
}
STEPS = 8
_PURPOSE = "degrading images by JPEG"
# Standard deviation of the sum of four random bytes.
_SPREAD_OF_FOUR = float(np.sqrt(4 * (256**2 - 1) / 12))
# JPEG works on blocks of 8 x 8, and libjpeg takes no image higher than 65,500.
_BLOCK = 8
_MAX_HEIGHT = 65_500


def degrade(
    images: Images,
    severities: NDArray[np.int64],
    kinds: NDArray[np.int64],
    steps: NDArray[np.int64],
    random: np.random.RandomState,
) -> Images:
    """Degrades each image in its own way.

    Args:
        images: Grey images ``(N, H, W)``.
        severities: 0 leaves an image as it is, 4 is the worst, ``(N,)``.
        kinds: Position of the kind in `STRENGTHS`, ``(N,)``.
        steps: Where in its severity the strength lies, 0 to 7, ``(N,)``.
        random: Of the noise.

    Returns:
        uint8 ``(N, H, W)``.

    Raises:
        MissingExtraError: Pillow is not installed.

    Example:
        >>> images, ones = np.full((2, 8, 8), 100, np.uint8), np.ones(2, np.int64)
        >>> worse = degrade(images, np.array([0, 4]), ones, ones, np.random.RandomState(0))
        >>> (worse == 100).all(axis=(1, 2)).tolist()
        [True, False]
    """
    worse = images.copy()
    for kind, name in enumerate(STRENGTHS):
        for severity in range(1, len(STRENGTHS[name])):
            for step in range(STEPS):
                chosen = np.flatnonzero((kinds == kind) & (severities == severity) & (steps == step))
                worse[chosen] = _degraded(images[chosen], name, strength(name, severity, step), random)
    return worse


def strength(kind: str, severity: int, step: int) -> float:
    """Sigma, standard deviation or JPEG quality of a kind of degradation; within a severity it grows by equal ratios.

    Args:
        kind: A key of `STRENGTHS`.
        severity: 1 to 4.
        step: 0 to 7.

    Example:
        >>> strength("noise", 1, 0), strength("compression", 4, 7)
        (3.1158, 10.0)
    """
    low, high = STRENGTHS[kind][severity - 1 : severity + 1]
    exact = low * (high / low) ** ((step + 0.5) / STEPS)
    return float(round(exact)) if kind == "compression" else round(exact, 4)


def _degraded(images: Images, kind: str, by: float, random: np.random.RandomState) -> Images:
    if kind == "blur":
        return blur(images, by)
    return noise(images, by, random) if kind == "noise" else compress(images, int(by))


def blur(images: Images, sigma: float) -> Images:
    """Gaussian blur in fixed-point arithmetic, edges repeated.

    Args:
        images: Grey images ``(N, H, W)``.
        sigma: Standard deviation in pixels; 0 leaves the images as they are.

    Example:
        >>> blur(np.array([[[0, 0, 200, 0, 0]]], np.uint8), 0.5).tolist()
        [[[0, 21, 158, 21, 0]]]
    """
    weights = _kernel(sigma)
    radius = len(weights) // 2
    height, width = images.shape[1:]
    padded = np.pad(images.astype(np.int64), ((0, 0), (radius, radius), (radius, radius)), mode="edge")
    across, both = np.zeros_like(padded[:, :, :width]), np.zeros(images.shape, np.int64)
    for place, weight in enumerate(weights):
        across += weight * padded[:, :, place : place + width]
    for place, weight in enumerate(weights):
        both += weight * across[:, place : place + height]
    return ((both + (1 << 15)) >> 16).astype(np.uint8)


def _kernel(sigma: float) -> NDArray[np.int64]:
    """Weights of a Gaussian, odd in number, that sum to 256."""
    radius = int(np.ceil(3 * sigma))
    places = np.arange(-radius, radius + 1)
    gauss = np.exp(-(places**2) / (2 * sigma**2)) if sigma > 0 else np.ones(1)
    weights: NDArray[np.int64] = np.round(256 * gauss / gauss.sum()).astype(np.int64)
    weights[radius] += 256 - weights.sum()
    return weights


def noise(images: Images, deviation: float, random: np.random.RandomState) -> Images:
    """Adds nearly normal noise, the sum of four uniform bytes, and clips.

    Args:
        images: Grey images ``(N, H, W)``.
        deviation: Standard deviation of the noise in grey values.
        random: RandomState, because its stream of bytes is frozen for good.

    Example:
        >>> grey = np.full((1, 100, 100), 128, np.uint8)
        >>> round(float(noise(grey, 10, np.random.RandomState(0)).std()))
        10
    """
    drawn = random.randint(0, 256, (*images.shape, 4), np.uint8).sum(-1, dtype=np.int64) - 510
    factor = round(deviation / _SPREAD_OF_FOUR * (1 << 16))
    noisy: NDArray[np.int64] = ((images.astype(np.int64) << 16) + drawn * factor + (1 << 15)) >> 16
    return noisy.clip(0, 255).astype(np.uint8)


def compress(images: Images, quality: int) -> Images:
    """What JPEG of the given quality leaves of each image.

    Blocks of a grey JPEG know nothing of each other, so many images are compressed as one, each padded to whole blocks
    as libjpeg pads a single one: by repeating its last row and column.

    Args:
        images: Grey images ``(N, H, W)``.
        quality: 1 to 100, as libjpeg counts.

    Raises:
        MissingExtraError: Pillow is not installed.

    Example:
        >>> compress(np.array([[[0, 255], [255, 0]]], np.uint8), 1).shape
        (1, 2, 2)
    """
    pillow = require("PIL.Image", extra="train", purpose=_PURPOSE)
    height, width = images.shape[1:]
    padded = np.pad(images, ((0, 0), (0, -height % _BLOCK), (0, -width % _BLOCK)), mode="edge")
    worse = np.empty_like(images)
    at_once = _MAX_HEIGHT // padded.shape[1]
    for start in range(0, len(images), at_once):
        strip, file = padded[start : start + at_once], io.BytesIO()
        tall = pillow.fromarray(strip.reshape(-1, strip.shape[2]))
        tall.save(file, "JPEG", quality=quality, optimize=False, progressive=False)
        worse[start : start + at_once] = np.asarray(pillow.open(file)).reshape(strip.shape)[:, :height, :width]
    return worse


def jpeg_library() -> str:
    """The library behind Pillow's JPEG, with its version.

    Raises:
        MissingExtraError: Pillow is not installed.

    Example:
        >>> jpeg_library().startswith("libjpeg")
        True
    """
    features = require("PIL.features", extra="train", purpose=_PURPOSE)
    turbo = features.version("libjpeg_turbo")
    return f"libjpeg-turbo {turbo}" if turbo else f"libjpeg {features.version('jpg')}"
