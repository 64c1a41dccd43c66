"""Samples shared unevenly by one, two and three processes (gloo, CPU), and what each of the processes finds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed, multiprocessing

SHARES = {1: (14,), 2: (9, 5), 3: (7, 0, 7)}
WORLDS = pytest.mark.parametrize("world", SHARES)

Find = Callable[[int, slice], dict[str, Any]]


def found_by_processes(find: Find, new_folder: Callable[[str], Path]) -> dict[int, list[dict[str, Any]]]:
    """What a function finds in each process of 1, 2 and 3; it is given the rank and the share of the samples."""
    found = {}
    for world in SHARES:
        folder = new_folder(f"world{world}")
        if world == 1:
            _work(0, find, world, folder)
        else:
            multiprocessing.spawn(_work, (find, world, folder), nprocs=world)
        found[world] = [torch.load(folder / f"rank{rank}.pt") for rank in range(world)]
    return found


def _work(rank: int, find: Find, world: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world)
    start = sum(SHARES[world][:rank])
    torch.save(find(rank, slice(start, start + SHARES[world][rank])), folder / f"rank{rank}.pt")
    distributed.destroy_process_group()
