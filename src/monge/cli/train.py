"""``monge train``: a recipe becomes a run folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from monge.recipes import Recipe

# Processes of further devices run the same command; they find the folder that the first one chose here.
_FOLDER = "MONGE_RUN_FOLDER"


def train(
    context: typer.Context,
    recipe: Annotated[str, typer.Argument(help="Name of a recipe (see monge recipes) or path of a YAML file.")],
    data: Annotated[
        str | None, typer.Option(help="packaged, synthetic, or the path of the data's own files.", metavar="SOURCE")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Override a setting, e.g. loss.margin=1.5.", metavar="KEY=VALUE")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, batches and augmentation.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs to train.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    out: Annotated[Path | None, typer.Option(help="Run folder; runs/RECIPE-SEED if not given.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Drop the run in the folder.")] = False,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Try everything: a few steps on synthetic data, test, report.")
    ] = False,
    folds: Annotated[
        bool, typer.Option("--folds", help="Run every fold of a protocol that has folds; mean and deviation over them.")
    ] = False,
    devices: Annotated[
        int,
        typer.Option(help="Processes. Each computes the loss within its share of every batch; gradients are averaged."),
    ] = 1,
    logger: Annotated[
        list[str] | None, typer.Option(help="Also log to csv, tensorboard or wandb.", metavar="NAME")
    ] = None,
) -> None:
    """Train a recipe, or resume it, and test the result."""
    from monge.errors import RecipeError
    from monge.recipes import load_recipe, smoke_recipe
    from monge.train import fit
    from monge.train.run_files import is_main_process

    if smoke and data not in (None, "synthetic"):
        raise RecipeError(f"--smoke runs on synthetic data, found --data {data}: leave one of the two out")
    overrides = [*(settings or []), *([data_setting(data)] if data is not None else [])]
    overrides += [f"{key}={value}" for key, value in (("seed", seed), ("train.epochs", epochs)) if value is not None]
    loaded = load_recipe(recipe, overrides)
    if smoke:
        loaded = smoke_recipe(loaded)
    folder = _folder(out, loaded, resume=resume, smoke=smoke)
    overwrite = overwrite or (smoke and out is None and not resume)
    if folds:
        _train_folds(context, loaded, folder, device, devices, logger or [], resume=resume, overwrite=overwrite)
        return
    metrics = fit(
        loaded,
        folder,
        device=device,
        resume=resume,
        overwrite=overwrite,
        loggers=("jsonl", *(logger or ())),
        devices=devices,
    )
    if not is_main_process():
        return
    if smoke:
        _touch_the_rest(folder, metrics, device)
    _show(loaded, folder, metrics)


def _touch_the_rest(folder: Path, metrics: dict[str, float], device: str) -> None:
    """What follows a training: measuring it anew gives the same numbers, and the report can be written."""
    from monge.errors import RunError
    from monge.report import write_report
    from monge.train import evaluate

    again = evaluate(folder, device=device)
    # A metric that is undefined on so few examples is NaN, which equals nothing.
    if again.keys() != metrics.keys() or any(str(again[name]) != str(value) for name, value in metrics.items()):
        raise RunError(f"{folder}: the stored model does not give the numbers that its training ended with")
    write_report(folder)


def _train_folds(
    context: typer.Context,
    recipe: Recipe,
    folder: Path,
    device: str,
    devices: int,
    loggers: list[str],
    *,
    resume: bool,
    overwrite: bool,
) -> None:
    """All folds, and what came of them."""
    import shlex

    from monge.errors import RecipeError
    from monge.train.folds import FILE, fit_folds

    if devices > 1:
        raise RecipeError(f"--folds runs in one process, found --devices {devices}: leave one of the two out")
    words = [word for word in context.obj if word not in ("--resume", "--overwrite")]
    command = shlex.join(["monge", *words, *(["--out", str(folder)] if "--out" not in words else []), "--resume"])
    names = ("jsonl", *loggers)
    found = fit_folds(recipe, folder, device=device, resume=resume, overwrite=overwrite, loggers=names, command=command)
    width = max(map(len, found.mean))
    for name, mean in found.mean.items():
        print(f"{name:<{width}}  {mean:.4f} ± {found.std[name]:.4f}")
    print(f"± is one {found.definition.removeprefix('mean and ')}")
    print(f"results: {folder / FILE}")


def data_setting(data: str) -> str:
    """``--data`` as a setting of the recipe; paths are made absolute, for the run folder remembers them.

    Args:
        data: What the user gave.

    Example:
        >>> data_setting("synthetic")
        'data.source="synthetic"'
    """
    import json

    known = data in ("packaged", "synthetic")
    return f"data.source={json.dumps(data if known else str(Path(data).expanduser().absolute()))}"


def _folder(out: Path | None, recipe: Recipe, *, resume: bool, smoke: bool) -> Path:
    """Where the run goes: what was asked for, else a new folder, or with --resume the newest one."""
    from monge.errors import RunError
    from monge.train.run_files import is_main_process

    if not is_main_process() and _FOLDER in os.environ:
        return Path(os.environ[_FOLDER])
    folder = out
    if folder is None:
        base = Path("runs") / (f"{recipe.name}-smoke" if smoke else f"{recipe.name}-{recipe.seed}")
        number, taken = 1, [base] if base.exists() else []
        while (following := base.with_name(f"{base.name}-{number + 1}")).exists():
            taken.append(following)
            number += 1
        if resume and not taken:
            raise RunError(f"{base}: there is no run to resume; name its folder with --out")
        folder = taken[-1] if taken and (resume or smoke) else following if taken else base
    os.environ[_FOLDER] = str(folder.absolute())
    return folder


def _show(recipe: Recipe, folder: Path, metrics: dict[str, float]) -> None:
    """The numbers, how they compare with what the recipe expects, and what to do next."""
    import shlex

    from monge.cli.table import show_metrics

    show_metrics(metrics)
    expected = recipe.expected
    if expected.metrics and expected.source == recipe.data.source:
        for name, (low, high) in expected.metrics.items():
            if name in metrics:
                verdict = "as expected" if low <= metrics[name] <= high else "NOT as expected"
                print(f"{name} {metrics[name]:.4f}: {verdict} ({low:g} to {high:g} with the recipe's settings)")
    print(f"results: {folder}")
    print(f"next:    monge report {shlex.quote(str(folder))}")
