"""Pictures that lie encoded inside of other files: in records, pickles and tables."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import torch
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
    images = require("PIL.Image", extra="train", purpose="reading pictures")
    again = "the file is damaged; fetch it again"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", images.DecompressionBombWarning)
            picture = images.open(io.BytesIO(content), formats=_FORMATS)
            if picture.width * picture.height > MAX_PIXELS:
                raise images.DecompressionBombError
            if picture.width != picture.height:
                found = f"a picture of {picture.width} x {picture.height} pixels"
                raise DataFormatError(shown(path), where, found, "a square one", "align and crop the faces first")
            # A JPEG of more than twice the wanted size is decoded at a part of it, which takes a fraction of the time.
            picture.draft(None, (2 * size, 2 * size))
            rgb = picture.convert("RGB")
    except (images.DecompressionBombError, images.DecompressionBombWarning):
        raise DataFormatError(shown(path), where, "far too many pixels", f"at most {MAX_PIXELS:,}", again) from None
    except images.UnidentifiedImageError:
        raise DataFormatError(
            shown(path), where, "no picture that Pillow can read", "a JPEG, PNG, WebP or BMP", again
        ) from None
    except _DAMAGE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataFormatError(shown(path), where, f"a damaged picture ({reason})", "a whole one", again) from None
    if rgb.size != (size, size):
        rgb = rgb.resize((size, size), images.Resampling.BILINEAR)
    return torch.from_numpy(np.array(rgb, np.uint8)).permute(2, 0, 1).contiguous()
