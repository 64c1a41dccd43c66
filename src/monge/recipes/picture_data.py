"""How pictures become inputs of a network, and the ``data:`` sections that are about pictures."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat

from monge.recipes.section import Floats, Section

Augmentation = Literal["shift", "flip", "affine", "stroke_jitter", "stroke_width", "stroke_dropout"]
"""Names of `monge.data.augment.AUGMENTATIONS`."""


class NormalizeSection(Section):
    """Subtracted from and divided into pixel values in [0, 1]; one number a channel, or one for all."""

    mean: Floats = (0.0,)
    std: Annotated[tuple[PositiveFloat, ...], Field(strict=False, min_length=1)] = (1.0,)


class PictureData(Section):
    """What images and views of shapes share.

    Attributes:
        name: Name of the data set.
        source: ``"packaged"``, ``"synthetic"`` or the path of the official files.
        image_size: Height and width of a picture; unset: as they come.
        normalize: Pixel scaling.
        augment: Training augmentations of `monge.data.augment`, applied in this order, to all views of a shape alike.
    """

    name: str
    source: str = "packaged"
    image_size: Annotated[int, Field(ge=4, le=1024)] | None = None
    normalize: NormalizeSection = NormalizeSection()
    augment: Annotated[tuple[Augmentation, ...], Field(strict=False)] = ()


class SideSection(Section):
    """How the pictures of one of two modalities become inputs.

    Attributes:
        normalize: Pixel scaling.
        augment: Training augmentations of `monge.data.augment`, applied in this order, to all views of a shape alike.
    """

    normalize: NormalizeSection = NormalizeSection()
    augment: Annotated[tuple[Augmentation, ...], Field(strict=False)] = ()
