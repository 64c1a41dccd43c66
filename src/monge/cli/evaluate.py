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
    ijb: Annotated[
        Path | None,
        typer.Option(help="Folder of IJB-B or IJB-C: templates verified 1:1 and searched 1:N.", metavar="FOLDER"),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
) -> None:
    """Measure a run's best checkpoint anew on its test data, on other data, on pairs of faces, or on templates."""
    from monge.cli.table import show_metrics
    from monge.errors import MongeError
    from monge.recipes import load_recipe
    from monge.train import evaluate as evaluate_run

    given = [name for name, value in (("--data", data), ("--pairs", pairs), ("--ijb", ijb)) if value is not None]
    if len(given) > 1:
        raise MongeError(f"found both {given[0]} and {given[1]}, expected one of them")
    if pairs is None and (pictures is not None or transport):
        raise MongeError(f"{'--pictures' if pictures else '--transport'}: goes with --pairs, which is missing")
    if pairs is not None:
        from monge.train import evaluate_pairs

        found = evaluate_pairs(run, pairs, pictures=pictures, transport=transport, device=device, progress=True)
        stored = "verification.safetensors"
    elif ijb is not None:
        from monge.train import evaluate_templates

        found = evaluate_templates(run, ijb, device=device, progress=True)
        stored = f"{next(iter(found)).partition('/')[0]}.json"
    else:
        found = evaluate_run(run, data, device=device, progress=True)
        stored = f"{_STORED.get(load_recipe(run).task, 'embeddings')}.safetensors"
    show_metrics(found)
    print(f"{stored.partition('.')[0]}: {run / stored}")
