"""From the ``model:`` section of a recipe to a network."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar, Literal, get_args

from torch import nn

from monge.errors import MongeError, RecipeError
from monge.extras import require
from monge.nn.classifier import Classifier, HeadFactory
from monge.nn.feature_build import (
    AdapterConfig,
    FeatureConfig,
    FrameTransformerConfig,
    GatedExpertsConfig,
    GatedTextConfig,
    build_feature_network,
)
from monge.nn.heads import Activation, L2Normalize, MetricHead
from monge.nn.lenet import LeNet5, LeNetHead
from monge.nn.masked_pool import MaskedPool, RowPool
from monge.nn.mlp import MLP
from monge.nn.mvcnn import MVCNN, ViewPool
from monge.nn.packaged import PackagedConfig, packaged_backbone
from monge.nn.small_cnn import SmallCNN
from monge.nn.weights import load_weights

# The recipes let pydantic check these classes; it reads its settings from this attribute, and from the
# metadata of fields, and is not needed here.
_CHECKS = {"extra": "forbid"}


@dataclass(frozen=True)
class LeNet5Config:
    """`LeNet5` and its options.

    Attributes:
        embedding_dim: Length of the embedding.
        head: Fully connected part: as in the authors' program or as in the paper, see `LeNet5`.
        normalize: Scale embeddings to unit length.

    Example:
        >>> LeNet5Config(head="metric").embedding_dim
        256
    """

    name: Literal["lenet5"] = "lenet5"
    embedding_dim: int = 256
    head: LeNetHead = "released"
    normalize: bool = True
    __pydantic_config__: ClassVar[dict[str, str]] = _CHECKS

    def __post_init__(self) -> None:
        if self.embedding_dim < 1:
            raise ValueError(f"embedding_dim: found {self.embedding_dim}, expected at least 1")
        if self.head not in get_args(LeNetHead):
            raise ValueError(f"head: found {self.head!r}, expected one of {', '.join(get_args(LeNetHead))}")


@dataclass(frozen=True)
class SmallCNNConfig:
    """`SmallCNN` and its options.

    Attributes:
        embedding_dim: Length of the embedding.
        widths: Channels, from the first convolution on.
        normalize: Scale embeddings to unit length.

    Example:
        >>> SmallCNNConfig().widths
        (16, 32, 64)
    """

    name: Literal["small_cnn"] = "small_cnn"
    embedding_dim: int = 64
    widths: tuple[int, ...] = (16, 32, 64)
    normalize: bool = True
    __pydantic_config__: ClassVar[dict[str, str]] = _CHECKS

    def __post_init__(self) -> None:
        if not self.widths or min(self.embedding_dim, *self.widths) < 1:
            raise ValueError(f"sizes: found {[*self.widths, self.embedding_dim]}, expected each at least 1")


@dataclass(frozen=True)
class TimmConfig:
    """A backbone from timm under a metric head.

    Attributes:
        backbone: A name that ``timm.list_models()`` knows, e.g. ``"resnet18"``.
        embedding_dim: Length of the embedding.
        hidden: Sizes of the head's layers before the last; none: one linear layer.
        activation: What stands between the head's layers.
        pretrained: Download timm's weights; nothing is ever downloaded otherwise.
        weights: Path of backbone weights to load instead.
        normalize: Scale embeddings to unit length.

    Example:
        >>> TimmConfig(backbone="resnet18").pretrained
        False
    """

    backbone: str
    name: Literal["timm"] = "timm"
    embedding_dim: int = 256
    hidden: tuple[int, ...] = ()
    activation: Activation = "relu"
    pretrained: bool = False
    weights: str | None = None
    normalize: bool = True
    __pydantic_config__: ClassVar[dict[str, str]] = _CHECKS

    def __post_init__(self) -> None:
        if min(self.embedding_dim, *self.hidden, self.embedding_dim) < 1:
            raise ValueError(f"sizes: found {[*self.hidden, self.embedding_dim]}, expected each at least 1")
        if self.pretrained and self.weights is not None:
            raise ValueError("weights: found a path together with pretrained: true, expected one of the two")


@dataclass(frozen=True)
class MLPConfig:
    """`MLP` and its options; the network for rows of a table, and for pooled frames of a clip or views of a shape.

    Attributes:
        embedding_dim: Length of the embedding, or of the features under a classifier.
        hidden: Size of each hidden layer.
        dropout: Probability that a hidden unit is left out in training.
        batch_norm: Normalise the hidden layers over the batch.
        pool: How frames or views become one row, ``"mean"`` or ``"max"``.
        normalize: Scale embeddings to unit length.

    Example:
        >>> MLPConfig(hidden=(256,)).embedding_dim
        64
    """

    name: Literal["mlp"] = "mlp"
    embedding_dim: int = 64
    hidden: tuple[int, ...] = (128, 128)
    dropout: float = 0.0
    batch_norm: bool = False
    pool: RowPool = "mean"
    normalize: bool = True
    __pydantic_config__: ClassVar[dict[str, str]] = _CHECKS

    def __post_init__(self) -> None:
        if min(self.embedding_dim, *self.hidden, self.embedding_dim) < 1:
            raise ValueError(f"sizes: found {[*self.hidden, self.embedding_dim]}, expected each at least 1")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout: found {self.dropout}, expected at least 0 and below 1")


@dataclass(frozen=True)
class MVCNNConfig:
    """`MVCNN` over a network for pictures, and its options; the network for objects seen in several views.

    Attributes:
        backbone: What every view goes through. Of `TimmConfig` and `PackagedConfig` only the features count:
            ``hidden``, ``embedding_dim`` and ``activation`` are left aside, as is ``normalize`` of any.
        pool: How views are pooled: ``"max"``, ``"mean"`` or ``"attention"``.
        head: ``"metric"``, as in the paper: pool the features, then a metric network. ``"released"``, as in the
            authors' program: linear layers with a ReLU after each, the last one too, on every view, then pool.
        hidden: Sizes of the head's layers before the last.
        embedding_dim: Length of the embedding.
        activation: What stands between the layers of a metric head; the paper has ``"sigmoid"``.
        dropout: Probability that an input of a layer of the head is left out in training; a metric head has it before
            its first layer alone. The program has 0.5.
        max_views: Views that go through the backbone at a time out of training.
        normalize: Scale embeddings to unit length.

    Example:
        >>> MVCNNConfig(head="released", hidden=(4096,), dropout=0.5).embedding_dim
        256
    """

    name: Literal["mvcnn"] = "mvcnn"
    backbone: LeNet5Config | SmallCNNConfig | TimmConfig | PackagedConfig = field(
        default=SmallCNNConfig(embedding_dim=256, widths=(16, 32, 64, 128, 256)), metadata={"discriminator": "name"}
    )
    pool: ViewPool = "max"
    head: Literal["metric", "released"] = "metric"
    hidden: tuple[int, ...] = ()
    embedding_dim: int = 256
    activation: Activation = "sigmoid"
    dropout: float = 0.0
    max_views: int = 256
    normalize: bool = True
    __pydantic_config__: ClassVar[dict[str, str]] = _CHECKS

    def __post_init__(self) -> None:
        if min(self.embedding_dim, self.max_views, *self.hidden) < 1:
            sizes = [*self.hidden, self.embedding_dim]
            raise ValueError(f"sizes: found {sizes} and max_views {self.max_views}, expected each at least 1")
        if self.pool not in get_args(ViewPool) or self.head not in ("metric", "released"):
            pools = ", ".join(get_args(ViewPool))
            raise ValueError(f"found pool {self.pool!r} and head {self.head!r}, expected {pools}; metric or released")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout: found {self.dropout}, expected at least 0 and below 1")


ModelConfig = (
    LeNet5Config
    | SmallCNNConfig
    | TimmConfig
    | PackagedConfig
    | MLPConfig
    | MVCNNConfig
    | FrameTransformerConfig
    | GatedExpertsConfig
    | GatedTextConfig
    | AdapterConfig
)
"""What `build_model` and `build_classifier` take."""


def build_model(
    config: ModelConfig, in_channels: int = 1, image_size: int = 28, *, shape: tuple[int, ...] | None = None
) -> nn.Module:
    """Builds an embedding network.

    Args:
        config: Which network.
        in_channels: Channels of the images.
        image_size: Their height and width.
        shape: Shape of one input in place of these two: ``(C, H, W)``, ``(V, C, H, W)`` of views, ``(F,)`` of a row, or
            ``(T, F)`` of features of frames or words.

    Returns:
        A module that turns float inputs, images (N, C, H, W), views (N, V, C, H, W) or rows (N, F), into embeddings
        (N, D); its parts are named ``encoder``, ``head`` (timm, metric heads) and ``normalize`` (if asked for).

    Raises:
        RecipeError: The network is not one for such inputs.
        MissingExtraError: A timm backbone without timm.
        MongeError: timm knows no such backbone.
        DataFormatError: The weights file does not fit.

    Warns:
        UserWarning: A weights file was loaded in part; the message says what was left out.

    Example:
        >>> import torch
        >>> net = build_model(LeNet5Config(embedding_dim=8))
        >>> net(torch.ones(2, 1, 28, 28)).norm(dim=1).allclose(torch.ones(2))
        True
    """
    parts = _trunk(config, (in_channels, image_size, image_size) if shape is None else shape)
    if config.normalize:
        parts["normalize"] = L2Normalize()
    return nn.Sequential(parts)


def build_classifier(
    config: ModelConfig, shape: tuple[int, ...], outputs: int, head: HeadFactory | None = None
) -> Classifier:
    """Builds a classifier on the same trunk as `build_model`, never normalised: its features keep their lengths.

    Args:
        config: Which trunk; ``embedding_dim`` is the length of the features, ``normalize`` is left aside.
        shape: Shape of one input: ``(C, H, W)``, ``(V, C, H, W)`` or ``(F,)``.
        outputs: Length of the logits, or whatever `head` makes of the number.
        head: Called as ``head(feature_dim, outputs)``; a linear layer unless given.

    Returns:
        A module that turns float inputs into logits (N, `outputs`).

    Raises:
        RecipeError: The network is not one for such inputs.
        MongeError: As for `build_model`.

    Example:
        >>> import torch
        >>> net = build_classifier(MLPConfig(hidden=(32,)), (9,), 5)
        >>> net(torch.zeros(2, 9)).shape, net.features_and_logits(torch.zeros(2, 9))[0].shape
        (torch.Size([2, 5]), torch.Size([2, 64]))
    """
    return Classifier(nn.Sequential(_trunk(config, shape)), config.embedding_dim, outputs, head)


def _trunk(config: ModelConfig, shape: tuple[int, ...]) -> OrderedDict[str, nn.Module]:
    """The parts that turn inputs of the given shape into vectors of length ``embedding_dim``."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    if isinstance(config, MLPConfig):
        if len(shape) not in (1, 2):
            found = f"images {shape}"
            raise RecipeError(f"model.name: found mlp, which takes rows, but the data are {found}: use lenet5 or timm")
        if len(shape) == 2:
            parts["pool"] = MaskedPool(config.pool)
        parts["encoder"] = MLP(shape[-1], config.embedding_dim, config.hidden, config.dropout, config.batch_norm)
        return parts
    if isinstance(config, FeatureConfig):
        parts["encoder"] = build_feature_network(config, shape)
        return parts
    if isinstance(config, MVCNNConfig):
        return _views(config, shape)
    channels, size = _square(config.name, shape)
    if isinstance(config, LeNet5Config):
        parts["encoder"] = LeNet5(channels, config.embedding_dim, config.head, size)
    elif isinstance(config, SmallCNNConfig):
        parts["encoder"] = SmallCNN(channels, config.embedding_dim, config.widths)
    else:
        parts["encoder"], features = _backbone(config, channels, size)
        parts["head"] = MetricHead(features, (*config.hidden, config.embedding_dim), config.activation)
    return parts


def _views(config: MVCNNConfig, shape: tuple[int, ...]) -> OrderedDict[str, nn.Module]:
    """The parts that turn views of the given shape into vectors."""
    if len(shape) != 4:
        found = f"of shape {shape}"
        raise RecipeError(f"model.name: found mvcnn, which takes views (V, C, H, W), but the data are {found}")
    backbone, features = _view_trunk(config.backbone, shape[1:])
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    if config.head == "metric":
        dropout = [nn.Dropout(config.dropout)] if config.dropout else []
        parts["encoder"] = MVCNN(backbone, config.pool, feature_dim=features, max_views=config.max_views)
        head = MetricHead(features, (*config.hidden, config.embedding_dim), config.activation)
        parts["head"] = nn.Sequential(*dropout, head)
        return parts
    layers: list[nn.Module] = []
    for before, after in pairwise((features, *config.hidden, config.embedding_dim)):
        layers += [nn.Dropout(config.dropout), nn.Linear(before, after), nn.ReLU()]
    trunk = nn.Sequential(OrderedDict(backbone=backbone, head=nn.Sequential(*layers)))
    parts["encoder"] = MVCNN(trunk, config.pool, feature_dim=config.embedding_dim, max_views=config.max_views)
    return parts


def _view_trunk(
    config: LeNet5Config | SmallCNNConfig | TimmConfig | PackagedConfig, shape: tuple[int, ...]
) -> tuple[nn.Module, int]:
    """What turns one view into features, and their length."""
    if isinstance(config, TimmConfig | PackagedConfig):
        return _backbone(config, *_square(config.name, shape))
    return _trunk(config, shape)["encoder"], config.embedding_dim


def _square(name: str, shape: tuple[int, ...]) -> tuple[int, int]:
    """Channels and side of square images."""
    if len(shape) != 3:
        found = f"rows of {shape[0]} numbers" if len(shape) == 1 else f"inputs of shape {shape}"
        raise RecipeError(f"model.name: found {name}, which takes images, but the data are {found}: use mlp")
    channels, height, width = shape
    if height != width:
        raise RecipeError(f"data.image_size: missing, and the images are {height} x {width}: {name} takes squares")
    return channels, height


def _backbone(config: TimmConfig | PackagedConfig, channels: int, size: int) -> tuple[nn.Module, int]:
    """A backbone without its classifier, and the length of its features."""
    if isinstance(config, TimmConfig):
        return _timm_backbone(config, channels, size)
    if channels not in (1, 3):
        raise RecipeError(f"model.name: found packaged, which takes 1 or 3 channels, but the images have {channels}")
    backbone = packaged_backbone(
        config.backbone, freeze=config.freeze, fixed_statistics=config.fixed_statistics, lr_scale=config.lr_scale
    )
    return backbone, backbone.num_features


def _timm_backbone(config: TimmConfig, in_channels: int, image_size: int) -> tuple[nn.Module, int]:
    """The backbone without its classifier, and the length of its features."""
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
    if config.weights is not None:
        report = load_weights(backbone, config.weights)
        if report.missing or report.unexpected or report.mismatched:
            warnings.warn(f"{config.weights}: {report}", UserWarning, stacklevel=3)
    # Some networks widen their features in the part of the head that num_classes=0 keeps.
    return backbone, int(getattr(backbone, "head_hidden_size", None) or backbone.num_features)
