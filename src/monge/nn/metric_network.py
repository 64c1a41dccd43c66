"""Fully connected networks from features to embeddings: the paper's metric network, and those that were released.

Source: Xu, Sun, Liu, "Learning with batch-wise optimal transport loss for 3D shape recognition", CVPR 2019, and the
retrieval program released with it, which works on 4096 features of a fixed network.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from monge.errors import MongeError

Step = Literal["sigmoid", "relu", "none"]
Modality = Literal["sketch", "shape"]
ReleasedMode = Literal["relu", "sigmoid"]

PAPER_SIZES = (4096, 2048, 512, 128)

_STEPS: dict[Step, type[nn.Module]] = {"sigmoid": nn.Sigmoid, "relu": nn.ReLU, "none": nn.Identity}

# Sizes of the layers and what follows each, by network and by the program's two modes.
_RELEASED: dict[tuple[Modality, ReleasedMode], tuple[tuple[int, ...], tuple[Step, ...]]] = {
    ("sketch", "relu"): ((2000, 1000, 500, 100), ("relu", "relu", "none", "none")),
    ("shape", "relu"): ((2000, 2000, 1000, 500, 100), ("relu", "relu", "relu", "none", "none")),
    ("sketch", "sigmoid"): ((2000, 1000, 100), ("sigmoid", "sigmoid", "sigmoid")),
    ("shape", "sigmoid"): ((2000, 1000, 500, 100), ("sigmoid", "relu", "sigmoid", "sigmoid")),
}


class MetricNetwork(nn.Module):
    """Fully connected layers with an activation between them; by default the paper's: 4096-2048-512-128, sigmoids.

    The paper's network stands on the features of ResNet-50 (drawings) and MVCNN (shapes).

    Args:
        in_features: Length of the vectors that come in.
        sizes: Output length of each layer; the last one is the embedding's.
        activation: ``"sigmoid"``, ``"relu"`` or ``"none"`` between layers with nothing after the last, or one word
            for each layer.

    Raises:
        ValueError: No sizes, one below 1, or another number of activations or an unknown one.

    Example:
        >>> import torch
        >>> MetricNetwork(64, (32, 16))(torch.zeros(5, 64)).shape
        torch.Size([5, 16])
        >>> [tuple(layer.weight.shape) for layer in MetricNetwork.released("sketch").layers[::2]]
        [(2000, 4096), (1000, 2000), (500, 1000), (100, 500)]
    """

    def __init__(
        self, in_features: int, sizes: Sequence[int] = PAPER_SIZES, activation: Step | Sequence[Step] = "sigmoid"
    ) -> None:
        super().__init__()
        if not sizes or min(in_features, *sizes) < 1:
            raise ValueError(f"sizes: found {in_features} -> {list(sizes)}, expected sizes of at least 1")
        one: Sequence[Step] = (activation,) * (len(sizes) - 1) if isinstance(activation, str) else activation
        steps = (*one, "none") if isinstance(activation, str) else tuple(one)
        if len(steps) != len(sizes) or not set(steps) <= set(_STEPS):
            raise ValueError(f"activation: found {activation!r}, expected one of {', '.join(_STEPS)}, or {len(sizes)}")
        self.in_features = in_features
        layers: list[nn.Module] = []
        for (before, after), step in zip(pairwise((in_features, *sizes)), steps, strict=True):
            layers += [nn.Linear(before, after), _STEPS[step]()]
        self.layers = nn.Sequential(*layers)

    @classmethod
    def released(cls, modality: Modality, mode: ReleasedMode = "relu", in_features: int = 4096) -> MetricNetwork:
        """A network of the released retrieval program, with its initial weights.

        Those are normal around 0, cut off at two standard deviations, which are 0.1 in the last two layers and 0.01
        before; offsets begin at 0.

        Args:
            modality: ``"sketch"`` or ``"shape"``.
            mode: ``"relu"`` is what the program runs as it stands.
            in_features: Length of the features.

        Raises:
            ValueError: An unknown modality or mode.
        """
        if (modality, mode) not in _RELEASED:
            raise ValueError(f"found {modality!r} and {mode!r}, expected sketch or shape, and relu or sigmoid")
        network = cls(in_features, *_RELEASED[modality, mode])
        linear = [layer for layer in network.layers if isinstance(layer, nn.Linear)]
        for layer in linear:
            deviation = 0.1 if layer in linear[-2:] else 0.01
            nn.init.trunc_normal_(layer.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
            nn.init.zeros_(layer.bias)
        return network

    def forward(self, features: Tensor) -> Tensor:
        """Embeddings (N, D) of float features (N, F)."""
        if features.ndim != 2 or features.shape[1] != self.in_features:
            found = tuple(features.shape)
            raise MongeError(f"this network takes features (N, {self.in_features}), found inputs of shape {found}")
        embeddings: Tensor = self.layers(features)  # (N, D)
        return embeddings
