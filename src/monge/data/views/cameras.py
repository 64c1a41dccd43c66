"""Where the pictures of a mesh are taken from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

DISTANCE = 2.2
FOV = 60.0
_GOLDEN = (1 + math.sqrt(5)) / 2


@dataclass(frozen=True, eq=False)
class Cameras:
    """Perspective cameras that look at the origin, around which the mesh fills the unit sphere.

    Args:
        directions: From the origin to each camera, of any length, ``(V, 3)``.
        distance: Of every camera from the origin.
        fov: Angle of view, upwards as well as sideways, in degrees. With 60 the sphere is in the picture from a
            distance of 2 on.
        turns: Angle by which each picture is turned counterclockwise, in degrees, ``(V,)``; ``None``: none is.
        up: What is up in the pictures. Where a camera looks along it, the x axis takes its place.

    Raises:
        ValueError: Shapes other than these, a direction without length, a camera inside the unit sphere, an angle of
            view that is none.

    Example:
        >>> front = Cameras([(1, 0, 0), (0, 2, 0)])
        >>> len(front), front.directions.tolist()
        (2, [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    """

    directions: NDArray[np.float64]
    distance: float = DISTANCE
    fov: float = FOV
    turns: NDArray[np.float64] | None = None
    up: tuple[float, float, float] = (0.0, 0.0, 1.0)

    def __init__(
        self,
        directions: ArrayLike,
        distance: float = DISTANCE,
        fov: float = FOV,
        turns: ArrayLike | None = None,
        up: Sequence[float] = (0.0, 0.0, 1.0),
    ) -> None:
        given = np.asarray(directions, np.float64)
        if given.ndim != 2 or given.shape[1] != 3 or not len(given) or not np.isfinite(given).all():
            raise ValueError(f"directions must be finite (V, 3), V at least 1, got {given.shape}")
        lengths = np.linalg.norm(given, axis=1, keepdims=True)
        if not lengths.all():
            raise ValueError("directions must have a length, one is zero")
        if not 1 < distance < 1000:
            raise ValueError(f"distance must be above 1, outside of the unit sphere, and below 1000, got {distance}")
        if not 0 < fov < 180:
            raise ValueError(f"fov must be between 0 and 180 degrees, got {fov}")
        rolls = None if turns is None else np.asarray(turns, np.float64)
        if rolls is not None and rolls.shape != (len(given),):
            raise ValueError(f"turns must be ({len(given)},), one for each direction, got {rolls.shape}")
        upwards = np.asarray(up, np.float64)
        if upwards.shape != (3,) or not np.linalg.norm(upwards) > 0:
            raise ValueError(f"up must be a vector of 3 with a length, got {up}")
        for name, value in (("directions", given / lengths), ("distance", float(distance)), ("fov", float(fov))):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "turns", rolls)
        object.__setattr__(self, "up", tuple((upwards / np.linalg.norm(upwards)).tolist()))

    def __len__(self) -> int:
        return len(self.directions)

    def frames(self) -> NDArray[np.float64]:
        """Right, up and backward axis of each camera, the rows of ``(V, 3, 3)``: a rotation from space to the camera.

        Example:
            >>> Cameras([(1, 0, 0)]).frames()[0].tolist()
            [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
        """
        frames = np.empty((len(self), 3, 3))
        for view, back in enumerate(self.directions):
            right = np.cross(self.up, back)
            if np.linalg.norm(right) < 1e-6:
                right = np.cross((1.0, 0.0, 0.0) if abs(back[0]) < 0.9 else (0.0, 1.0, 0.0), back)
            right /= np.linalg.norm(right)
            above = np.cross(back, right)
            angle = 0.0 if self.turns is None else math.radians(self.turns[view])
            cos, sin = math.cos(angle), math.sin(angle)
            # The camera turns clockwise, so that the picture turns counterclockwise.
            frames[view] = cos * right - sin * above, sin * right + cos * above, back
        return frames

    def described(self) -> dict[str, object]:
        """All numbers, rounded to what a picture can tell, for the key of a cache."""
        return {
            "directions": (np.round(self.directions, 9) + 0.0).tolist(),
            "distance": round(self.distance, 9),
            "fov": round(self.fov, 9),
            "turns": None if self.turns is None else np.round(self.turns, 9).tolist(),
            "up": [round(part, 9) for part in self.up],
        }


def ring_cameras(count: int = 12, elevation: float = 30.0, *, distance: float = DISTANCE, fov: float = FOV) -> Cameras:
    """Cameras around the upright axis: the first set-up of MVCNN, for shapes that stand upright.

    Camera ``i`` has the azimuth ``360 i / count`` degrees, counted from the x axis towards the y axis.

    Args:
        count: Number of cameras.
        elevation: Degrees above the horizon.
        distance: See `Cameras`.
        fov: See `Cameras`.

    Source: Su, Maji, Kalogerakis, Learned-Miller, ICCV 2015, section 3.

    Example:
        >>> ring_cameras(4, 0).directions.round().astype(int).tolist()
        [[1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]]
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    azimuth = np.arange(count) * (2 * math.pi / count)
    height = math.radians(elevation)
    flat = math.cos(height)
    ring = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), np.full(count, math.sin(height))], axis=1)
    return Cameras(ring, distance, fov)


def dodecahedron_cameras(turns: int = 1, *, distance: float = DISTANCE, fov: float = FOV) -> Cameras:
    """Cameras at the 20 corners of a dodecahedron: the second set-up of MVCNN, for shapes in any pose.

    Args:
        turns: Pictures for each corner, turned evenly: 4 gives the 80 views of the paper.
        distance: See `Cameras`.
        fov: See `Cameras`.

    Source: Su, Maji, Kalogerakis, Learned-Miller, ICCV 2015, section 3.

    Example:
        >>> len(dodecahedron_cameras()), len(dodecahedron_cameras(turns=4))
        (20, 80)
    """
    if turns < 1:
        raise ValueError(f"turns must be at least 1, got {turns}")
    long, short = _GOLDEN, 1 / _GOLDEN
    corners = [(x, y, z) for x in (1.0, -1.0) for y in (1.0, -1.0) for z in (1.0, -1.0)]
    for a in (short, -short):
        for b in (long, -long):
            corners += [(0.0, a, b), (a, b, 0.0), (b, 0.0, a)]
    angles = np.tile(np.arange(turns) * 360.0 / turns, len(corners))
    return Cameras(np.repeat(corners, turns, axis=0), distance, fov, angles if turns > 1 else None)
