"""One training of a comparison: done once, taken up again where it was interrupted, never redone when finished."""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from monge.errors import RunError
from monge.recipes import Recipe
from monge.train.atomic import write_atomically
from monge.train.keeper import DivergedError
from monge.train.metrics_log import MetricsLog
from monge.train.run_files import RunFiles
from monge.train.selection import Selection
from monge.train.training import fit

# Sections and keys of a recipe that change nothing about the numbers of a run.
_FREE: Mapping[str, Any] = {
    "title": True,
    "expected": True,
    "compare": True,
    "train": {"checkpoint_every", "log_every", "threads"},
}


@dataclass(frozen=True)
class ComparedRun:
    """A training to be done.

    Attributes:
        label: Row of the comparison it belongs to.
        recipe: All of its settings, seed and learning rate included.
        folder: Where it goes; its outcome is kept in a file beside the folder.
        search: Whether it is there to choose a learning rate, and so stays away from the test data.
        device: As for `monge.train.fit`.
    """

    label: str
    recipe: Recipe
    folder: Path
    search: bool
    device: str = "auto"

    @property
    def outcome_file(self) -> Path:
        """Exists once the run is done."""
        return self.folder.with_name(self.folder.name + ".json")

    def fingerprint(self) -> str:
        """Changes with every setting that changes the numbers."""
        settings = self.recipe.model_dump(mode="json", exclude=dict(_FREE))
        return hashlib.sha256(json.dumps([settings, self.search], sort_keys=True).encode()).hexdigest()

    def outcome(self) -> Outcome | None:
        """What came of it, ``None`` if it is not done.

        Raises:
            RunError: The folder holds a run with other settings.
        """
        try:
            content = json.loads(self.outcome_file.read_text(encoding="utf-8"))
            found = content.pop("fingerprint")
            outcome = Outcome(**{**content, "curve": tuple((int(step), float(v)) for step, v in content["curve"])})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RunError(f"{self.outcome_file}: not the outcome of a run; delete it to redo the run") from error
        if found != self.fingerprint():
            raise RunError(
                f"{self.folder}: holds a run with other settings (steps, data, model ...) than asked for now; choose"
                " another --out, or --overwrite"
            )
        return outcome

    def keep(self, outcome: Outcome) -> None:
        """Writes the outcome: the run is done.

        Raises:
            RunError: It cannot be written.
        """
        text = json.dumps({"fingerprint": self.fingerprint(), **asdict(outcome)}) + "\n"
        try:
            write_atomically(self.outcome_file, lambda part: part.write_text(text, encoding="utf-8"))
        except OSError as error:
            raise RunError(f"{self.outcome_file}: cannot be written ({error.strerror or error})") from error


@dataclass(frozen=True)
class Outcome:
    """What came of a training.

    Attributes:
        curve: Steps and values of the validation metric that selects, ascending.
        test: Test metrics by name; empty after a search run and where training diverged.
        train_seconds: Wall time spent in training.
        data: ``name``, ``source`` and ``definition`` of the data that ran.
        diverged: What became of it if it did not end with finite numbers; empty otherwise.
        warnings: What was warned about, each message once.
        select: Metric and direction, see `Selection.to_json`.
    """

    curve: Sequence[tuple[int, float]]
    test: dict[str, float]
    train_seconds: float
    data: dict[str, str]
    diverged: str = ""
    warnings: Sequence[str] = ()
    select: dict[str, Any] = field(default_factory=lambda: Selection().to_json())

    @property
    def selection(self) -> Selection:
        """What chose the weights."""
        return Selection(**self.select)

    @property
    def value(self) -> float:
        """Validation value of the weights that are kept, which are the best ones; NaN where training diverged."""
        return math.nan if self.diverged else self.selection.best(value for _, value in self.curve)


def train_one(run: ComparedRun) -> Outcome:
    """Trains, or goes on with, one run and keeps its outcome.

    Raises:
        Interrupted: It was asked to stop; the same call goes on.
        MongeError: It cannot be run at all.
    """
    files = RunFiles(run.folder)
    going_on = files.last.is_file() and files.recipe.is_file()
    diverged, test = "", {}
    # Kept with the outcome instead of being printed between the lines of other runs.
    with warnings.catch_warnings(record=True) as warned:
        try:
            metrics = fit(
                run.recipe,
                run.folder,
                device=run.device,
                resume=going_on,
                overwrite=not going_on and run.folder.exists(),
                progress=False,
                test=not run.search,
            )
            test = {name: value for name, value in metrics.items() if name.startswith("test/")}
        except DivergedError as error:
            diverged = str(error)
    messages = tuple(dict.fromkeys(str(one.message) for one in warned))
    outcome = _read_outcome(files, test, diverged, messages)
    run.keep(outcome)
    return outcome


def _read_outcome(files: RunFiles, test: dict[str, float], diverged: str, messages: Sequence[str]) -> Outcome:
    """Gathers from the run's own files what a comparison needs."""
    records = MetricsLog(files.metrics).read()
    environment: dict[str, Any] = files.read_environment()
    select = environment.get("select", Selection().to_json())
    name = select["metric"]
    curve = tuple((record["step"], record[name]) for record in records if record.get(name) is not None)
    seconds = environment.get("train_seconds") or max((record.get("time", 0.0) for record in records), default=0.0)
    return Outcome(curve, test, float(seconds), dict(environment.get("data", {})), diverged, messages, select)
