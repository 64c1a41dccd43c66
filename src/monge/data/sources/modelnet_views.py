"""Views of ModelNet10 and ModelNet40, rendered from OFF files or as others have rendered them."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch

from monge.data.examples import Splits
from monge.data.formats.flaws import Flaws
from monge.data.formats.labelled_files import files_in
from monge.data.formats.modelnet import LEAST_OF_A_CLASS, OFFICIAL, PARTS, ModelNetFolder, read_modelnet
from monge.data.formats.places import find_place, folders_in, pictures_in
from monge.data.formats.sniff import shown
from monge.data.formats.view_folders import ViewedObject, read_view_folders
from monge.data.image_files import PictureCache
from monge.data.sources.rendered import Viewing, definition_of, view_parts
from monge.data.splits import SPLIT_SEED, split_by_fraction
from monge.data.views.sources import MeshFile
from monge.data.views.view_files import ViewFiles
from monge.errors import DataFormatError

VAL_FRACTION = 0.1
_CACHE_BYTES = 1 << 30
_EXPECTED = "class folders that hold train/ and test/ with .off files or with pictures of their views"


def load_modelnet(classes: int, folder: str | Path, viewing: Viewing) -> Splits:
    """Loads a ModelNet folder: meshes are rendered into the view cache, pictures are read as they are.

    A tenth of each class's training part, two models at least, becomes the validation part, for ModelNet has none.

    Args:
        classes: 10 or 40.
        folder: The folder of the class folders, or the one above.
        viewing: Size and number of views; of pictures every second or third is taken where fewer are asked for.

    Raises:
        DataFormatError: Another layout, more classes than that, or bad files.
        MongeError: A part is empty, or the view cache cannot be written.

    Warns:
        UserWarning: It is not the complete set, or entries were left out.
    """
    place = find_place(folder, _holds, _EXPECTED)
    if not any(files_in(path / part, (".off",)) for path in folders_in(place) for part in PARTS):
        return _pictured(classes, place, viewing)
    flaws = Flaws(viewing.strict)
    listed = read_modelnet(place, flaws, val_fraction=VAL_FRACTION)
    source = _source(classes, place, len(listed.classes), (len(listed.train) + len(listed.val), len(listed.test)))
    return render_modelnet(f"modelnet{classes}", listed, viewing, source, flaws)


def render_modelnet(
    name: str, listed: ModelNetFolder, viewing: Viewing, source: str, flaws: Flaws, *, cache: Path | None = None
) -> Splits:
    """Views of the meshes of a ModelNet folder.

    Args:
        name: Name of the data set, for messages.
        listed: Its meshes.
        viewing: Size and number of views.
        source: The sentence on where they come from; what renders them is added.
        flaws: What its reader left out.
        cache: Folder of the view cache; ``None``: in the data cache.

    Raises:
        DataFormatError: A mesh is bad, if the viewing is strict.
        MongeError: A part is empty, or the view cache cannot be written.
    """
    groups = (listed.train, listed.val, listed.test)
    sources = [MeshFile(path) for group in groups for path in group.paths]
    labels = np.concatenate([group.labels for group in groups])
    ends = np.cumsum([len(group) for group in groups])
    positions = np.split(np.arange(len(sources)), ends[:-1])
    train, val, test = parts = view_parts(sources, labels, positions, viewing, up="z", flaws=flaws, folder=cache)
    definition = definition_of(name, parts, listed.definition, flaws)
    return Splits(train, val, test, listed.classes, f"{source}, {viewing.told()}", definition)


def _holds(place: Path) -> bool:
    return any(
        files_in(path / part, (".off",)) or ((path / part).is_dir() and pictures_in(path / part))
        for path in folders_in(place)
        for part in PARTS
    )


def _pictured(classes: int, place: Path, viewing: Viewing) -> Splits:
    """Views as the folder has them."""
    flaws = Flaws(viewing.strict)
    found = read_view_folders(place, flaws)
    if found.views % viewing.views:
        hint = "set data.views to a divisor of what is there"
        raise DataFormatError(
            shown(place), "", f"{found.views} views of each", f"{viewing.views} or a multiple of it", hint
        )
    cache = PictureCache(_CACHE_BYTES)

    def views_of(objects: tuple[ViewedObject, ...]) -> ViewFiles:
        step = found.views // viewing.views
        labels = torch.tensor([one.label for one in objects], dtype=torch.int64)
        names = [shown(one.name) for one in objects]
        return ViewFiles([one.paths[::step] for one in objects], labels, viewing.size, names, cache)

    official, test = views_of(found.parts["train"]), views_of(found.parts["test"])
    source = _source(classes, place, len(found.classes), (len(official), len(test)))
    stay, aside = split_by_fraction(official.labels.numpy(), VAL_FRACTION, least=LEAST_OF_A_CLASS)
    train, val = official.subset(torch.from_numpy(stay)), official.subset(torch.from_numpy(aside))
    aside_of = "a tenth of every class's training part, two at least, for validation"
    split = f"the folder's own parts, {aside_of} (seed {SPLIT_SEED})"
    definition = definition_of(f"modelnet{classes}", (train, val, test), split, flaws)
    told = f"{viewing.views} of {found.views} pictures of each as they are, {found.size[0]} x {found.size[1]} pixels"
    return Splits(train, val, test, found.classes, f"{source}, {told}", definition)


def _source(classes: int, place: Path, found: int, sizes: tuple[int, int]) -> str:
    """The sentence on where the shapes come from; a folder of another set is refused, one of a part is told."""
    name = f"modelnet{classes}"
    if found > classes:
        hint = f"is it ModelNet{found}?" if found in OFFICIAL else "is it another collection?"
        raise DataFormatError(shown(place), "", f"{found} class folders", f"{classes} for {name}", hint)
    source = f"official layout: {name} read from {shown(place)}"
    if found < classes or sizes != OFFICIAL[classes]:
        wanted = "{:,} and {:,}".format(*OFFICIAL[classes])
        has = "{:,} and {:,}".format(*sizes)
        lacks = f"{has} models of {found} classes to train and to test with, where the set has {wanted} of {classes}"
        source += f", not the complete set: {lacks}"
        warnings.warn(source, UserWarning, stacklevel=4)
    return source
