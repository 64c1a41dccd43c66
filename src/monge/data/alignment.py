"""Faces brought to a common place: a similarity transform of five landmarks to those of the field's template."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Numbers = NDArray[np.float64]

TEMPLATE_SIZE = 112
TEMPLATE: Numbers = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""Left eye, right eye, tip of the nose, left and right corner of the mouth in a picture of 112 x 112 (left and right as
in the picture), the middle of the first pixel at 0; the points that ArcFace and its data use."""


def template(size: int = TEMPLATE_SIZE) -> Numbers:
    """The five points in a picture of another size.

    Args:
        size: Height and width.

    Returns:
        x and y of each, ``(5, 2)``.

    Example:
        >>> template(56)[0].round(2).tolist()
        [18.9, 25.6]
    """
    return (TEMPLATE + 0.5) * size / TEMPLATE_SIZE - 0.5


def similarity(points: ArrayLike, target: ArrayLike) -> Numbers:
    """Rotation, scale and shift that bring points nearest to others in the sense of least squares.

    With points and target as complex numbers ``z`` and ``w`` about their means, the transform is ``z -> a z + b`` with
    ``a = sum(conj(z) w) / sum(|z|^2)``: the method of Umeyama (1991) in two dimensions, where it needs no singular
    values. Never mirrors.

    Args:
        points: ``(..., K, 2)``.
        target: ``(K, 2)`` or ``(..., K, 2)``.

    Returns:
        ``(..., 2, 3)``; the first two columns turn and scale, the third shifts.

    Raises:
        ValueError: Points that are not finite, or all in one place.

    Example:
        >>> similarity([[0, 0], [1, 0]], [[5, 5], [5, 7]]).round(6).tolist()
        [[0.0, -2.0, 5.0], [2.0, 0.0, 5.0]]
    """
    source, wanted = np.asarray(points, np.float64), np.asarray(target, np.float64)
    z, w = source[..., 0] + 1j * source[..., 1], wanted[..., 0] + 1j * wanted[..., 1]  # (..., K)
    z_mean, w_mean = z.mean(axis=-1, keepdims=True), w.mean(axis=-1, keepdims=True)
    centred = z - z_mean
    spread = (np.abs(centred) ** 2).sum(axis=-1)
    if not np.isfinite(spread).all() or (spread <= 1e-12 * (1 + np.abs(z_mean[..., 0]) ** 2)).any():
        raise ValueError("landmarks must be finite and not all in one place")
    a = (np.conj(centred) * (w - w_mean)).sum(axis=-1) / spread  # (...)
    b = w_mean[..., 0] - a * z_mean[..., 0]
    rows = [np.stack([a.real, -a.imag, b.real], axis=-1), np.stack([a.imag, a.real, b.imag], axis=-1)]
    return np.stack(rows, axis=-2)


def align(picture: NDArray[np.uint8], landmarks: ArrayLike, size: int = TEMPLATE_SIZE) -> NDArray[np.uint8]:
    """Warps a picture so that its five landmarks come to lie on the template; what it lacks is black.

    Bilinear between pixels; a picture that is shrunk to less than half is averaged down first, so that nothing is
    skipped.

    Args:
        picture: RGB, uint8 ``(H, W, 3)``.
        landmarks: x and y of the five points, the middle of the first pixel at 0, ``(5, 2)``.
        size: Height and width of the result.

    Returns:
        uint8 ``(size, size, 3)``.

    Raises:
        ValueError: Landmarks that are not finite, or all in one place.

    Example:
        >>> picture = np.zeros((224, 224, 3), np.uint8)
        >>> align(picture, template(224)).shape
        (112, 112, 3)
    """
    points, target = np.asarray(landmarks, np.float64), template(size)
    forward = similarity(points, target)  # (2, 3)
    pixels = picture.astype(np.float32)
    shrunk = min(int(1 / np.hypot(forward[0, 0], forward[1, 0]) + 1e-9), *picture.shape[:2])
    if shrunk >= 2:
        # Whole blocks are averaged, so the middle of the first pixel moves.
        pixels, points = _block_means(pixels, shrunk), (points + 0.5) / shrunk - 0.5
    back = similarity_back(similarity(points, target))
    rows, columns = np.indices((size, size))
    places = back[:, :2] @ np.stack([columns.ravel(), rows.ravel()]) + back[:, 2:]  # (2, S * S)
    return (_sampled(pixels, places) + 0.5).astype(np.uint8).reshape(size, size, 3)


def _block_means(pixels: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Means of squares of pixels; what is left over at the right and lower edge is cut off."""
    high, wide = pixels.shape[0] // side, pixels.shape[1] // side
    blocks = pixels[: high * side, : wide * side].reshape(high, side, wide, side, 3)
    means: NDArray[np.float32] = blocks.mean(axis=(1, 3))
    return means


def _sampled(pixels: NDArray[np.float32], places: Numbers) -> NDArray[np.float32]:
    """Colours at places ``(2, P)`` between pixels, black outside, ``(P, 3)``."""
    framed = np.pad(pixels, ((1, 1), (1, 1), (0, 0)))
    x = np.clip(places[0] + 1, 0, framed.shape[1] - 1.001)
    y = np.clip(places[1] + 1, 0, framed.shape[0] - 1.001)
    left, top = x.astype(np.int64), y.astype(np.int64)
    right_share, lower_share = (x - left)[:, None], (y - top)[:, None]
    upper = framed[top, left] * (1 - right_share) + framed[top, left + 1] * right_share
    lower = framed[top + 1, left] * (1 - right_share) + framed[top + 1, left + 1] * right_share
    blend: NDArray[np.float32] = upper * (1 - lower_share) + lower * lower_share
    return blend


def similarity_back(transform: Numbers) -> Numbers:
    """The transform that undoes one.

    Args:
        transform: ``(2, 3)``.

    Example:
        >>> similarity_back(np.array([[2.0, 0.0, 4.0], [0.0, 2.0, 6.0]])).tolist()
        [[0.5, 0.0, -2.0], [0.0, 0.5, -3.0]]
    """
    inverse = np.linalg.inv(transform[:, :2])
    return np.concatenate([inverse, -inverse @ transform[:, 2:]], axis=1) + 0.0
