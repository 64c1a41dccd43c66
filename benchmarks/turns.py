"""Timing side by side: what is compared takes turns within a round, so that whatever else the machine does strikes all.

The order changes from round to round: who comes after one that has filled the caches pays for it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence


def seconds_of(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """What one call takes by a clock."""
    start = clock()
    work()
    return clock() - start


def in_turns(tries: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """What each try says it took, round by round; one round to compile and warm up comes before and is left out."""
    names = list(tries)
    taken: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds + 1):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            seconds = tries[name]()
            if turn:
                taken[name].append(seconds)
    return taken


def median_ratio(mine: Sequence[float], theirs: Sequence[float]) -> float:
    """Median of the ratios within a round."""
    return statistics.median(a / b for a, b in zip(mine, theirs, strict=True))
