"""``monge report``: the page of a run, or of a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monge.report import write_comparison, write_report


def report(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or of a comparison.", show_default=False)],
) -> None:
    """Write the page of a run (report.html) or of a comparison (compare.html) and print where it is.

    Raises:
        RunError: The folder is neither, or cannot be written.
    """
    is_comparison = (run / "compare.json").is_file()
    typer.echo(write_comparison(run) if is_comparison else write_report(run))
