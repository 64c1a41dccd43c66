"""``monge render``: contact sheets of meshes, to see what a network will see."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated, Literal

import typer


def render(
    place: Annotated[Path, typer.Argument(metavar="FILE_OR_FOLDER", help="A mesh, or a folder of meshes.")],
    out: Annotated[Path, typer.Option(help="Folder for the sheets, one PNG a mesh.")] = Path("sheets"),
    views: Annotated[
        Literal["12", "20"], typer.Option(help="12 around the upright axis, or 20 from all sides.")
    ] = "12",
    size: Annotated[int, typer.Option(min=8, max=2048, help="Height and width of a view in pixels.")] = 224,
    shading: Annotated[Literal["grey", "depth", "silhouette"], typer.Option(help="What the views show.")] = "grey",
    up: Annotated[Literal["x", "y", "z"], typer.Option(help="Axis of the mesh that points up.")] = "z",
    background: Annotated[Literal["black", "white"], typer.Option(help="Colour behind the mesh.")] = "black",
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; one for each core if left out.")] = None,
) -> None:
    """Write a contact sheet of every mesh: all its views on one picture.

    Sheets that are there already are kept if mesh and settings are the same. Meshes that cannot be read are named at
    the end, and the exit code is 1.

    Raises:
        DataFormatError: There is no mesh; or there is one alone and it is bad.
        MongeError: A file of another kind is in the way.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from monge.data.views import RenderSettings, dodecahedron_cameras, ring_cameras
    from monge.data.views.sheets import find_sheets, try_sheet
    from monge.data.views.workers import work_on
    from monge.errors import MongeError

    cameras = ring_cameras() if views == "12" else dodecahedron_cameras()
    settings = RenderSettings(cameras, size, shading=shading, up=up, background=background)
    settings.key()  # asks for the renderer before any work is begun
    sheets = find_sheets(place, out, settings)
    flaws: dict[int, str] = {}
    kept = 0
    console = Console(stderr=True)
    columns = ("rendering", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    shows = console.is_terminal and len(sheets) > 1
    with (
        Progress(*columns, console=console, disable=not shows) as bar,
        closing(work_on(try_sheet, sheets, jobs)) as results,
    ):
        row = bar.add_task("", total=len(sheets))
        for done, (number, (result, told)) in enumerate(results, start=1):
            bar.update(row, completed=done)
            kept += result == "kept"
            if result == "failed":
                flaws[number] = told
            if not console.is_terminal and (done % 100 == 0 or done == len(sheets)) and len(sheets) > 1:
                print(f"{done}/{len(sheets)} meshes", file=sys.stderr)
    if len(sheets) == 1:
        if flaws:
            raise MongeError(flaws[0])
        typer.echo(sheets[0].to)
        return
    note = f" ({kept} were there)" if kept else ""
    typer.echo(f"{len(sheets) - len(flaws)} sheets in {out}{note}")
    for number in sorted(flaws):
        print(f"skipped: {flaws[number]}", file=sys.stderr)
    if flaws:
        raise typer.Exit(1)
