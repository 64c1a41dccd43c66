"""Pictures that lie encoded inside of other files: in records, pickles and tables; or bytes of a file that was read."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monge.data.formats.picture import MAX_PIXELS
from monge.data.formats.sniff import shown
from monge.errors import DataFormatError
from monge.extras import require

# Formats that Pillow decodes by itself; others, such as EPS, start programs.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, EOFError, struct.error, zlib.error)


def decode_encoded(content: bytes, size: int, path: Path, where: str) -> Tensor:
    """Decodes a picture to RGB, resized where it is not of the wanted size already.

    Args:
        content: JPEG, PNG, WebP or BMP.
        size: Height and width of the result.
        path: The file that it lies in, for the error messages.
        where: Its place in it, e.g. ``"key 17, byte 4096"``.

    Returns:
        uint8 ``(3, size, size)``.

    Raises:
        DataFormatError: No picture, a damaged one, one that is not square, or one of far too many pixels.
        MissingExtraError: Pillow is not installed.

    Example:
        >>> decode_encoded(b"no picture", 112, Path("train.rec"), "key 1, byte 0")
        Traceback (most recent call last):
        monge.errors.DataFormatError: train.rec: key 1, byte 0: found no picture that Pillow can read, expected a...
    """
    rgb = _rgb(content, path, where, size)
    if rgb.size != (size, size):
        rgb = rgb.resize((size, size), _pillow().Resampling.BILINEAR)
    return torch.from_numpy(np.array(rgb, np.uint8)).permute(2, 0, 1).contiguous()


def decode_whole(content: bytes, path: Path, where: str = "") -> NDArray[np.uint8]:
    """Decodes a picture to RGB as it is stored, of any size and not turned.

    Args:
        content: JPEG, PNG, WebP or BMP.
        path: The file that it lies in, for the error messages.
        where: Its place in it.

    Returns:
        uint8 ``(H, W, 3)``.

    Raises:
        DataFormatError: No picture, a damaged one, or one of far too many pixels.
        MissingExtraError: Pillow is not installed.

    Example:
        >>> from monge.data.synthetic.face_layouts import encoded
        >>> decode_whole(encoded(np.zeros((3, 4, 4), np.uint8)), Path("a.jpg")).shape
        (4, 4, 3)
    """
    return np.array(_rgb(content, path, where, None), np.uint8)


def _rgb(content: bytes, path: Path, where: str, square: int | None) -> Any:
    """The picture in RGB; if it must be square, decoded no larger than it need be for that size."""
    images = _pillow()
    again = "the file is damaged; fetch it again"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", images.DecompressionBombWarning)
            picture = images.open(io.BytesIO(content), formats=_FORMATS)
        if picture.width * picture.height > MAX_PIXELS:
            raise images.DecompressionBombError
        if square is not None:
            if picture.width != picture.height:
                found = f"a picture of {picture.width} x {picture.height} pixels"
                raise DataFormatError(shown(path), where, found, "a square one", "align and crop the faces first")
            # A JPEG of more than twice the wanted size is decoded at a part of it, which takes a fraction of the time.
            picture.draft(None, (2 * square, 2 * square))
        return picture.convert("RGB")
    except (images.DecompressionBombError, images.DecompressionBombWarning):
        raise DataFormatError(shown(path), where, "far too many pixels", f"at most {MAX_PIXELS:,}", again) from None
    except images.UnidentifiedImageError:
        found, expected = "no picture that Pillow can read", "a JPEG, PNG, WebP or BMP"
        raise DataFormatError(shown(path), where, found, expected, again) from None
    except _DAMAGE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataFormatError(shown(path), where, f"a damaged picture ({reason})", "a whole one", again) from None


def _pillow() -> Any:
    return require("PIL.Image", extra="train", purpose="reading pictures")
