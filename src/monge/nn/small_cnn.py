"""A small convolutional network for small pictures, quick on a CPU."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from monge.errors import MongeError


class SmallCNN(nn.Module):
    """3x3 convolutions with batch normalisation, halved in size from width to width, averaged over the picture.

    The first width keeps the size of the picture; each further one has a convolution of stride 2 and one of stride 1.
    The mean over what is left makes the network take pictures of any size.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        embedding_dim: Length of the embedding.
        widths: Channels, from the first convolution on.

    Example:
        >>> import torch
        >>> SmallCNN(embedding_dim=8)(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 8])
    """

    def __init__(self, in_channels: int = 1, embedding_dim: int = 64, widths: Sequence[int] = (16, 32, 64)) -> None:
        super().__init__()
        if not widths or min(widths) < 1:
            raise ValueError(f"widths: found {tuple(widths)}, expected at least one, each at least 1")
        layers = [_convolution(in_channels, widths[0])]
        for narrow, wide in pairwise(widths):
            layers += [_convolution(narrow, wide, stride=2), _convolution(wide, wide)]
        self.in_channels = in_channels
        self.stages = nn.Sequential(*layers)
        self.last = nn.Linear(widths[-1], embedding_dim)

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (N, D) of float images (N, C, H, W).

        Raises:
            MongeError: Not images, or of other channels.
        """
        if images.dim() != 4 or images.shape[1] != self.in_channels:
            raise MongeError(f"SmallCNN: found {tuple(images.shape)}, expected images (N, {self.in_channels}, H, W)")
        embeddings: Tensor = self.last(self.stages(images).mean((2, 3)))
        return embeddings


def _convolution(narrow: int, wide: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(narrow, wide, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(wide), nn.ReLU()
    )
