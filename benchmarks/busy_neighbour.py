"""Times the engine with one and with two threads while another process keeps one of two cores busy."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

_BURN = "import os; os.sched_setaffinity(0, {%d})\nwhile True: pass"
_MINE = "monge-benchmark-child"


def threads_beside_a_neighbour(n: int, epsilon: float, batch: int, rounds: int, cores: list[int]) -> dict[int, float]:
    """Median milliseconds of a plan for one thread and for two, from a process of its own on two cores."""
    command = [sys.executable, __file__, _MINE, str(n), str(epsilon), str(batch), str(rounds)]
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "1"}
    neighbour = subprocess.Popen([sys.executable, "-c", _BURN % cores[-1]])
    try:
        child = subprocess.Popen(
            [*command, *(str(core) for core in cores[-2:])], env=environment, stdout=subprocess.PIPE, text=True
        )
        answer, _ = child.communicate(timeout=600)
    finally:
        neighbour.kill()
        neighbour.wait()
    one, two = answer.split()[-2:]
    return {1: float(one), 2: float(two)}


def _child(n: int, epsilon: float, batch: int, rounds: int, cores: set[int]) -> None:
    os.sched_setaffinity(0, cores)
    import torch

    from monge.ot import pairwise_cost, sinkhorn

    torch.manual_seed(0)
    shape = (batch, n, 16) if batch else (n, 16)
    cost = pairwise_cost(torch.randn(shape), torch.randn(shape))
    cost = cost / cost.mean((-1, -2), keepdim=True)
    times: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds + 1):
        for threads, taken in times.items():
            torch.set_num_threads(threads)
            start = time.perf_counter()
            sinkhorn(cost, epsilon=epsilon, max_iter=20_000, grad="none").plan  # noqa: B018
            taken.append(1e3 * (time.perf_counter() - start))
    # The first round compiles.
    print(*(statistics.median(taken[1:]) for taken in times.values()))


if __name__ == "__main__" and sys.argv[1:2] == [_MINE]:
    numbers = sys.argv[2:]
    _child(int(numbers[0]), float(numbers[1]), int(numbers[2]), int(numbers[3]), {int(core) for core in numbers[4:]})
