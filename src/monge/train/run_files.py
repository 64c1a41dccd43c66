"""The folder of a run: who may write into it, and the files that are not written while training."""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
import sys
import warnings
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from monge import __version__
from monge.data.any_splits import AnySplits
from monge.errors import RunError
from monge.recipes import Recipe, load_recipe
from monge.train.atomic import write_atomically
from monge.train.checkpoints import Checkpoint, load_checkpoint
from monge.train.selection import Selection

# What does not change the result, and so may differ when a run is resumed.
_FREE_SECTIONS = {"title", "expected", "compare"}
_FREE_KEYS = {"train.checkpoint_every", "train.log_every", "train.threads"}
_OWN = (
    "recipe.yaml",
    "metrics.jsonl",
    "checkpoints",
    "embeddings.safetensors",
    "rescored.json",
    "predictions.safetensors",
    "ground.safetensors",
    "verification.safetensors",
    "threshold.json",
    "ijbb.json",
    "ijbc.json",
    "environment.json",
    "report.html",
    "logs",
)
_PACKAGES = (
    "numpy",
    "lightning",
    "timm",
    "scikit-learn",
    "scipy",
    "pytorch-metric-learning",
    "safetensors",
    "pydantic",
)


class RunFiles:
    """Paths and small files of one run.

    Args:
        folder: The run's folder.

    Example:
        >>> RunFiles(Path("runs/a")).last.as_posix()
        'runs/a/checkpoints/last.ckpt'
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.recipe = self.folder / "recipe.yaml"
        self.metrics = self.folder / "metrics.jsonl"
        self.environment = self.folder / "environment.json"
        self.embeddings = self.folder / "embeddings.safetensors"
        self.rescored = self.folder / "rescored.json"
        self.predictions = self.folder / "predictions.safetensors"
        self.ground = self.folder / "ground.safetensors"
        self.verification = self.folder / "verification.safetensors"
        self.threshold = self.folder / "threshold.json"
        self.last = self.folder / "checkpoints" / "last.ckpt"
        self.best = self.folder / "checkpoints" / "best.ckpt"

    def resume_command(self, *flags: str) -> str:
        """What to type to go on with this run.

        Args:
            flags: Further words, e.g. ``"--devices", "2"``.
        """
        return shlex.join(["monge", "train", str(self.recipe), "--out", str(self.folder), "--resume", *flags])

    def open(self, recipe: Recipe, *, resume: bool, overwrite: bool) -> Checkpoint | None:
        """Makes the folder ready and says where to go on.

        Args:
            recipe: What will run.
            resume: Go on with the run that is in the folder.
            overwrite: Drop the run that is in the folder; files that monge did not write stay.

        Returns:
            The last checkpoint when resuming, None for a start from the beginning.

        Raises:
            RunError: The folder cannot be written, holds another run, or has nothing to resume.
        """
        if resume and overwrite:
            raise RunError("found both --resume and --overwrite, expected one of them")
        if resume:
            if not self.recipe.is_file():
                raise RunError(f"{self.folder}: there is no run to resume here (no recipe.yaml)")
            self.check_same_recipe(recipe)
        elif self.folder.exists():
            self._make_way(overwrite)
        try:
            self.last.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.recipe, lambda part: part.write_text(recipe.to_yaml(), encoding="utf-8"))
        except OSError as error:
            reason = error.strerror or str(error)
            raise RunError(f"{self.folder}: cannot be written ({reason}); choose another folder with --out") from error
        return load_checkpoint(self.last) if resume and self.last.is_file() else None

    def _make_way(self, overwrite: bool) -> None:
        """Removes the run in the folder if that was asked for."""
        if not self.folder.is_dir():
            raise RunError(f"{self.folder}: found a file, expected a folder; choose another with --out")
        try:
            held = sorted(entry.name for entry in self.folder.iterdir())
        except OSError as error:
            raise RunError(f"{self.folder}: cannot be read ({error.strerror}); choose another with --out") from error
        if held and not overwrite:
            what = "a run" if self.recipe.name in held else f"other files ({', '.join(held[:3])})"
            raise RunError(f"{self.folder}: holds {what} already; add --overwrite or --resume, or choose another --out")
        for name in set(_OWN) & set(held):
            path = self.folder / name
            try:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            except OSError as error:
                raise RunError(f"{path}: cannot be removed ({error.strerror})") from error

    def check_same_recipe(self, recipe: Recipe) -> None:
        """Refuses to go on with a run under other settings.

        Args:
            recipe: What is asked for now.

        Raises:
            RunError: It differs from the run's own in something that changes the result.
        """
        before, now = (_settings(one) for one in (load_recipe(self.recipe), recipe))
        changed = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
        if changed:
            key = changed[0]
            raise RunError(
                f"{self.folder}: was run with {key} = {before.get(key)}, now {now.get(key)}: resume it with its own "
                f"settings ({self.resume_command()}) or start another run"
            )

    def check_same_classes(self, splits: AnySplits) -> None:
        """Refuses data whose classes are not those that the network of a classification run tells apart.

        Args:
            splits: The data it is to be used on.

        Raises:
            RunError: Other classes, or the same in another order.
        """
        learned = self.read_environment().get("data", {}).get("classes")
        if learned is None or learned == list(splits.classes):
            return
        found, expected = (", ".join(map(str, names)) for names in (splits.classes, learned))
        raise RunError(
            f"{self.folder}: found the classes {found} in these data, expected {expected}, which the run has learned, "
            "in this order"
        )

    def check_same_data(self, splits: AnySplits) -> None:
        """Warns where a run goes on with data that have changed since it began.

        Args:
            splits: The data it is to go on with.

        Warns:
            UserWarning: Other data, or other parts of them.
        """
        before = self.read_environment().get("data", {}).get("definition", splits.definition)
        if before != splits.definition:
            warnings.warn(
                f"{self.folder}: the data have changed since the run began ({before}): its result is that of neither",
                UserWarning,
                stacklevel=3,
            )

    def write_environment(
        self,
        recipe: Recipe,
        splits: AnySplits,
        device: str,
        selection: Selection,
        *,
        resumed: bool,
        finished: float | None = None,
    ) -> None:
        """Writes ``environment.json``: versions, machine, data, times.

        Args:
            recipe: What runs.
            splits: The data it runs on.
            device: Where, in words.
            selection: What chooses the best weights.
            resumed: This is a resumption that has just begun; it is counted.
            finished: Seconds of training, once the run is done.
        """
        before = self.read_environment()
        now = datetime.now(UTC).isoformat(timespec="seconds")
        data: dict[str, Any] = {"name": recipe.data.name, "source": splits.source, "definition": splits.definition}
        if recipe.task == "classification":
            data["classes"] = list(splits.classes)
        content = {
            "monge": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "device": device,
            "threads": recipe.train.threads,
            "started": before.get("started", now),
            "finished": now if finished is not None else None,
            "train_seconds": round(finished, 3) if finished is not None else None,
            "data": data,
            "select": selection.to_json(),
            "seed": recipe.seed,
            "resumed": int(before.get("resumed", 0)) + int(resumed),
            "packages": {name: _version(name) for name in _PACKAGES},
        }
        text = json.dumps(content, indent=2) + "\n"
        write_atomically(self.environment, lambda part: part.write_text(text, encoding="utf-8"))

    def read_environment(self) -> dict[str, Any]:
        """What ``environment.json`` says; empty if it is missing or damaged."""
        try:
            content = json.loads(self.environment.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}


def _settings(recipe: Recipe) -> dict[str, Any]:
    """Every setting that changes the result, by dotted path."""
    flat: dict[str, Any] = {}
    for section, content in recipe.model_dump(mode="json", exclude=_FREE_SECTIONS).items():
        keys = content if isinstance(content, dict) else {"": content}
        flat.update({f"{section}.{key}".rstrip("."): value for key, value in keys.items()})
    return {key: value for key, value in flat.items() if key not in _FREE_KEYS}


def _version(package: str) -> str | None:
    """Installed version of a package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def is_main_process() -> bool:
    """Whether this process writes and prints; Lightning starts the others with their rank in the environment."""
    return int(os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or 0) == 0


def say(text: str) -> None:
    """Prints a line of progress to standard error, from one process only."""
    if is_main_process():
        print(text, file=sys.stderr, flush=True)
