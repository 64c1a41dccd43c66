"""What a user sees while a comparison runs: a line a run, with the time that is left."""

from __future__ import annotations

import time

from monge.train.compared_run import ComparedRun, Outcome
from monge.train.run_files import say


class ComparisonProgress:
    """Counts runs and guesses the time left from those that ran now.

    Args:
        total: Runs planned.
        jobs: Runs at a time.
        show: False: silent.
    """

    def __init__(self, total: int, jobs: int, show: bool) -> None:
        self.total, self._jobs, self._show = total, jobs, show
        self._done = self._ran = 0
        self._began = time.monotonic()

    def kept(self, run: ComparedRun, outcome: Outcome) -> None:
        """Notes a run that was finished before."""
        self._done += 1
        self._line(run, outcome, "kept from before")

    def ran(self, run: ComparedRun, outcome: Outcome) -> None:
        """Notes a run that has just ended."""
        self._done += 1
        self._ran += 1
        each = (time.monotonic() - self._began) / self._ran
        left = each * (self.total - self._done)
        note = f"{outcome.train_seconds:.0f} s" + (f", about {_duration(left)} left" if left > 0 else "")
        self._line(run, outcome, note)

    def _line(self, run: ComparedRun, outcome: Outcome, note: str) -> None:
        if not self._show:
            return
        what = "search" if run.search else f"seed {run.recipe.seed}"
        metric = outcome.selection.metric
        value = "diverged" if outcome.diverged else f"{metric} {outcome.value:.4f}"
        tested = metric.replace("val/", "test/")
        if tested in outcome.test:
            value += f"  {tested} {outcome.test[tested]:.4f}"
        count = f"[{self._done:>{len(str(self.total))}}/{self.total}]"
        say(f"{count} {run.label}  lr {run.recipe.optimizer.lr:g}  {what}  {value}  ({note})")


def _duration(seconds: float) -> str:
    """A rough length of time.

    Example:
        >>> _duration(42), _duration(400), _duration(8000)
        ('42 s', '7 min', '2.2 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
