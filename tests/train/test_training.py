"""`fit`: the run folder, what is refused before anything is lost, and what stops a run."""

from __future__ import annotations

import importlib.util
import json
import sys

import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file

from conftest import TINY
from monge.data import load_images
from monge.errors import MissingExtraError, MongeError, RecipeError, RunError
from monge.recipes import load_recipe
from monge.train import evaluate, fit
from monge.train.checkpoints import load_checkpoint
from monge.train.keeper import DivergedError
from monge.train.run_files import RunFiles

SHORT = (*TINY, "train.epochs=1", "train.steps_per_epoch=3", "evaluate.svm=false", "evaluate.knn=0")


def test_metrics_file_has_train_val_and_test_lines_in_order(tiny_run, records):
    folder, metrics = tiny_run
    lines = records(folder)
    train = [line for line in lines if "train/loss" in line]
    val = [line for line in lines if "val/map" in line]
    assert [line["step"] for line in train] == list(range(1, 16))
    assert [(line["step"], line["epoch"]) for line in val] == [(5, 0), (10, 1), (15, 2)]
    assert lines[-1] == {"step": 15, "epoch": 2, **metrics}
    wanted = {"map", "nn", "ft", "st", "e", "dcg", "knn", "svm", "recall_at_1", "r_precision", "map_at_r"}
    assert {f"test/{name}" for name in wanted} <= metrics.keys()
    assert {"train/lr", "train/plan_entropy", "train/plan_hard_mass"} <= train[0].keys()
    times = [json.loads(line)["time"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert times == sorted(times)


def test_the_rest_of_the_run_folder(tiny_run, tiny_recipe):
    folder, _ = tiny_run
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {
        "recipe.yaml",
        "metrics.jsonl",
        "environment.json",
        "embeddings.safetensors",
        "checkpoints/last.ckpt",
        "checkpoints/best.ckpt",
    }
    assert load_recipe(folder) == tiny_recipe
    assert yaml.safe_load((folder / "recipe.yaml").read_text())["data"]["source"] == "synthetic"
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["data"]["source"].startswith("synthetic")
    assert environment["data"]["definition"]
    assert (environment["seed"], environment["device"], environment["threads"]) == (0, "cpu", 1)
    assert environment["finished"] >= environment["started"]
    assert 0 < environment["train_seconds"] < 600
    assert environment["packages"]["lightning"]
    with safe_open(folder / "embeddings.safetensors", "pt") as file:
        shapes = {name: (file.get_slice(name).get_shape(), file.get_slice(name).get_dtype()) for name in file.keys()}  # noqa: SIM118
        notes = file.metadata()
    assert shapes == {
        "test/embeddings": ([300, 16], "F32"),
        "test/labels": ([300], "I64"),
        "test/images": ([300, 1, 28, 28], "U8"),
    }
    assert json.loads(notes["classes"]) == [str(digit) for digit in range(10)]
    assert notes["source"].startswith("synthetic")


def test_evaluate_gives_the_numbers_of_the_end_of_training(tiny_run):
    folder, metrics = tiny_run
    stored = load_file(folder / "embeddings.safetensors")
    (folder / "embeddings.safetensors").unlink()
    assert evaluate(folder) == metrics
    again = load_file(folder / "embeddings.safetensors")
    assert again.keys() == stored.keys()
    assert all(torch.equal(again[name], stored[name]) for name in stored)


def test_evaluate_takes_the_best_weights(tiny_run):
    files = RunFiles(tiny_run[0])
    best, last = load_checkpoint(files.best), load_checkpoint(files.last)
    assert best["step"] == last["best"]["step"]
    assert "optimizer" not in best


def test_evaluate_names_what_is_missing(tmp_path, tiny_run):
    with pytest.raises(RunError, match="there is no run here"):
        evaluate(tmp_path)
    (tmp_path / "recipe.yaml").write_text((tiny_run[0] / "recipe.yaml").read_text())
    with pytest.raises(RunError, match="there is no such checkpoint"):
        evaluate(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "best.ckpt").write_bytes((tiny_run[0] / "checkpoints" / "best.ckpt").read_bytes())
    text = (tmp_path / "recipe.yaml").read_text().replace("embedding_dim: 16", "embedding_dim: 8")
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(RunError, match=r"does not fit recipe\.yaml"):
        evaluate(tmp_path)


def test_a_run_is_not_overwritten_unasked(tiny_run, tiny_recipe):
    folder, _ = tiny_run
    with pytest.raises(RunError, match="holds a run already; add --overwrite or --resume"):
        fit(tiny_recipe, folder)


def test_overwriting_leaves_files_of_others_alone(tmp_path):
    recipe = load_recipe("mnist", SHORT)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match=r"holds other files \(notes.txt\) already"):
        fit(recipe, tmp_path)
    (tmp_path / "report.html").write_text("old")
    fit(recipe, tmp_path, overwrite=True, progress=False, test=False)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert not (tmp_path / "report.html").exists()


def test_mistakes_are_found_before_the_old_run_is_dropped(tmp_path):
    (tmp_path / "recipe.yaml").write_text("old")
    recipe = load_recipe("mnist", SHORT)
    with pytest.raises(RunError, match="--logger: found 'paper'"):
        fit(recipe, tmp_path, overwrite=True, loggers=["paper"])
    with pytest.raises(RunError, match="--device: found 'tpu'"):
        fit(recipe, tmp_path, overwrite=True, device="tpu")
    crowded = load_recipe("mnist", [*SHORT, "sampler.classes_per_batch=11"])
    with pytest.raises(RecipeError, match=r"sampler: .*11 classes"):
        fit(crowded, tmp_path, overwrite=True)
    colourful = load_recipe("mnist", [*SHORT, "data.normalize.mean=[0, 0, 0]"])
    with pytest.raises(RecipeError, match=r"data\.normalize\.mean: found 3 numbers, expected 1 number"):
        fit(colourful, tmp_path, overwrite=True)
    with pytest.raises(MongeError):
        fit(load_recipe("mnist", [*SHORT, "data.source=/nowhere"]), tmp_path, overwrite=True)
    assert (tmp_path / "recipe.yaml").read_text() == "old"


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    recipe = load_recipe("mnist", SHORT)
    for place in (tmp_path / "file" / "run", tmp_path / "file"):
        with pytest.raises(RunError, match="--out") as caught:
            fit(recipe, place)
        assert str(place) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_fp16_needs_cuda():
    with pytest.raises(RunError, match=r"train\.precision: found 16-mixed on cpu"):
        fit(load_recipe("mnist", ["train.precision=16-mixed"]), "unused", device="cpu")


def test_a_missing_logger_names_the_pip_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'monge\[loggers\]'"):
        fit(load_recipe("mnist", SHORT), "unused", loggers=["wandb"])


def test_training_says_nothing_when_silent_and_an_epoch_a_line_otherwise(tmp_path, capfd):
    recipe = load_recipe("mnist", SHORT)
    quiet = fit(recipe, tmp_path / "a", progress=False, test=False)
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")
    assert fit(recipe, tmp_path / "b", test=False) == quiet
    lines = capfd.readouterr().err.splitlines()
    assert lines[0].startswith("data: synthetic")
    assert lines[1].startswith("epoch 1/1  step 3/3  loss ")
    assert len(lines) == 2


def test_without_a_test_the_test_split_is_left_alone(tmp_path):
    metrics = fit(load_recipe("mnist", SHORT), tmp_path / "a", progress=False, test=False)
    assert all(name.startswith("val/") for name in metrics)
    assert not (tmp_path / "a" / "embeddings.safetensors").exists()
    assert "test/" not in (tmp_path / "a" / "metrics.jsonl").read_text()


def test_a_loss_that_is_no_number_stops_the_run_at_its_step(tmp_path):
    recipe = load_recipe("mnist", [*SHORT, "optimizer.name=sgd", "optimizer.lr=1e30", "train.log_every=3"])
    recipe = recipe.model_copy(update={"model": type(recipe.model)(normalize=False)})
    with pytest.raises(DivergedError, match=r"the loss was not finite at step [123] \(epoch 1\); lower optimizer\.lr"):
        fit(recipe, tmp_path / "a", progress=False)
    assert not RunFiles(tmp_path / "a").best.exists()


def test_csv_and_tensorboard_write_below_logs(tmp_path):
    names = ["csv"] + (["tensorboard"] if importlib.util.find_spec("tensorboard") else [])
    fit(load_recipe("mnist", SHORT), tmp_path / "a", progress=False, test=False, loggers=names)
    table = next((tmp_path / "a" / "logs" / "csv").rglob("metrics.csv")).read_text()
    assert {"train/loss", "val/map", "step", "epoch"} <= set(table.splitlines()[0].split(","))
    if "tensorboard" in names:
        assert list((tmp_path / "a" / "logs" / "tensorboard").rglob("events.*"))
    assert not list(tmp_path.rglob("lightning_logs"))


def test_accumulation_clipping_precision_and_the_released_loss(tmp_path, records):
    plain = [setting for setting in SHORT if "samples_per_class" not in setting]
    settings = ["train.accumulate=2", "train.grad_clip=0.1", "train.precision=bf16-mixed", "data.augment=[affine]"]
    loss = ["loss.name=batchwise_ot_preset", "loss.preset=mnist", "loss.quirks=released", "loss.two_batches=true"]
    recipe = load_recipe("mnist", [*plain, *settings, *loss, "sampler.name=shuffle", "sampler.batch_size=16"])
    with pytest.warns(UserWarning, match="within 2 % of uniform"):
        fit(recipe, tmp_path / "a", progress=False, test=False)
    steps = [line["step"] for line in records(tmp_path / "a") if "train/loss" in line]
    assert steps == [1, 2, 3]


def test_random_state_and_threads_of_the_caller_are_given_back(tmp_path):
    torch.manual_seed(123)
    expected = torch.rand(2)
    torch.manual_seed(123)
    fit(load_recipe("mnist", [*SHORT, "train.threads=2"]), tmp_path / "a", progress=False, test=False)
    assert torch.equal(torch.rand(2), expected)
    assert torch.get_num_threads() == 1


def test_the_seed_decides_and_nothing_else(tmp_path, records):
    base = load_recipe("mnist", SHORT)
    fit(base, tmp_path / "a", progress=False, test=False)
    torch.rand(7)
    fit(base, tmp_path / "b", progress=False, test=False)
    fit(base.model_copy(update={"seed": 1}), tmp_path / "c", progress=False, test=False)
    assert records(tmp_path / "a") == records(tmp_path / "b")
    assert records(tmp_path / "a")[0]["train/loss"] != records(tmp_path / "c")[0]["train/loss"]
    assert len(load_images("mnist", "synthetic").test) == 300
