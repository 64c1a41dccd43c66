"""A network that classifies: a trunk, its features, and a head on top of them."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

HeadFactory = Callable[[int, int], nn.Module]
"""Makes the head from the length of the features and the number of outputs, e.g. `torch.nn.Linear` itself."""


class Classifier(nn.Module):
    """Features ``relu(trunk(x))`` and a head on them; never negative, as a learned ground distance wants its features.

    Args:
        trunk: Turns inputs into vectors (N, `feature_dim`), not scaled to unit length.
        feature_dim: Length of these vectors.
        outputs: What the head is asked for: the number of classes, or of thresholds between them.
        head: Called as ``head(feature_dim, outputs)``; a linear layer unless given. Heads that share their weights
            over the outputs, like CORAL's, come in here.

    Example:
        >>> import torch
        >>> net = Classifier(nn.Linear(9, 16), feature_dim=16, outputs=5)
        >>> features, logits = net.features_and_logits(torch.randn(3, 9))
        >>> features.shape, logits.shape, bool((features >= 0).all())
        (torch.Size([3, 16]), torch.Size([3, 5]), True)
    """

    def __init__(self, trunk: nn.Module, feature_dim: int, outputs: int, head: HeadFactory | None = None) -> None:
        super().__init__()
        if min(feature_dim, outputs) < 1:
            raise ValueError(f"a classifier needs sizes of at least 1, found {feature_dim} features, {outputs} outputs")
        self.feature_dim, self.outputs = feature_dim, outputs
        self.trunk = trunk
        self.head = nn.Linear(feature_dim, outputs) if head is None else head(feature_dim, outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits (N, C) of a batch of inputs."""
        return self.features_and_logits(inputs)[1]

    def features_and_logits(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, D), none negative, and the logits (N, C) that the head makes of them."""
        features: Tensor = self.trunk(inputs).relu()  # (N, D)
        logits: Tensor = self.head(features)  # (N, C)
        return features, logits
