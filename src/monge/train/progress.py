"""What a user sees while a run trains: a bar on a terminal, a line an epoch elsewhere, or nothing."""

from __future__ import annotations

import sys
from typing import Any

from monge.extras import require
from monge.train.run_files import is_main_process, say


class Progress:
    """Shows how far a run is.

    Args:
        steps: Optimiser steps of the whole run.
        epochs: Epochs of the run.
        show: False: silent.
    """

    def __init__(self, steps: int, epochs: int, show: bool) -> None:
        self._steps, self._epochs = steps, epochs
        self._show = show and is_main_process()
        self._loss = self._validation = ""
        self._bar: Any = None
        self._row: Any = None

    def start(self, step: int) -> None:
        """Opens the bar at a step."""
        if self._show and sys.stderr.isatty():
            rich = require("rich.progress", extra="cli", purpose="The progress bar")
            console = require("rich.console", extra="cli", purpose="The progress bar").Console(stderr=True)
            columns = ("{task.description}", rich.BarColumn(), rich.MofNCompleteColumn(), rich.TimeRemainingColumn())
            self._bar = rich.Progress(*columns, "{task.fields[note]}", console=console)
            self._row = self._bar.add_task("training", total=self._steps, completed=step, note="")
            self._bar.start()

    def stepped(self, step: int, loss: float | None) -> None:
        """Moves the bar; the loss is shown when it is known."""
        if loss is not None:
            self._loss = f"loss {loss:.4f}"
        if self._bar is not None:
            self._bar.update(self._row, completed=step, note=f"{self._loss}  {self._validation}".strip())

    def epoch_ended(self, epoch: int, step: int, seconds: float, metric: str, value: float | None) -> None:
        """Notes a validation by the metric that selects; without a bar this prints the line of the epoch."""
        validation = f"{metric} {value:.4f}" if value is not None else ""
        self._validation = validation or self._validation  # the bar keeps showing the last one
        if self._show and self._bar is None:
            parts = (f"epoch {epoch + 1}/{self._epochs}", f"step {step}/{self._steps}", self._loss, validation)
            say("  ".join([part for part in parts if part] + [f"{seconds:.0f} s"]))

    def stop(self) -> None:
        """Closes the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
