"""From the ``model:`` section of a face recipe to a network."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from torch import nn

from monge.errors import MongeError, RecipeError
from monge.extras import require
from monge.nn.feature_maps import FaceNetwork
from monge.nn.iresnet import IResNet, IResNetDepth, IResNetMaps
from monge.nn.mobilefacenet import MobileFaceNet, MobileFaceNetSize
from monge.nn.small_face_net import SmallFaceNet
from monge.nn.timm_face_net import TimmFaceNet
from monge.nn.weights import load_weights

# Read by pydantic where recipes are checked; not needed here.
_CHECKS = {"extra": "forbid"}


@dataclass(frozen=True)
class IResNetConfig:
    """`IResNet` and its options.

    Attributes:
        depth: 18, 34, 50 or 100.
        embedding_dim: Length of the embedding.
        dropout: Probability that an input of the linear layer is left out in training.
        maps: The stage whose output transport compares.
        weights: Path of weights to start from; those of InsightFace fit 112 x 112 pixels and 512 numbers.

    Example:
        >>> IResNetConfig(depth=18).embedding_dim
        512
    """

    name: Literal["iresnet"] = "iresnet"
    depth: IResNetDepth = 50
    embedding_dim: int = 512
    dropout: float = 0.0
    maps: IResNetMaps = "layer4"
    weights: str | None = None
    __pydantic_config__: ClassVar[dict[str, str]] = _CHECKS

    def __post_init__(self) -> None:
        _check(self.embedding_dim, self.dropout)
        if self.depth not in get_args(IResNetDepth):
            raise ValueError(f"depth: found {self.depth}, expected one of {get_args(IResNetDepth)}")
        if self.maps not in get_args(IResNetMaps):
            raise ValueError(f"maps: found {self.maps!r}, expected one of {', '.join(get_args(IResNetMaps))}")


@dataclass(frozen=True)
class MobileFaceNetConfig:
    """`MobileFaceNet` and its options.

    Attributes:
        size: ``"standard"`` or ``"large"``.
        embedding_dim: Length of the embedding.
        dropout: Probability that an input of the linear layer is left out in training.
        weights: Path of weights to start from; those of InsightFace fit 112 x 112 pixels and 512 numbers.

    Example:
        >>> MobileFaceNetConfig().size
        'standard'
    """

    name: Literal["mobilefacenet"] = "mobilefacenet"
    size: MobileFaceNetSize = "standard"
    embedding_dim: int = 512
    dropout: float = 0.0
    weights: str | None = None
    __pydantic_config__: ClassVar[dict[str, str]] = _CHECKS

    def __post_init__(self) -> None:
        _check(self.embedding_dim, self.dropout)
        if self.size not in get_args(MobileFaceNetSize):
            raise ValueError(f"size: found {self.size!r}, expected one of {', '.join(get_args(MobileFaceNetSize))}")


@dataclass(frozen=True)
class SmallFaceNetConfig:
    """`SmallFaceNet` and its options.

    Attributes:
        embedding_dim: Length of the embedding.
        widths: Channels, one number a stage; every stage halves the picture.
        dropout: Probability that an input of the linear layer is left out in training.
        weights: Path of weights to start from.

    Example:
        >>> SmallFaceNetConfig().widths
        (32, 64, 128)
    """

    name: Literal["small_face_net"] = "small_face_net"
    embedding_dim: int = 128
    widths: tuple[int, ...] = (32, 64, 128)
    dropout: float = 0.0
    weights: str | None = None
    __pydantic_config__: ClassVar[dict[str, str]] = _CHECKS

    def __post_init__(self) -> None:
        _check(self.embedding_dim, self.dropout)
        if not self.widths or min(self.widths) < 1:
            raise ValueError(f"widths: found {list(self.widths)}, expected at least one, each at least 1")


@dataclass(frozen=True)
class TimmFaceConfig:
    """A backbone of timm as a face network, `TimmFaceNet`, and its options.

    Attributes:
        backbone: A name that ``timm.list_models()`` knows, e.g. ``"resnet18"``.
        embedding_dim: Length of the embedding.
        dropout: Probability that a pooled feature is left out in training.
        maps: The stage whose output transport compares, by name (``"layer3"``) or number (``-1``: the last).
        pretrained: Download timm's weights; nothing is ever downloaded otherwise.
        weights: Path of backbone weights to load instead.

    Example:
        >>> TimmFaceConfig(backbone="resnet18").maps
        -1
    """

    backbone: str
    name: Literal["timm_face"] = "timm_face"
    embedding_dim: int = 512
    dropout: float = 0.0
    maps: str | int = -1
    pretrained: bool = False
    weights: str | None = None
    __pydantic_config__: ClassVar[dict[str, str]] = _CHECKS

    def __post_init__(self) -> None:
        _check(self.embedding_dim, self.dropout)
        if self.pretrained and self.weights is not None:
            raise ValueError("weights: found a path together with pretrained: true, expected one of the two")


FaceNetConfig = IResNetConfig | MobileFaceNetConfig | SmallFaceNetConfig | TimmFaceConfig
"""What `build_face_network` takes."""


def build_face_network(config: FaceNetConfig, shape: tuple[int, ...] = (3, 112, 112)) -> FaceNetwork:
    """Builds a face network, which gives embeddings and, by ``with_maps``, feature maps too.

    Args:
        config: Which network.
        shape: Shape of one picture, ``(C, H, W)``.

    Returns:
        A module that turns float images (N, C, H, W) into embeddings (N, D) that are not normalised.

    Raises:
        RecipeError: The inputs are no square images.
        MissingExtraError: A backbone of timm without timm.
        MongeError: timm knows no such backbone, or it has no such stage.
        DataFormatError: The weights file does not fit.

    Warns:
        UserWarning: A weights file was loaded in part; the message says what was left out.

    Example:
        >>> import torch
        >>> net = build_face_network(SmallFaceNetConfig(embedding_dim=8), (1, 32, 32))
        >>> net(torch.zeros(2, 1, 32, 32)).shape
        torch.Size([2, 8])
    """
    if len(shape) != 3 or shape[1] != shape[2]:
        raise RecipeError(f"model.name: found {config.name}, which takes square images, but the data are {shape}")
    if isinstance(config, TimmFaceConfig):
        return _timm(config, *shape[:2])
    sizes = {"in_channels": shape[0], "embedding_dim": config.embedding_dim, "image_size": shape[1]}
    net: FaceNetwork
    if isinstance(config, IResNetConfig):
        net = IResNet(config.depth, **sizes, dropout=config.dropout, maps=config.maps)
    elif isinstance(config, MobileFaceNetConfig):
        net = MobileFaceNet(config.size, **sizes, dropout=config.dropout)
    else:
        net = SmallFaceNet(**sizes, widths=config.widths, dropout=config.dropout)
    _load(net, config.weights)
    return net


def _timm(config: TimmFaceConfig, in_channels: int, image_size: int) -> TimmFaceNet:
    timm = require("timm", extra="train", purpose=f"the backbone {config.backbone!r}")
    if not timm.is_model(config.backbone.split(".")[0]):
        near = timm.list_models(f"*{config.backbone[:6]}*")[:5]
        hint = f"; near it: {', '.join(near)}" if near else ""
        raise MongeError(f"model.backbone: timm has no model {config.backbone!r}{hint}")
    options = {"pretrained": config.pretrained, "num_classes": 0, "in_chans": in_channels}
    try:
        backbone = timm.create_model(config.backbone, img_size=image_size, **options)
    except TypeError:  # convolutional networks take any size and no such argument
        backbone = timm.create_model(config.backbone, **options)
    _load(backbone, config.weights)
    return TimmFaceNet(backbone, in_channels, config.embedding_dim, config.dropout, config.maps)


def _load(net: nn.Module, weights: str | None) -> None:
    if weights is None:
        return
    report = load_weights(net, weights)
    if report.missing or report.unexpected or report.mismatched:
        warnings.warn(f"{weights}: {report}", UserWarning, stacklevel=4)


def _check(embedding_dim: int, dropout: float) -> None:
    if embedding_dim < 1:
        raise ValueError(f"embedding_dim: found {embedding_dim}, expected at least 1")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout: found {dropout}, expected at least 0 and below 1")
