"""``monge compare``: several losses under one recipe, as a table, a folder and a page."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from monge.train.comparison import Comparison, LossResult

_ALL = {
    "embedding": "batchwise_ot,contrastive,triplet,lifted_structure,n_pairs,supcon,multi_similarity,proxy_anchor",
    "classification": "cross_entropy,label_smoothing,sord,coral,corn,squared_emd,xemd1,xemd2",
    "cross-modal": "cross_modal_ot,inverse_ot,infonce,max_margin,"
    "cross_modal_supcon,cross_modal_contrastive,cross_modal_triplet,cross_modal_cross_entropy",
    "face": "otface,arcface,am_softmax,sphereface,curricularface,mv_softmax,adaface,triplet_arcface",
}
_PIPE_WIDTH = 160


def compare(
    context: typer.Context,
    recipe: Annotated[str, typer.Argument(help="Name of a recipe (see monge recipes) or path of a YAML file.")],
    losses: Annotated[
        str | None,
        typer.Option(
            help="Losses, separated by commas; NAME:KEY=VALUE,... sets parameters, label=TEXT names the row. "
            "All of the recipe's task if not given.",
            metavar="A,B,...",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Runs of each loss.")] = 3,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps of every run.")] = None,
    lrs: Annotated[
        str | None, typer.Option(help="Learning rates to try, separated by commas.", metavar="A,B,...")
    ] = None,
    target: Annotated[float | None, typer.Option(help="Validation value whose first step is reported.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder; runs/compare-RECIPE if not given.")] = None,
    jobs: Annotated[int, typer.Option(help="Runs at a time, each on one CPU thread.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    data: Annotated[
        str | None, typer.Option(help="packaged, synthetic, or the path of the data's own files.", metavar="SOURCE")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Override a setting of all runs.", metavar="KEY=VALUE")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--overwrite", help="Keep the finished runs in the folder, or drop them.")
    ] = True,
) -> None:
    """Compare losses on equal terms: same backbone, batches, budget and search for a learning rate; several seeds."""
    import shlex

    from monge.cli.train import data_setting
    from monge.recipes import load_recipe
    from monge.report import write_comparison
    from monge.train.compare import compare as compare_losses

    overrides = [*(settings or []), *([data_setting(data)] if data is not None else [])]
    loaded = load_recipe(recipe, overrides)
    folder = out or Path("runs") / f"compare-{loaded.name}"
    found = compare_losses(
        loaded,
        losses or _ALL[loaded.task],
        seeds,
        folder,
        steps=steps,
        lrs=_numbers(lrs),
        target=target,
        jobs=jobs,
        device=device,
        resume=resume,
        command=shlex.join(["monge", *context.obj]),
    )
    _show(found)
    print(f"results: {folder / 'compare.json'}, {folder / 'compare.csv'}")
    print(f"page:    {write_comparison(folder)}")


def _numbers(text: str | None) -> list[float] | None:
    """Numbers separated by commas."""
    from monge.errors import RecipeError

    if text is None:
        return None
    try:
        return [float(piece) for piece in text.split(",")]
    except ValueError as error:
        raise RecipeError(f"--lrs: found {text!r}, expected numbers separated by commas, e.g. 1e-3,1e-2") from error


def _show(found: Comparison) -> None:
    """The table, and what has to be known to read it."""
    from rich.console import Console
    from rich.table import Table

    from monge.train.selection import main_metrics

    select = found.selection
    metrics = main_metrics(name for loss in found.losses for run in loss.runs for name in run.test)
    goal = "" if found.target is None else f"steps to {select.metric} {found.target:.3f}"
    table = Table("loss", "lr", *metrics, goal or "steps to target", "train s")
    for column in table.columns[1:]:
        column.justify = "right"
    for loss in found.losses:
        table.add_row(*_row(loss, metrics, found.target))
    console = Console()
    # Without a terminal rich takes 80 columns and breaks the numbers.
    (console if console.is_terminal else Console(width=_PIPE_WIDTH)).print(table)
    print(f"mean ± half-width of the 95 % t-interval over seeds {', '.join(map(str, found.seeds))}")
    grid = ", ".join(f"{lr:g}" for lr in found.search["lrs"])
    searched = found.search["seed"] is not None
    best = f"{select.best_word} {select.metric} of {grid} with seed {found.search['seed']}"
    print(f"lr: {best}" if searched else f"lr: {grid}, not searched")
    if any(_beyond(loss) for loss in found.losses):
        print("* one step beyond these, at whose edge the best one lay")
    print(f"every run: {found.budget['steps']} steps of {found.budget['batch']} examples")
    _show_differences(found, select.metric.replace("val/", "test/"))
    for loss in found.losses:
        for text in loss.warnings:
            print(f"{loss.name}: {text}")
    print(f"data:    {found.data.get('source', 'unknown')}; {found.data.get('definition', '')}")
    print(f"command: {found.command}")


def _show_differences(found: Comparison, metric: str) -> None:
    """The pairs that differ on the metric that selects, by the paired test."""
    from monge.train.significance import paired_rule

    tests = [test for test in found.paired or () if test.metric == metric]
    if tests:
        print(f"differences in {metric} ({paired_rule(found.paired)}):")
        told = [test for test in tests if test.significant]
        for test in told:
            print(f"  {test.a} - {test.b}: {test.difference:+.4f} ± {test.interval:.4f}, p {test.p_holm:.2g}")
        if len(told) < len(tests):
            print(f"  {len(tests) - len(told)} of {len(tests)} pairs: not significant")


def _row(loss: LossResult, metrics: list[str], target: float | None) -> list[str]:
    """Cells of one loss."""
    from monge.train.intervals import median_steps

    if loss.lr is None:
        return [loss.name, "diverged at all", *("" for _ in metrics), "", ""]
    mean, half = loss.summary()
    cells = [_cell(mean.get(name), half.get(name)) for name in metrics]
    diverged = sum(bool(run.diverged) for run in loss.runs)
    name = f"{loss.name} ({diverged} of {len(loss.runs)} seeds diverged)" if diverged else loss.name
    steps = median_steps(loss.steps_to(target)) if target is not None else None
    seconds = sum(run.train_seconds for run in loss.runs) / len(loss.runs)
    rate = f"{loss.lr:.3g}{'*' if _beyond(loss) else ''}"
    return [name, rate, *cells, "-" if steps is None else f"{steps:g}", f"{seconds:.0f}"]


def _beyond(loss: LossResult) -> bool:
    """Whether the chosen rate is the one that extended the grid."""
    return any(one.extension and one.lr == loss.lr for one in loss.search)


def _cell(mean: float | None, half: float | None) -> str:
    """Mean and half-width, as far as there are any.

    Example:
        >>> _cell(0.95, 0.012), _cell(0.95, float("nan")), _cell(None, None)
        ('0.9500 ± 0.0120', '0.9500', '')
    """
    if mean is None:
        return ""
    return f"{mean:.4f}" if half is None or math.isnan(half) else f"{mean:.4f} ± {half:.4f}"
