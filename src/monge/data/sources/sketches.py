"""Line drawings of furniture: icons of the sets that the npm package @iconify/json collects.

``sketches.csv`` lists at most 60 icons for each of 16 classes of `monge.data.sources.furniture` (too few sets have a
radiator). Rules on icon names proposed candidates from the sets in one colour whose licence allows free use (none that
is non-commercial, none of the GPL), at most a few of each set. Every candidate was looked at on sheets, and about a
third went: grids of data under "table", windows of programs and the Windows mark, factories under "plant", trees of
files, signs of male and female, heads without a body, hotels, shower heads, brands, riders on bikes. So did drawings
nearly equal to one that was kept, in the same set or in another, and icons that tell two things at once.

``maker`` joins sets of one hand or origin (all of Material, all of Font Awesome, sets of map signs that borrow from
each other): no maker is in two parts of the split. The list holds names only; the drawings come from the package.
"""

from __future__ import annotations

import json
import random
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monge.data import raster
from monge.data.cache import cache_dir
from monge.data.formats.sniff import shown
from monge.data.group_splits import split_by_groups
from monge.data.sources.clients import npm_pack
from monge.data.sources.package import Package
from monge.data.sources.reviewed import reviewed_rows
from monge.errors import DataFormatError, MongeError

SKETCH_CLASSES = (
    "appliance",
    "bath",
    "bed",
    "bike",
    "cabinet",
    "car",
    "chair",
    "cup/bottle",
    "door",
    "lamp",
    "person",
    "plant",
    "plug/switch",
    "sofa",
    "table",
    "window",
)
Part = Literal["train", "val", "test"]
_PARTS: tuple[Part, ...] = ("train", "val", "test")
_FRACTIONS = (0.6, 0.15, 0.25)
_NAME = "sketches"
_REQUIREMENT = "@iconify/json@2.2.535"
_TGZ = "iconify-json-2.2.535.tgz"
_CACHED = "sketches.json"
# The largest set has 27 MB of text; anything much larger is something else.
_MAX_SET_BYTES = 128 << 20
_MAX_CACHED_BYTES = 16 << 20
_MAX_PIXEL_BYTES = 1 << 30


@dataclass(frozen=True)
class SketchIcon:
    """One icon of the reviewed list.

    Args:
        set: Name of its icon set.
        name: Its name in the set.
        label: Place of its class in `SKETCH_CLASSES`.
        body: What stands between ``<svg>`` and ``</svg>``.
        box: Left, top, width and height of what it shows.
        author: Who made the set.
        licence: The set's licence, by its SPDX name where it has one.
    """

    set: str
    name: str
    label: int
    body: str
    box: raster.Box
    author: str
    licence: str


@dataclass(frozen=True)
class Drawings:
    """Drawings in black on white with their labels.

    Args:
        images: uint8 ``(N, 1, S, S)``; 0 is ink, 255 is paper.
        labels: Places in `SKETCH_CLASSES`, int64 ``(N,)``.
        names: ``"set:icon"`` of each.
        sets: Icon set of each.
    """

    images: Tensor
    labels: Tensor
    names: tuple[str, ...]
    sets: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)


def sketch_icons(file: str | Path | None = None) -> list[SketchIcon]:
    """The reviewed icons, in the order of the list (by class, set, name).

    Args:
        file: A file as `monge data get sketches` writes it; ``None``: the one in the data cache.

    Raises:
        MongeError: Not fetched yet.
        DataFormatError: The file is damaged or lacks an icon of the list.
    """
    if file is None and not SKETCHES.is_cached():
        raise MongeError(f"{_NAME} is not in the data cache ({shown(SKETCHES.folder)}): run `monge data get {_NAME}`")
    path = cache_dir() / _NAME / _CACHED if file is None else Path(file).expanduser()
    again = f"run `monge data get {_NAME}`"
    try:
        if path.stat().st_size > _MAX_CACHED_BYTES:
            raise DataFormatError(shown(path), "", f"{path.stat().st_size:,} bytes", f"at most {_MAX_CACHED_BYTES:,}")
        sets = json.loads(path.read_text(encoding="utf-8"))
        return [_icon(row, sets[row["set"]]) for row in _reviewed()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        found = f"no readable icons ({type(error).__name__}: {error})"
        raise DataFormatError(shown(path), "", found, "every icon of the reviewed list", again) from None


def sketch_drawings(
    size: int = 64,
    part: Part | None = None,
    *,
    variants: int = 0,
    outline: bool = False,
    strength: float = 1.0,
    seed: int = 0,
    file: str | Path | None = None,
) -> Drawings:
    """Draws the icons of a part, as they are or as if by hand.

    Args:
        size: Height and width.
        part: ``"train"``, ``"val"`` or ``"test"``; ``None``: all of them. No icon set is in two parts.
        variants: How many jittered drawings stand for each icon, next to one another; 0: the icon itself.
        outline: Whether filled parts are emptied down to their outlines.
        strength: How careless the hand is that draws the variants.
        seed: Another seed draws other variants.
        file: As in :func:`sketch_icons`.

    Raises:
        MongeError: Not fetched yet, or damaged.
        ValueError: An unknown part, or more pictures than 1 GiB holds.
        MissingExtraError: resvg-py or Pillow is not installed.
    """
    places = np.arange(len(_reviewed())) if part is None else split_sketches()[_place(part)]
    if len(places) * max(1, variants) * size * size > _MAX_PIXEL_BYTES:
        raise ValueError(f"{len(places)} icons x {variants} variants at {size} x {size} need more than 1 GiB")
    icons = sketch_icons(file)
    chosen = [icons[place] for place in places for _ in range(max(1, variants))]
    # Each drawing loses other strokes; the icon itself loses none.
    chance = random.Random(seed)
    pictures = []
    for icon in chosen:
        body = raster.drop_strokes(icon.body, chance) if variants else icon.body
        pictures.append(_picture(icon, body, size))
    images = torch.from_numpy(np.stack(pictures))[:, None]  # (N, 1, S, S)
    if outline:
        images = raster.outlined(images)
    if variants:
        images = raster.jitter(images, torch.Generator().manual_seed(seed), strength=strength)
    return Drawings(
        images=images,
        labels=torch.tensor([icon.label for icon in chosen]),
        names=tuple(f"{icon.set}:{icon.name}" for icon in chosen),
        sets=tuple(icon.set for icon in chosen),
    )


def split_sketches() -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Positions in :func:`sketch_icons` of the training, validation and test parts; fixed for good.

    About 60/15/25 % of every class; all sets of a maker are in the same part.

    Example:
        >>> [len(part) for part in split_sketches()]
        [490, 126, 204]
    """
    rows = _reviewed()
    labels = [SKETCH_CLASSES.index(row["class"]) for row in rows]
    train, val, test = split_by_groups(labels, [row["maker"] for row in rows], _FRACTIONS)
    return train, val, test


def _place(part: str) -> int:
    if part not in _PARTS:
        raise ValueError(f"unknown part {part!r}, expected one of {', '.join(_PARTS)}")
    return _PARTS.index(part)


def _picture(icon: SketchIcon, body: str, size: int) -> NDArray[np.uint8]:
    try:
        return raster.draw(body, size, icon.box)
    except MongeError as error:
        raise MongeError(f"{_NAME}: {icon.set}:{icon.name}: {error}") from None


def _reviewed() -> tuple[dict[str, str], ...]:
    return reviewed_rows("sketches.csv")


def _icon(row: Mapping[str, str], kept: dict[str, Any]) -> SketchIcon:
    found = kept["icons"][row["icon"]]
    left, top, width, height = (float(edge) for edge in found["box"])
    return SketchIcon(
        set=row["set"],
        name=row["icon"],
        label=SKETCH_CLASSES.index(row["class"]),
        body=str(found["body"]),
        box=(left, top, width, height),
        author=str(kept["author"]),
        licence=str(kept["licence"]),
    )


def _take(folder: Path) -> Mapping[str, Path]:
    try:
        return {_TGZ: npm_pack(_REQUIREMENT, folder)}
    except MongeError as error:
        raise MongeError(f"{_NAME}: {error}") from None


def _convert(files: Mapping[str, Path], into: Path) -> None:
    """Keeps the listed icons alone, each of them checked; the archive is read as it streams and never unpacked."""
    wanted: dict[str, set[str]] = {}
    for row in _reviewed():
        wanted.setdefault(f"package/json/{row['set']}.json", set()).add(row["icon"])
    kept: dict[str, Any] = {}
    try:
        with tarfile.open(files[_TGZ], "r|gz") as archive:
            for member in archive:
                if member.name in wanted and member.isreg() and member.size <= _MAX_SET_BYTES:
                    stream = archive.extractfile(member)
                    assert stream is not None  # since it is a regular file
                    name = member.name.rpartition("/")[2].removesuffix(".json")
                    kept[name] = _kept(name, json.loads(stream.read()), wanted.pop(member.name))
    except (tarfile.TarError, zlib.error, EOFError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise MongeError(f"{_NAME}: {_TGZ} is damaged ({type(error).__name__}: {error})") from None
    if wanted:
        raise MongeError(f"{_NAME}: {_TGZ} does not hold {min(wanted)}")
    (into / _CACHED).write_text(json.dumps(kept, sort_keys=True), encoding="utf-8")


def _kept(name: str, content: dict[str, Any], icons: set[str]) -> dict[str, Any]:
    """Of one set: its author, its licence, and the body and box of each wanted icon."""
    info, chosen = content["info"], {}
    for icon in sorted(icons):
        found = content["icons"][icon]
        try:
            raster.check_body(found["body"])
        except MongeError as error:
            raise MongeError(f"{_NAME}: {name}:{icon}: {error}") from None
        # A set gives the box for all its icons, an icon another one for itself.
        whole = {"left": 0, "top": 0, "width": 16, "height": 16} | content | found
        chosen[icon] = {"body": found["body"], "box": [whole[edge] for edge in ("left", "top", "width", "height")]}
    licence = info["license"]
    return {"author": info["author"]["name"], "licence": licence.get("spdx") or licence["title"], "icons": chosen}


SKETCHES = Package(
    name=_NAME,
    title=_REQUIREMENT,
    hashes={_TGZ: "1a545f86fa224d6531d8fb101dcbe83aac2b28689a21cbed6fc68318a5af4d91"},
    take=_take,
    convert=_convert,
)
