"""Batched augmentation that depends on nothing but the images and a generator, and normalisation by data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

# Mean and standard deviation of each channel of the training images in [0, 1].
STATISTICS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "mnist": ((0.1307,), (0.3081,)),
    "fashion-mnist": ((0.2860,), (0.3530,)),
    "quality": ((0.2909,), (0.3430,)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
}
_MAX_TURN = 10 * torch.pi / 180
_MAX_ZOOM = 0.1
_MAX_SHEAR = 0.1
# Of drawings: how far a stroke strays, in units where the picture is 2 wide, and how many knots its path has.
_BEND, _TREMOR = 0.07, 0.02
_BEND_KNOTS, _TREMOR_KNOTS = 4, 10
# The pen skips where a smooth random field is above a height drawn from this range: 1 to 15 % of the picture.
_SKIPS_ABOVE = (1.0, 2.3)
_SKIP_KNOTS = 7


def augment(images: Tensor, names: Sequence[str], generator: torch.Generator) -> Tensor:
    """Applies augmentations by name, in the given order, each image with draws of its own.

    * ``"shift"``: a random crop after padding with zeros by an eighth of the side, so a move of up to that far;
    * ``"flip"``: left and right swapped with probability 1/2;
    * ``"affine"``: turned by up to 10 degrees, scaled by up to 10 % and sheared by up to 0.1, bilinear, zeros outside.

    Three are for drawings, whose ink is bright on a ground of zeros, and make clean ones look drawn by hand:

    * ``"stroke_jitter"``: points stray along smooth random fields, one of slow bends and one of a fine tremor;
    * ``"stroke_width"``: strokes get wider by up to a pixel on each side, or thinner by up to half as much;
    * ``"stroke_dropout"``: patches with soft edges, here and there, in which nothing is drawn.

    Zeros fill what comes in from outside, so apply it before :func:`normalize`.

    Args:
        images: Floating point ``(B, C, H, W)``.
        names: Which ones, in order; an empty sequence gives the images back.
        generator: Source of all randomness; may live on another device than the images.

    Returns:
        Tensor of the same shape, dtype and device.

    Raises:
        ValueError: An unknown name, or images of another shape or kind.

    Example:
        >>> images = torch.rand(2, 1, 28, 28)
        >>> first = augment(images, ["shift", "flip"], torch.Generator().manual_seed(0))
        >>> torch.equal(first, augment(images, ["shift", "flip"], torch.Generator().manual_seed(0)))
        True
    """
    if images.ndim != 4 or not images.is_floating_point():
        raise ValueError(f"images must be floating point (B, C, H, W), got {images.dtype} {tuple(images.shape)}")
    for name in names:
        if name not in AUGMENTATIONS:
            raise ValueError(f"unknown augmentation {name!r}, expected one of {', '.join(AUGMENTATIONS)}")
        images = AUGMENTATIONS[name](images, generator)
    return images


def some_views(views: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draws some of the views of each object, without repeats, in their order.

    Args:
        views: ``(B, V, C, H, W)``.
        count: How many to keep; all where there are no more.
        generator: Source of all randomness; may live on another device than the views.

    Returns:
        ``(B, count, C, H, W)``.

    Example:
        >>> some_views(torch.zeros(2, 12, 1, 8, 8), 4, torch.Generator().manual_seed(0)).shape
        torch.Size([2, 4, 1, 8, 8])
    """
    draws = torch.rand(views.shape[:2], generator=generator, device=generator.device)
    kept = draws.argsort(1)[:, :count].sort(1).values.to(views.device)  # (B, count)
    return views[torch.arange(len(views), device=views.device)[:, None], kept]


def normalize(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Subtracts the mean and divides by the standard deviation of each channel.

    Args:
        images: ``(B, C, H, W)``, uint8, or floating point in [0, 1].
        mean: One number for each channel, for values in [0, 1].
        std: One positive number for each channel.

    Returns:
        Floating point of the same shape; float32 for uint8.

    Raises:
        ValueError: Another number of channels, or a standard deviation that is not positive.

    Example:
        >>> normalize(torch.full((1, 1, 2, 2), 255, dtype=torch.uint8), [0.5], [0.25]).unique()
        tensor([2.])
    """
    if len(mean) != images.shape[1] or len(std) != images.shape[1] or min(std) <= 0:
        raise ValueError(f"need {images.shape[1]} means and positive deviations, got {list(mean)} and {list(std)}")
    values = images if images.is_floating_point() else images.float() / 255
    centre, scale = (torch.tensor(list(part), dtype=values.dtype, device=values.device) for part in (mean, std))
    return (values - centre[:, None, None]) / scale[:, None, None]


def _uniform(count: int, bound: float, images: Tensor, generator: torch.Generator) -> Tensor:
    """``(count, B)`` draws from [-bound, bound], on the images' device whatever the generator's."""
    draws = torch.rand(count, len(images), generator=generator, device=generator.device)
    return ((2 * draws - 1) * bound).to(images.device)


def _shift(images: Tensor, generator: torch.Generator) -> Tensor:
    batch, _, height, width = images.shape
    pads = (max(1, height // 8), max(1, width // 8))
    device = generator.device
    top, left = (
        torch.randint(0, 2 * pad + 1, (batch,), generator=generator, device=device).to(images.device) for pad in pads
    )
    padded = F.pad(images, (pads[1], pads[1], pads[0], pads[0]))
    rows = top[:, None] + torch.arange(height, device=images.device)  # (B, H)
    columns = left[:, None] + torch.arange(width, device=images.device)  # (B, W)
    which = torch.arange(batch, device=images.device)[:, None, None]
    # Indexing around the channel axis puts it last: (B, H, W, C).
    return padded[which, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


def _flip(images: Tensor, generator: torch.Generator) -> Tensor:
    flipped = _uniform(1, 1.0, images, generator)[0] < 0
    return torch.where(flipped[:, None, None, None], images.flip(-1), images)


def _affine(images: Tensor, generator: torch.Generator) -> Tensor:
    turn, zoom, shear = _uniform(3, 1.0, images, generator)
    turn, zoom, shear = turn * _MAX_TURN, 1 + zoom * _MAX_ZOOM, shear * _MAX_SHEAR
    matrix = images.new_zeros(len(images), 2, 3, dtype=torch.float32)
    matrix[:, 0, 0], matrix[:, 0, 1] = turn.cos() * zoom, shear - turn.sin() * zoom
    matrix[:, 1, 0], matrix[:, 1, 1] = turn.sin() * zoom, turn.cos() * zoom
    # Half precision would place the samples a good part of a pixel off.
    work = images if images.dtype == torch.float64 else images.float()
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False).to(work.dtype)
    return F.grid_sample(work, grid, mode="bilinear", padding_mode="zeros", align_corners=False).to(images.dtype)


def _stroke_jitter(images: Tensor, generator: torch.Generator) -> Tensor:
    bend, tremor = (_field(images, 2, knots, generator) for knots in (_BEND_KNOTS, _TREMOR_KNOTS))
    strays = (_BEND * bend + _TREMOR * tremor).permute(0, 2, 3, 1)  # (B, H, W, 2)
    work = images if images.dtype == torch.float64 else images.float()
    still = torch.eye(2, 3, device=images.device, dtype=work.dtype).expand(len(images), 2, 3)
    grid = F.affine_grid(still, list(images.shape), align_corners=False) + strays.to(work.dtype)
    return F.grid_sample(work, grid, mode="bilinear", padding_mode="zeros", align_corners=False).to(images.dtype)


def _field(images: Tensor, channels: int, knots: int, generator: torch.Generator) -> Tensor:
    """Smooth normal noise ``(B, channels, H, W)`` of unit variance at a grid of knots."""
    coarse = torch.randn(len(images), channels, knots, knots, generator=generator, device=generator.device)
    return F.interpolate(coarse.to(images.device), images.shape[-2:], mode="bicubic", align_corners=True)


def _stroke_width(images: Tensor, generator: torch.Generator) -> Tensor:
    change = _uniform(1, 1.0, images, generator)[0][:, None, None, None].to(images.dtype)
    wider = F.max_pool2d(images, 3, stride=1, padding=1)
    thinner = -F.max_pool2d(-images, 3, stride=1, padding=1)
    return torch.where(change > 0, images + change * (wider - images), images + 0.5 * change * (images - thinner))


def _stroke_dropout(images: Tensor, generator: torch.Generator) -> Tensor:
    seldom = (_uniform(1, 0.5, images, generator)[0] + 0.5)[:, None, None, None]  # (B, 1, 1, 1)
    low, high = _SKIPS_ABOVE
    field = _field(images, 1, _SKIP_KNOTS, generator)  # (B, 1, H, W)
    skipped = ((field - low - (high - low) * seldom) * 6).sigmoid()
    return images * (1 - skipped).to(images.dtype)


AUGMENTATIONS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "shift": _shift,
    "flip": _flip,
    "affine": _affine,
    "stroke_jitter": _stroke_jitter,
    "stroke_width": _stroke_width,
    "stroke_dropout": _stroke_dropout,
}
