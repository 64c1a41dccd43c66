"""Classes on a line: grades, ages, quality levels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from monge.ground.base import Ground


class Line(Ground):
    """``D[i, k] = |x_i - x_k|``: ordered classes, where transport has a closed form in linear time.

    Args:
        positions: Place x of each class, increasing, shape ``(C,)``; ``None``: ``0, 1, 2, ...`` for any number of
            classes.

    Raises:
        ValueError: Positions that are not finite and increasing.

    Example:
        >>> Line([0.0, 1.0, 5.0]).columns(torch.tensor([1]), 3)
        tensor([[1., 0., 4.]])
    """

    positions: Tensor | None

    def __init__(self, positions: Tensor | Sequence[float] | None = None) -> None:
        given = None if positions is None else _checked(torch.as_tensor(positions))
        super().__init__(None if given is None else len(given))
        self.register_buffer("positions", given, persistent=False)

    def _columns(self, labels: Tensor, num_classes: int) -> Tensor:
        places = self._places(num_classes, labels.device)  # (C,)
        return (places - places[labels].unsqueeze(1)).abs()  # (N, C)

    def expected(self, probabilities: Tensor) -> Tensor:
        """As :meth:`Ground.expected`, in linear time: each gap is crossed by the mass on its far side."""
        size = probabilities.shape[-1]
        self.check(size)
        gaps = self._places(size, probabilities.device).to(probabilities.dtype).diff()  # (C - 1,)
        below = probabilities.cumsum(-1)[..., :-1]  # (..., C - 1) mass up to each gap
        above = probabilities.flip(-1).cumsum(-1).flip(-1)[..., 1:]  # (..., C - 1) mass beyond it
        nothing = torch.zeros_like(probabilities[..., :1])
        to_the_left = torch.cat([nothing, (gaps * below).cumsum(-1)], dim=-1)  # (..., C)
        to_the_right = torch.cat([(gaps * above).flip(-1).cumsum(-1).flip(-1), nothing], dim=-1)  # (..., C)
        return to_the_left + to_the_right

    def _places(self, num_classes: int, device: torch.device) -> Tensor:
        if self.positions is None:
            return torch.arange(num_classes, device=device, dtype=torch.float32)
        return self.positions.to(torch.promote_types(self.positions.dtype, torch.float32))


def _checked(positions: Tensor) -> Tensor:
    positions = positions.detach().clone()
    if not positions.is_floating_point():
        positions = positions.to(torch.float32)
    if positions.dim() != 1 or len(positions) == 0:
        raise ValueError(f"positions of a line have shape {tuple(positions.shape)}: expected one number for each class")
    if not bool(torch.isfinite(positions).all()):
        raise ValueError("positions of a line hold a value that is not finite")
    rising = positions.diff() > 0
    if not bool(rising.all()):
        at = int(rising.int().argmin())
        raise ValueError(
            f"positions of a line are not increasing: class {at} lies at {float(positions[at]):g} and class {at + 1} "
            f"at {float(positions[at + 1]):g}; put the classes in order"
        )
    return positions
