"""The LeNet-5 variant that the batch-wise optimal-transport paper trains on digits."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from monge.errors import MongeError
from monge.nn.heads import MetricHead

LeNetHead = Literal["released", "metric"]


class LeNet5(nn.Module):
    """LeNet-5 as released with the batch-wise OT loss: conv 32, conv 64, both 5x5 "same", ReLU, max-pooled by 2.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        embedding_dim: Length of the embedding.
        head: ``"released"`` is what the authors' program builds: FC 1024, ReLU, FC `embedding_dim`. ``"metric"`` is
            what the paper describes: FC 512, sigmoid, FC `embedding_dim`.
        image_size: Height and width of the images; odd sizes are pooled upwards, as "same" pooling does.

    Example:
        >>> import torch
        >>> LeNet5()(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 256])
    """

    def __init__(
        self, in_channels: int = 1, embedding_dim: int = 256, head: LeNetHead = "released", image_size: int = 28
    ) -> None:
        super().__init__()
        if image_size < 4:
            raise ValueError(f"LeNet5 needs images of at least 4 x 4 pixels, found {image_size}")
        self.conv1 = nn.Conv2d(in_channels, 32, 5, padding=2)
        self.conv2 = nn.Conv2d(32, 64, 5, padding=2)
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        side = -(-image_size // 4)
        if head == "released":
            self.head = MetricHead(64 * side * side, (1024, embedding_dim), "relu")
        else:
            self.head = MetricHead(64 * side * side, (512, embedding_dim), "sigmoid")

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (N, D) of float images (N, C, H, W)."""
        if images.ndim != 4:
            raise MongeError(f"LeNet5 takes images (N, C, H, W), found inputs of shape {tuple(images.shape)}")
        x = self.pool(self.conv1(images).relu())  # (N, 32, H/2, W/2)
        x = self.pool(self.conv2(x).relu())  # (N, 64, H/4, W/4)
        embeddings: Tensor = self.head(x.flatten(1))  # (N, D)
        return embeddings
