"""Every fold of a protocol: a run each, kept when they are finished, and mean and deviation over them."""

from __future__ import annotations

import json
import statistics
from typing import Any

import pytest

from monge.cli import main
from monge.errors import MongeError, RecipeError, RunError
from monge.recipes import load_recipe
from monge.train import folds
from monge.train.folds import fit_folds, folds_of
from monge.train.signals import Interrupted

SMALL = (
    "data.source=synthetic",
    "data.image_size=16",
    "data.augment=[]",
    "model.name=lenet5",
    "model.embedding_dim=8",
    "sampler.batch_size=8",
    "train.epochs=1",
    "train.steps_per_epoch=1",
)


class PretendedFit:
    """Stands in for `fit`: leaves a finished run folder whose numbers follow from the fold."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, bool, bool]] = []
        self.stop_at: int | None = None

    def __call__(self, recipe: Any, out: Any, **options: Any) -> dict[str, float]:
        fold = recipe.data.fold
        self.calls.append((fold, options["resume"], options["overwrite"]))
        out.mkdir(parents=True, exist_ok=True)
        (out / "recipe.yaml").write_text(recipe.to_yaml())
        if fold == self.stop_at:
            raise Interrupted("stopped at step 3, saved", 15)
        metrics = {"test/mae": 1.0 + fold, "test/kendall": None if fold == 3 else 0.5}
        (out / "metrics.jsonl").write_text(json.dumps({"step": 1, "epoch": 0, "time": 1.0, **metrics}) + "\n")
        (out / "environment.json").write_text(json.dumps({"finished": "now"}))
        return {name: float("nan") if value is None else value for name, value in metrics.items()}


@pytest.fixture
def pretended(monkeypatch):
    stand_in = PretendedFit()
    monkeypatch.setattr(folds, "fit", stand_in)
    return stand_in


def test_mean_and_deviation_over_the_folds(pretended, tmp_path):
    found = fit_folds(load_recipe("adience", SMALL), tmp_path, progress=False)
    assert [fold for fold, *_ in pretended.calls] == [0, 1, 2, 3, 4]
    assert found.mean["test/mae"] == 3.0
    assert found.std["test/mae"] == pytest.approx(statistics.stdev([1, 2, 3, 4, 5]))
    content = json.loads((tmp_path / "folds.json").read_text())
    assert content["mean"] == {"test/mae": 3.0, "test/kendall": None}  # undefined on one fold
    assert [one["path"] for one in content["folds"]] == [f"fold-{fold}" for fold in range(5)]
    assert content["folds"][3]["test"] == {"test/mae": 4.0, "test/kendall": None}
    assert content["definition"].startswith("mean and sample standard deviation (n - 1) over 5 folds")


def test_an_interruption_keeps_what_is_finished(pretended, tmp_path):
    recipe = load_recipe("adience", SMALL)
    pretended.stop_at = 2
    with pytest.raises(Interrupted, match=r"stopped in fold 2, saved; to go on: monge train x") as caught:
        fit_folds(recipe, tmp_path, progress=False, command="monge train x")
    assert caught.value.exit_code == 143
    assert not (tmp_path / "folds.json").exists()
    pretended.stop_at = None
    pretended.calls.clear()
    again = fit_folds(recipe, tmp_path, resume=True, progress=False)
    assert pretended.calls == [(2, True, False), (3, False, False), (4, False, False)]
    assert again.mean["test/mae"] == 3.0
    pretended.calls.clear()
    assert str(fit_folds(recipe, tmp_path, resume=True, progress=False)) == str(again)
    assert pretended.calls == []


def test_folds_are_not_overwritten_unasked_nor_mixed(pretended, tmp_path):
    recipe = load_recipe("adience", SMALL)
    fit_folds(recipe, tmp_path, progress=False)
    with pytest.raises(RunError, match="holds folds already; add --overwrite or --resume"):
        fit_folds(recipe, tmp_path, progress=False)
    with pytest.raises(RunError, match="was run with seed = 0, now 1"):
        fit_folds(recipe.model_copy(update={"seed": 1}), tmp_path, resume=True, progress=False)
    pretended.calls.clear()
    fit_folds(recipe, tmp_path, overwrite=True, progress=False)
    assert pretended.calls == [(fold, False, True) for fold in range(5)]


def test_which_data_have_folds():
    assert folds_of(load_recipe("fg-net", ["data.source=synthetic"]))[:3] == [1, 2, 3]
    with pytest.raises(RecipeError, match="--folds: mnist has no folds; those that have: adience, fg-net"):
        folds_of(load_recipe("mnist"))
    with pytest.raises(RecipeError, match="--folds: diamonds has no folds"):
        folds_of(load_recipe("diamonds"))
    with pytest.raises(RecipeError, match=r"data\.fold: found 2 together with --folds"):
        folds_of(load_recipe("adience", ["data.fold=2"]))
    with pytest.raises(MongeError, match="nowhere"):
        folds_of(load_recipe("fg-net", ["data.source=/nowhere"]))


def test_real_runs_of_all_folds_by_the_command(tmp_path, capsys):
    words = ["train", "adience", "--folds", "--out", str(tmp_path / "a"), *(w for s in SMALL for w in ("--set", s))]
    assert main(words) == 0
    said = capsys.readouterr()
    assert "fold 4 (5 of 5)" in said.err
    content = json.loads((tmp_path / "a" / "folds.json").read_text())
    assert f"test/mae         {content['mean']['test/mae']:.4f} ± {content['std']['test/mae']:.4f}" in said.out
    assert "± is one sample standard deviation (n - 1) over 5 folds" in said.out
    definitions = [json.loads(file.read_text())["data"]["definition"] for file in tmp_path.glob("a/*/environment.json")]
    assert sorted(text.split("test is ")[1][:6] for text in definitions) == [f"fold {fold}" for fold in range(5)]
    assert main([*words, "--resume"]) == 0
    again = capsys.readouterr()
    assert again.out == said.out
    assert again.err.count("kept from before") == 5
    assert main([*words, "--resume", "--devices", "2"]) == 2
    assert "--folds runs in one process" in capsys.readouterr().err
