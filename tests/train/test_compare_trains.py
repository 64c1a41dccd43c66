"""The comparison with real trainings: processes change nothing, and a kill costs nothing but the interrupted runs."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from monge.cli import main
from monge.recipes import load_recipe
from monge.train.compare import compare

SETTINGS = [
    "data.source=synthetic",
    "compare.steps=null",
    "model.embedding_dim=16",
    "sampler.samples_per_class=3",
    "train.epochs=2",
    "train.steps_per_epoch=3",
    "evaluate.knn=0",
    "evaluate.svm=false",
]
LOSSES = "batchwise_ot,proxy_anchor"


def numbers(folder: Path) -> list[Any]:
    """What a comparison found, without times."""
    losses = json.loads((folder / "compare.json").read_text())["losses"]
    return [[loss["lr"], loss["search"], loss["mean"], [run["curve"] for run in loss["runs"]]] for loss in losses]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare") / "whole"
    compare(load_recipe("mnist", SETTINGS), LOSSES, 2, folder, lrs=[1e-3], progress=False)
    return folder


def test_a_killed_comparison_goes_on_with_the_same_numbers(
    uninterrupted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "killed"
    words = ["compare", "mnist", "--losses", LOSSES, "--seeds", "2", "--lrs", "1e-3", "--out", str(folder)]
    words += [word for text in SETTINGS for word in ("--set", text)]
    process = subprocess.Popen([sys.executable, "-m", "monge", *words, "--jobs", "2"], stderr=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while not list(folder.glob("runs/*/*.json")) and process.poll() is None:
        assert time.monotonic() < end, "no run ended in time"
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "compare.json").exists()
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/*.json")}
    assert kept
    assert main(words) == 0
    printed = capsys.readouterr()
    assert "kept from before" in printed.err
    assert all(text in printed.out for text in ("batchwise_ot", "proxy_anchor", "±", "synthetic", "seeds 0, 1"))
    assert (folder / "compare.html").is_file()
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    assert numbers(folder) == numbers(uninterrupted)


def test_a_rate_far_too_high_is_a_row_in_the_search_and_no_crash(tmp_path: Path) -> None:
    recipe = load_recipe("mnist", [*SETTINGS, "optimizer.name=sgd", "optimizer.lr=0.01"])
    found = compare(recipe, "contrastive", 1, tmp_path / "c", lrs=[1e-2, 1e30], progress=False)
    values = {one.lr: one.value for one in found.losses[0].search}
    assert math.isnan(values[1e30])
    assert found.losses[0].lr is not None
    assert found.losses[0].lr <= 1e-2
    searches = list(tmp_path.glob("c/runs/contrastive/search-*/"))
    assert len(searches) == len(values)
    for run in searches:
        assert not (run / "embeddings.safetensors").exists()
        assert "test/" not in (run / "metrics.jsonl").read_text()
    assert "test/map" in (tmp_path / "c" / found.losses[0].runs[0].path / "metrics.jsonl").read_text()


def test_weights_that_break_at_the_last_step_of_an_epoch_are_a_divergence(tmp_path: Path) -> None:
    # One step an epoch: its loss is finite, the step it takes is not, and validation comes before the next loss.
    settings = [*SETTINGS, "train.steps_per_epoch=1", "optimizer.name=sgd", "optimizer.lr=1e38"]
    found = compare(load_recipe("mnist", settings), "contrastive", 1, tmp_path / "c", lrs=[1e38], progress=False)
    assert "not finite at step 1" in found.losses[0].runs[0].diverged
