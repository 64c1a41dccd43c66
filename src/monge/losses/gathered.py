"""A loss over the samples of all processes, whose gradients are those of one process that holds them all."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd.function import once_differentiable


class Gathered(nn.Module):
    """Calls a loss with the samples of all processes instead of the process's own.

    For losses that are more than a mean over samples, such as every loss over pairs: a mean over processes of losses
    within each is another loss. Every process gathers all samples, in the order of the ranks, and computes the same
    value. Processes may hold different numbers of samples, also none. The gradient is scaled so that the average over
    processes, which `torch.nn.parallel.DistributedDataParallel` takes, is the gradient of one process with all samples;
    parameters of the loss itself get that gradient on every process. Without `torch.distributed`, or with one process,
    this is the loss itself.

    Args:
        loss: Any loss whose tensor arguments have one entry a sample.

    Example:
        >>> from monge.losses import BatchwiseOTLoss
        >>> loss = Gathered(BatchwiseOTLoss())
        >>> loss(torch.eye(4), torch.tensor([0, 0, 1, 1])).shape
        torch.Size([])
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Returns what the loss returns for all samples.

        Args:
            *args: Tensors with one entry a sample, such as embeddings ``(N, D)`` and labels ``(N,)``, or ``None``.
            **kwargs: The same by name; numbers, words and switches are handed on.

        Raises:
            TypeError: Something else, such as a miner's tuple, whose indices mean nothing among all samples.
            ValueError: A tensor without a dimension of samples.
        """
        if not several_processes():
            return self.loss(*args, **kwargs)
        gathered = [_gathered(f"argument {place}", value) for place, value in enumerate(args)]
        named = {name: _gathered(name, value) for name, value in kwargs.items()}
        return self.loss(*gathered, **named)


def several_processes() -> bool:
    """Whether there are other processes to share samples with."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def gather_samples(samples: Tensor) -> Tensor:
    """The samples of all processes, one after the other in the order of the ranks.

    In the backward pass each process keeps the part of the gradient that belongs to its samples, times the number of
    processes; nothing is sent. That is right where every process computes the same function of the result and
    gradients of parameters are averaged over processes afterwards.

    Args:
        samples: ``(N, ...)``, N different on each process if need be; all else equal.

    Returns:
        ``(sum of N, ...)``.
    """
    gathered: Tensor = _Gather.apply(samples)
    return gathered


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, samples: Tensor) -> Tensor:
        world = distributed.get_world_size()
        own = torch.tensor([len(samples)], device=samples.device)
        counts = [torch.empty_like(own) for _ in range(world)]
        distributed.all_gather(counts, own)
        sizes = [int(count) for count in counts]
        # All processes must send the same shape: the short ones fill up, and the filling is cut off again.
        sent = samples.new_zeros(max(sizes), *samples.shape[1:])
        sent[: len(samples)] = samples
        received = [torch.empty_like(sent) for _ in range(world)]
        distributed.all_gather(received, sent)
        rank = distributed.get_rank()
        ctx.world, ctx.start, ctx.count = world, sum(sizes[:rank]), len(samples)
        return torch.cat([part[:size] for part, size in zip(received, sizes)])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        own = slice(ctx.start, ctx.start + ctx.count)
        return grad[own] * float(ctx.world)


def _gathered(name: str, value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} is a {type(value).__name__}: Gathered passes on tensors with one entry a sample")
    if value.dim() == 0:
        raise ValueError(f"{name} has no dimension: Gathered expects tensors with one entry a sample")
    return gather_samples(value)
