"""Reads ``compare.json``, the numbers of a comparison of losses, and refuses a broken one with one line."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from monge.errors import RunError
from monge.report.run_folder import read_text
from monge.report.svg import clean


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ComparedRun(_Part):
    """One run of one loss: seed, folder, final test metrics, validation curve, what became of it if it failed."""

    seed: int
    path: str = ""
    diverged: str = ""
    test: dict[str, float | None] = Field(default_factory=dict)
    curve: list[dict[str, float | None]] = Field(default_factory=list)
    train_seconds: float | None = None


class Target(_Part):
    """Value of the watched metric that the losses race to, and the median steps needed, ``None`` if not reached."""

    target: float
    median: float | None = None


class ComparedLoss(_Part):
    """One loss: the learning rate it was given, how that was found, its runs and their summary.

    ``interval`` holds half-widths of the 95 % t interval of the mean over seeds.
    """

    name: str
    lr: float | None = None
    search: list[dict[str, float | None]] = Field(default_factory=list)
    runs: list[ComparedRun] = Field(default_factory=list)
    mean: dict[str, float | None] = Field(default_factory=dict)
    interval: dict[str, float | None] = Field(default_factory=dict)
    steps_to_target: Target | None = None


class ComparedData(_Part):
    """Which data the comparison ran on and how they were split."""

    name: str = ""
    source: str = ""
    definition: str = ""


class Search(_Part):
    """The learning-rate search every loss had, and its rule in words."""

    lrs: list[float] = Field(default_factory=list)
    on: str = "val/map"
    seed: int | None = None
    rule: str = ""


class Goal(_Part):
    """Where the target of the race comes from, in words."""

    rule: str = ""


class Select(_Part):
    """The validation metric that chose epochs and learning rates, and which way is better."""

    metric: str = "val/map"
    higher_is_better: bool = True

    @property
    def plain(self) -> str:
        """Its name without the part of the data."""
        return self.metric.rsplit("/", 1)[-1]


class Paired(_Part):
    """A paired test of two losses on one test metric, seed by seed.

    ``difference`` is the mean of ``a`` minus ``b``, ``interval`` the half-width of its 95 % interval, ``p_holm`` the
    p-value corrected for the number of pairs.
    """

    a: str
    b: str
    metric: str
    difference: float | None = None
    interval: float | None = None
    p: float | None = None
    p_holm: float | None = None
    significant: bool = False

    @property
    def ends(self) -> tuple[float, float] | None:
        """Ends of the interval where it is known."""
        if self.difference is None or self.interval is None or not math.isfinite(self.difference + self.interval):
            return None
        return self.difference - self.interval, self.difference + self.interval


class Comparison(_Part):
    """A comparison of losses under one recipe."""

    recipe: str
    losses: list[ComparedLoss] = Field(min_length=1)
    data: ComparedData = ComparedData()
    seeds: list[int] = Field(default_factory=list)
    budget: dict[str, Any] = Field(default_factory=dict)
    target: Goal = Goal()
    search: Search = Search()
    select: Select | None = None
    paired: list[Paired] | None = None
    paired_rule: str = ""
    command: str = ""

    @property
    def selection(self) -> Select:
        """What the losses were chosen and are sorted by; older files, which do not say, used validation mAP."""
        return self.select or Select(metric=self.search.on)


def read_comparison(folder: Path) -> Comparison:
    """Reads the comparison of a folder.

    Raises:
        RunError: The file is missing, no JSON, or not of this shape; the line names the place inside the file.
    """
    path = folder / "compare.json"
    if not path.is_file():
        raise RunError(f"{folder}: found no compare.json here, expected the folder of a comparison")
    try:
        return Comparison.model_validate_json(read_text(path))
    except OSError as error:
        raise RunError(f"{path}: could not be read ({error.strerror or error})") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        found = "" if first["type"] == "json_invalid" else f", found {clean(repr(first['input']), 60)}"
        raise RunError(f"{path}: {place + ': ' if place else ''}{clean(first['msg'], 160)}{found}") from None
