"""Pictures with transparency, on white and in the middle of a square."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.extras import require

_MARGIN = 0.04


def paste_on_white(picture: Any, size: int, *, trim: bool = True) -> NDArray[np.uint8]:
    """A picture as large as fits into a square, its transparent parts white.

    Args:
        picture: A picture of Pillow in mode RGBA.
        size: Height and width of the square.
        trim: Whether transparent edges are cut off first, and a small margin left.

    Returns:
        uint8 ``(3, size, size)``.

    Raises:
        ValueError: Nothing of the picture is to be seen.

    Example:
        >>> from PIL import Image
        >>> square = paste_on_white(Image.new("RGBA", (20, 10), (255, 0, 0, 255)), 100)
        >>> square[:, 50, 50].tolist(), square[:, 10, 50].tolist()
        ([255, 0, 0], [255, 255, 255])
    """
    images = require("PIL.Image", extra="train", purpose="reading pictures")
    box = picture.getchannel("A").getbbox()
    if box is None:
        raise ValueError("the picture is wholly transparent")
    if trim:
        picture = picture.crop(box)
    room = size - 2 * round(_MARGIN * size) if trim else size
    scale = room / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    # Resized with its transparency, as Pillow does in premultiplied colours, so that edges take no colour from outside.
    small = picture.resize((width, height), images.Resampling.LANCZOS)
    paper = images.new("RGB", (size, size), "white")
    paper.paste(small, ((size - width) // 2, (size - height) // 2), small)
    return np.ascontiguousarray(np.asarray(paper, np.uint8).transpose(2, 0, 1))
