"""Finding the four IDX files: both naming styles, the folders they circulate in, what is said when some are missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from monge.data.formats.mnist_files import find_mnist_files
from monge.data.synthetic import write_fake_mnist
from monge.errors import DataFormatError


def write(folder: Path, joint: str = "-", compress: bool = False) -> None:
    write_fake_mnist(folder, train=10, test=10, joint=joint, compress=compress)


@pytest.mark.parametrize("joint", ["-", "."])
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("below", [".", "files", "MNIST/raw", "raw"])
def test_every_style_and_place(tmp_path: Path, joint: str, compress: bool, below: str) -> None:
    write(tmp_path / below, joint, compress)
    files = find_mnist_files(tmp_path)
    end = ".gz" if compress else ""
    assert files.train_images == tmp_path / below / f"train-images{joint}idx3-ubyte{end}"
    assert files.test_labels == tmp_path / below / f"t10k-labels{joint}idx1-ubyte{end}"


def test_plain_files_before_gzipped_ones_and_capitals_do_not_matter(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, compress=True)
    os.rename(tmp_path / "t10k-labels-idx1-ubyte", tmp_path / "T10K-labels-idx1-UBYTE")
    files = find_mnist_files(tmp_path)
    assert files.train_images.name == "train-images-idx3-ubyte"
    assert files.test_labels.name == "T10K-labels-idx1-UBYTE"


def test_the_named_set_is_chosen_where_there_are_two(tmp_path: Path) -> None:
    write(tmp_path / "MNIST" / "raw")
    write(tmp_path / "FashionMNIST" / "raw")
    assert find_mnist_files(tmp_path, prefer="FashionMNIST").train_images.parent == tmp_path / "FashionMNIST" / "raw"
    os.rename(tmp_path / "MNIST", tmp_path / "copy")
    os.rename(tmp_path / "FashionMNIST", tmp_path / "other")
    with pytest.raises(DataFormatError, match=r"complete sets in .*copy/raw and .*other/raw.*name the one you mean"):
        find_mnist_files(tmp_path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte").rename(tmp_path / "t10k-imgs-idx3-ubyte")
    with pytest.raises(DataFormatError, match=r"expected t10k-images-idx3-ubyte .*did you mean .*t10k-imgs-idx3-ubyte"):
        find_mnist_files(tmp_path)


def test_wrong_level_offers_the_right_one(tmp_path: Path) -> None:
    write(tmp_path / "MNIST" / "raw")
    (tmp_path / "MNIST" / "processed").mkdir()
    with pytest.raises(
        DataFormatError, match=r"none of the files.*train-images-idx3-ubyte, .*a complete set is in .*MNIST/raw"
    ):
        find_mnist_files(tmp_path / "MNIST" / "processed")
    with pytest.raises(DataFormatError, match=r"nothing there.*did you mean .*MNIST"):
        find_mnist_files(tmp_path / "MINST")
    with pytest.raises(DataFormatError, match="give the folder it is in"):
        find_mnist_files(tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte")


def test_names_that_differ_only_in_capitals_are_refused(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "Train-Images-idx3-ubyte").write_bytes(b"other")
    if len(list(tmp_path.iterdir())) == 4:
        pytest.skip("this file system does not tell capitals apart")
    with pytest.raises(DataFormatError, match="differ only in capitals"):
        find_mnist_files(tmp_path)


def test_odd_folders_do_no_harm(tmp_path: Path) -> None:
    write(tmp_path / "a")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to("self")
    os.mkdir(os.fsencode(tmp_path) + b"/caf\xe9")
    assert find_mnist_files(tmp_path).train_images.parent.name == "a"
    for path in (tmp_path / "a").iterdir():
        path.unlink()
    with pytest.raises(DataFormatError) as caught:
        find_mnist_files(tmp_path / os.fsdecode(b"caf\xe9"))
    str(caught.value).encode("utf-8")
