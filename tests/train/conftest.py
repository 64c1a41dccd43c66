"""One tiny finished run, trained once and read by many tests."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from monge.recipes import Recipe, load_recipe
from monge.train import fit

# 3 epochs of 5 steps: the end of the second epoch and step 7 are checkpoints, step 8 is not.
TINY = (
    "data.source=synthetic",
    "model.embedding_dim=16",
    "sampler.samples_per_class=2",
    "train.epochs=3",
    "train.steps_per_epoch=5",
    "train.checkpoint_every=7",
    "train.log_every=1",
    "evaluate.reference_items=200",
)
# 4 epochs of 5 steps on drawn stones; step 7 and the ends of the epochs are checkpoints, step 8 is not.
ROWS = (
    "data.source=synthetic",
    "model.hidden=[16]",
    "model.embedding_dim=8",
    "sampler.batch_size=64",
    "train.epochs=4",
    "train.steps_per_epoch=5",
    "train.checkpoint_every=7",
    "train.log_every=1",
)


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    return load_recipe("mnist", TINY)


@pytest.fixture(scope="session")
def tiny_run(tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float]]:
    """A run that nothing interrupted: its folder and what `fit` returned."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return folder, fit(tiny_recipe, folder, progress=False)


@pytest.fixture
def records() -> Callable[[Path], list[dict[str, Any]]]:
    """Lines of a run's ``metrics.jsonl`` without the clock."""

    def read(folder: Path) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        return [{key: value for key, value in line.items() if key != "time"} for line in lines]

    return read


@pytest.fixture
def started() -> Any:
    """Starts ``monge train`` on a tiny recipe in a process of its own and waits for a number of logged lines."""
    processes: list[subprocess.Popen[str]] = []

    def start(
        folder: Path, lines: int, *more: str, recipe: str = "mnist", settings: Sequence[str] = TINY
    ) -> subprocess.Popen[str]:
        words = [word for setting in settings for word in ("--set", setting)]
        command = [sys.executable, "-m", "monge", "train", recipe, "--out", str(folder), *words, *more]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        metrics, deadline = folder / "metrics.jsonl", time.monotonic() + 120
        while not (metrics.exists() and metrics.read_bytes().count(b"\n") >= lines):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()
