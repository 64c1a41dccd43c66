"""The verbs, put together; none of them imports torch before it runs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from monge import __version__
from monge.cli.compare import compare
from monge.cli.data import app as data_app
from monge.cli.doctor import doctor
from monge.cli.evaluate import evaluate
from monge.cli.export import export
from monge.cli.recipes import recipes
from monge.cli.render import render
from monge.cli.report import report
from monge.cli.search import search
from monge.cli.train import train
from monge.errors import MongeError

# typer brings click's classes under different names in different versions, and exports only some of them.
_UsageError: Any = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name="monge",
    help="Optimal-transport losses for deep representation learning: train, evaluate, compare, report.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(recipes)
app.add_typer(data_app, name="data")
app.command()(train)
app.command()(evaluate)
app.command()(render)
app.command()(report)
app.command()(compare)
app.command()(search)
app.command()(export)
app.command()(doctor)


def _version(asked: bool) -> None:
    """Prints the version and ends."""
    if asked:
        print(f"monge {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options of ``monge`` itself."""


def run(arguments: list[str]) -> int:
    """Runs the verb that the arguments name.

    Args:
        arguments: Words after ``monge``.

    Returns:
        The exit code; errors of monge are raised.
    """
    try:
        code = app(arguments, standalone_mode=False, obj=arguments)  # verbs may record their command line
    except typer.Abort:
        raise KeyboardInterrupt from None
    except _UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()
            return 2
        command = error.ctx.command_path if error.ctx is not None else "monge"
        raise MongeError(f"{error.format_message()} (see {command} --help)") from None
    if code == 130:  # how newer versions of typer hand on Ctrl-C
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0
