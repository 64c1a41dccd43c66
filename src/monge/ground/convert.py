"""What a loss accepts for its ``ground``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from monge.ground.base import Ground
from monge.ground.line import Line
from monge.ground.matrix import Matrix

GroundLike = Ground | Tensor | NDArray[np.generic] | None
"""``None`` stands for ordered classes of unit spacing, a matrix for the distances themselves."""


def as_ground(value: GroundLike) -> Ground:
    """A ground distance from whatever stands for one.

    Args:
        value: ``None`` (`Line` of unit spacing), a matrix ``(C, C)`` (`Matrix`), or a `Ground`, which is returned
            itself.

    Raises:
        ValueError: A matrix that is no ground distance.
        TypeError: Something else.

    Example:
        >>> as_ground(None)
        Line()
    """
    if value is None:
        return Line()
    if isinstance(value, Ground):
        return value
    if isinstance(value, Tensor | np.ndarray):
        return Matrix(value)
    raise TypeError(
        f"ground is {value!r}: expected a monge.ground distance, a matrix (C, C) or None for ordered classes"
    )
