"""What a face network gives: an embedding, and on request the feature map that transport compares."""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

from torch import Tensor, nn

from monge.errors import MongeError


class EmbeddingWithMaps(NamedTuple):
    """Embeddings of a batch and the feature maps they were made of.

    Attributes:
        embedding: ``(N, D)``, not normalised.
        feature_maps: ``(N, C, H, W)``.
    """

    embedding: Tensor
    feature_maps: Tensor


class FaceNetwork(nn.Module):
    """A network that embeds pictures and can show one of its feature maps.

    Embeddings are not scaled to unit length: margin losses do that themselves, and verification first adds the
    embedding of the mirrored picture.

    Args:
        in_channels: Channels of the pictures.

    Example:
        >>> import torch
        >>> from monge.nn.small_face_net import SmallFaceNet
        >>> net = SmallFaceNet(embedding_dim=16)
        >>> net(torch.zeros(2, 3, 64, 64)).shape, net.with_maps(torch.zeros(2, 3, 64, 64)).feature_maps.shape
        (torch.Size([2, 16]), torch.Size([2, 128, 8, 8]))
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.in_channels = in_channels

    @abstractmethod
    def with_maps(self, images: Tensor) -> EmbeddingWithMaps:
        """Embeddings (N, D) and feature maps (N, C, H, W) of float images, both with gradient."""

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (N, D) of float images (N, C, H, W)."""
        return self.with_maps(images).embedding

    def check(self, images: Tensor, size: int | None = None) -> None:
        """Refuses what is no batch of images of the right channels and size.

        Args:
            images: What the network was called with.
            size: Height and width that its last layers were made for.

        Raises:
            MongeError: Something else.
        """
        side = "H, W" if size is None else f"{size}, {size}"
        right = images.dim() == 4 and images.shape[1] == self.in_channels
        if not right or (size is not None and images.shape[2:] != (size, size)):
            expected = f"images (N, {self.in_channels}, {side})"
            raise MongeError(f"{type(self).__name__}: found {tuple(images.shape)}, expected {expected}")


def unscaled_batch_norm(features: int) -> nn.BatchNorm1d:
    """Batch normalisation after the last layer of a face network: a weight of 1 that is never trained, and a bias.

    Args:
        features: Length of the vectors.

    Example:
        >>> norm = unscaled_batch_norm(4)
        >>> norm.weight.requires_grad, norm.bias.requires_grad
        (False, True)
    """
    norm = nn.BatchNorm1d(features)
    norm.weight.requires_grad_(False)
    return norm
