"""The classification task from data to a run folder: what it stores, selects and measures anew."""

from __future__ import annotations

import csv
import json
import math
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from conftest import ROWS
from monge.data import ImageSet, Splits, load_images, load_table
from monge.errors import DataFormatError, MongeError, RecipeError
from monge.metrics import ordinal_metrics, ranked_probability_scores
from monge.recipes import Recipe, load_recipe
from monge.train import evaluate, fit
from monge.train.batches import Batch
from monge.train.building import build_task, check_data
from monge.train.checkpoints import load_checkpoint
from monge.train.class_measures import extreme_rows
from monge.train.classification_task import ClassificationTask
from monge.train.loading import load_splits

LEARNED = ("loss=xemd2", "loss.ground=learned", "loss.ground.head_start=2")


@pytest.fixture(scope="module")
def learned_recipe() -> Recipe:
    return load_recipe("diamonds", [*ROWS, *LEARNED])


@pytest.fixture(scope="module")
def learned_run(learned_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float]]:
    folder = tmp_path_factory.mktemp("runs") / "learned"
    return folder, fit(learned_recipe, folder, progress=False)


def metadata(file: Path) -> dict[str, str]:
    with safe_open(file, "pt") as opened:
        return opened.metadata()


def test_a_run_measures_validation_and_test_and_logs_the_terms_by_name(learned_run, learned_recipe, records):
    folder, metrics = learned_run
    lines = records(folder)
    train = [line for line in lines if "train/loss" in line]
    val = [line for line in lines if "val/mae" in line]
    assert [line["step"] for line in val] == [5, 10, 15, 20]
    assert lines[-1] == {"step": 20, "epoch": 3, **metrics}
    wanted = ("accuracy", "mae", "within_one", "amae", "mmae", "qwk", "rps", "spearman", "kendall", "c_index", "emd")
    assert {f"test/{name}" for name in (*wanted, "ece", "nll")} == metrics.keys()
    for line in train:
        terms = line["train/cross_entropy"], line["train/emd"], line["train/emd_weight"]
        started = line["step"] > 10
        assert (terms[2] > 0) == started
        assert (terms[1] is None) == (line["step"] <= 5)  # before the first epoch is over there is no distance
        expected = terms[0] + (terms[1] * terms[2] if started else 0.0)
        assert line["train/loss"] == pytest.approx(expected, rel=1e-5)


def test_the_run_folder(learned_run, learned_recipe):
    folder, metrics = learned_run
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {
        "recipe.yaml",
        "metrics.jsonl",
        "environment.json",
        "predictions.safetensors",
        "ground.safetensors",
        "checkpoints/last.ckpt",
        "checkpoints/best.ckpt",
    }
    assert load_recipe(folder) == learned_recipe
    stored, test = load_file(folder / "predictions.safetensors"), load_splits(learned_recipe).test
    assert stored.keys() == {"test/probabilities", "test/labels"}
    assert torch.equal(stored["test/labels"], test.labels)
    measured = ordinal_metrics(stored["test/probabilities"], test.labels)
    assert {f"test/{name}": value for name, value in measured.items()} == pytest.approx(metrics, nan_ok=True)
    notes = metadata(folder / "predictions.safetensors")
    assert json.loads(notes["classes"]) == ["Fair", "Good", "Very Good", "Premium", "Ideal"]
    assert (notes["ordered"], notes["positions"]) == ("true", "null")
    assert notes["source"].startswith("synthetic")
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["select"] == {"metric": "val/mae", "higher_is_better": False}


def test_the_learned_distance_is_stored_with_its_history(learned_run):
    folder, _ = learned_run
    ground = load_file(folder / "ground.safetensors")
    assert ground["epochs"].tolist() == [0, 1, 2, 3]
    assert ground["history"].shape == (4, 5, 5)
    assert torch.equal(ground["matrix"], ground["history"][-1])
    assert ground["matrix"].dtype == torch.float32
    assert torch.equal(ground["matrix"], ground["matrix"].T)
    notes = metadata(folder / "ground.safetensors")
    assert (notes["kind"], len(json.loads(notes["classes"]))) == ("learned", 5)


def test_evaluate_gives_the_numbers_of_the_end_of_training(learned_run):
    folder, metrics = learned_run
    before = load_file(folder / "predictions.safetensors")
    (folder / "predictions.safetensors").unlink()
    assert str(evaluate(folder)) == str(metrics)
    again = load_file(folder / "predictions.safetensors")
    assert all(torch.equal(again[name], before[name]) for name in before)


def test_the_best_epoch_is_the_one_with_the_lowest_error(learned_run, records):
    folder, _ = learned_run
    values = {line["step"]: line["val/mae"] for line in records(folder) if "val/mae" in line}
    best = load_checkpoint(folder / "checkpoints" / "best.ckpt")
    assert values[best["step"]] == min(values.values())
    assert load_checkpoint(folder / "checkpoints" / "last.ckpt")["best"]["value"] == min(values.values())


def test_another_metric_may_select(tmp_path, records):
    recipe = load_recipe("diamonds", [*ROWS, "evaluate.select=within_one", "evaluate.decode=median"])
    fit(recipe, tmp_path / "a", progress=False, test=False)
    values = {line["step"]: line["val/within_one"] for line in records(tmp_path / "a") if "val/mae" in line}
    assert values[load_checkpoint(tmp_path / "a" / "checkpoints" / "best.ckpt")["step"]] == max(values.values())


def test_images_without_an_order_and_a_model_made_for_retrieval(tmp_path):
    settings = ["data.source=synthetic", "model.embedding_dim=16", "sampler.samples_per_class=2", "train.epochs=1"]
    recipe = load_recipe("mnist", [*settings, "train.steps_per_epoch=3", "loss=squared-emd", "loss.ground=learned"])
    with pytest.warns(UserWarning, match="cross-entropy alone for all 1 epochs"):
        metrics = fit(recipe, tmp_path / "a", progress=False)
    assert {"test/accuracy", "test/mean_class_accuracy", "test/top5"} <= metrics.keys()
    stored = load_file(tmp_path / "a" / "predictions.safetensors")
    assert stored["test/images"].shape == (48, 1, 28, 28)
    assert stored["test/images"].dtype == torch.uint8
    true = stored["test/probabilities"].gather(1, stored["test/labels"][:, None])[:, 0]
    shown = true[stored["test/shown"]]
    assert shown.tolist() == sorted(shown.tolist())
    assert shown[0] == true.min()
    assert shown[-1] == true.max()
    images = load_images("mnist", "synthetic").test.inputs(stored["test/shown"])
    assert torch.equal(images, stored["test/images"])
    # The trunk is not scaled to unit length, though its recipe says so for embeddings.
    task = build_task(recipe, load_splits(recipe))
    assert isinstance(task, ClassificationTask)
    features, _ = task.classifier.features_and_logits(torch.randn(4, 1, 28, 28))
    assert not torch.allclose(features.norm(dim=1), torch.ones(4), atol=1e-3)


def voted(splits: Splits) -> Splits:
    """The same with distributions as targets, three quarters of each on its label."""
    parts = {}
    for name in ("train", "val", "test"):
        part = getattr(splits, name)
        one_hot = torch.nn.functional.one_hot(part.labels, len(splits.classes)).float()
        parts[name] = replace(part, targets=0.75 * one_hot + 0.05)
    return replace(splits, **parts, positions=(1.0, 2.0, 3.0, 4.0, 6.0))


def test_distributions_are_the_targets_where_the_data_have_any(tmp_path, monkeypatch):
    splits = voted(load_table("diamonds", "synthetic"))
    monkeypatch.setattr("monge.train.training.load_splits", lambda recipe, **rest: splits)
    recipe = load_recipe("diamonds", [*ROWS, "loss=squared-emd"])
    metrics = fit(recipe, tmp_path / "a", progress=False)
    assert {"test/srcc_mean", "test/plcc_mean", "test/emd2"} <= metrics.keys()
    stored = load_file(tmp_path / "a" / "predictions.safetensors")
    assert torch.equal(stored["test/targets"], splits.test.targets)
    assert json.loads(metadata(tmp_path / "a" / "predictions.safetensors")["positions"]) == [1, 2, 3, 4, 6]
    task = build_task(recipe, splits).train()
    rows, labels = splits.train.inputs([0, 1, 2, 3]), splits.train.labels[:4]
    soft = task.batch_loss(rows, Batch(rows, labels, 0, 0, splits.train.targets[:4]))
    hard = task.batch_loss(rows, Batch(rows, labels, 0, 0))
    torch.testing.assert_close(soft, task.loss(task.classifier(rows), splits.train.targets[:4]))
    assert not torch.allclose(soft, hard)


def test_an_own_table_with_an_own_target(tmp_path):
    with (tmp_path / "my.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["size", "colour", "grade"])
        for number in range(300):
            grade = ("low", "middle", "high")[number % 3]
            writer.writerow([number % 3 + 0.1 * (number % 7), "red" if number % 2 else "blue", grade])
    source = f"data.source={tmp_path / 'my.csv'}"
    own = [*ROWS, source, "data.target=grade", "data.levels=[low, middle, high]", "optimizer.lr=0.05"]
    metrics = fit(load_recipe("diamonds", own), tmp_path / "run", progress=False)
    assert metrics["test/accuracy"] > 0.6
    assert "my.csv" in json.loads((tmp_path / "run" / "environment.json").read_text())["data"]["source"]
    for wrong, message in (("data.target=grde", "grade"), ("data.levels=[low, high]", "middle")):
        with pytest.raises(MongeError, match=message) as caught:
            load_splits(load_recipe("diamonds", [*own, wrong]))
        assert "my.csv" in str(caught.value)
        assert "\n" not in str(caught.value)


def pictures(labels: torch.Tensor, targets: torch.Tensor | None = None) -> ImageSet:
    return ImageSet(torch.zeros(len(labels), 1, 8, 8, dtype=torch.uint8), labels, targets)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": [0, 1, 3]}, "val part, example 2: found the label 3, expected 0 to 2"),
        ({"labels": [0, -1, 1]}, "val part, example 1: found the label -1, expected 0 to 2"),
        ({"targets": [[1.0, 0, 0], [0.5, 0.6, 0]]}, "val part, example 1: found a target that sums to 1.1"),
        ({"targets": [[1.0, 0, 0], [1.5, -0.5, 0]]}, "val part, example 1: found a target that holds -0.5"),
        ({"targets": [[1.0, 0, 0], [math.nan, 0, 0]]}, "val part, example 1: found a target that sums to nan"),
        ({"targets": [[1.0, 0]]}, "val part: found targets over 2 classes, expected 3"),
        ({"labels": []}, "val part: found no examples"),
    ],
)
def test_labels_and_targets_that_are_none_are_one_line(changes: dict[str, Any], message: str) -> None:
    targets = torch.tensor(changes["targets"]) if "targets" in changes else None
    labels = torch.tensor(changes.get("labels", [0] * len(changes.get("targets", []))), dtype=torch.int64)
    good = pictures(torch.tensor([0, 1, 2]))
    splits = Splits(good, pictures(labels, targets), good, ("a", "b", "c"), "made up", "none")
    with pytest.raises(DataFormatError) as caught:
        check_data(load_recipe("mnist", ["loss=cross-entropy"]), splits)
    assert str(caught.value).startswith(f"made up: {message}")


def test_choices_that_a_data_set_does_not_leave_are_refused():
    with pytest.raises(RecipeError, match=r"data\.fold: mnist leaves no such choice"):
        load_splits(load_recipe("mnist", ["data.source=synthetic", "data.fold=1"]))
    small = load_recipe("adience", ["data.source=synthetic", "data.image_size=32", "data.fold=2"])
    splits = load_splits(small)
    assert splits.train.shape == (3, 32, 32)
    assert "test is fold 2" in splits.definition
    with pytest.raises(MongeError, match="fold=9, expected 0 to 4"):
        load_splits(small.model_copy(update={"data": small.data.model_copy(update={"fold": 9})}))


def test_a_network_for_other_data_is_refused(tmp_path):
    for recipe, setting in (("diamonds", "model.name=lenet5"), ("mnist", "model.name=mlp")):
        loss = [] if recipe == "diamonds" else ["loss=cross-entropy"]
        with pytest.raises(RecipeError, match=r"model\.name: found "):
            fit(load_recipe(recipe, ["data.source=synthetic", setting, *loss]), tmp_path / "a", progress=False)


def test_the_worst_and_the_best_are_shown():
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.rand(100, 4, generator=generator)
    probabilities /= probabilities.sum(1, keepdim=True)
    labels = torch.randint(4, (100,), generator=generator)
    scores = ranked_probability_scores(probabilities, labels)[extreme_rows(probabilities, labels, True, each=5)]
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)
    assert len(scores) == 10
    assert len(extreme_rows(probabilities, labels, False)) == 48
    assert sorted(extreme_rows(probabilities[:7], labels[:7], True).tolist()) == list(range(7))


def test_a_comparison_of_losses_begins_with_the_same_network():
    splits = load_table("diamonds", "synthetic")
    tasks = [build_task(load_recipe("diamonds", [*ROWS, f"loss={name}"]), splits) for name in ("coral", "xemd1")]
    first, second = (dict(task.model.named_parameters()) for task in tasks)
    trunk = [name for name in first if name.startswith("trunk")]
    assert trunk
    assert all(torch.equal(first[name], second[name]) for name in trunk)


def test_nothing_is_warned_of_when_the_distance_comes_in(tmp_path, learned_recipe):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*head start.*")
        fit(learned_recipe, tmp_path / "a", progress=False, test=False)
