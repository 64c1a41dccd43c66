"""``monge search``: what a trained run finds for a sentence, or for a drawing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def search(
    run: Annotated[Path, typer.Argument(help="Run folder of a cross-modal recipe, e.g. stamps.", show_default=False)],
    query: Annotated[
        str, typer.Argument(help='Words, e.g. "a red kangaroo"; or the path of a drawing.', show_default=False)
    ],
    top: Annotated[int, typer.Option(help="How many matches.", min=1, max=100)] = 5,
    unseen: Annotated[bool, typer.Option("--unseen", help="Look only in what the model was not trained on.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
) -> None:
    """Look in a run's data for what words, or a drawing, ask for; print the best and write a page of them."""
    from monge.report.search_page import write_search
    from monge.train.search import search as search_run

    parts = ("val", "test") if unseen else ("train", "val", "test")
    found = search_run(run, query, top=top, parts=parts, device=device)
    page, pictures = write_search(run, found)
    for place, (match, picture) in enumerate(zip(found.matches, pictures, strict=True), start=1):
        told = match.told if len(match.told) <= 60 else f"{match.told[:59]}…"
        print(f"{place:>3}  {match.score:.3f}  {told} ({match.part})  {picture or ''}".rstrip())
    print(f"searched: {found.searched:,} {found.called}s")
    print(f"page:     {page}")
