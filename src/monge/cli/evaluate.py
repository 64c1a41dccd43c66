"""``monge evaluate``: a trained run measured anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    data: Annotated[
        str | None, typer.Option(help="Other data: packaged, synthetic, or a path.", metavar="SOURCE")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
) -> None:
    """Measure a run's best checkpoint anew on its test data, or on other data."""
    from monge.cli.table import show_metrics
    from monge.recipes import load_recipe
    from monge.train import evaluate as evaluate_run

    show_metrics(evaluate_run(run, data, device=device, progress=True))
    what = "predictions" if load_recipe(run).task == "classification" else "embeddings"
    print(f"{what}: {run / what}.safetensors")
