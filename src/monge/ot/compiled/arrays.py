"""Tensors as compiled code takes them."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def arrays_of(*tensors: Tensor) -> list[Any]:
    """The numbers of tensors on the CPU as arrays, in order and without history; those in order are not copied."""
    return [(t.detach() if t.requires_grad else t).contiguous().numpy() for t in tensors]
