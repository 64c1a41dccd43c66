"""The ``report`` verb on a run, on a comparison and on neither."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from fake_run import make_comparison, make_run
from typer.testing import CliRunner

from monge.cli.report import report
from monge.errors import RunError

app = typer.Typer()
app.command()(report)


def test_report_prints_where_the_page_is(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    result = CliRunner().invoke(app, [str(run)])
    assert (result.exit_code, result.output) == (0, f"{run / 'report.html'}\n")
    assert (run / "report.html").is_file()


def test_report_of_a_comparison(tmp_path: Path) -> None:
    folder = make_comparison(tmp_path / "cmp")
    result = CliRunner().invoke(app, [str(folder)])
    assert (result.exit_code, result.output) == (0, f"{folder / 'compare.html'}\n")


def test_errors_are_left_to_the_entry_point(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="expected the folder of a run"):
        report(tmp_path)
