"""53,940 cut diamonds, from the wheel of plotnine."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from monge.data.sources.clients import pip_download
from monge.data.sources.package import Package
from monge.data.sources.unpacking import member_of_wheel

DIAMONDS_CSV = "diamonds.csv"
# The columns that grade a stone, each from its worst level to its best.
DIAMOND_LEVELS: dict[str, tuple[str, ...]] = {
    "cut": ("Fair", "Good", "Very Good", "Premium", "Ideal"),
    "color": ("J", "I", "H", "G", "F", "E", "D"),
    "clarity": ("I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"),
}
_REQUIREMENT = "plotnine==0.15.9"
_MEMBER = "plotnine/data/diamonds.csv"
# The file has 2.8 MB; anything much larger is something else.
_MAX_BYTES = 16 << 20


def _take(folder: Path) -> Mapping[str, Path]:
    path = folder / DIAMONDS_CSV
    path.write_bytes(member_of_wheel("diamonds", pip_download(_REQUIREMENT, folder), _MEMBER, _MAX_BYTES))
    return {DIAMONDS_CSV: path}


def _convert(files: Mapping[str, Path], into: Path) -> None:
    """The file is kept as it is."""
    shutil.copyfile(files[DIAMONDS_CSV], into / DIAMONDS_CSV)


DIAMONDS = Package(
    name="diamonds",
    title="plotnine 0.15.9",
    hashes={DIAMONDS_CSV: "9574730b03aba241d899c4a97511c5061b19358fab89510774fb6c24168345c4"},
    take=_take,
    convert=_convert,
)
