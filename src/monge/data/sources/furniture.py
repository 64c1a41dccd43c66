"""Furniture and other things of a house as 3D models, from the Debian package sweethome3d-furniture.

Five libraries of Sweet Home 3D hold 820 OBJ models. ``furniture.csv`` lists those of 17 classes: a first list was made
by rules on the names of the catalogues, then the thumbnails of all 820 models were looked at, class by class. Wrong
matches went (a sock under "socket", a cup cake under "cup", glasses to wear, mats, brushes), members that the names do
not tell were added (cars by their makes, trees by their species, people), and things between two classes were left out
(sinks in cabinets, an unfolded sofa bed, bedding). The classes mean:

* appliance: machines of kitchen and laundry; bath: tubs, toilets, washbasins, a shower stall; bed: cots too;
* bike: bicycles, tricycles, motorcycles; cabinet: wardrobes, shelves, chests, kitchen cabinets, bedside tables;
* car: trucks and buses too; chair: armchairs, stools, benches, loungers; cup/bottle: glasses, jugs, vases too;
* plug/switch: plates on the wall; plant: trees, hedges, flowers in vases; table: desks, tables to play on.

``family`` names near-copies that stood out on the sheets: kitchens of one series, window frames with other panes, one
person in several poses, the plates of one frame. They never part in a split. Works of "A & eTeks" count as A's when
authors are held out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from monge.data.cache import cache_dir
from monge.data.formats.sh3f import Piece, read_catalogue, read_member
from monge.data.formats.sniff import shown
from monge.data.group_splits import split_by_groups
from monge.data.sources.clients import kept_deb, unpack_deb
from monge.data.sources.package import Package
from monge.data.sources.reviewed import reviewed_rows
from monge.data.sources.unpacking import plain_files
from monge.errors import DataFormatError, MongeError

FURNITURE_CLASSES = (
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
    "radiator",
    "sofa",
    "table",
    "window",
)
FURNITURE_LICENCES = {
    "BlendSwap-CC-0": "CC0 1.0",
    "BlendSwap-CC-BY": "CC BY 3.0",
    "KatorLegaz": "CC BY 3.0 US",
    "Reallusion": "CC BY 3.0 US",
    "Scopia": "CC BY 3.0",
}
"""Licence of each library; where it asks for it, `FurnitureModel.author` is whom to credit."""
_NAME = "furniture"
_PACKAGE = "sweethome3d-furniture"
_DEB = "sweethome3d-furniture_1.8-1_all.deb"
_DEB_BYTES = 119_782_356
_FOLDER = "usr/share/sweethome3d/furniture"
_HASHES = {
    "BlendSwap-CC-0.sh3f": "7ef093fe70cedbb160bdb532d86a84580459635e34130c16777f549eba1993dc",
    "BlendSwap-CC-BY.sh3f": "29ae78937b4d5dbe93db74067817a984fa411f017b007fd666bc40368bdb0c83",
    "KatorLegaz.sh3f": "f512443b5d3a6903497573095f971f44334b3165ab32182133051fa9487764a6",
    "Reallusion.sh3f": "dd553207876ccec6372dde7aaea6b2dcf2d631997fcdb8a9856a639e0db9aa9b",
    "Scopia.sh3f": "b4505451b1e8ab339c101c0afddfef4e1a07b95aa8c821c61ec41487afd43850",
}
# Two parts in three stay for training when authors are held out, since one author made 45 % of the models.
_FRACTIONS = {"model": (0.7, 0.1, 0.2), "author": (0.65, 0.1, 0.25)}


@dataclass(frozen=True)
class FurnitureModel:
    """One model of the reviewed list.

    Args:
        key: Its name inside the library, unique among all.
        label: Place of its class in `FURNITURE_CLASSES`.
        collection: The library, one of `FURNITURE_LICENCES`.
        author: Who made it, as the catalogue says.
        name: What the catalogue calls it.
        family: Shared by near-copies; its own key where there are none.
        rotation: Nine numbers, row by row, of the rotation that sets it upright (y up, seen from +z).
        archive: The library's file.
    """

    key: str
    label: int
    collection: str
    author: str
    name: str
    family: str
    rotation: tuple[float, ...]
    archive: Path

    @property
    def class_name(self) -> str:
        """Name of its class."""
        return FURNITURE_CLASSES[self.label]

    @property
    def licence(self) -> str:
        """Licence of its library."""
        return FURNITURE_LICENCES[self.collection]


def furniture_models(folder: str | Path | None = None) -> list[FurnitureModel]:
    """The reviewed models, in the order of the list (by class, library, name).

    Args:
        folder: Where the five ``.sh3f`` files are; ``None``: the data cache.

    Raises:
        MongeError: Not fetched yet.
        DataFormatError: A library is missing or damaged, or lacks a model of the list.
    """
    place = cache_dir() / _NAME if folder is None else Path(folder).expanduser()
    if folder is None and not FURNITURE.is_cached():
        raise MongeError(f"{_NAME} is not in the data cache ({shown(place)}): run `monge data get {_NAME}`")
    catalogues: dict[str, dict[str, Piece]] = {}
    for collection in FURNITURE_LICENCES:
        pieces = read_catalogue(place / f"{collection}.sh3f")
        catalogues[collection] = {piece.model: piece for piece in pieces}
    models = []
    for row in _reviewed():
        archive = place / f"{row['collection']}.sh3f"
        piece = catalogues[row["collection"]].get(row["model"])
        if piece is None:
            hint = f"the list is of {_PACKAGE} 1.8-1"
            raise DataFormatError(shown(archive), "", f"no {row['model']} in the catalogue", "every listed model", hint)
        models.append(
            FurnitureModel(
                key=row["model"],
                label=FURNITURE_CLASSES.index(row["class"]),
                collection=row["collection"],
                author=row["author"],
                name=piece.name,
                family=row["family"] or row["model"],
                rotation=piece.rotation,
                archive=archive,
            )
        )
    return models


def read_obj(model: FurnitureModel) -> bytes:
    """The OBJ file of a model, for `monge.data.meshes.read_mesh(..., file_type="obj")`.

    Raises:
        DataFormatError: Its library is missing or damaged.
    """
    return read_member(model.archive, model.key)


def split_models(
    kind: Literal["model", "author"] = "model",
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Positions in :func:`furniture_models` of the training, validation and test parts; fixed for good.

    Args:
        kind: ``"model"``: 70/10/20 % of every class, near-copies in the same part. ``"author"``: whole authors are
            held out, about 65/10/25 %; every class is in training and test, but person, plug/switch and window have
            too few authors to be in the validation part too.

    Raises:
        ValueError: Another kind.

    Example:
        >>> [len(part) for part in split_models()], [len(part) for part in split_models("author")]
        ([329, 48, 99], [325, 41, 110])
    """
    if kind not in _FRACTIONS:
        raise ValueError(f"unknown kind {kind!r}, expected one of {', '.join(_FRACTIONS)}")
    rows = _reviewed()
    labels = [FURNITURE_CLASSES.index(row["class"]) for row in rows]
    if kind == "author":
        groups = [row["author"].split(" & ")[0] for row in rows]
    else:
        groups = [row["family"] or row["model"] for row in rows]
    train, val, test = split_by_groups(labels, groups, _FRACTIONS[kind])
    return train, val, test


def _reviewed() -> tuple[dict[str, str], ...]:
    return reviewed_rows("furniture.csv")


def _take(folder: Path) -> Mapping[str, Path]:
    try:
        deb = kept_deb(_PACKAGE, _DEB, _DEB_BYTES, folder)
    except MongeError as error:
        hint = f"or unpack {_PACKAGE} 1.8-1 elsewhere and give --data FOLDER with its five .sh3f files"
        raise MongeError(f"{_NAME}: {error}; {hint}") from None
    unpack_deb(deb, folder / "unpacked")
    return plain_files(_NAME, deb, folder / "unpacked", _FOLDER, _HASHES)


def _convert(files: Mapping[str, Path], into: Path) -> None:
    """The libraries are kept whole: they carry the licences, and the models load fast enough from them."""
    for name, path in files.items():
        path.rename(into / name)


FURNITURE = Package(
    name=_NAME,
    title=f"the Debian package {_PACKAGE} 1.8-1",
    hashes=_HASHES,
    take=_take,
    convert=_convert,
    download_bytes=_DEB_BYTES,
)
