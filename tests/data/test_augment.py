"""Augmentation: set by the generator alone, one draw an image, and each does what its name says."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from monge.data.augment import AUGMENTATIONS, STATISTICS, augment, normalize
from monge.data.synthetic import synthetic_splits


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(64, 3, 16, 24, generator=generator(1))


@pytest.mark.parametrize("names", [[name] for name in AUGMENTATIONS] + [list(AUGMENTATIONS), []])
def test_depends_on_the_generator_alone_and_keeps_the_form(images: Tensor, names: list[str]) -> None:
    before = images.clone()
    torch.manual_seed(1)
    first = augment(images, names, generator())
    torch.manual_seed(2)
    assert torch.equal(first, augment(images, names, generator()))
    assert torch.equal(images, before)
    assert first.shape == images.shape
    for dtype in (torch.float64, torch.bfloat16, torch.float16):
        other = augment(images.to(dtype), names, generator())
        assert other.dtype == dtype
        torch.testing.assert_close(other.float(), first, atol=0.02, rtol=0.02)
    if names:
        assert not torch.equal(first, augment(images, names, generator(3)))


def test_flip_mirrors_about_half_of_the_images(images: Tensor) -> None:
    flipped = augment(images, ["flip"], generator())
    mirrored = [torch.equal(new, old.flip(-1)) for new, old in zip(flipped, images, strict=True)]
    same = [torch.equal(new, old) for new, old in zip(flipped, images, strict=True)]
    assert all(a != b for a, b in zip(mirrored, same, strict=True))
    assert 16 < sum(mirrored) < 48


def test_shift_is_a_crop_of_the_padded_image(images: Tensor) -> None:
    """Each result equals one of the possible crops, found by trying all, and all offsets occur."""
    pad_y, pad_x = 2, 3
    padded = torch.nn.functional.pad(images, (pad_x, pad_x, pad_y, pad_y))
    found = set()
    for new, old in zip(augment(images, ["shift"], generator()), padded, strict=True):
        crops = {
            (y, x)
            for y in range(2 * pad_y + 1)
            for x in range(2 * pad_x + 1)
            if torch.equal(new, old[:, y : y + 16, x : x + 24])
        }
        assert len(crops) == 1
        found |= crops
    assert {y for y, _ in found} == set(range(5))
    assert {x for _, x in found} == set(range(7))


def test_affine_moves_little_and_keeps_the_middle() -> None:
    digits = synthetic_splits(counts=(200, 10, 10)).train.images.float() / 255
    moved = augment(digits, ["affine"], generator())
    assert 0.8 < float(moved.sum() / digits.sum()) < 1.2
    assert float((moved - digits).abs().mean()) < float((digits.roll(1, 0) - digits).abs().mean())
    spot = torch.zeros(8, 1, 15, 15)
    spot[:, :, 6:9, 6:9] = 1
    torch.testing.assert_close(augment(spot, ["affine"], generator())[:, :, 7, 7], torch.ones(8, 1))


@pytest.fixture
def strokes() -> Tensor:
    """A bright cross on a ground of zeros, many times over."""
    images = torch.zeros(40, 1, 48, 48)
    images[:, :, 22:26, 6:42] = 1
    images[:, :, 6:42, 22:26] = 1
    return images


def test_jitter_bends_strokes_without_losing_them(strokes: Tensor) -> None:
    bent = augment(strokes, ["stroke_jitter"], generator())
    ratio = bent.sum((1, 2, 3)) / strokes.sum((1, 2, 3))
    assert float(ratio.min()) > 0.7
    assert float(ratio.max()) < 1.4
    overlap = (bent * strokes).sum((1, 2, 3)) / bent.sum((1, 2, 3))
    assert 0.3 < float(overlap.mean()) < 0.95


def test_width_adds_at_most_a_pixel_and_takes_at_most_half_of_one(strokes: Tensor) -> None:
    changed = augment(strokes, ["stroke_width"], generator())
    across = changed[:, 0, :, 10].sum(1)  # a stroke that was four pixels wide
    assert 3 <= float(across.min()) < 3.5
    assert 5.5 < float(across.max()) <= 6
    wider = across > 4
    assert torch.equal(changed[wider] >= strokes[wider], torch.ones_like(changed[wider], dtype=torch.bool))
    assert torch.equal(changed[~wider] <= strokes[~wider], torch.ones_like(changed[~wider], dtype=torch.bool))


def test_dropout_takes_patches_away_and_adds_nothing(strokes: Tensor) -> None:
    left = augment(strokes, ["stroke_dropout"], generator())
    assert bool((left <= strokes).all())
    lost = 1 - left.sum((1, 2, 3)) / strokes.sum((1, 2, 3))
    assert 0.01 < float(lost.mean()) < 0.2
    assert float(lost.max()) > 0.1
    # Where something is gone it is gone from a patch, not from single pixels.
    gone = left[:, 0, 24, 6:42] < 0.3
    assert int((gone[:, 1:] & gone[:, :-1]).sum()) > 0.5 * int(gone.sum())


def test_wrong_names_and_images_are_refused(images: Tensor) -> None:
    with pytest.raises(ValueError, match="unknown augmentation 'rotate', expected one of shift, flip, affine"):
        augment(images, ["rotate"], generator())
    for bad in (images[0], (images * 255).byte()):
        with pytest.raises(ValueError, match="floating point"):
            augment(bad, ["flip"], generator())


def test_normalize_gives_zero_mean_and_unit_deviation() -> None:
    images = torch.randint(0, 256, (500, 3, 8, 8), dtype=torch.uint8, generator=generator())
    values = images.float() / 255
    mean, std = values.mean((0, 2, 3)).tolist(), values.std((0, 2, 3)).tolist()
    result = normalize(images, mean, std)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(result.std((0, 2, 3)), torch.ones(3))
    torch.testing.assert_close(normalize(values, mean, std), result)
    assert normalize(values.double(), mean, std).dtype == torch.float64


def test_statistics_fit_the_channels_and_bad_ones_are_refused() -> None:
    for name, (mean, std) in STATISTICS.items():
        channels = 3 if name.startswith("cifar") else 1
        assert normalize(torch.zeros(1, channels, 2, 2), mean, std).shape == (1, channels, 2, 2)
    for mean, std in (([0.5], [0.5]), ([0.0] * 3, [1.0, 1.0, 0.0])):
        with pytest.raises(ValueError, match="means and positive deviations"):
            normalize(torch.zeros(1, 3, 2, 2), mean, std)
