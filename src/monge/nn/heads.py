"""What follows a backbone: fully connected metric networks and normalisation to the unit sphere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

Activation = Literal["sigmoid", "relu"]

_ACTIVATIONS: dict[str, type[nn.Module]] = {"sigmoid": nn.Sigmoid, "relu": nn.ReLU}


class MetricHead(nn.Sequential):
    """Fully connected layers with an activation between them, none after the last (Xu, Sun, Liu; CVPR 2019, figure 2).

    The paper's metric network has four layers, 4096-2048-512-128, for ResNet-50 and MVCNN features and two, 512-256,
    for LeNet-5, with sigmoids between them.

    Args:
        in_features: Length of the vectors that come in.
        sizes: Output length of each layer; the last one is the embedding's.
        activation: What stands between two layers.

    Raises:
        ValueError: No sizes, or one below 1.

    Example:
        >>> import torch
        >>> MetricHead(64, (32, 16))(torch.zeros(5, 64)).shape
        torch.Size([5, 16])
    """

    def __init__(self, in_features: int, sizes: Sequence[int], activation: Activation = "sigmoid") -> None:
        if not sizes or min(sizes) < 1 or in_features < 1:
            raise ValueError(f"a metric head needs layer sizes of at least 1, found {in_features} -> {list(sizes)}")
        layers: list[nn.Module] = []
        for index, (before, after) in enumerate(zip((in_features, *sizes), sizes)):
            if index:
                layers.append(_ACTIVATIONS[activation]())
            layers.append(nn.Linear(before, after))
        super().__init__(*layers)


class L2Normalize(nn.Module):
    """Scales each embedding to unit length, in float32 whatever comes in; a zero vector stays zero.

    Args:
        eps: Vectors shorter than this are divided by it instead of by their length, which bounds the gradient.

    Example:
        >>> import torch
        >>> L2Normalize()(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([[0.6000, 0.8000],
                [0.0000, 0.0000]])
    """

    def __init__(self, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, embeddings: Tensor) -> Tensor:
        """Unit vectors (N, D) of ``embeddings`` (N, D); float32, or float64 if that came in."""
        full = embeddings if embeddings.itemsize >= 4 else embeddings.float()
        return nn.functional.normalize(full, dim=1, eps=self.eps)
