"""3D shapes by name, as sets of views: packaged furniture and parts, ModelNet in a folder, solids that are made up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from monge.data.cache import workspace
from monge.data.examples import Examples, Splits
from monge.data.formats.flaws import Flaws
from monge.data.formats.modelnet import read_modelnet
from monge.data.sources.furniture_views import load_furniture
from monge.data.sources.kicad_views import load_kicad
from monge.data.sources.modelnet_views import load_modelnet, render_modelnet
from monge.data.sources.own_meshes import OWN_MESHES, load_own_meshes
from monge.data.sources.registry import SHAPES, folder_of
from monge.data.sources.rendered import Progress, Viewing
from monge.data.synthetic.shape_layouts import write_fake_modelnet
from monge.data.views.settings import Up
from monge.data.views.view_set import ViewSet
from monge.errors import MongeError

_MODELNETS = {"modelnet10": 10, "modelnet40": 40}
_SYNTHETIC = {"classes": 5, "train": 10, "test": 4}


def load_shapes(
    name: str,
    source: str = "packaged",
    *,
    size: int = 64,
    views: int = 12,
    split: Literal["model", "author"] | None = None,
    per_class: int | None = None,
    up: Up | None = None,
    strict: bool = True,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Splits:
    """Loads 3D shapes as pictures from several sides; never another data set than asked for.

    Each mesh is rendered once for a size and number of views; the pictures stay in the data cache, also those of a run
    that was stopped halfway.

    Args:
        name: ``"furniture"``, ``"kicad"``, ``"modelnet10"``, ``"modelnet40"``, or ``"meshes"`` for one's own.
        source: ``"packaged"`` (fetched before, furniture and kicad alone), ``"synthetic"`` (solids of a few classes),
            or the path of the data: a folder with the five libraries of furniture, one with those of KiCad, one of
            ModelNet with OFF files or with pictures of views, or one with a folder of meshes for each class.
        size: Height and width of a view.
        views: Pictures of each shape, from all around at 30 degrees above the horizon.
        split: Of furniture alone, ``"model"`` (the default) or ``"author"``, which holds whole authors out.
        per_class: Of kicad alone, at most so many models of each class, its families taking turns; ``None``: all.
        up: Of one's own meshes alone, the axis of them that points up; ``None``: z, as for ``monge render``.
        strict: Whether damaged and contradictory entries are an error, or left out, counted and told.
        jobs: Processes that render; ``None``: one for each core. A script that is run by itself needs
            ``if __name__ == "__main__":`` around its work, or ``jobs=1``.
        progress: Called with the number of shapes rendered and of all, where any must be rendered.

    Returns:
        Three sets of views, grey ``(V, 1, size, size)`` or from pictures ``(V, 3, size, size)``, with sentences on
        their source and split.

    Raises:
        DataFormatError: A file that is not good; one line that names the place.
        MongeError: Unknown name or option, not fetched yet, or no package has it.
        MissingExtraError: embreex is not installed.

    Warns:
        UserWarning: A folder does not hold the complete set, or entries were left out.

    Example:
        >>> splits = load_shapes("furniture", "synthetic", size=16, views=3)
        >>> splits.train.shape, splits.test.inputs([0, 1]).shape, splits.classes[:3]
        ((3, 1, 16, 16), torch.Size([2, 3, 1, 16, 16]), ('bathtub', 'bed', 'chair'))
    """
    if name not in SHAPES:
        raise MongeError(f"no shapes are called {name!r}, expected one of {', '.join(SHAPES)}")
    if split not in (None, "model", "author"):
        raise MongeError(f"data.split: found {split!r}, expected model or author")
    if split is not None and name != "furniture":
        raise MongeError(f"data.split: {name} leaves no such choice; leave it out")
    if per_class is not None and (name != "kicad" or type(per_class) is not int or per_class < 1):
        found = (
            f"{name} leaves no such choice; leave it out"
            if name != "kicad"
            else f"found {per_class!r}, expected 1 or more"
        )
        raise MongeError(f"data.per_class: {found}")
    if up is not None and name != OWN_MESHES:
        raise MongeError(f"data.up: {name} leaves no such choice; leave it out")
    viewing = Viewing(size, views, strict, jobs, progress)
    if source == "synthetic":
        return _synthetic(viewing)
    if name == "furniture":
        return load_furniture(None if source == "packaged" else source, split or "model", viewing)
    if name == "kicad":
        return load_kicad(None if source == "packaged" else source, viewing, per_class)
    # No package has it; to ask for its folder says so, and where it is to be had.
    folder = folder_of(name) if source == "packaged" else Path(source).expanduser()
    if name == OWN_MESHES:
        return load_own_meshes(folder, viewing, up or "z")
    return load_modelnet(_MODELNETS[name], folder, viewing)


def _synthetic(viewing: Viewing) -> Splits:
    """Solids that are written in ModelNet's layout, read by its reader and rendered; nothing of it stays on disk."""
    flaws = Flaws(strict=True)
    with workspace() as work:
        write_fake_modelnet(work, **_SYNTHETIC)
        listed = read_modelnet(work, flaws, val_fraction=0.3)
        told = f"synthetic: solids of {len(listed.classes)} made-up classes, not a published data set"
        quick = replace(viewing, jobs=1, progress=None)
        splits = render_modelnet("solids", listed, quick, told, flaws, cache=work / "views")
        train, val, test = (_in_memory(part) for part in (splits.train, splits.val, splits.test))
    return replace(splits, train=train, val=val, test=test)


def _in_memory(part: Examples) -> ViewSet:
    """The same examples without the file that their views are mapped from."""
    assert isinstance(part, ViewSet)  # said for the type checker: meshes were rendered
    return ViewSet(part.inputs(range(len(part))), part.labels, part.names)
