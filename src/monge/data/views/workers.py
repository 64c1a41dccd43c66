"""Work on many meshes in processes of one thread each."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import TypeVar

import torch

from monge.errors import MongeError

Task = TypeVar("Task")
Result = TypeVar("Result")

# A process needs seconds to start, in which this one renders as many meshes.
_FEW = 16
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def cores() -> int:
    """CPUs that this process may use.

    Example:
        >>> cores() >= 1
        True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def work_on(
    work: Callable[[Task], Result], tasks: Sequence[Task], jobs: int | None = None
) -> Generator[tuple[int, Result], None, None]:
    """Does all tasks and gives results as they come.

    Args:
        work: A function at the top level of a module; it raises nothing that a user can cause.
        tasks: Its arguments; they and the results must be picklable for more than one process.
        jobs: Processes; 1: this one. ``None``: one for each core, or this one if there are few tasks.

    Yields:
        Position of a task, and its result. Close it (`contextlib.closing`) where results are not taken to the end:
        that stops the processes after the tasks they are at.

    Raises:
        MongeError: A process was killed, or could not start.

    Example:
        >>> sorted(work_on(len, ["a", "bcd"]))
        [(0, 1), (1, 3)]
    """
    processes = min(jobs or (cores() if len(tasks) > _FEW else 1), len(tasks))
    if processes <= 1:
        for position, task in enumerate(tasks):
            yield position, work(task)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_begin)
    # Read by libraries when they start, which in a fresh process is before anything of ours runs.
    kept = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        futures = {pool.submit(work, task): position for position, task in enumerate(tasks)}
        for future in as_completed(list(futures)):
            yield futures.pop(future), future.result()
    except BrokenProcessPool:
        raise MongeError(
            "a worker process ended in the middle of its work: out of memory, killed, or started by a script whose"
            " work does not stand under `if __name__ == '__main__':`; what is finished is kept, so run it again, with"
            " fewer jobs"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _begin() -> None:
    """First words of a worker process."""
    # Ctrl-C reaches every process of a terminal; the parent alone answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
