"""A ground distance given as a matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monge.ground.base import Ground

# Two entries that should be equal may differ by this share of the largest one: rounding, not meaning.
_ROUNDING = 1e-5


class Matrix(Ground):
    """Distances from a matrix: ``D[i, k]`` is the price of moving mass from class i to class k.

    Args:
        D: Shape ``(C, C)``: finite, not negative, 0 on the diagonal.
        symmetric: Whether ``D[i, k]`` and ``D[k, i]`` must agree. ``False`` accepts prices that depend on the
            direction, e.g. where mistaking a sick person for a healthy one is worse than the reverse.

    Raises:
        ValueError: A matrix that is not of this kind; the message names the entry.

    Example:
        >>> Matrix([[0.0, 1.0], [1.0, 0.0]]).columns(torch.tensor([0, 1]), 2)
        tensor([[0., 1.],
                [1., 0.]])
    """

    by_label: Tensor

    def __init__(self, D: Tensor | NDArray[np.generic] | Sequence[Sequence[float]], *, symmetric: bool = True) -> None:
        prices = _checked(torch.as_tensor(D), symmetric)
        super().__init__(len(prices))
        # Row k holds the prices of moving to class k, so that a batch of labels is one gather of rows.
        self.register_buffer("by_label", prices.t().contiguous(), persistent=False)

    def _columns(self, labels: Tensor, num_classes: int) -> Tensor:
        rows = self.by_label.index_select(0, labels)
        return rows.to(torch.promote_types(rows.dtype, torch.float32))

    def expected(self, probabilities: Tensor) -> Tensor:
        """As :meth:`Ground.expected`: one product of matrices."""
        self.check(probabilities.shape[-1])
        return probabilities @ self.by_label.to(probabilities.dtype)


def _checked(prices: Tensor, symmetric: bool) -> Tensor:
    if prices.dim() != 2 or prices.shape[0] != prices.shape[1] or len(prices) == 0:
        raise ValueError(f"ground matrix has shape {tuple(prices.shape)}: expected a square one, (C, C)")
    prices = prices.detach()
    if not prices.is_floating_point():
        prices = prices.to(torch.float32)
    for wrong, wanted in ((~torch.isfinite(prices), "finite numbers"), (prices < 0, "numbers that are not negative")):
        if bool(wrong.any()):
            i, k = wrong.nonzero()[0].tolist()
            raise ValueError(f"ground matrix holds {float(prices[i, k]):g} at [{i}, {k}]: expected {wanted}")
    diagonal = prices.diagonal()
    if bool((diagonal != 0).any()):
        i = int((diagonal != 0).nonzero()[0])
        raise ValueError(
            f"ground matrix holds {float(diagonal[i]):g} at [{i}, {i}]: expected 0, the distance of a class from itself"
        )
    apart = (prices - prices.t()).abs()
    if symmetric and bool(apart.max() > _ROUNDING * prices.max()):
        i, k = divmod(int(apart.argmax()), len(prices))
        raise ValueError(
            f"ground matrix is not symmetric: [{i}, {k}] holds {float(prices[i, k]):g} and [{k}, {i}] "
            f"{float(prices[k, i]):g}, {float(apart[i, k]):g} apart; symmetric=False accepts prices that depend on "
            "the direction"
        )
    return prices
