"""CIFAR in both editions: what was written is read, and each kind of bad folder or file is refused."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torchvision.datasets import CIFAR10, CIFAR100

from monge.data.formats.cifar import CIFAR10_CLASSES, read_cifar, read_cifar_pickle, read_cifar_records
from monge.data.synthetic import draw_digits, write_fake_cifar10, write_fake_cifar100
from monge.errors import DataFormatError

EDITIONS = ["binary", "python"]


@pytest.mark.parametrize("edition", EDITIONS)
def test_cifar10_reads_back_with_planes_in_order(tmp_path: Path, edition: str) -> None:
    write_fake_cifar10(tmp_path, edition=edition, train=50, test=20, seed=3)
    cifar = read_cifar(tmp_path, 10)
    assert cifar.edition == edition
    assert cifar.train_images.shape == (50, 3, 32, 32)
    assert cifar.test_images.dtype == cifar.test_labels.dtype == np.uint8
    assert cifar.classes == tuple("0123456789")
    assert np.bincount(cifar.test_labels).tolist() == [2] * 10
    # The second batch was drawn with the seed after the first one's.
    np.testing.assert_array_equal(
        cifar.train_images[10:20], draw_digits(cifar.train_labels[10:20], size=32, channels=3, seed=4)
    )
    assert cifar.train_images.flags.writeable
    assert cifar.test_images.flags.writeable


@pytest.mark.parametrize("edition", EDITIONS)
def test_cifar100_uses_the_fine_labels(tmp_path: Path, edition: str) -> None:
    write_fake_cifar100(tmp_path, edition=edition, train=100, test=100)
    cifar = read_cifar(tmp_path, 100)
    assert sorted(cifar.train_labels.tolist()) == list(range(100))
    assert cifar.classes[7] == "07"


@pytest.mark.parametrize(("classes", "reader"), [(10, CIFAR10), (100, CIFAR100)])
def test_torchvision_reads_the_same_python_edition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, classes: int, reader: Any
) -> None:
    """A reader that nobody here wrote agrees on pixels, planes and labels; only its checksums are switched off."""
    write = write_fake_cifar10 if classes == 10 else write_fake_cifar100
    write(tmp_path, edition="python", train=100, test=100)
    monkeypatch.setattr(reader, "_check_integrity", lambda self: True)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda path, md5=None: True)
    ours = read_cifar(tmp_path, classes)
    train, test = reader(str(tmp_path), train=True), reader(str(tmp_path), train=False)
    np.testing.assert_array_equal(train.data, ours.train_images.transpose(0, 2, 3, 1))
    assert train.targets == ours.train_labels.tolist()
    assert test.targets == ours.test_labels.tolist()


def test_both_editions_hold_the_same_and_the_binary_one_is_read(tmp_path: Path) -> None:
    for edition in EDITIONS:
        write_fake_cifar10(tmp_path, edition=edition, train=20, test=10)
    both = read_cifar(tmp_path, 10)
    assert both.edition == "binary"
    other = read_cifar(tmp_path / "cifar-10-batches-py", 10)
    np.testing.assert_array_equal(both.train_images, other.train_images)
    np.testing.assert_array_equal(both.test_labels, other.test_labels)
    (tmp_path / "cifar-10-batches-bin" / "data_batch_3.bin").unlink()
    assert read_cifar(tmp_path, 10).edition == "python"


def test_text_keys_and_array_labels_of_copies_are_read(tmp_path: Path) -> None:
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps({"data": np.ones((2, 3072), np.uint8), "labels": np.array([4, 2])}))
    images, labels = read_cifar_pickle(path, (10,))
    assert labels.tolist() == [4, 2]
    assert images.shape == (2, 3, 32, 32)


def test_without_the_file_of_names(tmp_path: Path) -> None:
    write_fake_cifar10(tmp_path, edition="binary", train=10, test=10)
    (tmp_path / "cifar-10-batches-bin" / "batches.meta.txt").unlink()
    assert read_cifar(tmp_path, 10).classes == CIFAR10_CLASSES


@pytest.mark.parametrize("edition", EDITIONS)
def test_wrong_number_of_names(tmp_path: Path, edition: str) -> None:
    write_fake_cifar10(tmp_path, edition=edition, train=10, test=10)
    if edition == "binary":
        (tmp_path / "cifar-10-batches-bin" / "batches.meta.txt").write_text("cat\ndog\n")
    else:
        (tmp_path / "cifar-10-batches-py" / "batches.meta").write_bytes(
            pickle.dumps({b"label_names": [b"cat", b"dog"]})
        )
    with pytest.raises(DataFormatError, match="2 class names, expected 10"):
        read_cifar(tmp_path, 10)


RECORD = bytes([5]) + bytes(3072)


@pytest.mark.parametrize(
    ("content", "where", "found"),
    [
        (RECORD[:-1], "byte 0", "3072 bytes"),
        (RECORD * 2 + b"abc", "byte 6146", "6149 bytes, 3 in a last part"),
        (RECORD + bytes([10]) + bytes(3072), "byte 3073", "label 10, expected 0 to 9"),
        (b"", "byte 0", "empty file"),
        (b"<html>" + bytes(3067), "byte 0", "HTML"),
        (b"version https://git-lfs.github.com/spec/v1", "byte 0", "git-lfs"),
        (b"\x1f\x8b" + bytes(3071), "byte 0", "label 31"),
    ],
)
def test_bad_records(tmp_path: Path, content: bytes, where: str, found: str) -> None:
    path = tmp_path / "test_batch.bin"
    path.write_bytes(content)
    with pytest.raises(DataFormatError) as caught:
        read_cifar_records(path, (10,))
    assert caught.value.where == where
    assert found in str(caught.value)


def test_bad_coarse_label(tmp_path: Path) -> None:
    path = tmp_path / "train.bin"
    path.write_bytes(bytes([19, 99]) + bytes(3072) + bytes([20, 3]) + bytes(3072))
    with pytest.raises(DataFormatError, match="byte 3074: found label 20, expected 0 to 19"):
        read_cifar_records(path, (20, 100))


class Calls:
    def __reduce__(self) -> Any:
        return os.system, ("touch owned",)


PIXELS = np.zeros((2, 3072), np.uint8)


@pytest.mark.parametrize(
    ("batch", "found"),
    [
        ({b"data": PIXELS, b"labels": [0, 1], b"x": Calls()}, r"found the global \w+\.system"),
        ({b"data": PIXELS}, "a dict with data, expected the key 'labels'"),
        ({b"labels": [0, 1]}, "expected the key 'data'"),
        ({b"data": PIXELS, b"fine_labels": [0, 1]}, "data, fine_labels, expected the key 'labels'"),
        ({b"data": PIXELS.astype(np.int16), b"labels": [0, 1]}, "found int16 of shape"),
        ({b"data": PIXELS[:, :-1], b"labels": [0, 1]}, r"uint8 of shape \(2, 3071\)"),
        ({b"data": PIXELS[0], b"labels": [0, 1]}, r"uint8 of shape \(3072,\)"),
        ({b"data": PIXELS.tolist(), b"labels": [0, 1]}, "found list"),
        ({b"data": PIXELS, b"labels": [0]}, "1 labels, expected a list of 2"),
        ({b"data": PIXELS, b"labels": None}, "found NoneType"),
        ({b"data": PIXELS, b"labels": [0, 10]}, "label 10 at position 1"),
        ({b"data": PIXELS, b"labels": [-1, 0]}, "label -1 at position 0"),
        ({b"data": PIXELS, b"labels": [0.5, 0]}, "label 0.5 at position 0"),
        ([PIXELS], "a pickled list"),
    ],
)
def test_bad_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: Any, found: str) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "data_batch_1"
    path.write_bytes(pickle.dumps(batch, protocol=2))
    with pytest.raises(DataFormatError, match=found):
        read_cifar_pickle(path, (10,))
    assert not (tmp_path / "owned").exists()


def without(*names: str) -> Callable[[Path], Path]:
    def remove(root: Path) -> Path:
        for name in names:
            (root / "cifar-10-batches-bin" / name).unlink()
        return root

    return remove


@pytest.mark.parametrize(
    ("change", "classes", "found"),
    [
        (
            without("data_batch_2.bin", "data_batch_4.bin"),
            10,
            "only some of the batches, expected data_batch_2.bin, data_batch_4.bin as well",
        ),
        (without("test_batch.bin"), 10, "expected test_batch.bin as well"),
        (lambda root: root, 100, "no CIFAR-100, expected .*the folder holds CIFAR-10"),
        (lambda root: root / "none", 10, "nothing there"),
        (lambda root: root / "cifar-10-batch", 10, "did you mean .*cifar-10-batches-bin"),
        (lambda root: root / "cifar-10-batches-bin" / "test_batch.bin", 10, "found a file"),
        (lambda root: root / "beside", 10, "there is one in .*cifar-10-batches-bin"),
        (lambda root: root.parent, 10, "there is one in .*cifar-10-batches-bin"),
    ],
)
def test_folders_that_are_not_it(tmp_path: Path, change: Callable[[Path], Path], classes: int, found: str) -> None:
    root = tmp_path / "above" / "root"
    write_fake_cifar10(root, edition="binary", train=10, test=10)
    (root / "beside").mkdir()
    with pytest.raises(DataFormatError, match=found):
        read_cifar(change(root), classes)


def test_archive_that_was_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"\x1f\x8b")
    with pytest.raises(DataFormatError, match=r"unpack the \.tar\.gz first"):
        read_cifar(tmp_path, 10)
    with pytest.raises(DataFormatError, match="unpack the archive and give the folder"):
        read_cifar(tmp_path / "cifar-10-python.tar.gz", 10)


def test_truncated_python_batch(tmp_path: Path) -> None:
    write_fake_cifar10(tmp_path, edition="python", train=10, test=10)
    path = tmp_path / "cifar-10-batches-py" / "data_batch_5"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataFormatError, match=r"data_batch_5.*truncated"):
        read_cifar(tmp_path, 10)
    shutil.copy(tmp_path / "cifar-10-batches-py" / "data_batch_1", path)
    assert len(read_cifar(tmp_path, 10).train_labels) == 10
