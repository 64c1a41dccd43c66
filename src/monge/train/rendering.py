"""What a user sees while data are made ready before the training: a bar on a terminal, a few lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from monge.extras import require
from monge.train.run_files import is_main_process, say

_LINES = 10


@contextmanager
def rendering_progress(show: bool, doing: str = "rendering shapes") -> Iterator[Callable[[int, int], None]]:
    """A function that is told how many items are done, of how many; it shows nothing until it is called.

    Args:
        show: False: silent.
        doing: What is done to them.
    """
    if not (show and is_main_process()):
        yield lambda done, total: None
    elif not sys.stderr.isatty():
        yield _tenths(doing)
    else:
        rich = require("rich.progress", extra="cli", purpose="The progress bar")
        console = require("rich.console", extra="cli", purpose="The progress bar").Console(stderr=True)
        columns = (doing, rich.BarColumn(), rich.MofNCompleteColumn(), rich.TimeRemainingColumn())
        bar: Any = rich.Progress(*columns, console=console)
        row = bar.add_task("", total=None)

        def shown(done: int, total: int) -> None:
            bar.start()
            bar.update(row, completed=done, total=total)

        try:
            yield shown
        finally:
            bar.stop()


def _tenths(doing: str) -> Callable[[int, int], None]:
    """Prints a line for each tenth that is reached, however many items are done at once."""
    told = [-1]

    def tell(done: int, total: int) -> None:
        reached = done * _LINES // total
        if done < total and reached == told[0]:
            return
        told[0] = reached
        say(f"{doing}: {done}/{total}")

    return tell
