"""From meshes to sets of views in training, validation and test parts, with a remark on each thing left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from monge.data.examples import Examples
from monge.data.formats.flaws import Flaws
from monge.data.sources.left_out import tell
from monge.data.views.cache import ViewCache
from monge.data.views.cameras import ring_cameras
from monge.data.views.settings import RenderSettings, Up, renderer_version
from monge.data.views.sources import MeshSource
from monge.data.views.view_set import ViewSet
from monge.errors import MongeError

Positions = NDArray[np.int64]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Viewing:
    """How shapes become pictures, whatever the data set.

    Args:
        size: Height and width of a view.
        views: Pictures of each shape, from all around at 30 degrees above the horizon.
        strict: Whether damaged and contradictory entries are an error, or left out, counted and told.
        jobs: Processes that render; ``None``: one for each core.
        progress: Called with the number of shapes rendered and of all, where any must be rendered.

    Raises:
        MongeError: A value of another kind.

    Example:
        >>> Viewing(size=64).told()[:30]
        '12 views of 64 x 64 pixels eac'
    """

    size: int = 64
    views: int = 12
    strict: bool = True
    jobs: int | None = None
    progress: Progress | None = None

    def __post_init__(self) -> None:
        for name, value, most in (("size", self.size, 1024), ("views", self.views, 360)):
            least = 4 if name == "size" else 1
            if type(value) is not int or not least <= value <= most:
                raise MongeError(f"found {name}={value!r}, expected a whole number from {least} to {most}")

    def told(self) -> str:
        """Number and size of the views, and what renders them."""
        return f"{self.views} views of {self.size} x {self.size} pixels each, rendered by {renderer_version()}"


def view_parts(
    sources: Sequence[MeshSource],
    labels: NDArray[np.int64],
    parts: Sequence[Positions],
    viewing: Viewing,
    *,
    up: Up,
    flaws: Flaws,
    folder: Path | None = None,
) -> list[ViewSet]:
    """Views of meshes, rendered where the view cache does not have them.

    Args:
        sources: The meshes.
        labels: Class of each, int64 ``(N,)``.
        parts: Positions of the training, validation and test meshes.
        viewing: Size and number of views.
        up: The axis of the meshes that points up.
        flaws: Takes meshes that cannot be rendered, if the viewing is not strict.
        folder: Of the view cache; ``None``: in the data cache.

    Returns:
        The parts; all share the views.

    Raises:
        DataFormatError: A mesh is bad, if the viewing is strict.
        MongeError: The cache cannot be written, or no mesh is left.
        MissingExtraError: embreex is not installed.
    """
    settings = RenderSettings(ring_cameras(viewing.views), viewing.size, up=up)
    cache = ViewCache(folder, settings)
    found = cache.fill(sources, strict=viewing.strict, jobs=viewing.jobs, progress=viewing.progress)
    for flaw in found.skipped:
        flaws.note("meshes that cannot be rendered", flaw.path, flaw.where, flaw.found, flaw.expected)
    kept = np.array(found.positions, np.int64)
    names = [sources[position].name for position in found.positions]
    whole = ViewSet(found.views[:, :, None], torch.from_numpy(labels[kept]), names)
    return [whole.subset(torch.from_numpy(np.flatnonzero(np.isin(kept, part)))) for part in parts]


def definition_of(name: str, parts: Sequence[Examples], split: str, flaws: Flaws) -> str:
    """The sentence on the parts of a data set.

    Args:
        name: Name of the data set.
        parts: Training, validation and test.
        split: How they were made.
        flaws: What was left out.

    Raises:
        MongeError: A part is empty.

    Warns:
        UserWarning: Entries were left out.
    """
    for called, part in zip(("training", "validation", "test"), parts, strict=True):
        if not len(part):
            raise MongeError(f"{name}: the {called} part is empty ({split}): there are too few shapes")
    tell(name, flaws)
    sizes = "{:,} train / {:,} val / {:,} test".format(*map(len, parts))
    return "; ".join([f"{sizes}: {split}", *(f"left out {entries}" for entries in flaws.told())])
