"""``monge`` on classes: tasks listed, own tables, short names, and every mistake as one line with exit code 2."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from monge.cli import main
from monge.data.synthetic.ordinal_layouts import write_fake_adience
from monge.recipes import list_recipes, load_recipe

QUICK = ["--epochs", "1", "--set", "train.steps_per_epoch=2", "--set", "sampler.batch_size=16"]


def table(folder, name="my.csv", rows=120):
    lines = ["size,colour,grade"]
    lines += [f"{n % 3 + 0.1 * (n % 7):.2f},{'red' if n % 2 else 'blue'},{'abc'[n % 3]}" for n in range(rows)]
    (folder / name).write_text("\n".join(lines) + "\n")
    return str(folder / name)


def test_recipes_are_listed_with_their_task(capsys):
    assert main(["recipes"]) == 0
    listed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [(words[0], words[1]) for words in listed] == [(name, load_recipe(name).task) for name in list_recipes()]


def test_smoke_of_classes_runs_from_training_to_report(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "diamonds", "--smoke", "--set", "loss=squared-emd"]) == 0
    said = capsys.readouterr()
    assert re.search(r"^test/mae +\d\.\d{4}$", said.out, re.MULTILINE)
    run = tmp_path / "runs" / "diamonds-smoke"
    assert {path.name for path in run.iterdir()} >= {"predictions.safetensors", "ground.safetensors", "report.html"}
    assert "expected" not in said.out
    assert main(["evaluate", str(run)]) == 0
    shown = capsys.readouterr().out
    assert f"predictions: {run / 'predictions.safetensors'}" in shown
    assert set(re.findall(r"^test/mae.*$", said.out, re.MULTILINE)) <= set(shown.splitlines())


def test_one_s_own_table_is_trained_on_and_measured_on_another(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    file = table(tmp_path)
    words = ["--set", "data.target=grade", "--set", "data.levels=[a, b, c]", "--set", "loss=squared-emd"]
    assert main(["train", "diamonds", "--data", "my.csv", *words, *QUICK, "--out", "run"]) == 0
    said = capsys.readouterr()
    assert "my.csv" in said.err
    assert "expected" not in said.out
    assert json.loads((tmp_path / "run" / "environment.json").read_text())["data"]["source"].startswith(
        "diamonds by path: "
    )
    assert load_recipe(tmp_path / "run").data.source == file
    other = table(tmp_path, "other.csv", rows=90)
    assert main(["evaluate", "run", "--data", other]) == 0
    said = capsys.readouterr()
    assert "other.csv" in said.err
    assert "warning: data: the columns are scaled and encoded by the training rows of these data" in said.err


def test_the_loss_of_a_retrieval_recipe_is_switched_in_two_words(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--set", "loss=xemd2", "--set", "loss.ground=learned", "--data", "synthetic"]
    quick = ["--epochs", "1", "--set", "train.steps_per_epoch=2", "--out", "run"]
    assert main(["train", "fashion-mnist", *words, *quick]) == 0
    said = capsys.readouterr()
    assert "test/mean_class_accuracy" in said.out
    assert "expected" not in said.out
    assert "warning: loss: cross-entropy alone for all 1 epochs" in said.err


def failed(capsys, *words):
    """Runs a command that must fail: its one line of error."""
    assert main(list(words)) == 2
    said = capsys.readouterr()
    errors = [line for line in said.err.splitlines() if not line.startswith("warning: ")]
    assert len(errors) == 1, said.err
    assert errors[0].startswith("error: ")
    return errors[0]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((5, 3)), "ground matrix has shape (5, 3): expected a square one"),
        (np.full((5, 5), np.nan), "ground matrix holds nan at [0, 0]"),
        (-1.0 * (1 - np.eye(5)), "ground matrix holds -1 at [0, 1]"),
        (1 - np.eye(4), "found 4 classes, expected 5"),
    ],
)
def test_a_ground_matrix_that_is_none(tmp_path, monkeypatch, capsys, array, message):
    monkeypatch.chdir(tmp_path)
    np.save("d.npy", array)
    loss = ["--set", "loss=squared-emd", "--set", "loss.ground={name: matrix, file: d.npy}"]
    line = failed(capsys, "train", "diamonds", "--data", "synthetic", *loss, "--out", "run")
    assert f"{tmp_path / 'd.npy'}: {message}" in line
    assert not (tmp_path / "run").exists()


def test_a_tree_without_a_class(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("class,parent\nFair,all\nGood,all\nPremium,all\nIdeal,all\n")
    loss = ["--set", "loss=squared-emd", "--set", "loss.ground={name: tree, file: t.csv}"]
    line = failed(capsys, "train", "diamonds", "--data", "synthetic", *loss)
    assert str(tmp_path / "t.csv") in line
    assert "'Very Good'" in line


def test_an_adience_fold_with_a_missing_image(tmp_path, capsys):
    write_fake_adience(tmp_path / "a")
    missing = sorted((tmp_path / "a").rglob("*.jpg"))[3]
    missing.unlink()
    line = failed(capsys, "train", "adience", "--data", str(tmp_path / "a"), "--out", str(tmp_path / "run"))
    assert missing.name in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mnist", "--set", "loss=squared-emd"], "loss.name: squared_emd works on the order of the classes"),
        (["mnist", "--set", "loss=coral"], "loss.name: coral works on the order of the classes"),
        (["mnist", "--set", "loss=xemd2", "--set", "task=embedding"], "task: found embedding with the loss xemd2"),
        (["diamonds", "--set", "evaluate.select=map"], "evaluate.select: found 'map', expected one of mae, accuracy"),
        (["diamonds", "--set", "model.name=lenet5"], "model.name: found lenet5, which takes images"),
        (["diamonds", "--set", "data.target=ct"], "ct"),
        (["diamonds", "--set", "data.drop=[carrat]"], "carrat"),
        (["diamonds", "--folds"], "--folds: diamonds has no folds"),
        (["mnist", "--set", "data.fold=1"], "data.fold: mnist leaves no such choice"),
    ],
)
def test_what_does_not_go_together(tmp_path, capsys, words, message):
    line = failed(capsys, "train", *words, "--data", "synthetic", "--out", str(tmp_path / "run"))
    assert message in line
    assert not (tmp_path / "run").exists()
