"""A model over a whole split: in chunks, in evaluation mode, shared among processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from monge.data import Examples

# Pictures at once. What a convolution reads and writes of 64 stays in the caches of a core: half the time of 500.
_AT_ONCE, _AT_ONCE_ON_CPU = 500, 64


class Embedder(Protocol):
    """As much of a task as it takes to run its model."""

    training: bool

    @property
    def width(self) -> int:
        """Length of an output."""

    @property
    def device(self) -> torch.device:
        """Where the model is."""

    def eval(self) -> object:
        """Evaluation mode."""

    def train(self, mode: bool = True) -> object:
        """Training mode, or evaluation mode again."""

    def __call__(self, inputs: Tensor, /) -> Tensor:
        """Outputs (B, D)."""


@torch.no_grad()
def outputs_of(
    task: Embedder,
    examples: Examples,
    *,
    forward: Callable[[Tensor], Tensor] | None = None,
    rank: int = 0,
    world_size: int = 1,
) -> Tensor:
    """What a task gives for every example, in float32 with the model in evaluation mode.

    Args:
        task: Holds the model; left in the mode it was in.
        examples: What goes in.
        forward: What they go through; the task itself unless given.
        rank: This process; several processes each take a share and every one gets all rows.
        world_size: Processes.

    Returns:
        float32 (N, D) on the CPU.
    """
    was_training = task.training
    task.eval()
    views = examples.shape[0] if len(examples.shape) == 4 else 1
    at_once = _AT_ONCE_ON_CPU if task.device.type == "cpu" else _AT_ONCE
    chunks = torch.split(torch.arange(rank, len(examples), world_size), max(1, at_once // views))
    through = task if forward is None else forward
    parts = [through(examples.inputs(chunk).to(task.device)).float() for chunk in chunks if len(chunk)]
    task.train(was_training)
    outputs = torch.cat(parts) if parts else torch.empty(0, task.width, device=task.device)
    return (outputs if world_size == 1 else _interleave(outputs, len(examples), world_size)).cpu()


def _interleave(share: Tensor, total: int, world_size: int) -> Tensor:
    """Puts the shares of all processes, every `world_size`-th row each, back into one (total, D)."""
    longest = -(-total // world_size)
    padded = share.new_zeros(longest, share.shape[1])
    padded[: len(share)] = share
    shares = [torch.empty_like(padded) for _ in range(world_size)]
    torch.distributed.all_gather(shares, padded)
    return torch.stack(shares, dim=1).flatten(0, 1)[:total]
