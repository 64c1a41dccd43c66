"""One picture file, from bytes that may be anything to a square of RGB pixels."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from monge.data.formats.sniff import open_data, shown
from monge.errors import DataFormatError
from monge.extras import require

Box = tuple[float, float, float]

MAX_FILE_BYTES = 64 << 20
# Below the size at which Pillow itself begins to warn of decompression bombs.
MAX_PIXELS = 80_000_000
_EXPECTED = "a picture"
# Formats that Pillow decodes by itself; others, such as EPS, start programs.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
# What Pillow's decoders raise over damaged files.
_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, EOFError, struct.error, zlib.error)
_ORIENTATION = 0x0112
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
_TAIL = 64


def decode_picture(path: Path, size: int, box: Box | None = None) -> Tensor:
    """Reads one picture as a square.

    Args:
        path: The file.
        size: Height and width of the result.
        box: Left, top and side of the wanted square in pixels of the stored picture; ``None``: the middle square.

    Returns:
        uint8 ``(3, size, size)``.

    Raises:
        DataFormatError: Missing, empty, not a picture, cut short, damaged, without pixels, or too large; or a box
            that lies outside.
        MissingExtraError: Pillow is not installed.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "face.jpg"
        >>> _ = file.write_bytes(bytes([0xFF, 0xD8, 0xFF]) + bytes(100))
        >>> decode_picture(file, 8)
        Traceback (most recent call last):
        monge.errors.DataFormatError: ...face.jpg: found no picture that Pillow can read, expected a picture (...)
    """
    with _opened(path) as picture:
        stored = picture.size
        square = _middle(stored) if box is None else _checked(path, stored, box)
        _draft(picture, size, square)
        _load(path, picture)
        turn = _TURNS.get(_orientation(picture))
        # The square in pixels of the picture as it was decoded, which may be smaller than it is stored.
        scales = [picture.size[axis % 2] / stored[axis % 2] for axis in range(4)]
        edges = [edge * scale for edge, scale in zip(square, scales, strict=True)]
        rgb = _rgb(path, picture)
        if box is not None:
            # Only a crop may leave the picture, and it goes by whole pixels.
            left, top, right, bottom = (round(edge) for edge in edges)
            rgb = rgb.crop((left, top, max(left + 1, right), max(top + 1, bottom)))
            edges = [0, 0, *rgb.size]
        images = _pillow()
        small = rgb.resize((size, size), images.Resampling.BILINEAR, box=tuple(edges))
        if turn is not None:
            small = small.transpose(images.Transpose[turn])
        pixels = np.array(small, np.uint8)  # (S, S, 3)
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def picture_flaw(path: Path) -> DataFormatError | None:
    """What is wrong with a picture, found out as cheaply as can be.

    A JPEG or PNG that begins and ends as one should is taken to be whole; anything else is decoded.

    Args:
        path: The file.

    Returns:
        The error that decoding would raise, or ``None``.

    Example:
        >>> picture_flaw(Path("no/such.jpg")).found
        'no such file'
    """
    try:
        with open_data(path, _EXPECTED) as (stream, length):
            head = stream.read(4)
            stream.seek(max(0, length - _TAIL))
            tail = stream.read(_TAIL)
        jpeg = head.startswith(b"\xff\xd8\xff") and tail.rstrip(b"\0").endswith(b"\xff\xd9")
        png = head == b"\x89PNG" and tail.endswith(b"IEND\xaeB`\x82")
        if not (jpeg or png):
            decode_picture(path, 8)
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", _pillow().DecompressionBombWarning)
            with _opened(path):
                pass
    except DataFormatError as error:
        return error
    return None


def _pillow() -> Any:
    return require("PIL.Image", extra="train", purpose="reading pictures")


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The picture with its size known and sound, its pixels not decoded yet."""
    images = _pillow()
    with open_data(path, _EXPECTED) as (stream, length):
        if length > MAX_FILE_BYTES:
            raise _error(path, f"{length:,} bytes", f"at most {MAX_FILE_BYTES:,}", "is it a picture at all?")
        try:
            picture = images.open(stream, formats=_FORMATS)
        except (images.DecompressionBombError, images.DecompressionBombWarning):
            raise _bomb(path, f"far more than {MAX_PIXELS:,} pixels") from None
        except images.UnidentifiedImageError:
            kinds = "damaged, or none of JPEG, PNG, WebP, BMP, GIF, TIFF, PPM"
            raise _error(path, "no picture that Pillow can read", _EXPECTED, kinds) from None
        except _DAMAGE as error:
            raise _damaged(path, error) from None
        with picture:
            width, height = picture.size
            if width < 1 or height < 1:
                raise _error(path, f"{width} x {height} pixels", "at least one")
            if width * height > MAX_PIXELS:
                raise _bomb(path, f"{width} x {height} pixels")
            yield picture


def _load(path: Path, picture: Any) -> None:
    try:
        picture.load()
    except _DAMAGE as error:
        raise _damaged(path, error) from None


def _orientation(picture: Any) -> int:
    """What the EXIF data say; damaged ones say nothing, and the pixels are there all the same."""
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except _DAMAGE:
        return 1


def _middle(size: tuple[int, int]) -> tuple[float, float, float, float]:
    width, height = size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def _checked(path: Path, size: tuple[int, int], box: Box) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a box that meets the picture."""
    left, top, side = box
    meets = left < size[0] and top < size[1] and left + side > 0 and top + side > 0
    if meets and 0 < side <= MAX_PIXELS**0.5:
        return left, top, left + side, top + side
    found = f"a box at ({left:.0f}, {top:.0f}) of side {side:.0f}"
    expected = f"one that meets the picture of {size[0]} x {size[1]} pixels, of a side up to {MAX_PIXELS**0.5:.0f}"
    raise _error(path, found, expected, "are the annotations of this file?")


def _draft(picture: Any, size: int, square: tuple[float, float, float, float]) -> None:
    """Lets a JPEG be decoded at a half, quarter or eighth where that is still at least twice what is wanted."""
    factor = 2 * size / (square[2] - square[0])
    if factor < 1:
        width, height = picture.size
        picture.draft(None, (max(1, int(width * factor)), max(1, int(height * factor))))


def _rgb(path: Path, picture: Any) -> Any:
    """The picture in RGB; 16-bit grey is scaled down, which Pillow would clip."""
    if picture.mode.startswith("I;16"):
        picture = _pillow().fromarray((np.array(picture).astype(np.uint16) >> 8).astype(np.uint8))
    if picture.mode in ("I", "F"):
        kind = "32-bit numbers" if picture.mode == "I" else "floating point numbers"
        raise _error(path, f"pixels that are {kind}", "8 or 16 bits a channel", "convert the picture first")
    return picture.convert("RGB")


def _error(path: Path, found: str, expected: str, hint: str = "") -> DataFormatError:
    return DataFormatError(shown(path), "", found, expected, hint)


def _bomb(path: Path, found: str) -> DataFormatError:
    return _error(path, found, f"at most {MAX_PIXELS:,} pixels", "such a picture would fill the memory")


def _damaged(path: Path, error: BaseException) -> DataFormatError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return _error(path, f"a damaged picture ({reason})", "a whole one", "fetch the file again")
