"""`compare`: several losses under one recipe, everything but the loss and its learning rate held equal."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from monge.errors import RecipeError, RunError
from monge.recipes import Recipe
from monge.recipes.loss_params import LossConfig
from monge.recipes.schema import ExpectedSection
from monge.train.budget import with_steps
from monge.train.compared_run import ComparedRun, Outcome, train_one
from monge.train.comparison import Comparison, LossResult, SearchRun, SeedRun
from monge.train.comparison_progress import ComparisonProgress
from monge.train.comparison_terms import (
    budget_of,
    check_same_task,
    check_target,
    choose_target,
    search_seed,
    search_terms,
    seed_list,
)
from monge.train.loss_specs import parse_losses
from monge.train.lr_search import best_rate, checked_grid, rate_beyond
from monge.train.run_queue import run_all
from monge.train.selection import Selection, main_metrics
from monge.train.signals import Interrupted
from monge.train.significance import PairedTest, paired_tests

_OWN = ("compare.json", "compare.csv", "compare.html", "runs")


def compare(
    recipe: Recipe,
    losses: str | Sequence[str],
    seeds: int | Sequence[int],
    out: str | Path,
    *,
    steps: int | None = None,
    lrs: Sequence[float] | None = None,
    target: float | None = None,
    jobs: int = 1,
    device: str = "auto",
    resume: bool = True,
    progress: bool = True,
    command: str = "",
) -> Comparison:
    """Trains every loss on equal terms and writes ``compare.json`` and ``compare.csv`` into a folder.

    Backbone, data, augmentation, sampler, optimiser, schedule and number of steps are the recipe's for all losses.
    Each loss has its learning rate chosen by the validation metric that selects (``evaluate.select``), over the same
    grid and with one seed that is not reported; where the best rate is the lowest or highest of the grid, one more is
    tried beyond it. Then it is trained once for each seed and tested. A training that diverges is recorded as such.
    Every finished run is kept: the same call goes on where an interrupted one stopped.

    Args:
        recipe: What is held equal. The loss that the recipe itself names keeps the recipe's parameters.
        losses: See `monge.train.loss_specs.parse_losses`.
        seeds: How many, counted up from the recipe's seed; or the seeds.
        out: Folder of the comparison.
        steps: Optimiser steps of every run; unset: the recipe's ``compare.steps``, else as long as it trains.
        lrs: Learning rates of the grid; unset: the recipe's ``compare.lrs``. A single one is taken without a search.
        target: Validation value whose first step is reported; unset: the recipe's ``compare.target``, else 95 % of the
            highest final one (or the lowest by 0.95, where lower is better).
        jobs: Runs at a time, each in a process of its own.
        device: As for `monge.train.fit`.
        resume: Keep what is in the folder; False drops it first.
        progress: Print a line a run to standard error.
        command: What the user typed; stored with the results.

    Raises:
        MongeError: A wrong name or value, data that cannot be had, or a folder that cannot be used.
    """
    wanted, grid = seed_list(seeds, recipe.seed), checked_grid(recipe.compare.lrs if lrs is None else lrs)
    if jobs < 1:
        raise RecipeError(f"--jobs: found {jobs}, expected at least 1")
    check_target(target)
    base = with_steps(recipe, recipe.compare.steps if steps is None else steps)
    own = recipe.loss.model_dump()
    rows = {spec.label: spec.resolve(own) for spec in parse_losses(losses)}
    check_same_task(rows)
    _open(Path(out), resume)
    total = len(rows) * (len(wanted) + (len(grid) if len(grid) > 1 else 0))
    runs = _Runs(base, Path(out), device, jobs, rows, ComparisonProgress(total, jobs, progress))
    searching = search_seed(recipe.seed, wanted)
    try:
        results = _results(runs, grid, searching, wanted)
    except (KeyboardInterrupt, Interrupted) as error:
        number = error.exit_code - 128 if isinstance(error, Interrupted) else signal.SIGINT
        raise Interrupted(
            f"stopped; what is done stays in {out}: the same command goes on from there", number
        ) from None
    goal, rule = choose_target(recipe.compare.target if target is None else target, results, runs.selection)
    comparison = Comparison(
        recipe=recipe.name,
        data=next((one.data for one in runs.outcomes.values() if one.data), {}),
        seeds=wanted,
        budget=budget_of(base, runs.outcomes.values()),
        search=search_terms(grid, searching, runs.selection),
        command=command or f"compare(recipe {recipe.name!r}, losses={losses!r}, seeds={seeds!r})",
        losses=results,
        target=goal,
        target_rule=rule,
        folder=Path(out),
        selection=runs.selection,
        paired=_paired(results),
    )
    comparison.write()
    return comparison


@dataclass
class _Runs:
    """The runs of a comparison: how each is made from the recipe, and what came of those that are done."""

    recipe: Recipe
    folder: Path
    device: str
    jobs: int
    losses: Mapping[str, LossConfig]
    show: ComparisonProgress
    outcomes: dict[Path, Outcome] = field(default_factory=dict)

    @property
    def selection(self) -> Selection:
        """What chose in all of them: they have one task and the same data."""
        return next((outcome.selection for outcome in self.outcomes.values()), Selection())

    def make(self, label: str, lr: float, seed: int, *, search: bool = False) -> ComparedRun:
        changes = {
            "expected": ExpectedSection(),  # those of the recipe hold for its own length and learning rate
            "optimizer": self.recipe.optimizer.model_copy(update={"lr": lr}),
            "train": self.recipe.train.model_copy(update={"threads": 1}),
            "seed": seed,
        }
        name = f"search-lr{lr:g}" if search else f"seed{seed}-lr{lr:g}"
        folder = self.folder / "runs" / label / name
        recipe = self.recipe.with_loss(self.losses[label]).model_copy(update=changes)
        return ComparedRun(label, recipe, folder, search, self.device)

    def train(self, runs: Sequence[ComparedRun]) -> None:
        """Trains those that are not done."""
        waiting = []
        for run in runs:
            kept = run.outcome()
            if kept is None:
                waiting.append(run)
            else:
                self.outcomes[run.folder] = kept
                self.show.kept(run, kept)
        with closing(run_all(train_one, waiting, jobs=self.jobs)) as ended:
            for run, outcome in ended:
                self.outcomes[run.folder] = outcome
                self.show.ran(run, outcome)

    def search(self, label: str, lr: float, seed: int, *, extension: bool = False) -> SearchRun:
        """The outcome of a search run that is done."""
        run = self.make(label, lr, seed, search=True)
        return SearchRun(lr, self.outcomes[run.folder].value, extension)


def _results(runs: _Runs, grid: list[float], searching: int, seeds: list[int]) -> list[LossResult]:
    """Searches, then trains with every seed."""
    searched: dict[str, list[SearchRun]] = {label: [] for label in runs.losses}
    if len(grid) > 1:
        runs.train([runs.make(label, lr, searching, search=True) for lr in grid for label in runs.losses])
        searched = {label: [runs.search(label, lr, searching) for lr in grid] for label in runs.losses}
        beyond = {label: rate_beyond(grid, _best(tried, runs.selection)) for label, tried in searched.items()}
        further = {label: lr for label, lr in beyond.items() if lr is not None}
        runs.show.total += len(further)
        runs.train([runs.make(label, lr, searching, search=True) for label, lr in further.items()])
        for label, lr in further.items():
            searched[label].append(runs.search(label, lr, searching, extension=True))
    rates = {label: _best(tried, runs.selection) if tried else grid[0] for label, tried in searched.items()}
    runs.show.total -= len(seeds) * sum(lr is None for lr in rates.values())
    wanted = {
        label: [runs.make(label, lr, seed) for seed in seeds] if lr is not None else [] for label, lr in rates.items()
    }
    # Seeds on the outside: a comparison that is stopped half-way has the same seeds of all losses.
    runs.train([run for same_seed in zip_longest(*wanted.values()) for run in same_seed if run is not None])
    return [
        LossResult(
            name=label,
            params=config.model_dump(mode="json"),
            lr=rates[label],
            search=searched[label],
            runs=[_seed_run(run, runs.outcomes[run.folder], runs.folder) for run in wanted[label]],
            selection=runs.selection,
            warnings=list(dict.fromkeys(text for run in wanted[label] for text in runs.outcomes[run.folder].warnings)),
        )
        for label, config in runs.losses.items()
    ]


def _best(tried: Sequence[SearchRun], selection: Selection) -> float | None:
    return best_rate({one.lr: one.value for one in tried}, higher_is_better=selection.higher_is_better)


def _paired(results: Sequence[LossResult]) -> list[PairedTest] | None:
    """Every loss against every other, on the main metrics of the test."""
    runs = {loss.name: {run.seed: run.test for run in loss.runs if not run.diverged} for loss in results}
    return paired_tests(
        runs, main_metrics(name for by_seed in runs.values() for test in by_seed.values() for name in test)
    )


def _seed_run(run: ComparedRun, outcome: Outcome, folder: Path) -> SeedRun:
    path = run.folder.relative_to(folder).as_posix()
    return SeedRun(
        run.recipe.seed, path, outcome.test, outcome.curve, round(outcome.train_seconds, 3), outcome.diverged
    )


def _open(folder: Path, resume: bool) -> None:
    """Makes the folder ready; with ``resume=False`` drops the comparison in it."""
    try:
        if folder.exists():
            held = sorted(entry.name for entry in folder.iterdir())
            if held and not set(held) & set(_OWN):
                raise RunError(f"{folder}: holds other files ({', '.join(held[:3])}); choose another folder with --out")
            for name in set(held) & set(_OWN) if not resume else ():
                path = folder / name
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        (folder / "runs").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunError(f"{folder}: cannot be used as a folder ({reason}); choose another with --out") from error
