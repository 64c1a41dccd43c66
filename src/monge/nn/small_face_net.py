"""A small face network of our own, quick on a CPU."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from monge.nn.feature_maps import EmbeddingWithMaps, FaceNetwork, unscaled_batch_norm


class SmallFaceNet(FaceNetwork):
    """Stages that halve the picture, each a convolution of stride 2 and a residual one, under the head of an IResNet.

    The feature map is the output of the last stage: with three widths at 64 pixels 8 x 8 positions.

    Args:
        in_channels: Channels of the pictures.
        embedding_dim: Length of the embedding.
        image_size: Height and width of the pictures.
        widths: Channels, one number a stage.
        dropout: Probability that an input of the linear layer is left out in training.

    Raises:
        ValueError: No widths, or one below 1.

    Example:
        >>> import torch
        >>> SmallFaceNet(image_size=32, widths=(8, 16))(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 128])
    """

    def __init__(
        self,
        in_channels: int = 3,
        embedding_dim: int = 128,
        image_size: int = 64,
        widths: Sequence[int] = (32, 64, 128),
        dropout: float = 0.0,
    ) -> None:
        super().__init__(in_channels)
        if not widths or min(widths) < 1:
            raise ValueError(f"widths: found {tuple(widths)}, expected at least one, each at least 1")
        self.image_size = image_size
        self.stages = nn.Sequential(*(_Stage(*pair) for pair in zip((in_channels, *widths), widths)))
        side = image_size
        for _ in widths:
            side = -(-side // 2)
        self.norm = nn.BatchNorm2d(widths[-1])
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(widths[-1] * side * side, embedding_dim)
        self.features = unscaled_batch_norm(embedding_dim)

    def with_maps(self, images: Tensor) -> EmbeddingWithMaps:
        """Embeddings (N, D) and the last stage's output (N, C', H', W') of float images (N, C, H, W).

        Raises:
            MongeError: Not images, or of other channels or size.
        """
        self.check(images, self.image_size)
        maps = self.stages(images)
        embedding = self.features(self.fc(self.dropout(self.norm(maps).flatten(1))))  # (N, D)
        return EmbeddingWithMaps(embedding, maps)


class _Stage(nn.Module):
    def __init__(self, narrow: int, wide: int) -> None:
        super().__init__()
        self.shrink = nn.Sequential(
            nn.Conv2d(narrow, wide, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(wide), nn.PReLU(wide)
        )
        self.more = nn.Sequential(nn.Conv2d(wide, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide))
        self.prelu = nn.PReLU(wide)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, `wide`, H/2, W/2), halved upwards, of maps (N, `narrow`, H, W)."""
        x = self.shrink(x)
        out: Tensor = self.prelu(x + self.more(x))
        return out
