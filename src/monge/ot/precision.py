"""Devices without float64: Apple's GPUs."""

from __future__ import annotations

import torch

_WITHOUT_FLOAT64 = frozenset({"mps"})


def widest_float(device: torch.device) -> torch.dtype:
    """float64 where the device has it, else float32.

    Example:
        >>> widest_float(torch.device("cpu")), widest_float(torch.device("mps"))
        (torch.float64, torch.float32)
    """
    return torch.float32 if device.type in _WITHOUT_FLOAT64 else torch.float64
