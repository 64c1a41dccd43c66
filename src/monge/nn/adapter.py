"""A small correction of vectors that a pretrained network gave."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from monge.errors import MongeError


class Adapter(nn.Module):
    """A vector plus what two layers make of it: ``x + W2 relu(W1 x)``, with ``W2 = 0`` at the start.

    Training begins with the vectors as they are, so that little data change only what they have to: words that are near
    in a sentence encoder stay near, also those that no caption to learn from has. The idea is that of residual adapters
    (N. Houlsby and others, "Parameter-Efficient Transfer Learning for NLP", ICML 2019), here behind the encoder.

    Args:
        features: Length of the vectors, in and out.
        hidden: Size of the layer between.
        dropout: Probability that a number of that layer is left out in training.

    Raises:
        ValueError: A size below 1, or a dropout outside [0, 1).

    Example:
        >>> import torch
        >>> x = torch.randn(3, 8)
        >>> torch.equal(Adapter(8, hidden=4)(x), x)
        True
    """

    def __init__(self, features: int, hidden: int = 256, dropout: float = 0.0) -> None:
        super().__init__()
        if min(features, hidden) < 1 or not 0 <= dropout < 1:
            found = f"sizes {features} and {hidden} and dropout {dropout}"
            raise ValueError(f"an adapter needs sizes of at least 1 and a dropout in [0, 1), found {found}")
        self.features = features
        self.down, self.up = nn.Linear(features, hidden), nn.Linear(hidden, features)
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, vectors: Tensor) -> Tensor:
        """Vectors ``(N, F)``, corrected.

        Raises:
            MongeError: Vectors of another shape.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.features:
            raise MongeError(f"this adapter takes vectors (N, {self.features}), found shape {tuple(vectors.shape)}")
        correction: Tensor = self.up(self.dropout(functional.relu(self.down(vectors))))
        return vectors + correction
