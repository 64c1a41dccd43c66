"""Icons as small grey pictures, and icons made to look drawn by hand.

Icons come from packages of strangers, so their SVG is checked before it is drawn: plain shapes only, nothing that
refers to a file, an address or a font, and no more of it than an icon needs.
"""

from __future__ import annotations

import io
import random
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from monge.errors import MongeError
from monge.extras import require

Box = tuple[float, float, float, float]
"""Left, top, width and height of what an icon shows, in its own units."""

MAX_BODY_BYTES = 32 << 10
MAX_SIZE = 1024
_MAX_ELEMENTS = 500
_MAX_DEPTH = 16
_SHAPES = frozenset(("path", "circle", "rect", "ellipse", "line", "polyline", "polygon"))
_ELEMENTS = _SHAPES | {"g", "defs", "mask", "clipPath", "title"}
_ATTRIBUTE = re.compile(
    r"d|r|[cr]?[xy][12]?|width|height|points|transform|id|class|color|opacity|mask|(fill|clip|stroke)(-[a-z]+)*"
)
_LOCAL = re.compile(r"url\(#[\w.:-]+\)")
_CUTS = re.compile(r"<mask|<clipPath|opacity|#fff|white", re.IGNORECASE)
_SVG = "http://www.w3.org/2000/svg"
# Pixels that are jittered at once, so that the work stays small whatever the number of pictures.
_CHUNK_PIXELS = 1 << 20


def check_body(body: str) -> None:
    """Refuses an SVG body that is more than a plain icon.

    Args:
        body: What stands between ``<svg>`` and ``</svg>``.

    Raises:
        MongeError: Too long, not XML, too many or too deeply nested elements, or an element, attribute or reference
            that no plain icon needs (images, scripts, styles, ``use``, text, animation, links).

    Example:
        >>> check_body('<path d="M0 0h24"/>')
        >>> check_body('<image href="http://example.org/a.png"/>')
        Traceback (most recent call last):
        monge.errors.MongeError: the icon has an element <image>, expected plain shapes
    """
    _parsed(body)


def draw(body: str, size: int, box: Box = (0, 0, 24, 24), *, margin: float = 0.06) -> NDArray[np.uint8]:
    """Draws an icon in black on white, in the middle of a square.

    Args:
        body: What stands between ``<svg>`` and ``</svg>``.
        size: Height and width of the picture.
        box: What the icon shows, in its own units.
        margin: Share of the side left white at each edge.

    Returns:
        ``(size, size)``; 0 is ink, 255 is paper.

    Raises:
        MongeError: :func:`check_body` refuses it, it cannot be drawn, or nothing of it is to be seen.
        ValueError: A size, box or margin that makes no picture.
        MissingExtraError: resvg-py or Pillow is not installed.

    Example:
        >>> picture = draw('<path fill="currentColor" d="M0 0h24v24H0z"/>', 8, margin=0.25)
        >>> picture[0, 0], picture[4, 4], picture.mean()
        (np.uint8(255), np.uint8(0), np.float64(191.25))
    """
    left, top, width, height = box
    if not 1 <= size <= MAX_SIZE or not 0 < min(width, height) <= max(width, height) < 1e5 or not 0 <= margin < 0.5:
        raise ValueError(f"cannot draw a box {box} at size {size} (1 to {MAX_SIZE}) with margin {margin}")
    check_body(body)
    side = max(width, height) / (1 - 2 * margin)
    view = f"{left - (side - width) / 2} {top - (side - height) / 2} {side} {side}"
    svg = f'<svg xmlns="{_SVG}" viewBox="{view}" width="{size}" height="{size}" color="black">{body}</svg>'
    resvg = require("resvg_py", extra="shapes", purpose="drawing icons")
    images = require("PIL.Image", extra="shapes", purpose="drawing icons")
    try:
        png = bytes(
            resvg.svg_to_bytes(svg_string=svg, width=size, height=size, background="white", skip_system_fonts=True)
        )
    except ValueError as error:
        raise MongeError(f"the icon cannot be drawn ({str(error).splitlines()[0]})") from None
    picture = np.array(images.open(io.BytesIO(png), formats=("PNG",)).convert("L"), np.uint8)
    if picture.shape != (size, size) or picture.min() > 250:
        raise MongeError("the icon shows nothing, expected a drawing in black")
    return picture


def drop_strokes(body: str, generator: random.Random) -> str:
    """Leaves out up to a quarter of the shapes of an icon, but never the one with the longest path.

    An icon of fewer than four shapes stays whole. So does one with masks, white or pale shapes, where the shapes are
    no strokes but cut each other.

    Args:
        body: What stands between ``<svg>`` and ``</svg>``.
        generator: Source of randomness.

    Raises:
        MongeError: :func:`check_body` refuses it.

    Example:
        >>> four = "".join(f'<path d="M0 {height}h9"/>' for height in (10, 2, 3, 4))
        >>> {drop_strokes(four, random.Random(seed)).count("path") for seed in range(9)}
        {3, 4}
    """
    root = _parsed(body)
    shapes = [(parent, child) for parent in root.iter() for child in parent if _name(child) in _SHAPES]
    if len(shapes) < 4 or _CUTS.search(body):
        return body
    longest = max(shapes, key=lambda shape: len(shape[1].get("d", "")))
    others = [shape for shape in shapes if shape is not longest]
    for parent, child in generator.sample(others, generator.randint(0, len(shapes) // 4)):
        parent.remove(child)
    return "".join(_written(child) for child in root)


def jitter(images: Tensor, generator: torch.Generator, *, strength: float = 1.0) -> Tensor:
    """Makes drawings in black on white look drawn by hand, each with draws of its own.

    Filled parts become outlines (every other picture), lines get wider or thinner, strokes wander and are partly drawn
    twice, the whole is turned, scaled, sheared and moved a little, and the pen skips here and there.

    Args:
        images: uint8 ``(N, 1, S, S)``; 0 is ink, 255 is paper.
        generator: Source of all randomness, on the CPU.
        strength: 0 gives the images back, 1 is a careless hand.

    Returns:
        uint8 ``(N, 1, S, S)``.

    Raises:
        ValueError: Images of another shape or kind, or a strength outside 0 to 2.

    Example:
        >>> icon = torch.from_numpy(draw('<path fill="currentColor" d="M4 4h16v16H4z"/>', 32))[None, None]
        >>> drawn = jitter(icon.repeat(3, 1, 1, 1), torch.Generator().manual_seed(0))
        >>> drawn.shape, torch.equal(drawn[0], drawn[1])
        (torch.Size([3, 1, 32, 32]), False)
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 1 or images.shape[2] != images.shape[3]:
        raise ValueError(f"images must be uint8 (N, 1, S, S), got {images.dtype} {tuple(images.shape)}")
    if not 0 <= strength <= 2:
        raise ValueError(f"strength must be between 0 and 2, got {strength}")
    if strength == 0 or not len(images):
        return images.clone()
    chunk = max(1, _CHUNK_PIXELS // images[0].numel())
    return torch.cat([_drawn(part, generator, strength) for part in torch.split(images, chunk)])


def outlined(images: Tensor) -> Tensor:
    """Empties filled parts of drawings in black on white down to their outlines; thin lines stay as they are.

    Args:
        images: uint8 ``(N, 1, S, S)``; 0 is ink, 255 is paper.

    Returns:
        uint8 ``(N, 1, S, S)``.

    Example:
        >>> icon = torch.from_numpy(draw('<path fill="currentColor" d="M4 4h16v16H4z"/>', 64))[None, None]
        >>> outlined(icon)[0, 0, 32, 32].item()
        255
    """
    return (255 * (1 - _hollow(1 - images.float() / 255))).round().to(torch.uint8)


def _parsed(body: str) -> ElementTree.Element:
    if len(body) > MAX_BODY_BYTES:
        raise MongeError(f"the icon has {len(body):,} characters, expected at most {MAX_BODY_BYTES:,}")
    # Entities and processing instructions begin so; without them the parser has nothing to expand.
    if "<!" in body or "<?" in body:
        raise MongeError("the icon has a declaration or comment, expected plain shapes")
    try:
        root = ElementTree.fromstring(f'<svg xmlns="{_SVG}">{body}</svg>')
    except ElementTree.ParseError as error:
        raise MongeError(f"the icon is not XML ({error})") from None
    _check_elements(root)
    return root


def _check_elements(root: ElementTree.Element) -> None:
    level, count, depth = list(root), 0, 0
    while level:
        count, depth = count + len(level), depth + 1
        if count > _MAX_ELEMENTS or depth > _MAX_DEPTH:
            raise MongeError(f"the icon has over {_MAX_ELEMENTS} elements or {_MAX_DEPTH} levels, expected an icon")
        for element in level:
            if element.tag not in {f"{{{_SVG}}}{name}" for name in _ELEMENTS}:
                raise MongeError(f"the icon has an element <{_name(element)[:40]}>, expected plain shapes")
            for key, value in element.attrib.items():
                outside = "(" in value and key != "transform" and not _LOCAL.fullmatch(value)
                if not _ATTRIBUTE.fullmatch(key) or outside:
                    raise MongeError(f"the icon has an attribute {key[:40]}={value[:40]!r}, expected plain shapes")
        level = [child for element in level for child in element]


def _name(element: ElementTree.Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _written(element: ElementTree.Element) -> str:
    for part in element.iter():
        part.tag = _name(part)
    return ElementTree.tostring(element, encoding="unicode")


def _drawn(images: Tensor, generator: torch.Generator, strength: float) -> Tensor:
    ink = 1 - images.float() / 255  # (B, 1, S, S)
    batch, size = len(ink), ink.shape[-1]
    first, second, third = torch.rand(3, batch, 1, 1, 1, generator=generator)
    ink = torch.where(first < 0.5, _hollow(ink), ink)
    # Between the eroded and the dilated picture, in steps that fit small pictures too.
    wider, thinner = _dilate(ink, 1), -_dilate(-ink, 1)
    change = (2 * second - 1) * min(1.0, 0.7 * strength)
    ink = torch.where(change > 0, ink + change * (wider - ink), ink + 0.5 * change * (ink - thinner))
    whole = _affine(batch, size, generator, strength)
    once = F.grid_sample(ink, whole + _wander(batch, size, generator, strength), align_corners=False)
    again = F.grid_sample(ink, whole + _wander(batch, size, generator, strength), align_corners=False)
    ink = torch.maximum(once, again * (third - 0.4).clamp_min(0) * 1.5)
    # The pen skips where a smooth random field is high, and presses unevenly elsewhere.
    skip = ((_field(batch, 1, 8, size, generator) - 2.2 / strength) * 4).sigmoid()
    press = 1 - 0.15 * strength * _field(batch, 1, 5, size, generator).abs().clamp_max(2)
    return (255 * (1 - (ink * (1 - skip) * press).clamp(0, 1))).round().to(torch.uint8)


def _dilate(ink: Tensor, reach: int) -> Tensor:
    # Rows, then columns: the same square in a fraction of the time.
    rows = F.max_pool2d(ink, (1, 2 * reach + 1), stride=1, padding=(0, reach))
    return F.max_pool2d(rows, (2 * reach + 1, 1), stride=1, padding=(reach, 0))


def _hollow(ink: Tensor) -> Tensor:
    """Takes away what lies deeper inside the ink than the width of a line."""
    reach = max(1, round(ink.shape[-1] / 24))
    return (ink * (1 + _dilate(-ink, reach))).clamp(0, 1)


def _field(batch: int, channels: int, knots: int, size: int, generator: torch.Generator) -> Tensor:
    """Smooth normal noise ``(B, C, S, S)`` of about unit variance at the knots."""
    coarse = torch.randn(batch, channels, knots, knots, generator=generator)
    return F.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=True)


def _wander(batch: int, size: int, generator: torch.Generator, strength: float) -> Tensor:
    """How far each point of a stroke strays ``(B, S, S, 2)``: slow bends and a fine tremor."""
    bend, tremor = _field(batch, 2, 4, size, generator), _field(batch, 2, 12, size, generator)
    return strength * (0.035 * bend + 0.008 * tremor).permute(0, 2, 3, 1)


def _affine(batch: int, size: int, generator: torch.Generator, strength: float) -> Tensor:
    """Where each pixel comes from ``(B, S, S, 2)`` after a small turn, scaling, shear and move."""
    turn, wide, high, shear, right, down = strength * (2 * torch.rand(6, batch, generator=generator) - 1)
    turn, wide, high = 0.2 * turn, 1.05 + 0.15 * wide, 1.05 + 0.15 * high
    upper = torch.stack([wide * turn.cos(), 0.15 * shear - turn.sin(), 0.06 * right], dim=1)
    lower = torch.stack([turn.sin(), high * turn.cos(), 0.06 * down], dim=1)
    return F.affine_grid(torch.stack([upper, lower], dim=1), [batch, 1, size, size], align_corners=False)
