"""The run card: recipe, data, seeds, versions, durations, and the command that repeats the run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from monge.report.page import duration
from monge.report.run_folder import RunFolder, lookup
from monge.report.svg import clean

NOT_RECORDED = "not recorded"
_LONG = 400
_MOST_PACKAGES = 40


@dataclass(frozen=True)
class RunCard:
    """What the head and the end of a report say about how the run was made.

    Args:
        title: Title of the recipe, or the name of the folder.
        name: Name of the recipe.
        source: Which data it ran on.
        definition: How the splits were made; empty if the run did not record it.
        synthetic: Whether the data come out of a generator.
        facts: ``(name, value)`` of data, seed, device, durations.
        packages: ``(package, version)``.
        command: Shell command that repeats the run.
        recipe: The resolved recipe as text.
    """

    title: str
    name: str
    source: str
    definition: str
    synthetic: bool
    facts: list[tuple[str, str]]
    packages: list[tuple[str, str]]
    command: str
    recipe: str


def run_card(run: RunFolder) -> RunCard:
    """Collects the card from the recipe and the environment of a run."""
    environment = run.environment
    source = _text(lookup(environment, "data", "source") or run.setting("data", "source"), NOT_RECORDED)
    definition = _text(lookup(environment, "data", "definition"), "")
    name = _text(run.setting("name"), run.path.resolve().name)
    seed = environment.get("seed", run.setting("seed"))
    facts = [
        ("Recipe", name),
        ("Data", _text(lookup(environment, "data", "name") or run.setting("data", "name"), NOT_RECORDED)),
        ("Data source", source),
        ("Splits", definition or NOT_RECORDED),
        ("Seed", _text(seed, NOT_RECORDED)),
        ("Training time", duration(environment.get("train_seconds"))),
        ("Started", _time(environment.get("started"))),
        ("Finished", _time(environment.get("finished"))),
        ("Resumed", _times(environment.get("resumed"))),
        ("Device", _text(environment.get("device"), "–")),
        ("Threads", _text(environment.get("threads"), "–")),
        ("Platform", _text(environment.get("platform"), "–")),
    ]
    return RunCard(
        _text(run.setting("title"), name),
        name,
        source,
        definition,
        "synthetic" in (run.setting("data", "source"), source.lower().split(":")[0]),
        facts,
        _packages(environment),
        f"monge train {shlex.quote(str(run.path / 'recipe.yaml'))} --out {shlex.quote(str(run.path) + '-again')}",
        run.recipe_text,
    )


def _packages(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    own = [(key, _text(environment[key], "–")) for key in ("monge", "torch", "python") if key in environment]
    others = environment.get("packages")
    if isinstance(others, Mapping):
        known = {key for key, _ in own}
        own += [(clean(key), _text(value, "–")) for key, value in sorted(others.items()) if key not in known]
    return own[:_MOST_PACKAGES]


def _times(count: Any) -> str:
    if not isinstance(count, int):
        return "–"
    return "no" if not count else "once" if count == 1 else f"{count} times"


def _time(value: Any) -> str:
    """A time in ISO 8601 to the minute; other text as it is."""
    try:
        return f"{datetime.fromisoformat(value):%Y-%m-%d %H:%M %Z}".rstrip()
    except (TypeError, ValueError):
        return _text(value, "–")


def _text(value: Any, otherwise: str) -> str:
    """Printable text of a scalar; mappings and lists are no text."""
    return clean(value, _LONG) if isinstance(value, str | int | float) and str(value) else otherwise
