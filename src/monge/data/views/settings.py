"""What the pictures of a mesh depend on besides the mesh."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from typing import Literal, get_args

from monge.data.views.cameras import Cameras, ring_cameras
from monge.extras import require

Shading = Literal["grey", "depth", "silhouette"]
Background = Literal["black", "white"]
Up = Literal["x", "y", "z"]

# Counts up when pictures of the same mesh and settings become different ones.
_EDITION = 1


@dataclass(frozen=True)
class RenderSettings:
    """Everything that the pictures of a mesh depend on besides the mesh.

    Args:
        cameras: Where from; the 12 of MVCNN unless told.
        size: Height and width in pixels.
        rays: Rays for each pixel, a square number; 1 is not anti-aliased.
        shading: ``"grey"``, ``"depth"`` or ``"silhouette"``, see `render`.
        background: ``"black"``, as in MVCNN's newer pictures of ModelNet40, or ``"white"``, as in the older ones.
        up: The axis of the mesh that points up.

    Example:
        >>> RenderSettings(size=64).key() == RenderSettings(size=64).key() != RenderSettings(size=32).key()
        True
    """

    cameras: Cameras = field(default_factory=ring_cameras)
    size: int = 224
    rays: int = 4
    shading: Shading = "grey"
    background: Background = "black"
    up: Up = "z"

    def __post_init__(self) -> None:
        check_picture(self.size, self.rays, self.shading, self.background)
        check_up(self.up)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the pictures of one mesh: ``(V, size, size)``."""
        return (len(self.cameras), self.size, self.size)

    def described(self) -> dict[str, object]:
        """All settings and the renderer with its version, for JSON."""
        return {
            "renderer": renderer_version(),
            "cameras": self.cameras.described(),
            "size": self.size,
            "rays": self.rays,
            "shading": self.shading,
            "background": self.background,
            "up": self.up,
        }

    def key(self) -> str:
        """A short hexadecimal name for them; other settings or another version of the renderer have another."""
        return hashlib.sha256(json.dumps(self.described(), sort_keys=True).encode()).hexdigest()[:16]


@cache
def renderer_version() -> str:
    """The renderer and its version.

    Raises:
        MissingExtraError: embreex is not installed.

    Example:
        >>> renderer_version().split()[0]
        'embreex'
    """
    require("embreex", extra="shapes", purpose="rendering meshes")
    return f"embreex {metadata.version('embreex')}, pictures {_EDITION}"


def check_picture(size: int, rays: int, shading: str, background: str) -> None:
    """Raises for settings of a picture that are none.

    Raises:
        ValueError: Says which, and what it may be.

    Example:
        >>> check_picture(224, 4, "grey", "black")
    """
    if not 1 <= size <= 8192:
        raise ValueError(f"size must be from 1 to 8192, got {size}")
    if not 1 <= rays <= 64 or math.isqrt(rays) ** 2 != rays:
        raise ValueError(f"rays must be 1, 4, 9, 16, 25, 36, 49 or 64, got {rays}")
    for name, value, known in (("shading", shading, Shading), ("background", background, Background)):
        if value not in get_args(known):
            raise ValueError(f"{name} must be one of {', '.join(get_args(known))}, got {value!r}")


def check_up(up: str) -> None:
    """Raises for an axis that is none.

    Raises:
        ValueError: Neither x, y nor z.

    Example:
        >>> check_up("z")
    """
    if up not in get_args(Up):
        raise ValueError(f"up must be one of {', '.join(get_args(Up))}, got {up!r}")
