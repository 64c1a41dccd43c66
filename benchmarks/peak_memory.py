"""Peak memory of a forward and backward pass, in units of the cost tensor, from a process of its own (Linux)."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

_MINE = "monge-benchmark-memory"
# Tensors this large are mapped and unmapped one by one, so that what is resident is what is in use.
_ENTRIES = 24_000_000


def peak_in_tensors(grad: str, n: int, epsilon: float) -> float:
    """What a pass needs beside the cost itself, over the size of the cost: gradient and plan are part of it."""
    command = [sys.executable, __file__, _MINE, grad, str(n), str(epsilon)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def resident_bytes(field: str) -> int:
    """Memory of this process, now (``VmRSS``) or at most so far (``VmHWM``)."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    return 1024 * int(found.group(1)) if found else 0


def _child(grad: str, n: int, epsilon: float) -> None:
    import torch

    from monge.ot import sinkhorn

    torch.set_num_threads(1)

    def step(cost: torch.Tensor) -> None:
        leaf = cost.requires_grad_()
        result = sinkhorn(leaf, epsilon=epsilon, grad=grad, on_fail="ignore")  # type: ignore[arg-type]
        loss = result.value.sum() if grad == "envelope" else result.plan[:, 0].sum()
        loss.backward()  # type: ignore[no-untyped-call]

    step(torch.rand(2, n, n))
    cost = torch.rand(_ENTRIES // (n * n), n, n)
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    before = resident_bytes("VmRSS")
    step(cost)
    print((resident_bytes("VmHWM") - before) / (4 * cost.numel()))


if __name__ == "__main__" and sys.argv[1:2] == [_MINE]:
    _child(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
