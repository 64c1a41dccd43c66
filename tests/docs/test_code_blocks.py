"""What the pages show is run: python blocks as they stand, ``monge`` commands up to where they would start."""

from __future__ import annotations

import re
import shlex
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

typer = pytest.importorskip("typer")

# typer brings click's classes under different names in different versions.
UsageError = typer.BadParameter.__mro__[1]

ROOT = Path(__file__).parents[2]
PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))) if page.is_file()]
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^(?P=indent)``` *$", re.DOTALL | re.MULTILINE
)
_JOINERS = {"&&", "||", ";", "|", "&", ">", ">>", "2>&1"}


class Block(NamedTuple):
    """A fenced block and the line of the page on which its first line stands, from 1."""

    body: str
    line: int


def blocks(page: Path, language: str) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = [match for match in _FENCE.finditer(text) if match["language"] == language]
    return [Block(match["body"], text.count("\n", 0, match.start("body")) + 1) for match in found]


def commands(body: str) -> Iterator[list[str]]:
    """The words of every ``monge ...`` of a shell block: prompts, comments and what is piped or chained set aside."""
    for line in body.replace("\\\n", " ").splitlines():
        words: list[str] = []
        for word in [*shlex.split(line.removeprefix("$ "), comments=True), ";"]:
            if word not in _JOINERS:
                words.append(word)
                continue
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):  # variables set for the command
                words.pop(0)
            if words and Path(words[0]).name == "monge":
                yield words[1:]
            words = []


def check_command(words: list[str]) -> None:
    """Parses a command line as the command itself would: unknown verbs, options, values and missing ones are errors."""
    from monge.cli.app import app

    command, name, arguments = typer.main.get_command(app), "monge", words
    context = typer.Context(command, info_name=name)
    while hasattr(command, "get_command"):
        assert arguments, f"a verb is missing after {name!r}"
        name = arguments[0]
        if name in ("--help", "--version"):
            return
        command, arguments = command.get_command(context, name), arguments[1:]
        assert command is not None, f"there is no verb {name!r}"
        context = typer.Context(command, info_name=name)
    if "--help" not in arguments:
        command.make_context(name, list(arguments))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_blocks_run_in_order(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = blocks(page, "python")
    if not python:
        pytest.skip("no python on this page")
    monkeypatch.chdir(tmp_path)
    module = types.ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    threads = torch.get_num_threads()
    try:
        with torch.random.fork_rng(devices=[]):
            for block in python:
                # As many empty lines first as the page has, so that a traceback names the line of the page.
                code = compile("\n" * (block.line - 1) + block.body, str(page), "exec")
                exec(code, module.__dict__)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_monge_commands_are_ones_that_exist(page: Path) -> None:
    found = [(block.line, words) for block in blocks(page, "bash") for words in commands(block.body)]
    if not found:
        pytest.skip("no commands on this page")
    for line, words in found:
        try:
            check_command(words)
        except (UsageError, AssertionError) as error:
            message = getattr(error, "message", str(error))
            pytest.fail(f"{page.relative_to(ROOT)}:{line}: monge {shlex.join(words)}: {message}")


def verbs() -> list[list[str]]:
    found = {tuple(words[:1]) for page in PAGES for block in blocks(page, "bash") for words in commands(block.body)}
    return sorted(list(words) for words in found if words and not words[0].startswith("-"))


@pytest.mark.parametrize("verb", verbs(), ids=lambda words: words[0])
def test_verbs_of_the_pages_have_help(verb: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    from monge.cli import main

    assert main([*verb, "--help"]) == 0
    assert "Usage" in capsys.readouterr().out


def test_every_page_of_the_docs_is_looked_at() -> None:
    assert {page.name for page in (ROOT / "docs").glob("**/*.md")} <= {page.name for page in PAGES}
    assert any(blocks(page, "python") for page in PAGES)


@pytest.mark.parametrize(
    "line", ["compare mnist --sedes 3", "compare", "compare mnist --seeds three", "compair mnist", ""]
)
def test_wrong_commands_are_noticed(line: str) -> None:
    with pytest.raises((UsageError, AssertionError)):
        check_command(shlex.split(line))


def test_shell_blocks_are_read_as_a_shell_would() -> None:
    body = (
        '# monge nothing\n$ X=1 .venv/bin/monge train mnist \\\n --out "runs" && monge report runs/a | head\nls monge\n'
    )
    assert list(commands(body)) == [["train", "mnist", "--out", "runs"], ["report", "runs/a"]]
