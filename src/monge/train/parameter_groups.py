"""Which parameters of a model learn at which rate."""

from __future__ import annotations

from typing import Any

from torch import nn


def parameter_groups(model: nn.Module, lr: float) -> list[dict[str, Any]]:
    """Groups for an optimiser: a part of the model with an attribute ``lr_scale`` learns at that share of the rate.

    Parts that have the same scale share a group, and of parts within parts the inner one counts.

    Args:
        model: Its frozen parameters are left out.
        lr: The optimiser's learning rate.

    Example:
        >>> net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
        >>> net[0].lr_scale = 0.1
        >>> [(len(group["params"]), group["lr"]) for group in parameter_groups(net, 0.5)]
        [(2, 0.5), (2, 0.05)]
    """
    scales: dict[nn.Parameter, float] = {}
    _collect(model, 1.0, scales)
    return [
        {"params": [parameter for parameter, own in scales.items() if own == scale], "lr": lr * scale}
        for scale in sorted(set(scales.values()), reverse=True)
    ]


def _collect(module: nn.Module, scale: float, scales: dict[nn.Parameter, float]) -> None:
    """Notes the scale of every parameter that is trained; one that two parts share keeps its first."""
    scale = float(getattr(module, "lr_scale", scale))
    for parameter in module.parameters(recurse=False):
        if parameter.requires_grad:
            scales.setdefault(parameter, scale)
    for part in module.children():
        _collect(part, scale, scales)
