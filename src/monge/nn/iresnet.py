"""The residual network of face recognition, with the parameter names that InsightFace's published weights have."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor, nn

from monge.nn.feature_maps import EmbeddingWithMaps, FaceNetwork, unscaled_batch_norm

IResNetDepth = Literal[18, 34, 50, 100]
IResNetMaps = Literal["layer1", "layer2", "layer3", "layer4"]

_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 14, 3), 100: (3, 13, 30, 3)}
_WIDTHS = (64, 128, 256, 512)


class IResNet(FaceNetwork):
    """IResNet-18, 34, 50 or 100 (Deng et al., CVPR 2019; Duta et al., ICPR 2020).

    It differs from a ResNet in a 3x3 stem of stride 1, blocks that begin and end with batch normalisation, PReLU, and a
    head of batch normalisation, dropout, one linear layer over the whole map, and batch normalisation without a scale.
    Weights of InsightFace's ``arcface_torch`` load by name, all of them.

    Args:
        depth: 18, 34, 50 or 100.
        in_channels: Channels of the pictures; 3 for published weights.
        embedding_dim: Length of the embedding; 512 for published weights.
        image_size: Height and width of the pictures; 112 for published weights.
        dropout: Probability that an input of the linear layer is left out in training.
        maps: The stage whose output `with_maps` gives. At 112 pixels ``"layer4"`` is 512 x 7 x 7, ``"layer3"``
            256 x 14 x 14, ``"layer2"`` 128 x 28 x 28, ``"layer1"`` 64 x 56 x 56.

    Raises:
        ValueError: Another depth, stage or probability, or a size below 1.

    Example:
        >>> import torch
        >>> out = IResNet(18, embedding_dim=32, image_size=32).with_maps(torch.zeros(2, 3, 32, 32))
        >>> out.embedding.shape, out.feature_maps.shape
        (torch.Size([2, 32]), torch.Size([2, 512, 2, 2]))
    """

    def __init__(
        self,
        depth: IResNetDepth = 50,
        in_channels: int = 3,
        embedding_dim: int = 512,
        image_size: int = 112,
        dropout: float = 0.0,
        maps: IResNetMaps = "layer4",
    ) -> None:
        super().__init__(in_channels)
        if depth not in _BLOCKS or maps not in get_args(IResNetMaps):
            allowed = f"one of {', '.join(map(str, _BLOCKS))} and one of {', '.join(get_args(IResNetMaps))}"
            raise ValueError(f"found depth {depth} and maps {maps!r}, expected {allowed}")
        self.image_size, self.maps = image_size, maps
        self.conv1 = nn.Conv2d(in_channels, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.prelu = nn.PReLU(64)
        stages = [_stage(*sizes) for sizes in zip((64, *_WIDTHS), _WIDTHS, _BLOCKS[depth])]
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.bn2 = nn.BatchNorm2d(512)
        self.dropout = nn.Dropout(dropout)
        side = -(-image_size // 16)  # four stages, each of which halves upwards
        self.fc = nn.Linear(512 * side * side, embedding_dim)
        self.features = unscaled_batch_norm(embedding_dim)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0.0, 0.1)

    def with_maps(self, images: Tensor) -> EmbeddingWithMaps:
        """Embeddings (N, D) and the output of stage `maps`, of float images (N, C, H, W).

        Raises:
            MongeError: Not images, or of other channels or size.
        """
        self.check(images, self.image_size)
        x = self.prelu(self.bn1(self.conv1(images)))  # (N, 64, H, W)
        for name in get_args(IResNetMaps):
            x = getattr(self, name)(x)
            if name == self.maps:
                maps = x
        embedding = self.features(self.fc(self.dropout(self.bn2(x).flatten(1))))  # (N, D)
        return EmbeddingWithMaps(embedding, maps)


class _Block(nn.Module):
    """Normalise, 3x3, normalise, PReLU, 3x3, normalise; added to what came in."""

    def __init__(self, narrow: int, wide: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(narrow)
        self.conv1 = nn.Conv2d(narrow, wide, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.prelu = nn.PReLU(wide)
        self.conv2 = nn.Conv2d(wide, wide, 3, stride=stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(wide)
        self.downsample: nn.Module | None = None
        if stride > 1:
            shortcut = nn.Conv2d(narrow, wide, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(wide))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, `wide`, H / `stride`, W / `stride`) of maps (N, `narrow`, H, W)."""
        shortcut: Tensor = x if self.downsample is None else self.downsample(x)
        residual: Tensor = self.bn3(self.conv2(self.prelu(self.bn2(self.conv1(self.bn1(x))))))
        return shortcut + residual


def _stage(narrow: int, wide: int, blocks: int) -> nn.Sequential:
    first: list[nn.Module] = [_Block(narrow, wide, stride=2)]
    return nn.Sequential(*first, *(_Block(wide, wide, stride=1) for _ in range(blocks - 1)))
