"""``monge evaluate``: a trained run measured anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_STORED = {"classification": "predictions", "face": "verification"}


def evaluate(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    data: Annotated[
        str | None, typer.Option(help="Other data: packaged, synthetic, or a path.", metavar="SOURCE")
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(help="Pairs of faces to verify: a .bin file, or a list like LFW's.", metavar="FILE"),
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Folder of people that a list of pairs names.", metavar="FOLDER")
    ] = None,
    transport: Annotated[
        bool, typer.Option("--transport", help="With --pairs: blend in transport between feature maps.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
) -> None:
    """Measure a run's best checkpoint anew on its test data, on other data, or on pairs of faces."""
    from monge.cli.table import show_metrics
    from monge.errors import MongeError
    from monge.recipes import load_recipe
    from monge.train import evaluate as evaluate_run

    if pairs is None:
        if pictures is not None or transport:
            raise MongeError(f"{'--pictures' if pictures else '--transport'}: goes with --pairs, which is missing")
        show_metrics(evaluate_run(run, data, device=device, progress=True))
        what = _STORED.get(load_recipe(run).task, "embeddings")
    else:
        if data is not None:
            raise MongeError("found both --data and --pairs, expected one of them")
        from monge.train import evaluate_pairs

        found = evaluate_pairs(run, pairs, pictures=pictures, transport=transport, device=device, progress=True)
        show_metrics(found)
        what = _STORED["face"]
    print(f"{what}: {run / what}.safetensors")
