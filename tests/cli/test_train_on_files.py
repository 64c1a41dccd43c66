"""``monge train --data FOLDER``: the official layouts end to end, and hostile or broken files as one line."""

from __future__ import annotations

import json
import os
import pickle

import pytest

from monge.cli import main
from monge.data.synthetic import write_fake_cifar10, write_fake_cifar100, write_fake_mnist

QUICK = [
    *("--epochs", "1"),
    *("--set", "train.steps_per_epoch=2"),
    *("--set", "sampler.classes_per_batch=5"),
    *("--set", "sampler.samples_per_class=2"),
    *("--set", "evaluate.svm=false"),
]


def cifar10(folder):
    write_fake_cifar10(folder, edition="binary", train=200, test=50)


def cifar100(folder):
    write_fake_cifar100(folder, edition="python", train=2000, test=200)


def mnist(folder):
    write_fake_mnist(folder, train=200, test=50, compress=True)


@pytest.mark.parametrize(("recipe", "write"), [("mnist", mnist), ("cifar10", cifar10), ("cifar100", cifar100)])
def test_official_files_are_trained_on_and_named(tmp_path, monkeypatch, capsys, recipe, write):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "files")
    assert main(["train", recipe, "--data", "files", "--out", "run", *QUICK]) == 0
    said = capsys.readouterr()
    assert f"data: official layout: {recipe} read from {tmp_path / 'files'}" in said.err
    assert "warning: official layout" in said.err  # these are not the complete sets
    assert "expected" not in said.out
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert str(tmp_path / "files") in environment["data"]["source"]
    monkeypatch.chdir("/")
    assert main(["evaluate", str(tmp_path / "run")]) == 0
    assert capsys.readouterr().out.splitlines()[0] in said.out


class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/never",)


def test_hostile_and_broken_files_are_one_line(tmp_path, capsys):
    write_fake_mnist(tmp_path / "idx", train=200, test=50)
    images = tmp_path / "idx" / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:-100])
    write_fake_cifar10(tmp_path / "cifar", edition="python", train=200, test=50)
    batch = next(path for path in (tmp_path / "cifar").rglob("data_batch_1"))
    batch.write_bytes(pickle.dumps({b"data": Evil()}))
    for recipe, folder, message in (("mnist", "idx", "train-images-idx3-ubyte"), ("cifar10", "cifar", "system")):
        out = tmp_path / f"run-{folder}"
        assert main(["train", recipe, "--data", str(tmp_path / folder), "--out", str(out), *QUICK]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert lines[0].startswith("error: ")
        assert message in lines[0]
        assert not out.exists()
