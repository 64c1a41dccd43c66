"""A folder of one's own by class from the command line: trained, resumed, measured on others, and what is refused."""

from __future__ import annotations

import json
import shutil

import pytest

from monge.cli import main
from monge.data.synthetic.layouts import write_fake_class_folders

pytest.importorskip("PIL.Image")
QUICK = ["--epochs", "2", "--set", "train.steps_per_epoch=2", "--set", "data.image_size=16", "--set", "train.threads=1"]
SMALL = ["--set", "model.widths=[4,8]", "--set", "model.embedding_dim=8"]


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_fake_class_folders("mine", classes=4, each=20)
    return tmp_path / "mine"


def train(*words, data="mine"):
    return main(["train", "images", "--data", data, *QUICK, *SMALL, *words])


def failed(capsys, *words):
    """Runs a command that must fail: its one line of error."""
    capsys.readouterr()
    assert main(list(words)) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return line


def test_a_folder_goes_from_training_to_report(mine, capsys):
    assert train("--out", "run") == 0
    said = capsys.readouterr()
    assert f"data: pictures of one's own, read from {mine}; 56 train / 8 val / 16 test of 4 classes" in said.err
    write_fake_class_folders("other", classes=4, each=10, seed=50)
    assert main(["evaluate", "run", "--data", "other"]) == 0
    assert "8 test of 4 classes" in capsys.readouterr().err
    assert main(["evaluate", "run"]) == 0
    assert capsys.readouterr().out.splitlines()[0] in said.out
    assert main(["report", "run"]) == 0


def test_a_classifier_is_measured_on_its_own_classes_alone(mine, capsys):
    assert train("--set", "loss=cross-entropy", "--out", "run") == 0
    classes = [f"digit {number}" for number in range(4)]
    assert json.loads((mine.parent / "run/environment.json").read_text())["data"]["classes"] == classes
    # The same number of classes fits the network; what its outputs mean does not.
    shutil.copytree(mine, "other")
    (mine.parent / "other/digit 0").rename("other/zero")
    line = failed(capsys, "evaluate", "run", "--data", "other")
    found = (
        "found the classes digit 1, digit 2, digit 3, zero in these data, expected digit 0, digit 1, digit 2, digit 3"
    )
    assert found in line
    mine.rename("before")
    shutil.move("other", "mine")
    for words in (["evaluate", "run"], ["export", "run", "--to", "net.pt2"]):
        assert found in failed(capsys, *words)
    assert not (mine.parent / "net.pt2").exists()


def test_a_run_that_goes_on_with_other_data_says_so(mine, capsys):
    assert train("--out", "run") == 0
    assert train("--out", "run", "--resume") == 0
    assert "warning" not in capsys.readouterr().err
    for number in range(5):
        shutil.copy(mine / "digit 1/3.png", mine / f"digit 1/again {number}.png")
    assert train("--out", "run", "--resume") == 0
    warned = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert len(warned) == 1
    assert "run: the data have changed since the run began (56 train / 8 val / 16 test" in warned[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "data.levels=[digit 1, digit 0]"], "expected all classes from low to high"),
        (["--set", "loss=squared-emd"], "loss.name: squared_emd works on the order of the classes"),
        (["--set", "sampler.classes_per_batch=5"], "from 4 classes: classes_per_batch is at most 4"),
        (["--set", "data.fold=2"], "data.fold: images leaves no such choice"),
        (["--data", "nothing"], "found nothing there"),
    ],
)
def test_what_does_not_go_with_the_folder_is_one_line(mine, capsys, words, message):
    assert message in failed(capsys, "train", "images", "--data", "mine", *QUICK, *words, "--out", "run")
    assert not (mine.parent / "run").exists()


def test_levels_make_an_order_for_the_losses_that_need_one(mine, capsys):
    levels = "data.levels=[digit 3, digit 2, digit 1, digit 0]"
    assert train("--set", "loss=squared-emd", "--set", levels, "--out", "run") == 0
    assert "test/mae" in capsys.readouterr().out
