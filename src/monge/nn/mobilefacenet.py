"""MobileFaceNet, with the parameter names that InsightFace's published weights have."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from monge.errors import MongeError
from monge.nn.feature_maps import EmbeddingWithMaps, FaceNetwork

MobileFaceNetSize = Literal["standard", "large"]

# Blocks of the four stages, and how many times as wide as in the paper they are.
_SIZES = {"standard": ((1, 4, 6, 2), 2), "large": ((2, 8, 12, 4), 4)}


class MobileFaceNet(FaceNetwork):
    """MobileFaceNet (Chen et al., CCBR 2018) as InsightFace builds it: inverted residuals and a depthwise last layer.

    Weights of InsightFace's ``arcface_torch`` load by name, all of them. The map is what goes into the last depthwise
    layer, 512 x 7 x 7 at 112 pixels.

    Args:
        size: ``"standard"`` or ``"large"``, ``mbf`` and ``mbf_large`` of the programs.
        in_channels: Channels of the pictures; 3 for published weights.
        embedding_dim: Length of the embedding; 512 for published weights.
        image_size: Height and width of the pictures; 112 for published weights.
        dropout: Probability that an input of the linear layer is left out in training.

    Raises:
        ValueError: Another size.

    Example:
        >>> import torch
        >>> out = MobileFaceNet(embedding_dim=32, image_size=48).with_maps(torch.zeros(2, 3, 48, 48))
        >>> out.embedding.shape, out.feature_maps.shape
        (torch.Size([2, 32]), torch.Size([2, 512, 3, 3]))
    """

    def __init__(
        self,
        size: MobileFaceNetSize = "standard",
        in_channels: int = 3,
        embedding_dim: int = 512,
        image_size: int = 112,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(in_channels)
        if size not in _SIZES:
            raise ValueError(f"size: found {size!r}, expected one of {', '.join(_SIZES)}")
        self.image_size = image_size
        blocks, scale = _SIZES[size]
        narrow, wide = 64 * scale, 128 * scale
        start = _Convolution(narrow, narrow, 3, groups=64) if blocks[0] == 1 else _Residuals(narrow, 128, blocks[0])
        self.layers = nn.ModuleList(
            [
                _Convolution(in_channels, narrow, 3, stride=2),  # (N, narrow, H/2, W/2)
                start,
                _Bottleneck(narrow, narrow, 128, stride=2),  # (N, narrow, H/4, W/4)
                _Residuals(narrow, 128, blocks[1]),
                _Bottleneck(narrow, wide, 256, stride=2),  # (N, wide, H/8, W/8)
                _Residuals(wide, 256, blocks[2]),
                _Bottleneck(wide, wide, 512, stride=2),  # (N, wide, H/16, W/16)
                _Residuals(wide, 256, blocks[3]),
            ]
        )
        self.conv_sep = _Convolution(wide, 512, 1)
        self.features = _Head(-(-image_size // 16), embedding_dim, dropout)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def with_maps(self, images: Tensor) -> EmbeddingWithMaps:
        """Embeddings (N, D) and feature maps (N, 512, H/16, W/16) of float images (N, C, H, W).

        Raises:
            MongeError: Not images, or of other channels or size.
        """
        self.check(images, self.image_size)
        x = images
        for layer in self.layers:
            x = layer(x)
        maps = self.conv_sep(x)
        return EmbeddingWithMaps(self.features(maps), maps)


class _Layers(nn.Module):
    """Layers one after the other, under the name that the published weights have for them."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """What the last layer gives."""
        out: Tensor = self.layers(x)
        return out


class _Convolution(_Layers):
    """A convolution that keeps the size up to its stride, batch normalisation, PReLU."""

    def __init__(self, narrow: int, wide: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        convolution = nn.Conv2d(narrow, wide, kernel, stride, kernel // 2, groups=groups, bias=False)
        super().__init__(convolution, nn.BatchNorm2d(wide), nn.PReLU(wide))


class _Linear(_Layers):
    """A convolution without padding and batch normalisation, no activation."""

    def __init__(self, narrow: int, wide: int, kernel: int, groups: int = 1) -> None:
        super().__init__(nn.Conv2d(narrow, wide, kernel, groups=groups, bias=False), nn.BatchNorm2d(wide))


class _Bottleneck(_Layers):
    """Widen by 1x1, 3x3 in each channel alone, narrow by 1x1."""

    def __init__(self, narrow: int, out: int, inner: int, stride: int = 1) -> None:
        each = _Convolution(inner, inner, 3, stride, groups=inner)
        super().__init__(_Convolution(narrow, inner, 1), each, _Linear(inner, out, 1))


class _InvertedResidual(_Bottleneck):
    """A bottleneck added to what came in."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps of the shape of `x`."""
        return x + super().forward(x)


class _Residuals(_Layers):
    def __init__(self, width: int, inner: int, blocks: int) -> None:
        super().__init__(*(_InvertedResidual(width, width, inner) for _ in range(blocks)))


class _Head(nn.Module):
    """One weight a position and channel, a linear layer, batch normalisation."""

    def __init__(self, side: int, embedding_dim: int, dropout: float) -> None:
        super().__init__()
        if side < 1:
            raise MongeError("MobileFaceNet: found pictures without pixels, expected image_size of at least 1")
        whole = _Linear(512, 512, side, groups=512)
        last = nn.Linear(512, embedding_dim, bias=False)
        self.layers = nn.Sequential(whole, nn.Flatten(), last, nn.BatchNorm1d(embedding_dim))
        self.dropout = nn.Dropout(dropout)

    def forward(self, maps: Tensor) -> Tensor:
        """Embeddings (N, D) of maps (N, 512, H, W)."""
        whole, flatten, last, norm = self.layers
        embeddings: Tensor = norm(last(self.dropout(flatten(whole(maps)))))
        return embeddings
