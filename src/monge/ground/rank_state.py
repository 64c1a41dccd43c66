"""State that each process collects for itself in the course of an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from monge.ot.precision import widest_float


class RankState(nn.Module):
    """Named tensors that move with the module and are in its ``state_dict``, but are no buffers.

    ``DistributedDataParallel`` copies the buffers of the first process to all others at every forward pass, which
    would overwrite what the others have collected. Shapes may change: loading takes them from the checkpoint. Dtypes
    do not follow ``.half()`` and the like.

    What is summed over an epoch is named apart: :meth:`gather` brings it together, so that the first process's
    ``state_dict`` holds all of it, and the other processes, when they load it, start from zero.

    Args:
        state: Tensors that are the same in every process.
        sums: Tensors that each process adds to.

    Example:
        >>> state = RankState({"epoch": torch.tensor(3)}, {"count": torch.zeros(2)})
        >>> state["count"] += 1
        >>> dict(state.state_dict())
        {'epoch': tensor(3), 'count': tensor([1., 1.])}
    """

    def __init__(self, state: Mapping[str, Tensor], sums: Mapping[str, Tensor]) -> None:
        super().__init__()
        self._tensors = {**state, **sums}
        self._sums = tuple(sums)

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __setitem__(self, name: str, tensor: Tensor) -> None:
        self._tensors[name] = tensor

    def gather(self) -> None:
        """Brings the sums of all processes to the first one; the others go on from zero.

        To be called in every process before a checkpoint is written in the middle of an epoch. What comes after is
        the same with and without, and with one process nothing happens.
        """
        self.reduce()
        if _rank() > 0:
            self.clear()

    def reduce(self) -> None:
        """Gives every process the total of the sums."""
        if processes() > 1:
            for name in self._sums:
                dist.all_reduce(self._tensors[name])

    def clear(self) -> None:
        """Starts the sums again from zero."""
        for name in self._sums:
            self._tensors[name].zero_()

    def _apply(self, fn: Any, recurse: bool = True) -> RankState:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, tensor in self._tensors.items():
            self._tensors[name] = _moved(tensor, fn(torch.empty(0, device=tensor.device)).device)
        return self

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for name, tensor in self._tensors.items():
            destination[prefix + name] = tensor.detach()

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        own = {prefix + name: name for name in self._tensors}
        others = {key: value for key, value in state_dict.items() if key not in own}
        super()._load_from_state_dict(others, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        for key, name in own.items():
            if key in state_dict:
                now = self._tensors[name]
                self._tensors[name] = _moved(state_dict[key].detach().to(now.dtype, copy=True), now.device)
            elif strict:
                missing_keys.append(key)
        if _rank() > 0:
            self.clear()


def processes() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def _rank() -> int:
    return dist.get_rank() if processes() > 1 else 0


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    return tensor.to(device, widest_float(device)) if tensor.dtype == torch.float64 else tensor.to(device)
