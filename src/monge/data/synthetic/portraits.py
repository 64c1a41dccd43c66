"""Simple drawings whose order can be seen: faces that grow old, and landscapes that lose their contrast."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

EYES = ((0.37, 0.46), (0.63, 0.46))
"""x and y of both eyes of a drawn face, from 0 to 1."""

_SKIN = np.array([[246, 214, 188], [214, 165, 124], [150, 104, 72], [96, 64, 46]], np.float64)
_HAIR = np.array([[40, 30, 24], [92, 60, 30], [170, 120, 60]], np.float64)


def draw_faces(ages: ArrayLike, *, size: int = 48, seed: int = 0) -> NDArray[np.uint8]:
    """Draws one face for each age: hair turns white, lines come to the forehead, eyes become smaller.

    Args:
        ages: From 0 (young) to 1 (old), ``(N,)``.
        size: Height and width in pixels.
        seed: The same seed and ages give the same faces.

    Returns:
        uint8 ``(N, size, size, 3)``.

    Example:
        >>> draw_faces([0.0, 1.0], size=32).shape
        (2, 32, 32, 3)
    """
    old = np.asarray(ages, np.float64)[:, None, None, None]
    count, random = len(old), np.random.default_rng(seed)
    axis = (np.arange(size) + 0.5) / size
    x, y = axis[None, None, :, None], axis[None, :, None, None]

    def tint(values: NDArray[np.float64]) -> NDArray[np.float64]:
        picked: NDArray[np.float64] = values[random.integers(0, len(values), count)][:, None, None, :]
        return picked

    head = ((x - 0.5) / 0.33) ** 2 + ((y - 0.53) / 0.42) ** 2 < 1
    skin, hair = tint(_SKIN), tint(_HAIR) * (1 - old) + 230 * old
    picture = np.broadcast_to(random.uniform(60, 200, (count, 1, 1, 3)), (count, size, size, 3)).copy()
    picture = np.where(head, skin, picture)
    picture = np.where(head & (y < 0.26), hair, picture)
    line = (np.abs(np.sin((y - 0.26) * np.pi / 0.04)) < 0.4) & (y > 0.28) & (y < 0.4) & (np.abs(x - 0.5) < 0.2)
    picture = np.where(line, picture * (1 - 0.5 * old), picture)
    for across, down in EYES:
        pupil = (x - across) ** 2 + (y - down) ** 2 < (0.075 - 0.035 * old) ** 2
        picture = np.where(pupil, 20.0, picture)
    mouth = (np.abs(y - 0.74) < 0.015) & (np.abs(x - 0.5) < 0.12)
    picture = np.where(mouth, skin * 0.5, picture)
    return np.clip(picture + random.normal(0, 8, picture.shape), 0, 255).astype(np.uint8)


def draw_scenes(grades: ArrayLike, *, height: int = 48, width: int = 64, seed: int = 0) -> NDArray[np.uint8]:
    """Draws one landscape for each grade: the lower the grade, the greyer and noisier it is.

    Args:
        grades: From 0 (worst) to 1 (best), ``(N,)``.
        height: In pixels.
        width: In pixels.
        seed: The same seed and grades give the same pictures.

    Returns:
        uint8 ``(N, height, width, 3)``.

    Example:
        >>> draw_scenes([0.5]).shape
        (1, 48, 64, 3)
    """
    good = np.asarray(grades, np.float64)[:, None, None, None]
    count, random = len(good), np.random.default_rng(seed)
    x = ((np.arange(width) + 0.5) / width)[None, None, :, None]
    y = ((np.arange(height) + 0.5) / height)[None, :, None, None]
    horizon, sun = random.uniform(0.45, 0.75, (count, 1, 1, 1)), random.uniform(0.2, 0.8, (count, 1, 1, 1))
    sky = np.array([60, 130, 235]) + (np.array([250, 180, 120]) - np.array([60, 130, 235])) * y / horizon
    ground = np.array([40, 110, 50]) * (1.3 - 0.6 * y) + 0 * x
    picture = np.where(y < horizon, sky + 0 * x, ground)
    picture = np.where((x - sun) ** 2 + (y - horizon * 0.5) ** 2 < 0.006, np.array([255, 240, 170]), picture)
    picture = 128 + (picture - 128) * (0.25 + 0.75 * good) + random.normal(0, 1, picture.shape) * (40 - 34 * good)
    return np.clip(picture, 0, 255).astype(np.uint8)
