"""Electronic parts as 3D models, from the Debian package kicad-packages3d.

The package has 6,227 models as VRML in 90 libraries. In the libraries of 34 classes there are 5,844, 5,714 of them
distinct, of which ``kicad.csv`` lists 5,639:

* a class is one or more whole libraries (`Connector_Dsub` is d-sub, `LED_SMD` and `LED_THT` are led);
* a family is all models whose names differ in numbers alone, and in the side of pin 1: ``DIP-14_W7.62mm`` and
  ``DIP-16_W10.16mm`` are both ``DIP-#_W#mm``. Its members are near-copies, so they never part in a split;
* models that equal another to the last byte count once;
* ten that cannot be read (points missing, or shapes that are moved) are left out.

Pictures of the first, middle and last model of every family were looked at, class by class. What its library does not
tell rightly went: two cells among the battery holders, sockets of chips among the chips (dip), transmitters and a relay
among the optical sensors; and what is of two classes: rectifiers in housings of chips and transistors, TSOP-5 and -6,
which are SOT-23. Equal to the last byte are ``SOT-23`` and ``D_SOT-23``, which counts as the former. The classes mean:

* crystal: ceramic resonators too; diode: bridges too; fuse: holders too; header: box headers too;
* optical sensor: light barriers, receivers, photoresistors; switch: buttons, DIP and reed switches.

Models stand as KiCad has them, z up.
"""

from __future__ import annotations

import re
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.sniff import shown
from monge.data.group_splits import split_by_groups
from monge.data.meshes import mesh_content
from monge.data.sources.clients import kept_deb, stream_deb
from monge.data.sources.package import Package
from monge.data.sources.reviewed import reviewed_rows
from monge.errors import DataFormatError, MongeError

_NAME = "kicad"
_PACKAGE = "kicad-packages3d"
_DEB = "kicad-packages3d_6.0.10-1_all.deb"
_DEB_BYTES = 379_092_288
_FOLDER = "./usr/share/kicad/3dmodels"
_ZIP = "kicad.zip"
# Another name than that of the data, whose folder had a smaller list before.
_PLACE = "kicad-models"
_FRACTIONS = (0.6, 0.15, 0.25)
# The largest listed model has 16 MB; anything much larger is something else.
_MAX_BYTES = 32 << 20
_SIDE_OF_PIN_1 = re.compile(r"_Pin1(?:Left|Right)")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")


@dataclass(frozen=True)
class KicadModel:
    """One model of the list.

    Args:
        library: Its library, without ``.3dshapes``.
        name: Its name in the library, without ``.wrl``.
        label: Place of its class in `kicad_classes`.
        family: Shared by near-copies.
        place: Where it is: the archive in the data cache, or the folder of the libraries.
    """

    library: str
    name: str
    label: int
    family: str
    place: Path

    @property
    def member(self) -> str:
        """Its file below the folder of the libraries."""
        return f"{self.library}.3dshapes/{self.name}.wrl"

    def content(self) -> bytes:
        """Its VRML file.

        Raises:
            DataFormatError: It is missing or damaged.
        """
        if self.place.is_dir():
            return mesh_content(self.place / self.member)
        try:
            with _opened(self.place, self.place.stat().st_mtime_ns).open(self.member) as stream:
                return stream.read(_MAX_BYTES)
        except (OSError, KeyError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            found = f"no readable {self.member} ({error})"
            hint = f"run `monge data get {_NAME}`"
            raise DataFormatError(shown(self.place), "", found, "every listed model", hint) from None


def kicad_classes() -> tuple[str, ...]:
    """Names of the 34 classes.

    Example:
        >>> len(kicad_classes()), kicad_classes()[:3]
        (34, ('battery holder', 'bga', 'buzzer'))
    """
    return tuple(sorted({row["class"] for row in _listed()}))


def family_of(name: str) -> str:
    """What near-copies share: a name without its numbers, and without the side of pin 1.

    Args:
        name: Name of a model.

    Example:
        >>> family_of("DIP-14_W7.62mm"), family_of("PinHeader_1x13_P1.00mm_Vertical_SMD_Pin1Left")
        ('DIP-#_W#mm', 'PinHeader_#x#_P#mm_Vertical_SMD')
    """
    return _NUMBER.sub("#", _SIDE_OF_PIN_1.sub("", name))


def kicad_models(folder: str | Path | None = None, *, per_class: int | None = None) -> list[KicadModel]:
    """The listed models, in the order of the list (by class, library, name).

    Args:
        folder: Where the libraries are, folders that end in ``.3dshapes``; ``None``: the data cache.
        per_class: At most so many of each class: families take turns, and what is taken of one lies evenly in its
            names; ``None``: all.

    Raises:
        MongeError: Not fetched yet.
        DataFormatError: The folder lacks a model of the list.
    """
    if folder is None and not KICAD.is_cached():
        raise MongeError(f"{_NAME} is not in the data cache ({shown(KICAD.folder)}): run `monge data get {_NAME}`")
    place = KICAD.folder / _ZIP if folder is None else Path(folder).expanduser()
    label = {name: number for number, name in enumerate(kicad_classes())}
    models = [
        KicadModel(row["library"], row["model"], label[row["class"]], family_of(row["model"]), place)
        for row in _chosen(per_class)
    ]
    if folder is not None:
        for model in models:
            if not (place / model.member).is_file():
                hint = f"the list is of {_PACKAGE} 6.0.10-1, whose libraries lie in /usr/share/kicad/3dmodels"
                raise DataFormatError(shown(place), "", f"no {model.member}", "every listed model", hint)
    return models


def split_kicad(per_class: int | None = None) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Positions in :func:`kicad_models` of the training, validation and test parts; fixed for good.

    About 60/15/25 % of every class, whole families in the same part.

    Args:
        per_class: As for `kicad_models`; another number gives another draw.
    """
    rows = _chosen(per_class)
    classes = {name: number for number, name in enumerate(kicad_classes())}
    labels = [classes[row["class"]] for row in rows]
    train, val, test = split_by_groups(labels, [family_of(row["model"]) for row in rows], _FRACTIONS)
    return train, val, test


def _chosen(per_class: int | None) -> list[dict[str, str]]:
    """Rows of the list, at most so many of each class."""
    if per_class is None:
        return list(_listed())
    of_class: dict[str, list[dict[str, str]]] = {}
    for row in _listed():
        of_class.setdefault(row["class"], []).append(row)
    kept = {(row["library"], row["model"]) for rows in of_class.values() for row in _in_turn(rows, per_class)}
    return [row for row in _listed() if (row["library"], row["model"]) in kept]


def _in_turn(rows: list[dict[str, str]], most: int) -> list[dict[str, str]]:
    """At most so many rows of one class, one of each family in turn."""
    families: dict[str, list[dict[str, str]]] = {}
    for row in sorted(rows, key=lambda row: (row["model"], row["library"])):
        families.setdefault(family_of(row["model"]), []).append(row)
    counts = dict.fromkeys(sorted(families), 0)
    for turn in range(most):
        for family in counts:
            if turn < len(families[family]) and sum(counts.values()) < most:
                counts[family] += 1
    return [
        families[family][(2 * place + 1) * len(families[family]) // (2 * count)]
        for family, count in counts.items()
        for place in range(count)
    ]


@lru_cache(maxsize=1)
def _opened(place: Path, changed: int) -> zipfile.ZipFile:
    """The archive, whose list of thousands of members is read once a process and not once a model."""
    return zipfile.ZipFile(place)


def _listed() -> tuple[dict[str, str], ...]:
    return reviewed_rows("kicad.csv")


def _take(folder: Path) -> Mapping[str, Path]:
    try:
        return {_DEB: kept_deb(_PACKAGE, _DEB, _DEB_BYTES, folder)}
    except MongeError as error:
        hint = f"or unpack {_PACKAGE} 6.0.10-1 elsewhere and give --data FOLDER with its libraries"
        raise MongeError(f"{_NAME}: {error}; {hint}") from None


def _convert(files: Mapping[str, Path], into: Path) -> None:
    """The listed models in one archive; the package is read as it streams and never unpacked, since it has 5.5 GB."""
    wanted = {f"{_FOLDER}/{row['library']}.3dshapes/{row['model']}.wrl" for row in _listed()}
    with (
        stream_deb(files[_DEB]) as stream,
        tarfile.open(fileobj=stream, mode="r|") as archive,
        zipfile.ZipFile(into / _ZIP, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as kept,
    ):
        for member in archive:
            if member.name in wanted and member.isreg() and member.size <= _MAX_BYTES:
                content = archive.extractfile(member)
                assert content is not None  # since it is a regular file
                kept.writestr(member.name.removeprefix(f"{_FOLDER}/"), content.read())
                wanted.discard(member.name)
    if wanted:
        raise MongeError(f"{_NAME}: {_DEB} does not hold {min(wanted)}")


KICAD = Package(
    name=_NAME,
    title=f"the Debian package {_PACKAGE} 6.0.10-1",
    hashes={_DEB: "e4ee3179c3935885a262e41543a675208ad5b3077d348728cac46f534d01109a"},
    take=_take,
    convert=_convert,
    place=_PLACE,
    download_bytes=_DEB_BYTES,
)
