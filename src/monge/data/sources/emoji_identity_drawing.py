"""Draws emoji in colour, and keeps the pictures of a size in the data cache, set by set."""

from __future__ import annotations

import io
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monge.data.cache import workspace
from monge.data.raster import Box
from monge.errors import MongeError
from monge.extras import require

Pictures = NDArray[np.uint8]
SIZES = (8, 512)
# What reaches out of the drawing, or brings along more than shapes.
_REFUSED = re.compile(r"<[!?]|<(?:image|script|style|foreignObject)\b|href=\"(?!#)|url\((?!#)", re.IGNORECASE)
_SVG = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'


def draw_emoji(body: str, size: int, box: Box = (0, 0, 36, 36)) -> Pictures:
    """Draws an icon in its colours on white, in the middle of a square.

    Args:
        body: What stands between ``<svg>`` and ``</svg>``.
        size: Height and width of the picture.
        box: What the icon shows, in its own units.

    Returns:
        RGB, uint8 ``(3, size, size)``.

    Raises:
        MongeError: The icon refers to something outside of it, cannot be drawn, or shows nothing.
        MissingExtraError: resvg-py or Pillow is not installed.

    Example:
        >>> draw_emoji('<circle cx="18" cy="18" r="18" fill="#f00"/>', 8)[:, 4, 4].tolist()
        [255, 0, 0]
    """
    if found := _REFUSED.search(body):
        raise MongeError(f"the icon has {found[0]!r} in it, expected plain shapes")
    left, top, width, height = box
    side = max(width, height)
    view = f"{left - (side - width) / 2} {top - (side - height) / 2} {side} {side}"
    svg = f'<svg {_SVG} viewBox="{view}" width="{size}" height="{size}">{body}</svg>'
    resvg = require("resvg_py", extra="shapes", purpose="drawing emoji")
    images = require("PIL.Image", extra="shapes", purpose="drawing emoji")
    try:
        png = bytes(
            resvg.svg_to_bytes(svg_string=svg, width=size, height=size, background="white", skip_system_fonts=True)
        )
    except ValueError as error:
        raise MongeError(f"the icon cannot be drawn ({str(error).splitlines()[0]})") from None
    picture = np.array(images.open(io.BytesIO(png), formats=("PNG",)).convert("RGB"), np.uint8)  # (S, S, 3)
    if picture.shape != (size, size, 3) or picture.min() > 250:
        raise MongeError("the icon shows nothing, expected a drawing")
    return np.ascontiguousarray(picture.transpose(2, 0, 1))


def kept_pictures(file: Path, count: int, size: int, draw: Callable[[], Sequence[Pictures]]) -> Pictures:
    """The pictures that a file keeps; draws and writes them where it is not there or not whole.

    Args:
        file: A ``.npz`` file in the data cache.
        count: Number of pictures.
        size: Height and width of each.
        draw: Draws them.

    Returns:
        uint8 ``(count, 3, size, size)``.

    Raises:
        MongeError: The data cache cannot be written, or what ``draw`` raises.
    """
    wanted = (count, 3, size, size)
    try:
        with np.load(file, allow_pickle=False) as kept:
            pictures: Pictures = kept["pictures"]
        if pictures.dtype == np.uint8 and pictures.shape == wanted:
            return pictures
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        pass
    pictures = np.stack(draw())
    with workspace() as work:
        np.savez_compressed(work / file.name, pictures=pictures)
        file.parent.mkdir(parents=True, exist_ok=True)
        # A reader sees the whole file or none.
        os.replace(work / file.name, file)
    return pictures
