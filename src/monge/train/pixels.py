"""Pictures as networks take them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from monge.data.augment import augment, some_views
from monge.errors import RecipeError
from monge.recipes.picture_data import NormalizeSection


class Pixels(nn.Module):
    """Float images of uint8 ones: scaled to [0, 1], resized, augmented, normalised; views of an object all alike.

    Args:
        normalize: Mean and standard deviation of the pixels.
        augment: Names of augmentations.
        image_size: Height and width to resize to; ``None``: as they come.
        background: Grey level from 0 to 255 that pixels of 0 get, where a renderer leaves these behind an object.
        train_views: How many views, drawn anew each time, stay of an object in training; ``None``: all.

    Example:
        >>> pixels = Pixels(NormalizeSection(mean=(0.5,), std=(0.5,)), image_size=4)
        >>> pixels(torch.zeros(2, 1, 8, 8, dtype=torch.uint8))[0, 0, 0]
        tensor([-1., -1., -1., -1.])
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        normalize: NormalizeSection,
        augment: Sequence[str] = (),
        image_size: int | None = None,
        *,
        background: int = 0,
        train_views: int | None = None,
    ) -> None:
        super().__init__()
        self.augment, self.image_size = tuple(augment), image_size
        self.background, self.train_views = background / 255, train_views
        self.register_buffer("mean", _per_channel(normalize.mean), persistent=False)
        self.register_buffer("std", _per_channel(normalize.std), persistent=False)

    def forward(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Float images or views.

        Args:
            images: uint8 (B, C, H, W), or views (B, V, C, H, W).
            generator: Random numbers of the augmentation and of the views that stay; none: no augmentation, all views.
        """
        if generator is not None and self.train_views is not None:
            images = some_views(images, self.train_views, generator)
        # The views of an object stand behind each other like channels, so that it is moved and turned as a whole.
        x = images.flatten(1, -3).to(torch.float32) / 255
        if self.background:
            x = x.masked_fill(x == 0, self.background)
        if self.image_size is not None and images.shape[-2:] != (self.image_size, self.image_size):
            x = nn.functional.interpolate(x, (self.image_size, self.image_size), mode="bilinear", antialias=True)
        if generator is not None and self.augment:
            # What comes in from outside is 0.
            x = augment(x - self.background, self.augment, generator) + self.background
        return (x.reshape(*images.shape[:-2], *x.shape[-2:]) - self.mean) / self.std

    def shape_of(self, shape: tuple[int, ...], path: str = "data") -> tuple[int, ...]:
        """Shape of one input as the network gets it.

        Args:
            shape: As the data have it, (C, H, W) or (V, C, H, W).
            path: Section of the recipe that these settings stand in, for errors.

        Raises:
            RecipeError: The settings do not fit such pictures.
        """
        *views, channels, height, width = shape
        for key, values in (("mean", self.mean), ("std", self.std)):
            if values.numel() not in (1, channels):
                found = f"{path}.normalize.{key}: found {values.numel()} numbers"
                wanted = f"1 or {channels} numbers" if channels > 1 else "1 number"
                raise RecipeError(f"{found}, expected {wanted} for these images")
        if self.image_size is None and height != width:
            raise RecipeError(
                f"data.image_size: missing, and the images are {height} x {width}: networks here take squares"
            )
        return (*views, channels, self.image_size or height, self.image_size or width)


class DrawnViews(nn.Module):
    """Vectors of views as they are, in training of some of the views alone.

    Args:
        train_views: How many views, drawn anew each time, stay of an object in training; ``None``: all.

    Example:
        >>> DrawnViews(4)(torch.zeros(2, 12, 8), torch.Generator().manual_seed(0)).shape
        torch.Size([2, 4, 8])
    """

    def __init__(self, train_views: int | None = None) -> None:
        super().__init__()
        self.train_views = train_views

    def forward(self, vectors: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Float vectors (B, V, F).

        Args:
            vectors: float32 (B, V, F).
            generator: Random numbers of the draw; none: all views.
        """
        if generator is None or self.train_views is None:
            return vectors
        return some_views(vectors, self.train_views, generator)

    def shape_of(self, shape: tuple[int, ...], path: str = "data") -> tuple[int, ...]:
        """Shape of one input out of training, which is that of the data.

        Args:
            shape: (V, F).
            path: Section of the recipe that these settings stand in.
        """
        return shape


def _per_channel(values: tuple[float, ...]) -> Tensor:
    """Values that broadcast over images (B, C, H, W)."""
    return torch.tensor(values).reshape(1, -1, 1, 1)
