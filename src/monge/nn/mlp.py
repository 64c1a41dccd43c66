"""A fully connected network over the rows of a table."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from monge.errors import MongeError


class MLP(nn.Module):
    """Hidden layers of linear map, batch normalisation (if asked for), ReLU and dropout, then one linear layer.

    Args:
        in_features: Numbers in a row.
        embedding_dim: Length of the vectors that come out.
        hidden: Size of each hidden layer; none: a single linear layer.
        dropout: Probability that a hidden unit is left out in training.
        batch_norm: Normalise each hidden layer over the batch, before its ReLU.

    Raises:
        ValueError: A size below 1, or a dropout outside [0, 1).

    Example:
        >>> import torch
        >>> MLP(9, hidden=(32, 32))(torch.zeros(5, 9)).shape
        torch.Size([5, 64])
    """

    def __init__(
        self,
        in_features: int,
        embedding_dim: int = 64,
        hidden: Sequence[int] = (128, 128),
        dropout: float = 0.0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        sizes = [in_features, *hidden, embedding_dim]
        if min(sizes) < 1 or not 0 <= dropout < 1:
            raise ValueError(
                f"an MLP needs sizes of at least 1 and a dropout in [0, 1), found {sizes} and dropout {dropout}"
            )
        self.in_features = in_features
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for place, (before, after) in enumerate(pairwise(sizes[:-1]), start=1):
            layers[f"linear{place}"] = nn.Linear(before, after)
            if batch_norm:
                layers[f"norm{place}"] = nn.BatchNorm1d(after)
            layers[f"relu{place}"] = nn.ReLU()
            if dropout:
                layers[f"dropout{place}"] = nn.Dropout(dropout)
        layers["last"] = nn.Linear(sizes[-2], embedding_dim)
        self.layers = nn.Sequential(layers)

    def forward(self, rows: Tensor) -> Tensor:
        """Vectors (N, D) of float rows (N, F)."""
        if rows.ndim != 2 or rows.shape[1] != self.in_features:
            raise MongeError(f"this MLP takes rows (N, {self.in_features}), found inputs of shape {tuple(rows.shape)}")
        embeddings: Tensor = self.layers(rows)
        return embeddings
