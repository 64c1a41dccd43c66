"""A ground distance raised to a power."""

from __future__ import annotations

import torch
from torch import Tensor

from monge.ground.base import Ground


class Power(Ground):
    """``D[i, k] ** omega`` of another ground distance: above 1 far classes cost more, below 1 less.

    Args:
        ground: The distance.
        omega: The exponent, positive.

    Raises:
        ValueError: An exponent that is not positive.

    Example:
        >>> from monge.ground import Line
        >>> Power(Line(), 2).columns(torch.tensor([0]), 4)
        tensor([[0., 1., 4., 9.]])
    """

    def __init__(self, ground: Ground, omega: float) -> None:
        if not omega > 0:
            raise ValueError(f"omega is {omega}: expected a positive exponent")
        super().__init__(ground.num_classes)
        self.ground, self.omega = ground, float(omega)

    @property
    def device(self) -> torch.device:
        """That of the distance below."""
        return self.ground.device

    def _columns(self, labels: Tensor, num_classes: int) -> Tensor:
        return self.ground.columns(labels, num_classes) ** self.omega

    def extra_repr(self) -> str:
        """The exponent."""
        return f"omega={self.omega:g}"
