"""Every fold of a protocol that has folds: a run each, and mean and standard deviation over them."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monge.data.cache import workspace
from monge.data.formats.adience import FOLDS
from monge.data.formats.named_ages import read_fgnet
from monge.data.synthetic.ordinal_layouts import write_fake_fgnet
from monge.errors import RecipeError, RunError
from monge.recipes import Recipe
from monge.recipes.data_sections import ImageData
from monge.train.atomic import write_atomically
from monge.train.metrics_log import MetricsLog
from monge.train.run_files import RunFiles, say
from monge.train.signals import Interrupted
from monge.train.training import fit

FILE = "folds.json"


@dataclass(frozen=True)
class FoldResults:
    """What came of all folds.

    Attributes:
        recipe: The recipe, with the fold left open.
        folds: Test metrics of each fold.
        mean: Mean over the folds.
        std: Standard deviation over the folds, with n - 1; NaN for a single one.
    """

    recipe: Recipe
    folds: Mapping[int, Mapping[str, float]]
    mean: Mapping[str, float]
    std: Mapping[str, float]

    @property
    def definition(self) -> str:
        """What the two numbers of a metric are."""
        return (
            f"mean and sample standard deviation (n - 1) over {len(self.folds)} folds, each the test metric of the "
            "weights that were best on validation data of the other folds"
        )

    def to_json(self) -> dict[str, Any]:
        """The content of ``folds.json``; numbers that do not exist are null."""
        return {
            "recipe": self.recipe.name,
            "data": {"name": self.recipe.data.name, "source": self.recipe.data.source},
            "definition": self.definition,
            "folds": [
                {"fold": fold, "path": _folder_name(fold), "test": _or_nulls(test)} for fold, test in self.folds.items()
            ],
            "mean": _or_nulls(self.mean),
            "std": _or_nulls(self.std),
        }


def folds_of(recipe: Recipe) -> list[int]:
    """The folds of a recipe's data.

    Args:
        recipe: Adience has five, FG-NET one for each person.

    Raises:
        RecipeError: The data have no folds, or the recipe asks for one of them.
        MongeError: FG-NET is not where the recipe says.

    Example:
        >>> from monge.recipes import load_recipe
        >>> folds_of(load_recipe("adience"))
        [0, 1, 2, 3, 4]
    """
    data = recipe.data
    if not isinstance(data, ImageData) or data.name not in _FOLDS:
        raise RecipeError(f"--folds: {data.name} has no folds; those that have: {', '.join(_FOLDS)}")
    if data.fold is not None:
        raise RecipeError(f"data.fold: found {data.fold} together with --folds, expected one of the two")
    return _FOLDS[data.name](data)


def _people(data: ImageData) -> list[int]:
    """The people of FG-NET, each of whom is left out once."""
    if data.source != "synthetic":
        return sorted(set(read_fgnet(Path(data.source).expanduser()).people.tolist()))
    with workspace() as work:
        write_fake_fgnet(work)
        return sorted(set(read_fgnet(work).people.tolist()))


_FOLDS: Mapping[str, Callable[[ImageData], list[int]]] = {
    "adience": lambda data: list(range(FOLDS)),
    "fg-net": _people,
}


def fit_folds(
    recipe: Recipe,
    out: str | Path,
    *,
    device: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    loggers: Sequence[str] = ("jsonl",),
    progress: bool = True,
    command: str = "",
) -> FoldResults:
    """Trains every fold into a folder of its own, ``OUT/fold-K``, and writes ``OUT/folds.json``.

    Args:
        recipe: What to run; its ``data.fold`` is left open.
        out: Folder of all folds.
        device: As for `fit`.
        resume: Keep the folds that are finished and go on with the one that is not.
        overwrite: Drop the folds that are in `out`.
        loggers: As for `fit`.
        progress: As for `fit`.
        command: What goes on after an interruption.

    Raises:
        RunError: The folder holds folds already, and neither `resume` nor `overwrite` says what becomes of them.
        Interrupted: It was asked to stop; with `resume` it goes on.
        MongeError: As for `fit`.
    """
    folder, wanted = Path(out), folds_of(recipe)
    if not (resume or overwrite) and any(folder.glob("fold-*")):
        raise RunError(f"{folder}: holds folds already; add --overwrite or --resume, or choose another --out")
    results: dict[int, Mapping[str, float]] = {}
    for place, fold in enumerate(wanted, start=1):
        one = recipe.model_copy(update={"data": recipe.data.model_copy(update={"fold": fold})})
        files = RunFiles(folder / _folder_name(fold))
        kept = _finished(files, one) if resume else None
        if progress:
            say(f"fold {fold} ({place} of {len(wanted)}){': kept from before' if kept else ''}")
        going_on = resume and files.recipe.is_file()
        try:
            results[fold] = kept or fit(
                one,
                files.folder,
                device=device,
                resume=going_on,
                overwrite=overwrite,
                loggers=loggers,
                progress=progress,
            )
        except Interrupted as error:
            advice = f"; to go on: {command}" if command else ""
            raise Interrupted(f"stopped in fold {fold}, saved{advice}", error.exit_code - 128) from None
    found = FoldResults(recipe, results, *_mean_and_std(list(results.values())))
    text = json.dumps(found.to_json(), indent=2, allow_nan=False) + "\n"
    write_atomically(folder / FILE, lambda part: part.write_text(text, encoding="utf-8"))
    return found


def _finished(files: RunFiles, recipe: Recipe) -> dict[str, float] | None:
    """Test metrics of a fold that is done."""
    if not files.read_environment().get("finished"):
        return None
    files.check_same_recipe(recipe)
    lines = reversed(MetricsLog(files.metrics).read())
    last: Mapping[str, Any] = next((line for line in lines if _tested(line)), {})
    return {name: math.nan if last[name] is None else last[name] for name in _tested(last)} or None


def _tested(line: Mapping[str, Any]) -> list[str]:
    return [name for name in line if name.startswith("test/")]


def _mean_and_std(folds: Sequence[Mapping[str, float]]) -> tuple[dict[str, float], dict[str, float]]:
    """Of every metric; NaN where a fold has none."""
    columns = {name: [fold[name] for fold in folds] for name in folds[0]}
    mean = {name: math.nan if _broken(values) else statistics.fmean(values) for name, values in columns.items()}
    std = {
        name: math.nan if _broken(values) or len(values) < 2 else statistics.stdev(values)
        for name, values in columns.items()
    }
    return mean, std


def _broken(values: Sequence[float]) -> bool:
    return any(not math.isfinite(value) for value in values)


def _or_nulls(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _folder_name(fold: int) -> str:
    return f"fold-{fold}"
