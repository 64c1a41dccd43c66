"""What a user sees while shapes are rendered before the training: a bar on a terminal, a few lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from monge.extras import require
from monge.train.run_files import is_main_process, say

_LINES = 10


@contextmanager
def rendering_progress(show: bool) -> Iterator[Callable[[int, int], None]]:
    """A function that is told how many shapes are rendered, of how many; it shows nothing until it is called.

    Args:
        show: False: silent.
    """
    if not (show and is_main_process()):
        yield lambda done, total: None
    elif not sys.stderr.isatty():
        yield _tell_tenths
    else:
        rich = require("rich.progress", extra="cli", purpose="The progress bar")
        console = require("rich.console", extra="cli", purpose="The progress bar").Console(stderr=True)
        columns = ("rendering", rich.BarColumn(), rich.MofNCompleteColumn(), rich.TimeRemainingColumn())
        bar: Any = rich.Progress(*columns, console=console)
        row = bar.add_task("", total=None)

        def shown(done: int, total: int) -> None:
            bar.start()
            bar.update(row, completed=done, total=total)

        try:
            yield shown
        finally:
            bar.stop()


def _tell_tenths(done: int, total: int) -> None:
    """A line for each tenth that is reached."""
    if done == total or done * _LINES // total > (done - 1) * _LINES // total:
        say(f"rendering shapes: {done}/{total}")
