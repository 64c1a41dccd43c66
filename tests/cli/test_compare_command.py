"""``monge compare``: what it prints, what it hands on, and its one-line errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from monge.cli import main
from monge.errors import RecipeError
from monge.recipes import Recipe
from monge.train import compared_run
from monge.train.keeper import DivergedError
from oracles.pretended_training import PretendedTraining


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> PretendedTraining:
    pretended = PretendedTraining()
    monkeypatch.setattr(compared_run, "fit", pretended)
    monkeypatch.chdir(tmp_path)
    return pretended


LOSSES = ("--losses", "contrastive,supcon,batchwise_ot:epsilon=100,label=uniform-plan")


def test_the_table_and_what_has_to_be_known_to_read_it(
    training: PretendedTraining, capsys: pytest.CaptureFixture[str]
) -> None:
    def diverge(run: Recipe) -> None:
        if run.loss.name == "supcon" and run.seed == 2:
            raise DivergedError("the loss was not finite at step 7")

    training.interfere = diverge
    assert main(["compare", "mnist", *LOSSES, "--lrs", "1e-3,1e-2", "--steps", "100", "--target", "0.85"]) == 0
    printed = capsys.readouterr()
    lines = {line.split("│")[1].strip(): line for line in printed.out.splitlines() if "│" in line}
    assert set(lines) == {"contrastive", "supcon (1 of 3 seeds diverged)", "uniform-plan"}
    assert "0.1*" in lines["uniform-plan"]
    assert "0.8750 ± 0.0248" in lines["contrastive"]
    for text in ("seeds 0, 1, 2", "with seed 1000", "0.001, 0.01", "100 steps of", "data:    pretended; none"):
        assert text in printed.out
    assert "steps to val/map 0.850" in printed.out
    content = json.loads(Path("runs/compare-mnist/compare.json").read_text())
    assert content["command"].startswith("monge ")
    assert Path("runs/compare-mnist/compare.html").is_file()
    assert "[ 1/15] contrastive  lr 0.001  search  val/map" in printed.err


def test_one_seed_is_shown_without_an_interval(training: PretendedTraining, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "mnist", "--losses", "contrastive", "--lrs", "1e-2", "--seeds", "1"]) == 0
    out = capsys.readouterr().out
    assert "nan" not in out
    assert "±" not in next(line for line in out.splitlines() if line.startswith("│"))


def test_settings_and_data_reach_every_run(training: PretendedTraining, tmp_path: Path) -> None:
    words = ["--set", "model.embedding_dim=32", "--data", "digits", "--lrs", "1e-2", "--seeds", "2", "--out", "out"]
    assert main(["compare", "mnist", "--losses", "contrastive", *words]) == 0
    runs = [recipe for _, recipe, _ in training.calls]
    assert {recipe.model.embedding_dim for recipe in runs} == {32}
    assert {recipe.data.source for recipe in runs} == {str(tmp_path / "digits")}
    assert (tmp_path / "out" / "compare.csv").is_file()


def test_the_default_is_all_losses() -> None:
    from monge.cli.compare import _ALL
    from monge.train.baselines import BASELINES

    assert tuple(_ALL["embedding"].split(",")) == ("batchwise_ot", *BASELINES)


def test_every_task_has_losses_of_its_own_as_default() -> None:
    from monge.cli.compare import _ALL
    from monge.recipes.loss_params import Task, task_of

    assert set(_ALL) == set(get_args(Task))
    for task, names in _ALL.items():
        assert {task_of(name) for name in names.split(",")} == {task}


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["--losses", "tripplet"],
            "error: --losses: found 'tripplet', expected one of batchwise_ot, batchwise_ot_preset, contrastive",
        ),
        (["--lrs", "1e-3;1e-2"], "error: --lrs: found '1e-3;1e-2', expected numbers separated by commas"),
        (["--seeds", "0"], "error: --seeds: found 0"),
        (["--set", "train.epoch=3"], "error: recipe mnist: train.epoch: unknown key"),
        (["--out", "file"], "error: file: cannot be used as a folder"),
    ],
)
def test_user_errors_are_one_line_and_exit_code_2(
    training: PretendedTraining, capsys: pytest.CaptureFixture[str], words: list[str], line: str
) -> None:
    Path("file").touch()
    assert main(["compare", "mnist", *words]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(line)
    assert printed.err.count("\n") == 1
    assert training.calls == []


def test_an_error_within_a_run_is_one_line_too(training: PretendedTraining, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(run: Recipe) -> None:
        raise RecipeError("data.normalize.mean: found 3 numbers, expected 1 number for these images")

    training.interfere = fail
    assert main(["compare", "mnist", *LOSSES]) == 2
    assert capsys.readouterr().err == (
        "error: data.normalize.mean: found 3 numbers, expected 1 number for these images\n"
    )


def test_ctrl_c_says_how_to_go_on(training: PretendedTraining, capsys: pytest.CaptureFixture[str]) -> None:
    def stop(run: Recipe) -> None:
        raise KeyboardInterrupt

    training.interfere = stop
    assert main(["compare", "mnist", *LOSSES]) == 130
    assert "the same command goes on" in capsys.readouterr().err
