"""Work on the samples of all processes that is shared among them, with the gradients of one process that does it all.

Where `monge.losses.gathered` lets every process compute the same, here each computes a share of the numbers that a loss
is made of, and these are gathered. A process then knows the gradients of its own share alone, so that the gradients to
the samples are summed over processes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed
from torch.autograd.function import once_differentiable

from monge.losses.gathered import gather_samples


def gather_for_shares(samples: Tensor) -> Tensor:
    """The samples of all processes in the order of the ranks, for work of which each process does a share.

    The backward pass sums the gradients of all processes, and each keeps the part that belongs to its samples, times
    the number of processes, for gradients of parameters are averaged afterwards. All processes must go back.

    Args:
        samples: ``(N, ...)``, N different on each process if need be; all else equal.

    Returns:
        ``(sum of N, ...)``.
    """
    gathered: Tensor = _SummedGradient.apply(gather_samples(samples))
    return gathered


def own_share(count: int) -> slice:
    """Which of `count` pieces of work this process does: every so-manyth, so that hard ones are spread."""
    return slice(distributed.get_rank(), count, distributed.get_world_size())


def gather_shares(values: Tensor, count: int) -> Tensor:
    """The numbers of all pieces of work, of which each process brings its share.

    In the backward pass each process keeps the gradients of its own numbers; nothing is sent.

    Args:
        values: Of the pieces that `own_share` names.
        count: Pieces in all.

    Returns:
        ``(count,)``.
    """
    gathered: Tensor = _GatherShares.apply(values, count)
    return gathered


def from_first(*values: Tensor) -> tuple[Tensor, ...]:
    """What the first process has, so that a rounding of another machine cannot part the ways of two processes.

    Args:
        values: Tensors without gradient, of the same shapes and dtypes on all processes.
    """
    sent = tuple(value.contiguous().clone() for value in values)
    for value in sent:
        distributed.broadcast(value, src=0)
    return sent


class _SummedGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gathered: Tensor) -> Tensor:
        return gathered.view_as(gathered)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        summed = grad.contiguous().clone()
        distributed.all_reduce(summed)
        return summed


class _GatherShares(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, count: int) -> Tensor:
        world = distributed.get_world_size()
        # All processes must send the same shape: the short ones fill up, and the filling is cut off again.
        sent = values.new_zeros(-(-count // world))
        sent[: len(values)] = values
        received = [torch.empty_like(sent) for _ in range(world)]
        distributed.all_gather(received, sent)
        ctx.share = own_share(count)
        return torch.stack(received, dim=1).flatten()[:count]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad[ctx.share], None
