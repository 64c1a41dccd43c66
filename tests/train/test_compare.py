"""The comparison, on trainings that are only pretended: equal terms, search, resumption, divergence, files."""

from __future__ import annotations

import csv
import json
import math
import warnings
from pathlib import Path
from typing import Any

import pytest

from monge.errors import MongeError, RecipeError, RunError, UniformPlanWarning
from monge.recipes import Recipe, load_recipe
from monge.report.comparison_folder import read_comparison
from monge.train import compared_run
from monge.train.compare import compare
from monge.train.keeper import DivergedError
from monge.train.signals import Interrupted
from oracles.pretended_training import PretendedTraining

GRID = (1e-3, 1e-2)
VARIED: Any = {"loss": True, "seed": True, "optimizer": {"lr"}, "expected": True}


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> PretendedTraining:
    pretended = PretendedTraining()
    monkeypatch.setattr(compared_run, "fit", pretended)
    return pretended


@pytest.fixture
def recipe() -> Recipe:
    own = ["compare.steps=null", "compare.lrs=[3e-4,1e-3]"]
    return load_recipe("mnist", [*own, "train.epochs=4", "train.steps_per_epoch=10", "loss.margin=1.5"])


def run(recipe: Recipe, out: Path, losses: str = "contrastive,supcon", seeds: int = 3, **options: Any) -> Any:
    return compare(recipe, losses, seeds, out, **{"lrs": GRID, "progress": False, **options})


def test_only_loss_rate_and_seed_differ(training: PretendedTraining, recipe: Recipe, tmp_path: Path) -> None:
    run(recipe, tmp_path / "c", "batchwise_ot,contrastive")
    settings = [one.model_dump(exclude=VARIED) for _, one, _ in training.calls]
    assert all(one == settings[0] for one in settings)
    assert settings[0] == recipe.model_dump(exclude=VARIED)


def test_the_search_is_on_validation_data_with_a_seed_that_is_not_reported(
    training: PretendedTraining, recipe: Recipe, tmp_path: Path
) -> None:
    found = run(recipe, tmp_path / "c")
    searched = [(one.seed, options["test"]) for name, one, options in training.calls if "search" in name]
    reported = [(one.seed, options["test"]) for name, one, options in training.calls if "search" not in name]
    assert set(searched) == {(1000, False)}
    assert set(reported) == {(0, True), (1, True), (2, True)}
    assert found.search["seed"] not in found.seeds


def test_the_best_rate_is_taken_and_a_grid_is_extended_once_at_its_edge(
    training: PretendedTraining, recipe: Recipe, tmp_path: Path
) -> None:
    found = run(recipe, tmp_path / "c", "contrastive,supcon,batchwise_ot")
    rates = {loss.name: loss.lr for loss in found.losses}
    tried = {loss.name: [(one.lr, one.extension) for one in loss.search] for loss in found.losses}
    assert rates == {"contrastive": 1e-2, "supcon": 1e-3, "batchwise_ot": 1e-1}
    assert tried == {
        "contrastive": [(1e-3, False), (1e-2, False), (1e-1, True)],
        "supcon": [(1e-3, False), (1e-2, False), (1e-4, True)],
        "batchwise_ot": [(1e-3, False), (1e-2, False), (1e-1, True)],
    }


def test_a_best_rate_inside_the_grid_needs_no_extension(
    training: PretendedTraining, recipe: Recipe, tmp_path: Path
) -> None:
    found = run(recipe, tmp_path / "c", "contrastive", lrs=(1e-1, 1e-3, 1e-2))
    assert [one.lr for one in found.losses[0].search] == [1e-3, 1e-2, 1e-1]


def test_a_single_rate_is_taken_without_a_search(training: PretendedTraining, recipe: Recipe, tmp_path: Path) -> None:
    found = run(recipe, tmp_path / "c", lrs=[0.05])
    assert len(training.calls) == 6
    assert [loss.lr for loss in found.losses] == [0.05, 0.05]
    assert found.search["seed"] is None


def test_the_numbers_are_those_of_the_runs(training: PretendedTraining, recipe: Recipe, tmp_path: Path) -> None:
    found = run(recipe, tmp_path / "c", "contrastive")
    mean, half = found.losses[0].summary()
    # Values 0.01 apart: standard deviation 0.01, t(0.975, 2) = 4.302653.
    assert mean["test/map"] == pytest.approx(0.9 - 0.5 / 40 - 0.01 - 0.01)
    assert half["test/map"] == pytest.approx(4.302653 * 0.01 / math.sqrt(3), rel=1e-6)
    # 95 % of the final 0.8775 is 0.8336, which seeds 0 and 1 pass at step 10 and seed 2 (0.83 there) at step 20.
    assert found.target == pytest.approx(0.95 * 0.8775)
    assert found.losses[0].steps_to(found.target) == [10, 10, 20]


def test_the_written_files(training: PretendedTraining, recipe: Recipe, tmp_path: Path) -> None:
    run(recipe, tmp_path / "c", command="monge compare mnist", target=0.86)
    content = json.loads((tmp_path / "c" / "compare.json").read_text())
    assert content["recipe"] == "mnist"
    assert content["data"] == {"name": "mnist", "source": "pretended", "definition": "none"}
    assert content["seeds"] == [0, 1, 2]
    assert content["budget"]["steps"] == 40
    assert content["budget"]["batch"] == recipe.sampler.batch_size  # type: ignore[union-attr]
    assert (content["search"]["lrs"], content["search"]["on"], content["search"]["seed"]) == ([*GRID], "val/map", 1000)
    assert content["command"] == "monge compare mnist"
    first = content["losses"][0]
    assert first["name"] == "contrastive"
    assert first["params"] == {"name": "contrastive", "pos_margin": 0.0, "neg_margin": 1.0, "power": 1}
    assert first["runs"][0]["path"] == "runs/contrastive/seed0-lr0.01"
    assert (tmp_path / "c" / first["runs"][0]["path"] / "metrics.jsonl").is_file()
    assert [point["step"] for point in first["runs"][0]["curve"]] == [10, 20, 30, 40]
    assert first["runs"][0]["train_seconds"] == 2.5
    assert first["steps_to_target"] == {"target": 0.86, "median": 20.0}
    assert set(first["interval"]) == set(first["mean"]) == {"test/map", "test/nn"}
    with (tmp_path / "c" / "compare.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["loss"], row["seed"]) for row in rows] == [(n, s) for n in ("contrastive", "supcon") for s in "012"]
    assert float(rows[0]["test/map"]) == first["runs"][0]["test"]["test/map"]
    assert len(read_comparison(tmp_path / "c").losses) == 2


def test_one_seed_has_no_interval(training: PretendedTraining, recipe: Recipe, tmp_path: Path) -> None:
    run(recipe, tmp_path / "c", seeds=1)
    assert json.loads((tmp_path / "c" / "compare.json").read_text())["losses"][0]["interval"]["test/map"] is None


def test_finished_runs_are_never_redone(training: PretendedTraining, recipe: Recipe, tmp_path: Path) -> None:
    run(recipe, tmp_path / "c")
    first = json.loads((tmp_path / "c" / "compare.json").read_text())
    training.calls.clear()
    run(recipe, tmp_path / "c")
    assert training.calls == []
    assert json.loads((tmp_path / "c" / "compare.json").read_text()) == first
    run(recipe, tmp_path / "c", "contrastive,supcon", seeds=4)
    assert training.names() == ["contrastive/seed3-lr0.01", "supcon/seed3-lr0.001"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), Interrupted("stopped at step 20, saved", 15)])
def test_an_interrupted_run_is_taken_up_again(
    training: PretendedTraining, recipe: Recipe, tmp_path: Path, stop: BaseException
) -> None:
    def interrupt(run: Recipe) -> None:
        if run.seed == 1:
            raise stop

    training.interfere = interrupt
    with pytest.raises(Interrupted, match="the same command goes on") as error:
        run(recipe, tmp_path / "c")
    assert error.value.exit_code == (130 if isinstance(stop, KeyboardInterrupt) else 143)
    done = len(training.calls)
    training.interfere = lambda run: None
    run(recipe, tmp_path / "c")
    again = training.calls[done:]
    assert [name for name, _, _ in again] == [
        "contrastive/seed1-lr0.01",
        "supcon/seed1-lr0.001",
        "contrastive/seed2-lr0.01",
        "supcon/seed2-lr0.001",
    ]
    assert [(options["resume"], options["overwrite"]) for _, _, options in again] == [(True, False)] + 3 * [
        (False, False)
    ]


def test_divergence_at_a_rate_is_recorded_and_the_rate_not_taken(
    training: PretendedTraining, recipe: Recipe, tmp_path: Path
) -> None:
    def diverge(run: Recipe) -> None:
        if run.loss.name == "contrastive" and run.optimizer.lr > 5e-3:
            raise DivergedError("the loss was not finite at step 7")

    training.interfere = diverge
    found = run(recipe, tmp_path / "c")
    contrastive = found.losses[0]
    assert contrastive.lr == 1e-3
    assert [(one.lr, math.isnan(one.value)) for one in contrastive.search] == [
        (1e-3, False),
        (1e-2, True),
        (1e-4, False),
    ]
    searched = json.loads((tmp_path / "c" / "compare.json").read_text())["losses"][0]["search"]
    assert searched[1]["val/map"] is None
    training.calls.clear()
    run(recipe, tmp_path / "c")
    assert training.calls == []


def test_divergence_at_every_rate_leaves_a_row_without_runs(
    training: PretendedTraining, recipe: Recipe, tmp_path: Path
) -> None:
    def diverge(run: Recipe) -> None:
        if run.loss.name == "contrastive":
            raise DivergedError("the loss was not finite at step 7")

    training.interfere = diverge
    found = run(recipe, tmp_path / "c")
    assert (found.losses[0].lr, list(found.losses[0].runs)) == (None, [])
    assert found.losses[1].summary()[0]["test/map"] > 0.8
    assert read_comparison(tmp_path / "c").losses[0].mean == {}


def test_divergence_of_a_seed_is_recorded_and_left_out_of_the_mean(
    training: PretendedTraining, recipe: Recipe, tmp_path: Path
) -> None:
    def diverge(run: Recipe) -> None:
        if run.loss.name == "contrastive" and run.seed == 1:
            raise DivergedError("the loss was not finite at step 7")

    training.interfere = diverge
    found = run(recipe, tmp_path / "c")
    assert [run.diverged for run in found.losses[0].runs] == ["", "the loss was not finite at step 7", ""]
    assert found.losses[0].summary()[0]["test/nn"] == pytest.approx(0.9 - 0.5 / 40 - 0.01)
    assert found.losses[0].steps_to(0.5) == [10, None, 10]
    content = json.loads((tmp_path / "c" / "compare.json").read_text())["losses"][0]
    assert content["finished"] == 2
    assert content["runs"][1]["diverged"]


def test_everything_diverging_is_still_a_comparison(
    training: PretendedTraining, recipe: Recipe, tmp_path: Path
) -> None:
    def diverge(run: Recipe) -> None:
        raise DivergedError("the loss was not finite at step 1")

    training.interfere = diverge
    found = run(recipe, tmp_path / "c")
    assert found.target is None
    assert read_comparison(tmp_path / "c").losses[0].steps_to_target is None


def test_warnings_of_a_run_are_kept_with_its_row(training: PretendedTraining, recipe: Recipe, tmp_path: Path) -> None:
    def warn(run: Recipe) -> None:
        if run.loss.name == "batchwise_ot" and run.loss.epsilon == 100:
            warnings.warn("the plan is uniform", UniformPlanWarning, stacklevel=1)

    training.interfere = warn
    found = run(recipe, tmp_path / "c", "contrastive,batchwise_ot:epsilon=100,label=uniform-plan")
    assert [(loss.name, list(loss.warnings)) for loss in found.losses] == [
        ("contrastive", []),
        ("uniform-plan", ["the plan is uniform"]),
    ]


def test_the_recipes_own_loss_keeps_the_recipes_parameters(
    training: PretendedTraining, recipe: Recipe, tmp_path: Path
) -> None:
    found = run(recipe, tmp_path / "c", "batchwise_ot,batchwise_ot:epsilon=100,label=uniform-plan,contrastive", 1)
    params = {loss.name: loss.params for loss in found.losses}
    assert (params["batchwise_ot"]["margin"], params["batchwise_ot"]["epsilon"]) == (1.5, 0.2)
    assert (params["uniform-plan"]["margin"], params["uniform-plan"]["epsilon"]) == (1.5, 100.0)
    assert "margin" not in params["contrastive"]


def test_a_folder_with_other_settings_is_refused_and_dropped_on_demand(
    training: PretendedTraining, recipe: Recipe, tmp_path: Path
) -> None:
    run(recipe, tmp_path / "c")
    with pytest.raises(RunError, match="holds a run with other settings"):
        run(recipe, tmp_path / "c", steps=80)
    (tmp_path / "c" / "notes.txt").write_text("mine")
    training.calls.clear()
    found = run(recipe, tmp_path / "c", steps=80, resume=False)
    assert found.budget["steps"] == 80
    assert len(training.calls) == 12
    assert (tmp_path / "c" / "notes.txt").exists()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"losses": "contrastve"}, "--losses: found 'contrastve', expected one of batchwise_ot"),
        ({"losses": "supcon:temprature=1"}, "loss.temprature: unknown key; did you mean loss.temperature?"),
        ({"losses": "supcon:temperature=-1"}, "loss.temperature: found -1"),
        ({"losses": "supcon:temperature"}, "expected KEY=VALUE"),
        ({"losses": "temperature=1"}, "before any loss"),
        ({"losses": "supcon,supcon"}, "'supcon' stands there twice"),
        ({"losses": "supcon:label=a/b"}, "found the label 'a/b'"),
        ({"losses": "supcon:temperature=[,label=x"}, "not YAML"),
        ({"losses": "batchwise_ot_preset"}, "loss.preset: missing"),
        ({"seeds": 0}, "--seeds: found 0"),
        ({"lrs": []}, "--lrs: found nothing"),
        ({"lrs": [1e-3, -1.0]}, "--lrs: found 0.001, -1"),
        ({"lrs": [1e-3, 1e-3]}, "--lrs: found 0.001, 0.001"),
        ({"jobs": 0}, "--jobs: found 0"),
        ({"steps": 0}, "--steps: found 0"),
        ({"steps": 41}, "--steps: found 41, which does not divide into about 4 epochs (the recipe's); try 40"),
        ({"target": -0.5}, "--target: found -0.5"),
    ],
)
def test_user_errors_are_one_line_and_train_nothing(
    training: PretendedTraining, recipe: Recipe, tmp_path: Path, options: dict[str, Any], line: str
) -> None:
    with pytest.raises(RecipeError) as error:
        run(recipe, tmp_path / "c", **options)
    assert line in str(error.value)
    assert "\n" not in str(error.value)
    assert training.calls == []


def test_a_folder_that_is_something_else_is_refused(
    training: PretendedTraining, recipe: Recipe, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="holds other files"):
        run(recipe, tmp_path / "photos", resume=False)
    with pytest.raises(RunError, match="cannot be used as a folder"):
        run(recipe, tmp_path / "file")
    assert (tmp_path / "photos" / "a.jpg").exists()


def test_a_failure_that_is_no_divergence_ends_the_comparison(
    training: PretendedTraining, recipe: Recipe, tmp_path: Path
) -> None:
    def fail(run: Recipe) -> None:
        raise MongeError("the data are gone")

    training.interfere = fail
    with pytest.raises(MongeError, match="the data are gone"):
        run(recipe, tmp_path / "c")
    assert not (tmp_path / "c" / "compare.json").exists()
