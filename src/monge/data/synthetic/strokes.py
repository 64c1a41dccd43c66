"""The ten digits as pen strokes: straight segments in a unit square, x to the right, y down."""

from __future__ import annotations

from itertools import pairwise
from math import cos, pi, sin

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]


def _arc(x: float, y: float, width: float, height: float, start: float, end: float, pieces: int = 8) -> list[Point]:
    """Points on an ellipse, angles in degrees: 0 is right, 90 is down."""
    turns = [(start + (end - start) * step / pieces) * pi / 180 for step in range(pieces + 1)]
    return [(x + width * cos(turn), y + height * sin(turn)) for turn in turns]


# One list of points for each stroke of the pen.
_STROKES: dict[int, list[list[Point]]] = {
    0: [_arc(0.5, 0.5, 0.3, 0.45, 0, 360, 12)],
    1: [[(0.35, 0.2), (0.55, 0.05), (0.55, 0.95)]],
    2: [[*_arc(0.5, 0.3, 0.28, 0.25, 180, 385), (0.2, 0.95), (0.8, 0.95)]],
    3: [_arc(0.47, 0.27, 0.27, 0.22, 210, 450), _arc(0.47, 0.72, 0.31, 0.23, 270, 510)],
    4: [[(0.65, 0.95), (0.65, 0.05), (0.15, 0.65), (0.88, 0.65)]],
    5: [[(0.78, 0.05), (0.3, 0.05), (0.25, 0.45), *_arc(0.47, 0.66, 0.3, 0.28, 235, 500)]],
    6: [[(0.68, 0.05), (0.35, 0.35), *_arc(0.5, 0.68, 0.28, 0.27, 190, 550, 10)]],
    7: [[(0.18, 0.05), (0.82, 0.05), (0.42, 0.95)]],
    8: [_arc(0.5, 0.27, 0.24, 0.22, 0, 360, 10), _arc(0.5, 0.72, 0.29, 0.23, 0, 360, 10)],
    9: [[*_arc(0.5, 0.3, 0.27, 0.25, 0, 360, 10), (0.74, 0.5), (0.6, 0.95)]],
}


def digit_segments(digit: int) -> NDArray[np.float32]:
    """The strokes of one digit as segments.

    Args:
        digit: 0 to 9.

    Returns:
        float32 ``(S, 2, 2)``: segment, end, (x, y).

    Example:
        >>> digit_segments(7).shape
        (2, 2, 2)
    """
    pairs = [pair for stroke in _STROKES[digit] for pair in pairwise(stroke)]
    return np.array(pairs, np.float32)


def number_segments(number: int, digits: int) -> NDArray[np.float32]:
    """The segments of a number written with leading zeros, its digits side by side in the unit square.

    Args:
        number: Below ``10 ** digits``.
        digits: How many to write.

    Returns:
        float32 ``(S, 2, 2)``.

    Example:
        >>> number_segments(17, 2).shape[0] == digit_segments(1).shape[0] + digit_segments(7).shape[0]
        True
    """
    parts = []
    for place, figure in enumerate(f"{number:0{digits}d}"):
        part = digit_segments(int(figure))
        part[..., 0] = (part[..., 0] + place) / digits
        parts.append(part)
    return np.concatenate(parts)
