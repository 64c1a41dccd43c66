"""``monge data``: what each command prints, and that failures are one line and exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from monge import data
from monge.cli import main
from monge.cli.data import app
from monge.errors import MongeError

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MONGE_CACHE", str(tmp_path))
    return tmp_path


def test_list_shows_every_source_and_whether_it_is_here(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache / "mnist").mkdir()
    (cache / "mnist" / "manifest.json").write_text("{}")
    monkeypatch.setenv("COLUMNS", "160")
    result = RUNNER.invoke(app, ["list"])
    assert result.exit_code == 0
    rows = {line.split("│")[1].strip(): line for line in result.output.splitlines() if line.startswith("│")}
    assert [rows[name].split("│")[5].strip() for name in ("mnist", "fashion-mnist", "cifar10")] == ["yes", "no", "-"]
    for told in (
        "CC BY-SA 3.0",
        "31 MB",
        "monge data get fashion-mnist",
        "--data synthetic",
        "https://www.cs.toronto.edu",
    ):
        assert told in result.output


def test_path_prints_the_cache_or_a_set(cache: Path) -> None:
    assert RUNNER.invoke(app, ["path"]).output.strip() == str(cache)
    assert RUNNER.invoke(app, ["path", "mnist"]).output.strip() == str(cache / "mnist")


def test_get_fetches_each_and_prints_where(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    asked: list[str] = []
    in_parts: list[int | None] = []

    def fetch(name: str, progress: object, *, parts: int | None) -> Path:
        asked.append(name)
        in_parts.append(parts)
        assert callable(progress)
        progress(f"{name}: downloading")
        return cache / name

    monkeypatch.setattr(data, "fetch", fetch)
    result = RUNNER.invoke(app, ["get", "mnist", "fashion-mnist"])
    assert asked == ["mnist", "fashion-mnist"]
    assert result.stdout.splitlines() == [f"{name}: {cache / name}" for name in asked]
    assert "mnist: downloading" in result.stderr
    RUNNER.invoke(app, ["get", "emoji-clips", "--parts", "1"])
    assert in_parts == [None, None, 1]


def test_check_without_names_takes_what_is_here(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    assert "nothing has been fetched" in RUNNER.invoke(app, ["check"]).output
    monkeypatch.setattr(data, "is_cached", lambda name: name == "mnist")
    monkeypatch.setattr(data, "check", lambda name: 3_925_024)
    assert RUNNER.invoke(app, ["check"]).output == "mnist: ok (3.9 MB verified)\n"
    assert RUNNER.invoke(app, ["check", "fashion-mnist"]).output.startswith("fashion-mnist: ok")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["get", "minst"], "did you mean mnist"),
        (["get", "cifar10"], "no package carries cifar10"),
        (["check", "mnist"], "monge data get mnist"),
        (["path", "nothing"], "unknown data set"),
    ],
)
def test_failures_are_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    result = RUNNER.invoke(app, arguments)
    assert isinstance(result.exception, MongeError)
    assert main(["data", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert error.count("\n") == 1
