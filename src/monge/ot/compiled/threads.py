"""One parallel region over problems, on plain Python threads: compiled code releases the interpreter's lock.

The calling thread works too and takes piece after piece; helpers join only when the work has turned out to be long, so
that short solves never wait for a thread that the system has set aside. Which thread solves a problem changes nothing
in its result. Numba's own threading layers are left alone: they are not safe to fork, and spin beside busy neighbours.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import torch

# Below this a helper's start and end cost more than it brings.
_PATIENCE = 0.001
_PIECES_PER_THREAD = 8

_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}


def over_range(count: int, task: Callable[[int, int], None]) -> None:
    """Calls ``task(start, stop)`` on pieces that cover ``range(count)``, on up to ``torch.get_num_threads()`` threads.

    Args:
        count: Number of problems.
        task: Works on a piece; pieces do not overlap and may run at the same time.
    """
    threads = min(torch.get_num_threads(), count)
    if threads == 1:
        task(0, count)
        return
    size = max(1, count // (_PIECES_PER_THREAD * threads))
    pieces = itertools.count(0, size)

    def work() -> None:
        # Taking the next number is one step of the interpreter: no two threads get the same piece.
        while (start := next(pieces)) < count:
            task(start, min(start + size, count))

    helpers: list[Future[None]] = []
    began = time.perf_counter()
    while (start := next(pieces)) < count:
        task(start, min(start + size, count))
        if not helpers and time.perf_counter() - began > _PATIENCE:
            helpers = [_pool(threads - 1).submit(work) for _ in range(threads - 1)]
    for helper in helpers:
        helper.result()


def _pool(threads: int) -> ThreadPoolExecutor:
    """A pool of this process: threads do not survive a fork."""
    key = os.getpid(), threads
    if key not in _pools:
        _pools[key] = ThreadPoolExecutor(threads, thread_name_prefix="monge")
    return _pools[key]
