"""The four data sets in the layouts of their makers, from a folder that the user names."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from monge.data.examples import Splits
from monge.data.formats.cifar import read_cifar
from monge.data.formats.idx import read_idx_pair
from monge.data.formats.mnist_files import find_mnist_files
from monge.data.images import ImageSet
from monge.data.splits import SPLIT_SEED, split_by_fraction
from monge.errors import DataFormatError

VAL_FRACTION = 0.1
# How the test labels begin: the two data sets have files of the same names and sizes, so only content tells them apart.
_FIRST_TEST_LABELS = {"mnist": "72104149590690159734", "fashion-mnist": "92116146574573412480"}

DIGITS = tuple("0123456789")
GARMENTS = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


def load_idx_folder(folder: Path, name: str, source: str) -> Splits:
    """Reads MNIST or Fashion-MNIST from its four IDX files.

    Args:
        folder: Where they are; see :func:`~monge.data.formats.mnist_files.find_mnist_files`.
        name: ``"mnist"`` or ``"fashion-mnist"``.
        source: The sentence on where the data come from.

    Raises:
        DataFormatError: Files are missing or bad, or are those of the other of the two.
    """
    files = find_mnist_files(folder, prefer="MNIST" if name == "mnist" else "FashionMNIST")
    train, test = (
        read_idx_pair(files.train_images, files.train_labels),
        read_idx_pair(files.test_images, files.test_labels),
    )
    begins = "".join(str(label) for label in test[1][:20])
    for other, first in _FIRST_TEST_LABELS.items():
        if other != name and begins == first:
            raise DataFormatError(files.test_labels, "byte 8", f"the labels of {other}", name, f"is {other} meant?")
    classes = DIGITS if name == "mnist" else GARMENTS
    images, test_images = train[0][:, None], test[0][:, None]
    if images.shape[1:] != test_images.shape[1:]:
        found, expected = f"images of {test[0].shape[1:]}", f"{train[0].shape[1:]} as in training"
        raise DataFormatError(files.test_images, "byte 8", found, expected, "files of different sets")
    return _split((images, train[1]), (test_images, test[1]), (60_000, 10_000), classes, source)


def load_cifar_folder(folder: Path, num_classes: int, source: str) -> Splits:
    """Reads CIFAR-10 or CIFAR-100 from its official folder.

    Args:
        folder: Where it is; see :func:`~monge.data.formats.cifar_files.find_cifar`.
        num_classes: 10 or 100.
        source: The sentence on where the data come from; the edition is added.

    Raises:
        DataFormatError: Files are missing or bad.
    """
    cifar = read_cifar(folder, num_classes)
    train, test = (cifar.train_images, cifar.train_labels), (cifar.test_images, cifar.test_labels)
    return _split(train, test, (50_000, 10_000), cifar.classes, f"{source} ({cifar.edition} edition)")


def _split(
    train: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    test: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    published: tuple[int, int],
    classes: tuple[str, ...],
    source: str,
) -> Splits:
    """Takes validation out of training and says so; warns where the counts are not the published ones."""
    counts = (len(train[1]), len(test[1]))
    if counts != published:
        wanted = "{:,} train and {:,} test images".format(*published)
        source = "{}, not the complete set: {:,} and {:,} of {}".format(source, *counts, wanted)
        warnings.warn(source, UserWarning, stacklevel=4)
    stay, aside = split_by_fraction(train[1], VAL_FRACTION)
    sizes = f"{len(stay):,} train / {len(aside):,} val / {counts[1]:,} test"
    how = f"val is 10 % of every class of the official training part (fixed draw, seed {SPLIT_SEED})"
    whole = _image_set(*train)
    return Splits(
        train=whole.subset(torch.from_numpy(stay)),
        val=whole.subset(torch.from_numpy(aside)),
        test=_image_set(*test),
        classes=classes,
        source=source,
        definition=f"{sizes}: {how}",
    )


def _image_set(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> ImageSet:
    return ImageSet(torch.from_numpy(images), torch.from_numpy(labels).long())
