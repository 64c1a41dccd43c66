"""The queue of trainings: same results for any number of jobs, one line on failures, nothing left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from pathlib import Path

import pytest
import torch

from monge.errors import DataFormatError, MongeError, RunError
from monge.train.run_queue import run_all


def square(x: int) -> tuple[int, int]:
    return x * x, torch.get_num_threads()


def fail(x: int) -> int:
    if x == 1:
        raise DataFormatError("digits.idx", "byte 0", "nothing", "a magic number")
    if x == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    if x == 3:
        raise ZeroDivisionError("a bug")
    time.sleep(30)
    return x


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_task_runs_once_on_one_thread(jobs: int) -> None:
    threads = torch.get_num_threads()
    results = dict(run_all(square, [1, 2, 3, 4, 5], jobs=jobs))
    assert results == {x: (x * x, 1) for x in (1, 2, 3, 4, 5)}
    assert torch.get_num_threads() == threads


def test_no_tasks_is_no_work() -> None:
    assert list(run_all(square, [], jobs=4)) == []


def test_a_user_error_in_a_worker_keeps_its_line() -> None:
    with pytest.raises(RunError, match=r"^digits.idx: byte 0: found nothing, expected a magic number$"):
        list(run_all(fail, [1, 0], jobs=2))


def test_a_killed_worker_is_one_line_and_stops_the_others() -> None:
    start = time.monotonic()
    with pytest.raises(MongeError, match="ended with code -9") as error:
        list(run_all(fail, [2, 0], jobs=2))
    assert "\n" not in str(error.value)
    assert time.monotonic() - start < 25


def test_a_bug_in_a_worker_shows_its_traceback() -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError: a bug"):
        list(run_all(fail, [3, 0], jobs=2))


def test_leaving_early_stops_the_workers() -> None:
    start = time.monotonic()
    with closing(run_all(sleep_if_positive, [0, 60], jobs=2)) as results:
        assert next(results) == (0, 0)
    assert time.monotonic() - start < 25


def sleep_if_positive(seconds: int) -> int:
    time.sleep(seconds)
    return seconds


def test_workers_end_when_the_parent_is_killed(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(
        textwrap.dedent(
            """
            import os, pathlib, time
            from monge.train.run_queue import run_all

            def work(name):
                pathlib.Path(name).write_text(str(os.getpid()))
                time.sleep(120)

            if __name__ == "__main__":
                list(run_all(work, ["a.pid", "b.pid"], jobs=2))
            """
        )
    )
    parent = subprocess.Popen([sys.executable, "parent.py"], cwd=tmp_path)
    files = [tmp_path / "a.pid", tmp_path / "b.pid"]
    wait_until(lambda: all(file.exists() and file.read_text() for file in files))
    parent.kill()
    parent.wait()
    wait_until(lambda: not any(alive(int(file.read_text())) for file in files))


def wait_until(done: object, seconds: float = 60.0) -> None:
    assert callable(done)
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] == "Z")
