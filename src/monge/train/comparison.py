"""The result of a comparison: what was run, what came out, and the two files it is written to."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from monge.errors import RunError
from monge.train.atomic import write_atomically
from monge.train.intervals import first_step_at, mean_and_interval, median_steps
from monge.train.selection import Selection
from monge.train.significance import PairedTest, paired_rule


@dataclass(frozen=True)
class SearchRun:
    """One learning rate tried.

    Attributes:
        lr: The learning rate.
        value: Validation value of the weights that the run would be judged by; NaN where training diverged.
        extension: Whether it was added because the best rate lay at the edge of the grid.
    """

    lr: float
    value: float
    extension: bool = False


@dataclass(frozen=True)
class SeedRun:
    """One training at the chosen learning rate.

    Attributes:
        seed: Seed of the run.
        path: Folder of the run, relative to the comparison's.
        test: Test metrics by name; empty where training diverged.
        curve: Steps and values of the validation metric that selects, ascending.
        train_seconds: Wall time spent in training.
        diverged: What became of it if it did not end with finite numbers; empty otherwise.
    """

    seed: int
    path: str
    test: Mapping[str, float]
    curve: Sequence[tuple[int, float]]
    train_seconds: float
    diverged: str = ""


@dataclass(frozen=True)
class LossResult:
    """One row of the comparison.

    Attributes:
        name: Label of the row.
        params: All parameters of the loss, its name among them.
        lr: The learning rate chosen; ``None`` where training diverged at all of them.
        search: Every learning rate tried.
        runs: One training a seed.
        warnings: What its runs warned about, each message once.
        selection: What chose learning rate and weights.
    """

    name: str
    params: Mapping[str, Any]
    lr: float | None
    search: Sequence[SearchRun]
    runs: Sequence[SeedRun]
    warnings: Sequence[str] = ()
    selection: Selection = field(default_factory=Selection)

    def final_value(self) -> float:
        """Mean over seeds of the last validation value; NaN without a finished run."""
        ends = [run.curve[-1][1] for run in self.runs if run.curve and not run.diverged]
        return mean_and_interval(ends)[0] if ends else math.nan

    def summary(self) -> tuple[dict[str, float], dict[str, float]]:
        """Mean and 95 % half-width of every test metric over the seeds that finished."""
        finished = [run.test for run in self.runs if not run.diverged]
        names = [name for name in finished[0] if all(name in test for test in finished)] if finished else []
        pairs = {name: mean_and_interval([test[name] for test in finished]) for name in names}
        return {name: pair[0] for name, pair in pairs.items()}, {name: pair[1] for name, pair in pairs.items()}

    def steps_to(self, target: float) -> list[int | None]:
        """Of each seed, the first evaluated step with a validation value as good as the target."""
        higher = self.selection.higher_is_better
        return [
            None if run.diverged else first_step_at(run.curve, target, higher_is_better=higher) for run in self.runs
        ]


@dataclass(frozen=True)
class Comparison:
    """Everything `compare` found.

    Attributes:
        recipe: Name of the recipe.
        data: ``name``, ``source`` and ``definition`` of the data that ran.
        seeds: Seeds of the reported runs.
        budget: What every run had: steps, batch, steps between validations, and so on.
        search: ``lrs``, ``on``, ``seed`` and ``rule`` of the search for the learning rate.
        command: What was typed, or the call.
        losses: One row a loss, in the order asked for.
        target: Validation value whose first step is reported; ``None`` where nothing trained.
        target_rule: Where the target comes from.
        folder: Where all of it lies.
        selection: What chose learning rates and weights.
        paired: Tests of every loss against every other; ``None`` where there are too few seeds.
    """

    recipe: str
    data: Mapping[str, str]
    seeds: Sequence[int]
    budget: Mapping[str, Any]
    search: Mapping[str, Any]
    command: str
    losses: Sequence[LossResult]
    target: float | None
    target_rule: str
    folder: Path = field(compare=False)
    selection: Selection = field(default_factory=Selection)
    paired: Sequence[PairedTest] | None = None

    def to_json(self) -> dict[str, Any]:
        """The content of ``compare.json``; numbers that do not exist are null."""
        return {
            "recipe": self.recipe,
            "data": dict(self.data),
            "seeds": list(self.seeds),
            "budget": dict(self.budget),
            "search": dict(self.search),
            "select": self.selection.to_json(),
            "target": {self.selection.metric: self.target, "rule": self.target_rule},
            "paired": None if self.paired is None else [asdict(test) for test in self.paired],
            "paired_rule": paired_rule(self.paired),
            "command": self.command,
            "losses": [self._row(loss) for loss in self.losses],
        }

    def _row(self, loss: LossResult) -> dict[str, Any]:
        mean, interval = loss.summary()
        median = median_steps(loss.steps_to(self.target)) if self.target is not None else None
        return {
            "name": loss.name,
            "params": dict(loss.params),
            "lr": loss.lr,
            "search": [
                {"lr": one.lr, self.selection.metric: _or_null(one.value), "extension": one.extension}
                for one in loss.search
            ],
            "runs": [_run_row(run, self.selection.metric) for run in loss.runs],
            "mean": _or_nulls(mean),
            "interval": _or_nulls(interval),
            "warnings": list(loss.warnings),
            "finished": sum(not run.diverged for run in loss.runs),
            "steps_to_target": None if self.target is None else {"target": self.target, "median": median},
        }

    def write(self) -> None:
        """Writes ``compare.json`` and ``compare.csv`` (one row a loss and seed).

        Raises:
            RunError: They cannot be written.
        """
        text = json.dumps(self.to_json(), indent=2, allow_nan=False) + "\n"
        try:
            write_atomically(self.folder / "compare.json", lambda part: part.write_text(text, encoding="utf-8"))
            write_atomically(self.folder / "compare.csv", self._write_csv)
        except OSError as error:
            raise RunError(f"{self.folder}: the results cannot be written ({error.strerror or error})") from error

    def _write_csv(self, path: Path) -> None:
        metrics = list(dict.fromkeys(name for loss in self.losses for run in loss.runs for name in run.test))
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["loss", "lr", "seed", *metrics, "steps_to_target", "train_seconds", "path", "diverged"])
            for loss in self.losses:
                steps = loss.steps_to(self.target) if self.target is not None else [None] * len(loss.runs)
                for run, needed in zip(loss.runs, steps, strict=True):
                    values = [run.test.get(name, "") for name in metrics]
                    tail = ["" if needed is None else needed, round(run.train_seconds, 2), run.path, run.diverged]
                    writer.writerow([loss.name, loss.lr, run.seed, *values, *tail])


def _run_row(run: SeedRun, metric: str) -> dict[str, Any]:
    row: dict[str, Any] = {
        "seed": run.seed,
        "path": run.path,
        "test": _or_nulls(run.test),
        "curve": [{"step": step, metric: _or_null(value)} for step, value in run.curve],
        "train_seconds": run.train_seconds,
    }
    return row | ({"diverged": run.diverged} if run.diverged else {})


def _or_null(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _or_nulls(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: _or_null(value) for name, value in values.items()}
