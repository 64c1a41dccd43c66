"""Comparisons of losses of classes: what selects, which way is better, and which differences are significant."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest

from conftest import ROWS
from monge.cli import main
from monge.errors import RecipeError
from monge.recipes import Recipe, load_recipe
from monge.report.comparison_folder import read_comparison
from monge.train import compared_run
from monge.train.compare import compare
from monge.train.selection import Selection

BEST_RATE = {"cross_entropy": 1e-2, "squared_emd": 1e-3, "xemd1": 1e-1, "coral": 1e-3}
OFFSET = {"cross_entropy": 0.0, "squared_emd": 0.05, "xemd1": 0.05, "coral": 0.3}


class PretendedClasses:
    """Stands in for `fit`: an error that falls with the steps, and is lowest at one rate of each loss."""

    def __init__(self) -> None:
        self.recipes: list[Recipe] = []

    def value(self, recipe: Recipe, step: int) -> float:
        distance = abs(math.log10(recipe.optimizer.lr / BEST_RATE[recipe.loss.name]))
        noise = 0.001 * math.sin(recipe.seed * len(recipe.loss.name))
        return 0.4 + 0.1 * distance + OFFSET[recipe.loss.name] + 0.02 * (recipe.seed % 10) + noise + 2.0 / step

    def __call__(self, recipe: Recipe, out: Path, **options: Any) -> dict[str, float]:
        self.recipes.append(recipe)
        (out / "checkpoints").mkdir(parents=True, exist_ok=True)
        (out / "recipe.yaml").write_text(recipe.to_yaml())
        lines = [{"step": 10 * (e + 1), "epoch": e, "time": 1.0} for e in range(recipe.train.epochs)]
        text = "".join(json.dumps({**line, "val/mae": self.value(recipe, line["step"])}) + "\n" for line in lines)
        (out / "metrics.jsonl").write_text(text)
        select = Selection("val/mae", higher_is_better=False).to_json()
        data = {"name": "diamonds", "source": "pretended", "definition": "none"}
        content = {"train_seconds": 1.0, "data": data, "select": select}
        (out / "environment.json").write_text(json.dumps(content))
        final = self.value(recipe, lines[-1]["step"])
        return {"test/mae": final, "test/accuracy": 1 - final, "test/nll": 2 * final} if options["test"] else {}


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> PretendedClasses:
    pretended = PretendedClasses()
    monkeypatch.setattr(compared_run, "fit", pretended)
    return pretended


@pytest.fixture
def recipe() -> Recipe:
    return load_recipe("diamonds", ["train.epochs=4", "train.steps_per_epoch=10"])


def run(recipe: Recipe, out: Path, losses: str, seeds: int = 4, **options: Any) -> Any:
    return compare(recipe, losses, seeds, out, **{"lrs": (1e-3, 1e-2), "progress": False, **options})


def test_the_lowest_error_wins_the_search_the_race_and_the_rows(training, recipe, tmp_path):
    found = run(recipe, tmp_path / "c", "cross-entropy,squared-emd,xemd1")
    assert {loss.name: loss.lr for loss in found.losses} == {"cross_entropy": 1e-2, "squared_emd": 1e-3, "xemd1": 1e-1}
    assert found.search["on"] == "val/mae"
    assert found.search["rule"].startswith("lowest val/mae, one step beyond the grid")
    # Means over four seeds of the last values; the lowest is cross-entropy's.
    finals = [run.curve[-1][1] for run in found.losses[0].runs]
    assert found.target == pytest.approx(sum(finals) / 4 / 0.95)
    assert found.target_rule == "1/0.95 of the lowest final val/mae"
    curves = [dict(run.curve) for run in found.losses[0].runs]
    expected = [next((step for step in curve if curve[step] <= found.target), None) for curve in curves]
    assert found.losses[0].steps_to(found.target) == expected
    assert len(set(expected)) > 1


def test_the_files_name_the_metric_and_hold_the_tests(training, recipe, tmp_path):
    run(recipe, tmp_path / "c", "cross-entropy,squared-emd,coral")
    content = json.loads((tmp_path / "c" / "compare.json").read_text())
    assert content["select"] == {"metric": "val/mae", "higher_is_better": False}
    assert set(content["target"]) == {"val/mae", "rule"}
    assert set(content["losses"][0]["search"][0]) == {"lr", "val/mae", "extension"}
    assert set(content["losses"][0]["runs"][0]["curve"][0]) == {"step", "val/mae"}
    metrics = {test["metric"] for test in content["paired"]}
    assert metrics == {"test/mae", "test/accuracy"}  # the main ones of ordered classes
    first = next(test for test in content["paired"] if test["metric"] == "test/mae")
    assert (first["a"], first["b"]) == ("cross_entropy", "squared_emd")
    assert first["difference"] == pytest.approx(-0.05, abs=0.002)
    assert first["significant"]
    assert first["p"] <= first["p_holm"] < 0.05
    assert "Holm's correction over the 3 pairs" in content["paired_rule"]
    with (tmp_path / "c" / "compare.csv").open() as file:
        header = next(csv.reader(file))
    assert header[:6] == ["loss", "lr", "seed", "test/mae", "test/accuracy", "test/nll"]
    assert header[6:] == ["steps_to_target", "train_seconds", "path", "diverged"]
    assert read_comparison(tmp_path / "c").losses[0].name == "cross_entropy"


def test_two_seeds_are_too_few_to_test(training, recipe, tmp_path):
    run(recipe, tmp_path / "c", "cross-entropy,coral", seeds=2)
    content = json.loads((tmp_path / "c" / "compare.json").read_text())
    assert content["paired"] is None
    assert content["paired_rule"].startswith("not tested")


def test_another_task_and_its_expected_numbers_do_not_leak_into_the_runs(training, tmp_path):
    recipe = load_recipe("mnist", ["train.epochs=4", "train.steps_per_epoch=10", "compare.steps=null"])
    run(recipe, tmp_path / "c", "cross-entropy,xemd1:ground=learned", seeds=1)
    assert {one.task for one in training.recipes} == {"classification"}
    assert all(not one.expected.metrics for one in training.recipes)
    assert {path.name for path in (tmp_path / "c" / "runs").iterdir()} == {"cross_entropy", "xemd1-ground=learned"}
    assert training.recipes[1].loss.ground.name == "learned"


def test_losses_without_a_metric_in_common_are_refused(training, recipe, tmp_path):
    with pytest.raises(RecipeError, match="supcon is a loss of embeddings and coral one of classes"):
        run(recipe, tmp_path / "c", "coral,supcon,triplet")
    assert training.recipes == []


def test_the_command_shows_what_differs(training, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["compare", "diamonds", "--losses", "cross-entropy,squared-emd,xemd1", "--seeds", "4"]
    words += ["--set", "train.epochs=4", "--lrs", "1e-3,1e-2"]
    assert main(words) == 0
    out = capsys.readouterr().out
    for text in ("steps to val/mae", "lr: lowest val/mae of 0.001, 0.01 with seed 1000", "test/accuracy"):
        assert text in out
    assert "cross_entropy - squared_emd: -0.0" in out
    assert "1 of 3 pairs: not significant" in out
    assert main(["compare", "diamonds", "--losses", "supcon,coral"]) == 2
    assert "compare them apart" in capsys.readouterr().err


def test_trained_for_real(tmp_path):
    """Two losses with outputs of different kinds, one of them with a state: searched, trained, tested, in one table."""
    settings = [*ROWS, "compare.lrs=[3e-3, 1e-2]", "loss=coral"]
    losses = "coral,squared-emd:ground=learned"
    found = compare(load_recipe("diamonds", settings), losses, 1, tmp_path / "c", progress=False)
    assert [loss.name for loss in found.losses] == ["coral", "squared_emd-ground=learned"]
    assert found.selection == Selection("val/mae", False)
    for loss in found.losses:
        assert len(loss.search) == 3
        assert loss.lr in {one.lr for one in loss.search if one.value == min(s.value for s in loss.search)}
        assert loss.runs[0].test["test/mae"] < 1.5
        assert "cross-entropy alone for all 4 epochs" in "".join(loss.warnings) or loss.name == "coral"
