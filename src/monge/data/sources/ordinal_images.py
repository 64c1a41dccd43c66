"""Pictures with ordered classes that users hold on disk, by name; the synthetic ones are written and read like them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from monge.data.cache import workspace
from monge.data.examples import Splits
from monge.data.formats.sniff import shown
from monge.data.sources.aesthetics import list_aadb, list_ava
from monge.data.sources.listed_images import Listing, Reading, check_options, into_memory, listing_to_splits
from monge.data.sources.ordinal_faces import list_adience, list_fgnet, list_images_of_groups, list_utkface
from monge.data.synthetic.ordinal_layouts import (
    write_fake_aadb,
    write_fake_adience,
    write_fake_ava,
    write_fake_fgnet,
    write_fake_images_of_groups,
    write_fake_utkface,
)


@dataclass(frozen=True)
class OrdinalImages:
    """One of these data sets.

    Args:
        listed: Lists its pictures, given the folder, a collection of flaws and the data set's own options.
        written: Writes drawings in its layout into a folder.
    """

    listed: Callable[..., Listing]
    written: Callable[[Path], None]

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the options it takes, its own first."""
        own = list(inspect.signature(self.listed).parameters)[2:]
        return (*own, *(field.name for field in fields(Reading)))


ORDINAL_IMAGES: Mapping[str, OrdinalImages] = {
    "adience": OrdinalImages(list_adience, write_fake_adience),
    "images-of-groups": OrdinalImages(list_images_of_groups, write_fake_images_of_groups),
    "aadb": OrdinalImages(list_aadb, write_fake_aadb),
    "ava": OrdinalImages(list_ava, write_fake_ava),
    "fg-net": OrdinalImages(list_fgnet, write_fake_fgnet),
    "utkface": OrdinalImages(list_utkface, write_fake_utkface),
}
"""The data sets by the names that `monge.data.load_images` takes."""


def load_ordinal_images(name: str, data: str, options: Mapping[str, Any]) -> Splits:
    """Loads one of `ORDINAL_IMAGES`.

    Args:
        name: Its name.
        data: ``"synthetic"``, or the path of a folder in its layout.
        options: ``size``, ``strict`` and ``cache_bytes``, see :class:`~monge.data.sources.listed_images.Reading`, and
            those of the data set: see the functions in `monge.data.sources.ordinal_faces` and
            `monge.data.sources.aesthetics`.

    Returns:
        Splits with ordered classes and their positions. Pictures of a folder are decoded when they are wanted;
        synthetic ones are in memory, and their files gone.

    Raises:
        MongeError: An unknown option or value, or bad files.

    Warns:
        UserWarning: The folder does not hold the complete set, or entries were left out.

    Example:
        >>> splits = load_ordinal_images("adience", "synthetic", {"size": 32, "fold": 2})
        >>> splits.test.shape, splits.classes[-1], splits.positions[:3]
        ((3, 32, 32), '60-100', (1.0, 5.0, 10.0))
    """
    source = ORDINAL_IMAGES[name]
    check_options(name, source.options, options)
    reading = Reading(**{field.name: options[field.name] for field in fields(Reading) if field.name in options})
    own = {option: value for option, value in options.items() if not hasattr(reading, option)}
    flaws = reading.flaws()
    if data != "synthetic":
        folder = Path(data).expanduser()
        return listing_to_splits(name, source.listed(folder, flaws, **own), reading, flaws, shown(folder))
    with workspace() as work:
        source.written(work)
        splits = listing_to_splits(name, source.listed(work, flaws, **own), reading, flaws, "drawings", told=False)
        told = f"synthetic: drawings in the layout of {name}, read by the same reader; not a published data set"
        return into_memory(splits, told)
