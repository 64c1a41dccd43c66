"""``monge export``: the model of a finished run as a file that runs without monge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.", show_default=False)],
    to: Annotated[Path, typer.Option(help="NAME.pt2 (torch.export) or NAME.onnx.", metavar="FILE", show_default=False)],
    tolerance: Annotated[float, typer.Option(help="Largest difference from the run on test inputs.", min=0.0)] = 1e-4,
) -> None:
    """Write a run's model as a torch.export program or as ONNX, checked on test inputs, with its description."""
    from monge.export import export_run

    for made in export_run(run, to, tolerance=tolerance, progress=True):
        size, tried = made.path.stat().st_size / 1e6, f"{made.tried} test inputs"
        print(f"{made.path}  {size:.1f} MB; differs from the run by at most {made.difference:.1e} on {tried}")
        print(made.description)
