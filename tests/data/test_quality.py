"""Degraded images: the arithmetic, the severities, and the same bytes for ever."""

from __future__ import annotations

import hashlib
import io
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from monge import data
from monge.data import ImageSet, Splits
from monge.data.degrade import STEPS, STRENGTHS, blur, compress, degrade, jpeg_library, noise, strength
from monge.data.sources.quality import degraded_splits
from monge.data.synthetic import draw_digits, write_fake_mnist
from monge.errors import MissingExtraError, MongeError

DIGITS = draw_digits(np.arange(60) % 10)[:, 0]


def gaussian(images: NDArray[np.uint8], sigma: float) -> NDArray[np.float64]:
    """Blur by loops over a wide kernel in floating point."""
    places = np.arange(-8, 9)
    weights = np.exp(-(places**2) / (2 * sigma**2))
    weights /= weights.sum()
    padded = np.pad(images.astype(float), ((0, 0), (8, 8), (8, 8)), mode="edge")
    result = np.zeros(images.shape)
    for row, down in zip(places, weights):
        for column, across in zip(places, weights):
            shifted = padded[:, 8 + row : 36 + row, 8 + column : 36 + column]
            result += down * across * shifted
    return result


@pytest.mark.parametrize("sigma", [0.35, 0.7, 1.4])
def test_blur_is_a_gaussian_to_the_precision_of_its_weights(sigma: float) -> None:
    assert np.abs(blur(DIGITS, sigma) - gaussian(DIGITS, sigma)).max() < 3
    assert np.abs(blur(DIGITS, sigma) - gaussian(DIGITS, sigma)).mean() < 0.5


def test_blur_keeps_flat_images_and_zero_keeps_all() -> None:
    for grey in (0, 77, 255):
        flat = np.full((1, 28, 28), grey, np.uint8)
        np.testing.assert_array_equal(blur(flat, 1.3), flat)
    np.testing.assert_array_equal(blur(DIGITS, 0), DIGITS)


def test_noise_has_the_deviation_and_no_bias() -> None:
    grey = np.full((50, 28, 28), 128, np.uint8)
    for deviation in (3, 12, 25):
        added = noise(grey, deviation, np.random.RandomState(1)).astype(float) - 128
        assert abs(added.mean()) < 5 * deviation / added.size**0.5
        assert abs(added.std() / deviation - 1) < 0.02
        # The tails are those of a bell, not of a uniform noise (which ends at 1.73 deviations).
        assert 0.02 < (np.abs(added) > 2 * deviation).mean() < 0.06
    assert noise(np.full((1, 9, 9), 255, np.uint8), 25, np.random.RandomState(1)).min() < 255


def test_compression_together_is_compression_one_by_one() -> None:
    for quality in (9, 50, 85):
        together = compress(DIGITS, quality)
        for image, worse in zip(DIGITS, together):
            file = io.BytesIO()
            Image.fromarray(image).save(file, "JPEG", quality=quality)
            np.testing.assert_array_equal(np.asarray(Image.open(file)), worse)
    many = np.tile(DIGITS, (40, 1, 1))
    np.testing.assert_array_equal(compress(many, 50), np.tile(compress(DIGITS, 50), (40, 1, 1)))


def test_strengths_grow_from_severity_to_severity_and_step_to_step() -> None:
    for kind, ends in STRENGTHS.items():
        every = [strength(kind, severity, step) for severity in range(1, 5) for step in range(STEPS)]
        signed = every if kind != "compression" else [-quality for quality in every]
        assert signed == sorted(signed)
        for severity in range(1, 5):
            low, high = sorted(ends[severity - 1 : severity + 1])
            assert all(low <= strength(kind, severity, step) <= high for step in range(STEPS))


@pytest.mark.parametrize("kind", range(3))
def test_each_severity_is_further_from_the_original(kind: int) -> None:
    count, away = len(DIGITS), []
    for severity in range(5):
        ones = np.ones(count, np.int64)
        worse = degrade(DIGITS, severity * ones, kind * ones, 4 * ones, np.random.RandomState(0))
        away.append(float(np.square(worse.astype(float) - DIGITS).mean()))
    assert away[0] == 0
    assert all(later > 1.2 * before for before, later in pairwise(away[1:]))


def test_blur_and_noise_give_the_same_bytes_on_every_machine() -> None:
    """Whole numbers alone decide, so were this to change, so would every number measured on these images."""
    ramp = np.add.outer(np.arange(6) * 9, np.add.outer(np.arange(28) * 5, np.arange(28) * 3)).astype(np.uint8)
    ways = np.arange(6)
    worse = degrade(ramp, 1 + ways % 4, ways % 2, ways % STEPS, np.random.RandomState(5))
    assert hashlib.sha256(worse.tobytes()).hexdigest()[:16] == "0e28ad7ba01f658a"


def pixels(part: object) -> torch.Tensor:
    assert isinstance(part, ImageSet)
    return part.images


def test_synthetic_digits_are_degraded_evenly_and_always_alike() -> None:
    splits, clean = data.load_images("quality", "synthetic"), data.load_images("mnist", "synthetic")
    assert splits.classes == ("none", "slight", "moderate", "strong", "worst")
    assert splits.ordered
    for part, before in ((splits.train, clean.train), (splits.val, clean.val), (splits.test, clean.test)):
        assert part.labels.bincount().tolist() == [len(before) // 5] * 5
        same = (pixels(part) == pixels(before)).all(dim=(1, 2, 3))
        assert torch.equal(same, part.labels == 0)
    again = data.load_images("quality", "synthetic")
    assert torch.equal(pixels(splits.train), pixels(again.train))
    assert splits.source.startswith("synthetic: ")
    assert splits.source.endswith("degraded in 5 known severities, not a quality-assessment benchmark")
    assert jpeg_library() in splits.definition


def test_a_part_of_the_official_files_is_taken_by_garment(tmp_path: Path) -> None:
    write_fake_mnist(tmp_path, train=400, test=100)
    with pytest.warns(UserWarning, match="not the complete set"):
        splits = data.load_images("quality", str(tmp_path))
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [360, 40, 100]
    assert splits.definition.startswith("360 train / 40 val / 100 test: every part is made of the same part")
    with pytest.raises(MongeError, match="quality takes no options, found fold"):
        data.load_images("quality", str(tmp_path), fold=1)


def test_the_largest_parts_are_those_of_the_sentence() -> None:
    images = torch.zeros(24_000, 1, 2, 2, dtype=torch.uint8)
    part = ImageSet(images, torch.arange(24_000) % 10)
    splits = degraded_splits(Splits(part, part, part, tuple("0123456789"), "source", "definition"))
    assert splits.definition.startswith("20,000 train / 3,000 val / 10,000 test")


def test_it_is_fetched_with_fashion_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGE_CACHE", str(tmp_path))
    assert data.folder_of("quality") == tmp_path / "fashion-mnist"
    with pytest.raises(MongeError, match="run `monge data get fashion-mnist`"):
        data.load_images("quality")


def test_without_pillow_the_pip_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(MissingExtraError, match=r"degrading images by JPEG needs .*pip install 'monge\[train\]'"):
        compress(DIGITS, 50)
