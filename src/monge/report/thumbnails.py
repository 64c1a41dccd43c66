"""Pictures as PNG data URIs, small enough that a page of them stays small."""

from __future__ import annotations

import base64
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from monge.extras import require

if TYPE_CHECKING:
    from PIL import Image

_NATIVE = 32
"""Up to this size in pixels a picture is kept as it is and shown with sharp pixels."""


def data_uri(png: bytes) -> str:
    """PNG bytes as a ``data:`` address.

    Example:
        >>> data_uri(b"abc")
        'data:image/png;base64,YWJj'
    """
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def thumbnail(image: Tensor, limit: int = 64) -> str:
    """One picture as a data URI.

    Args:
        image: uint8 ``(C, H, W)`` with one or three channels.
        limit: Longest side in pixels of pictures that are not tiny; those up to 32 pixels stay as they are.

    Example:
        >>> import torch
        >>> thumbnail(torch.zeros(1, 28, 28, dtype=torch.uint8))[:22]
        'data:image/png;base64,'
    """
    return data_uri(_png(_shrunk(image, limit)))


def save_picture(image: Tensor, path: Path) -> None:
    """Writes one picture as a PNG file, pixel for pixel.

    Args:
        image: uint8 ``(C, H, W)`` with one or three channels.
        path: The file.

    Raises:
        OSError: It cannot be written.
    """
    path.write_bytes(_png(_image(image)))


def is_tiny(image: Tensor) -> bool:
    """Whether a picture ``(C, H, W)`` is small enough to be shown with sharp pixels.

    Example:
        >>> import torch
        >>> is_tiny(torch.zeros(1, 28, 28)), is_tiny(torch.zeros(3, 224, 224))
        (True, False)
    """
    return max(image.shape[-2:]) <= _NATIVE


def sprite(images: Tensor) -> tuple[str, int, int]:
    """Many pictures as tiles of one image, row by row, in at most 256 colours.

    Args:
        images: uint8 ``(N, C, H, W)``.

    Returns:
        Data URI, tile side in pixels, tiles a row.

    Example:
        >>> import torch
        >>> uri, side, columns = sprite(torch.zeros(5, 1, 28, 28, dtype=torch.uint8))
        >>> side, columns
        (28, 3)
    """
    image_module = require("PIL.Image", extra="train", purpose="the pictures of a report")
    tiles = [_shrunk(image, _NATIVE) for image in images]
    side = max(max(tile.size) for tile in tiles)
    columns = math.ceil(math.sqrt(len(tiles)))
    sheet = image_module.new(tiles[0].mode, (side * columns, side * math.ceil(len(tiles) / columns)))
    for i, tile in enumerate(tiles):
        sheet.paste(tile, (i % columns * side, i // columns * side))
    return data_uri(_png(sheet if sheet.mode == "L" else sheet.quantize(256))), side, columns


def view_strip(views: Tensor, limit: int = 64) -> str:
    """Views of one object side by side in one picture, as a data URI.

    Args:
        views: uint8 ``(V, C, H, W)``.
        limit: Longest side of a view in pixels.

    Example:
        >>> import torch
        >>> view_strip(torch.zeros(3, 1, 28, 28, dtype=torch.uint8))[:22]
        'data:image/png;base64,'
    """
    image_module = require("PIL.Image", extra="train", purpose="the pictures of a report")
    tiles = [_shrunk(view, limit) for view in views]
    width, height = tiles[0].size
    sheet = image_module.new(tiles[0].mode, (width * len(tiles), height))
    for i, tile in enumerate(tiles):
        sheet.paste(tile, (i * width, 0))
    return data_uri(_png(sheet if sheet.mode == "L" else sheet.quantize(128)))


def colour_image(pixels: Tensor) -> str:
    """A picture of values already turned into colours: uint8 ``(3, H, W)``, kept pixel for pixel.

    Example:
        >>> import torch
        >>> colour_image(torch.zeros(3, 2, 2, dtype=torch.uint8))[:10]
        'data:image'
    """
    return data_uri(_png(_image(pixels)))


def _image(pixels: Tensor) -> Image.Image:
    image_module: Any = require("PIL.Image", extra="train", purpose="the pictures of a report")
    array = pixels[0] if pixels.shape[0] == 1 else pixels.permute(1, 2, 0)
    made: Image.Image = image_module.fromarray(array.contiguous().numpy())
    return made


def _shrunk(image: Tensor, limit: int) -> Image.Image:
    made = _image(image)
    if max(made.size) > max(limit, _NATIVE):
        made.thumbnail((limit, limit))
    return made


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, format="PNG", optimize=True)
    return out.getvalue()
