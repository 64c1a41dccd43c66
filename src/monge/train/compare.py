"""`compare`: several losses under one recipe, everything but the loss and its learning rate held equal."""

from __future__ import annotations

import math
import shutil
import signal
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from monge.errors import RecipeError, RunError
from monge.recipes import Recipe
from monge.recipes.loss_params import LossConfig
from monge.train.budget import with_steps
from monge.train.compared_run import ComparedRun, Outcome, train_one
from monge.train.comparison import Comparison, LossResult, SearchRun, SeedRun
from monge.train.comparison_progress import ComparisonProgress
from monge.train.loss_specs import parse_losses
from monge.train.lr_search import best_rate, checked_grid, rate_beyond
from monge.train.run_queue import run_all
from monge.train.signals import Interrupted

# The seed of the search lies this far from the recipe's own, so that no reported seed is searched on.
_SEARCH_SEED_OFFSET = 1000
_SEARCH_RULE = "highest val/map, one step beyond the grid tried too where the best lies at its edge"
# Share of the best loss's final validation mAP that all losses race to, where no target is given.
_TARGET_SHARE = 0.95
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
    Each loss has its learning rate chosen on validation mAP, over the same grid and with one seed that is not
    reported; where the best rate is the lowest or highest of the grid, one more is tried beyond it. Then it is trained
    once for each seed and tested. A training that diverges is recorded as such. Every finished run is kept: the same
    call goes on where an interrupted one stopped.

    Args:
        recipe: What is held equal. The loss that the recipe itself names keeps the recipe's parameters.
        losses: See `monge.train.loss_specs.parse_losses`.
        seeds: How many, counted up from the recipe's seed; or the seeds.
        out: Folder of the comparison.
        steps: Optimiser steps of every run; unset: the recipe's ``compare.steps``, else as long as it trains.
        lrs: Learning rates of the grid; unset: the recipe's ``compare.lrs``. A single one is taken without a search.
        target: Validation mAP whose first step is reported; unset: the recipe's ``compare.target``, else 95 % of the
            highest final validation mAP.
        jobs: Runs at a time, each in a process of its own.
        device: As for `monge.train.fit`.
        resume: Keep what is in the folder; False drops it first.
        progress: Print a line a run to standard error.
        command: What the user typed; stored with the results.

    Raises:
        MongeError: A wrong name or value, data that cannot be had, or a folder that cannot be used.
    """
    seed_list, grid = _seed_list(seeds, recipe.seed), checked_grid(recipe.compare.lrs if lrs is None else lrs)
    if jobs < 1:
        raise RecipeError(f"--jobs: found {jobs}, expected at least 1")
    if target is not None and not 0 < target <= 1:
        raise RecipeError(f"--target: found {target}, expected a number above 0 and up to 1")
    base = with_steps(recipe, recipe.compare.steps if steps is None else steps)
    own = recipe.loss.model_dump()
    rows = {spec.label: spec.resolve(own) for spec in parse_losses(losses)}
    _open(Path(out), resume)
    total = len(rows) * (len(seed_list) + (len(grid) if len(grid) > 1 else 0))
    runs = _Runs(base, Path(out), device, jobs, rows, ComparisonProgress(total, jobs, progress))
    search_seed = _search_seed(recipe.seed, seed_list)
    try:
        results = _results(runs, grid, search_seed, seed_list)
    except (KeyboardInterrupt, Interrupted) as error:
        number = error.exit_code - 128 if isinstance(error, Interrupted) else signal.SIGINT
        raise Interrupted(
            f"stopped; what is done stays in {out}: the same command goes on from there", number
        ) from None
    goal, rule = _target(recipe.compare.target if target is None else target, results)
    comparison = Comparison(
        recipe=recipe.name,
        data=next((one.data for one in runs.outcomes.values() if one.data), {}),
        seeds=seed_list,
        budget=_budget(base, runs.outcomes.values()),
        search=_search_terms(grid, search_seed),
        command=command or f"compare(recipe {recipe.name!r}, losses={losses!r}, seeds={seeds!r})",
        losses=results,
        target=goal,
        target_rule=rule,
        folder=Path(out),
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

    def make(self, label: str, lr: float, seed: int, *, search: bool = False) -> ComparedRun:
        changes = {
            "loss": self.losses[label],
            "optimizer": self.recipe.optimizer.model_copy(update={"lr": lr}),
            "train": self.recipe.train.model_copy(update={"threads": 1}),
            "seed": seed,
        }
        name = f"search-lr{lr:g}" if search else f"seed{seed}-lr{lr:g}"
        folder = self.folder / "runs" / label / name
        return ComparedRun(label, self.recipe.model_copy(update=changes), folder, search, self.device)

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


def _results(runs: _Runs, grid: list[float], search_seed: int, seeds: list[int]) -> list[LossResult]:
    """Searches, then trains with every seed."""
    searched: dict[str, list[SearchRun]] = {label: [] for label in runs.losses}
    if len(grid) > 1:
        runs.train([runs.make(label, lr, search_seed, search=True) for lr in grid for label in runs.losses])
        searched = {label: [runs.search(label, lr, search_seed) for lr in grid] for label in runs.losses}
        beyond = {label: rate_beyond(grid, _best(tried)) for label, tried in searched.items()}
        further = {label: lr for label, lr in beyond.items() if lr is not None}
        runs.show.total += len(further)
        runs.train([runs.make(label, lr, search_seed, search=True) for label, lr in further.items()])
        for label, lr in further.items():
            searched[label].append(runs.search(label, lr, search_seed, extension=True))
    rates = {label: _best(tried) if tried else grid[0] for label, tried in searched.items()}
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
            warnings=list(dict.fromkeys(text for run in wanted[label] for text in runs.outcomes[run.folder].warnings)),
        )
        for label, config in runs.losses.items()
    ]


def _best(tried: Sequence[SearchRun]) -> float | None:
    return best_rate({one.lr: one.value for one in tried})


def _seed_run(run: ComparedRun, outcome: Outcome, folder: Path) -> SeedRun:
    path = run.folder.relative_to(folder).as_posix()
    return SeedRun(
        run.recipe.seed, path, outcome.test, outcome.curve, round(outcome.train_seconds, 3), outcome.diverged
    )


def _seed_list(seeds: int | Sequence[int], first: int) -> list[int]:
    """The seeds to report."""
    found = list(range(first, first + seeds)) if isinstance(seeds, int) else list(seeds)
    if not found or len(set(found)) < len(found) or min(found) < 0:
        raise RecipeError(f"--seeds: found {seeds}, expected at least 1 (or different seeds from 0)")
    return found


def _search_seed(first: int, seeds: Sequence[int]) -> int:
    """A seed for the search that is not reported."""
    seed = first + _SEARCH_SEED_OFFSET
    while seed in seeds:
        seed += 1
    return seed


def _search_terms(grid: list[float], seed: int) -> dict[str, object]:
    """What is told about the search."""
    searched = len(grid) > 1
    rule = _SEARCH_RULE if searched else "a single rate, taken without a search"
    return {"lrs": grid, "on": "val/map", "seed": seed if searched else None, "rule": rule}


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


def _target(asked: float | None, results: Sequence[LossResult]) -> tuple[float | None, str]:
    """The validation mAP to reach, and where it comes from."""
    if asked is not None:
        return asked, "given"
    finals = [value for value in (result.final_value() for result in results) if not math.isnan(value)]
    rule = f"{_TARGET_SHARE:.0%} of the highest final val/map"
    return (_TARGET_SHARE * max(finals), rule) if finals else (None, rule)


def _budget(recipe: Recipe, outcomes: Iterable[Outcome]) -> dict[str, int | str]:
    """What every run had."""
    steps = max((one.curve[-1][0] for one in outcomes if one.curve and not one.diverged), default=0)
    batch = recipe.sampler.batch_size * recipe.train.accumulate
    return {
        "steps": steps,
        "epochs": recipe.train.epochs,
        "batch": batch,
        "model": recipe.model.name,
        "optimizer": recipe.optimizer.name,
        "schedule": recipe.schedule.name,
        "augment": ", ".join(recipe.data.augment) or "none",
    }
