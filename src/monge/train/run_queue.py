"""Many trainings, a few at a time: worker processes that die with their parent and never leave it waiting."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar

import torch

from monge.errors import MongeError, RunError

Task = TypeVar("Task")
Result = TypeVar("Result")

# How long a worker may take to end after it was asked to, before it is made to.
_PATIENCE_SECONDS = 10.0


def run_all(
    work: Callable[[Task], Result], tasks: Sequence[Task], *, jobs: int = 1
) -> Generator[tuple[Task, Result], None, None]:
    """Runs every task, each on one torch thread, and yields results as they come.

    One thread per task whatever ``jobs`` is, so that the numbers do not depend on it. With ``jobs=1`` the tasks run
    in this process, else in processes that are started fresh (spawned).

    Args:
        work: A function at the top level of a module.
        tasks: Its arguments; tasks and results must be picklable for ``jobs > 1``.
        jobs: How many tasks at a time.

    Yields:
        Pairs of a task and its result, in the order in which they ended.

    Close it (`contextlib.closing`) where the results are not taken to the end: that stops the workers.

    Raises:
        MongeError: A task failed with one, or a worker process was killed; the other workers are stopped.
        RuntimeError: A task failed with anything else; the message holds its traceback.

    Example:
        >>> [result for _, result in run_all(len, ["a", "bcd"])]
        [1, 3]
    """
    if jobs <= 1 or len(tasks) <= 1:
        for task in tasks:
            with _one_thread():
                result = work(task)
            yield task, result
        return
    workers = [_Worker(work) for _ in range(min(jobs, len(tasks)))]
    try:
        yield from _share_out(tasks, workers)
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.end()


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class _Worker(Generic[Task, Result]):
    """A process that does one task after the other, and this process's end of the line to it."""

    def __init__(self, work: Callable[[Task], Result]) -> None:
        context = multiprocessing.get_context("spawn")
        self.line, other_end = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(work, other_end))
        self.process.start()
        other_end.close()
        self.task: Task

    def give(self, task: Task) -> None:
        self.task = task
        try:
            self.line.send(task)
        except OSError as error:
            raise self.death() from error

    def take(self) -> Result:
        try:
            done, value = self.line.recv()
        except (EOFError, OSError) as error:
            raise self.death() from error
        if done:
            return value  # type: ignore[no-any-return]
        error_class, text = value
        raise error_class(text)

    def death(self) -> RunError:
        self.process.join(_PATIENCE_SECONDS)
        return RunError(
            f"a worker process ended with code {self.process.exitcode} while training"
            " (-9 often means out of memory); what is finished is kept: run the same command again, with fewer --jobs"
        )

    def end(self) -> None:
        self.line.close()  # one that is between two tasks ends by this
        self.process.join(_PATIENCE_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _share_out(tasks: Sequence[Task], workers: Sequence[_Worker[Task, Result]]) -> Iterator[tuple[Task, Result]]:
    waiting = list(reversed(tasks))
    busy: dict[Connection, _Worker[Task, Result]] = {}
    for worker in workers:
        worker.give(waiting.pop())
        busy[worker.line] = worker
    while busy:
        for line in connection.wait(list(busy)):
            worker = busy.pop(line)  # type: ignore[call-overload]
            task, result = worker.task, worker.take()
            if waiting:
                worker.give(waiting.pop())
                busy[worker.line] = worker
            yield task, result


def _serve(work: Callable[[Task], Result], line: Connection) -> None:
    """Body of a worker process."""
    # Ctrl-C reaches every process of a terminal; the parent alone answers it and ends the workers in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    while True:
        try:
            task = line.recv()
        except (EOFError, OSError):
            return
        try:
            answer: tuple[bool, object] = (True, work(task))
        except MongeError as error:
            # Errors with arguments of their own do not all survive pickling; their one line does.
            answer = (False, (RunError, str(error)))
        except Exception:
            answer = (False, (RuntimeError, traceback.format_exc()))
        try:
            line.send(answer)
        except OSError:
            return


def _end_with_parent() -> None:
    """Ends this process when its parent is gone, however it went: two of them must never write to one run folder."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
