"""What a report reads from a run folder; a missing or broken piece becomes a sentence instead of a failure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monge.errors import RunError
from monge.extras import require
from monge.report.stored_cross_modal import StoredCrossModal, is_cross_modal, load_cross_modal
from monge.report.stored_embeddings import StoredEmbeddings, load_embeddings
from monge.report.stored_ground import StoredGround, load_ground
from monge.report.stored_predictions import StoredPredictions, load_predictions
from monge.report.stored_verification import StoredVerification, load_verification

_LONGEST_TEXT = 64_000
_LARGEST_FILE = 1 << 28
_NO_CURVES = {"step", "epoch", "time"}
_FILES = (
    "recipe.yaml",
    "metrics.jsonl",
    "embeddings.safetensors",
    "predictions.safetensors",
    "verification.safetensors",
    "environment.json",
)
_NO_GROUND = "the run stored none, because its loss has none or because its classes are too many to be shown"


@dataclass(frozen=True)
class Records:
    """The numbers of ``metrics.jsonl`` by name.

    Args:
        series: For every name ``(steps, values)``, ascending steps, one value a step (the last one written).
        problem: What is wrong with the file; empty if nothing is.
    """

    series: Mapping[str, tuple[list[float], list[float]]] = field(default_factory=dict)
    problem: str = ""

    def last(self, prefix: str) -> dict[str, float]:
        """The last value of every name below ``prefix``.

        Example:
            >>> Records({"test/map": ([1, 2], [0.5, 0.6])}).last("test/")
            {'test/map': 0.6}
        """
        return {name: values[-1] for name, (_, values) in self.series.items() if name.startswith(prefix)}


@dataclass(frozen=True)
class RunFolder:
    """Everything a report shows, read once.

    Args:
        path: The folder.
        recipe: Parsed ``recipe.yaml``, empty if it could not be read.
        recipe_text: The same as text.
        records: The numbers of ``metrics.jsonl``.
        environment: Parsed ``environment.json``, empty if it could not be read.
        results: What the run stored of the test items, embeddings, predictions or pairs, or the sentence that says why
            there is none of them.
        ground: The ground distance of its loss, or the sentence that says why there is none.
        classifies: Whether it is the run of a classifier.
        verifies: Whether it is a run on faces, measured on pairs.
        searches: Whether it is a run on two modalities.
        problems: One sentence for every piece that is missing or broken.
    """

    path: Path
    recipe: Mapping[str, Any]
    recipe_text: str
    records: Records
    environment: Mapping[str, Any]
    results: StoredEmbeddings | StoredPredictions | StoredVerification | StoredCrossModal | str
    ground: StoredGround | str
    classifies: bool
    verifies: bool
    searches: bool
    problems: tuple[str, ...]

    def setting(self, *keys: str) -> Any:
        """A value of the recipe by its path, ``None`` where there is none."""
        return lookup(self.recipe, *keys)


def lookup(tree: Any, *keys: str) -> Any:
    """A value inside nested mappings, ``None`` where a step is missing or not a mapping.

    Example:
        >>> lookup({"data": {"name": "mnist"}}, "data", "name"), lookup({"data": 3}, "data", "name")
        ('mnist', None)
    """
    for key in keys:
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree


def read_run(path: Path) -> RunFolder:
    """Reads a run folder, whatever of it is there.

    Raises:
        RunError: ``path`` is no folder, or none of the files of a run is in it.
    """
    if not path.is_dir():
        raise RunError(f"{path}: found no folder here, expected the folder of a run (as given to --out)")
    if not any((path / name).is_file() for name in _FILES):
        raise RunError(f"{path}: found none of {', '.join(_FILES)}, expected the folder of a run (as given to --out)")
    recipe, recipe_text, recipe_problem = _read_recipe(path / "recipe.yaml")
    records = read_records(path / "metrics.jsonl")
    environment, environment_problem = _read_environment(path / "environment.json")
    classifies = recipe.get("task") == "classification" or (path / "predictions.safetensors").exists()
    searches = recipe.get("task") == "cross-modal" or is_cross_modal(path / "embeddings.safetensors")
    verifies = recipe.get("task") == "face" or (path / "verification.safetensors").exists()
    results: StoredEmbeddings | StoredPredictions | StoredVerification | StoredCrossModal | str
    ground: StoredGround | str = _NO_GROUND
    if classifies:
        results = load_predictions(path / "predictions.safetensors")
        # Most losses have no ground distance: that its file is not there is no problem.
        if (path / "ground.safetensors").exists():
            ground = load_ground(path / "ground.safetensors")
    elif verifies:
        results = load_verification(path / "verification.safetensors")
    elif searches:
        results = load_cross_modal(path / "embeddings.safetensors")
    else:
        results = load_embeddings(path / "embeddings.safetensors")
    problems = [recipe_problem, records.problem, environment_problem]
    problems.append(results if isinstance(results, str) else results.problem)
    if ground is not _NO_GROUND:
        problems.append(ground if isinstance(ground, str) else ground.problem)
    return RunFolder(
        path,
        recipe,
        recipe_text,
        records,
        environment,
        results,
        ground,
        classifies,
        verifies,
        searches,
        tuple(text for text in problems if text),
    )


def read_text(path: Path) -> str:
    """A text file, unreadable bytes replaced.

    Raises:
        OSError: It cannot be read, or is too large to be what its name says.
    """
    if path.stat().st_size > _LARGEST_FILE:
        raise OSError(f"larger than {_LARGEST_FILE >> 20} MiB")
    return path.read_text(encoding="utf-8", errors="replace")


def read_records(path: Path) -> Records:
    """Reads ``metrics.jsonl``; lines that are no JSON object with a step are left out and counted in ``problem``.

    A step that occurs twice (a run that was resumed) keeps the value written last.
    """
    values: dict[str, dict[int, float]] = {}
    broken: list[int] = []
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, start=1):
                record = _record(line) if line.strip() else {}
                if record is None:
                    broken.append(number)
                    continue
                for name in record.keys() - _NO_CURVES:
                    values.setdefault(name, {})[int(record["step"])] = record[name]
    except OSError as error:
        return Records(problem=_unread(path, error))
    series = {name: _ascending(values[name]) for name in sorted(values)}
    return Records(series, _broken_lines(path.name, broken, bool(series)))


def _ascending(found: dict[int, float]) -> tuple[list[float], list[float]]:
    steps = sorted(found)
    return [float(step) for step in steps], [found[step] for step in steps]


def _record(line: str) -> dict[str, float] | None:
    """The numbers of one line, or ``None`` for a line that is not a record."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    numbers = {name: _number(value) for name, value in record.items()}
    kept = {name: value for name, value in numbers.items() if value is not None}
    return kept if math.isfinite(kept.get("step", math.nan)) else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _broken_lines(name: str, broken: list[int], any_left: bool) -> str:
    if broken:
        shown = ", ".join(str(number) for number in broken[:5]) + (" …" if len(broken) > 5 else "")
        lines = "line" if len(broken) == 1 else f"{len(broken)} lines, numbers"
        return f"{name}: {lines} {shown} left out, expected one JSON object a line with a step"
    return "" if any_left else f"{name}: found no numbers in it"


def _read_recipe(path: Path) -> tuple[Mapping[str, Any], str, str]:
    yaml = require("yaml", extra="train", purpose="reading the recipe of a run")
    try:
        text = read_text(path)
    except OSError as error:
        return {}, "", _unread(path, error)
    shown = text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "\n… (cut)"
    try:
        tree = yaml.safe_load(shown)
    except (yaml.YAMLError, RecursionError, ValueError):
        tree = None
    if not isinstance(tree, Mapping):
        return {}, shown, f"{path.name}: found text that is no YAML mapping, expected the resolved recipe"
    return tree, shown, ""


def _read_environment(path: Path) -> tuple[Mapping[str, Any], str]:
    try:
        tree = json.loads(read_text(path))
    except OSError as error:
        return {}, _unread(path, error)
    except (ValueError, RecursionError):
        return {}, f"{path.name}: found text that is no JSON, expected one JSON object"
    if not isinstance(tree, Mapping):
        return {}, f"{path.name}: found JSON that is no object, expected one JSON object"
    return tree, ""


def _unread(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{path.name} is not in the run folder"
    return f"{path.name}: could not be read ({error.strerror or error})"
