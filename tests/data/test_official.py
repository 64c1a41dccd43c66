"""The synthetic stand-ins and the official layouts by path: form, split, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from monge import data
from monge.data.formats.idx import write_idx
from monge.data.synthetic import write_fake_cifar10, write_fake_cifar100, write_fake_mnist
from monge.errors import DataFormatError


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10", "cifar100"])
def test_synthetic_has_the_form_of_the_real_set(name: str) -> None:
    splits = data.load_images(name, "synthetic")
    assert splits.train.images.shape[1:] == ((3, 32, 32) if name.startswith("cifar") else (1, 28, 28))
    assert len(splits.classes) == (100 if name == "cifar100" else 10)
    assert splits.train.labels.unique().tolist() == list(range(len(splits.classes)))
    assert splits.source.startswith("synthetic: ")


WRITERS: dict[str, Callable[[Path], None]] = {
    "mnist": lambda folder: write_fake_mnist(folder / "MNIST" / "raw", train=200, test=50, compress=True),
    "fashion-mnist": lambda folder: write_fake_mnist(folder, train=200, test=50, joint="."),
    "cifar10": lambda folder: write_fake_cifar10(folder, edition="python", train=200, test=50),
    "cifar100": lambda folder: write_fake_cifar100(folder, edition="binary", train=1000, test=100),
}


@pytest.mark.filterwarnings("ignore:official layout")
@pytest.mark.parametrize("name", WRITERS)
def test_official_layout_by_path(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path)
    splits = data.load_images(name, str(tmp_path))
    per_class = 1 if name == "cifar100" else 2
    assert splits.val.labels.bincount().tolist() == [per_class] * len(splits.classes)
    assert len(splits.train) == 9 * len(splits.val)
    assert splits.source.startswith(f"official layout: {name} read from {tmp_path}")
    assert "val is 10 % of every class" in splits.definition
    again = data.load_images(name, str(tmp_path))
    assert torch.equal(again.val.images, splits.val.images)
    merged = torch.cat([splits.train.images, splits.val.images]).flatten(1)
    assert len(merged.unique(dim=0)) == len(merged)


def test_counts_that_are_not_the_published_ones_are_told(tmp_path: Path) -> None:
    write_fake_mnist(tmp_path, train=50, test=20)
    with pytest.warns(UserWarning, match="not the complete set: 50 and 20 of 60,000 train and 10,000 test images"):
        splits = data.load_images("mnist", str(tmp_path))
    assert "not the complete set" in splits.source


@pytest.mark.filterwarnings("ignore:official layout")
def test_digits_and_garments_are_not_taken_for_each_other(tmp_path: Path) -> None:
    write_fake_mnist(tmp_path, train=50, test=20)
    first = {"mnist": [7, 2, 1, 0, 4, 1, 4, 9, 5, 9, 0, 6, 9, 0, 1, 5, 9, 7, 3, 4]}
    first["fashion-mnist"] = [9, 2, 1, 1, 6, 1, 4, 6, 5, 7, 4, 5, 7, 3, 4, 1, 2, 4, 8, 0]
    for name, other in (("mnist", "fashion-mnist"), ("fashion-mnist", "mnist")):
        write_idx(tmp_path / "t10k-labels-idx1-ubyte", np.array(first[name], np.uint8))
        assert data.load_images(name, str(tmp_path)).test.labels.tolist() == first[name]
        with pytest.raises(DataFormatError, match=f"found the labels of {name}, expected {other}"):
            data.load_images(other, str(tmp_path))


def test_test_images_of_another_size(tmp_path: Path) -> None:
    write_fake_mnist(tmp_path, train=50, test=20)
    write_idx(tmp_path / "t10k-images-idx3-ubyte", np.zeros((20, 32, 32), np.uint8))
    with pytest.raises(DataFormatError, match=r"images of \(32, 32\), expected \(28, 28\)"):
        data.load_images("mnist", str(tmp_path))
