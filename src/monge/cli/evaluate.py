"""``monge evaluate``: a trained run measured anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    data: Annotated[
        str | None, typer.Option(help="Other data: packaged, synthetic, or a folder.", metavar="SOURCE")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
) -> None:
    """Embed a run's test data anew with its best checkpoint and measure it."""
    from monge.cli.table import show_metrics
    from monge.train import evaluate as evaluate_run

    show_metrics(evaluate_run(run, data, device=device, progress=True))
    print(f"embeddings: {run / 'embeddings.safetensors'}")
