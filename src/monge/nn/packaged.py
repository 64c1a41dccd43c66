"""Image networks whose ImageNet weights travel in a package, so that transfer needs no model hub.

Source: M. Tan, Q. Le, "EfficientNet: rethinking model scaling for convolutional neural networks", ICML 2019, arXiv
1905.11946; the Lite edition, without squeeze-and-excitation and with ReLU6, is by Google, 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, cast, get_args

import torch
from torch import Tensor, nn

from monge.errors import DataFormatError, MongeError
from monge.extras import require
from monge.nn.heads import Activation
from monge.nn.weights import read_tensors

PackagedName = Literal["efficientnet-lite0"]
_STAGES = 7
# What the package calls the parts of a block, and what timm does; the first block has no expansion.
_OUTER = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_INNER = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


@dataclass(frozen=True)
class PackagedConfig:
    """A packaged network with its ImageNet weights under a metric head.

    Its inputs are pixels scaled by ``data.normalize: {mean: [0.5], std: [0.5]}``.

    Attributes:
        backbone: Which one; ``monge data get`` fetches it.
        embedding_dim: Length of the embedding.
        hidden: Sizes of the head's layers before the last; none: one linear layer.
        activation: What stands between the head's layers.
        freeze: True: the backbone stays as it is; 1 to 7: its stem and so many of its seven stages do.
        fixed_statistics: Its batch normalisations keep the statistics of ImageNet; those of frozen parts always do.
        lr_scale: Learning rate of the backbone, as a share of the optimiser's.
        normalize: Scale embeddings to unit length.

    Example:
        >>> PackagedConfig(freeze=3).backbone
        'efficientnet-lite0'
    """

    name: Literal["packaged"] = "packaged"
    backbone: PackagedName = "efficientnet-lite0"
    embedding_dim: int = 256
    hidden: tuple[int, ...] = ()
    activation: Activation = "relu"
    freeze: bool | int = False
    fixed_statistics: bool = False
    lr_scale: float = 1.0
    normalize: bool = True
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if self.backbone not in get_args(PackagedName):
            raise ValueError(f"backbone: found {self.backbone!r}, expected one of {', '.join(get_args(PackagedName))}")
        if min(self.embedding_dim, *self.hidden, self.embedding_dim) < 1:
            raise ValueError(f"sizes: found {[*self.hidden, self.embedding_dim]}, expected each at least 1")
        if not 0 <= int(self.freeze) <= _STAGES:
            raise ValueError(f"freeze: found {self.freeze}, expected true, false or a number of stages up to {_STAGES}")
        if not 0 < self.lr_scale <= 1:
            raise ValueError(f"lr_scale: found {self.lr_scale}, expected above 0 and at most 1")


class PackagedBackbone(nn.Module):
    """A pretrained network without its classifier; what is frozen of it does not even count a batch's statistics.

    Args:
        network: As timm builds it.
        freeze: True: all of it; else the number of stages that are frozen, with the stem.
        fixed_statistics: Whether no batch normalisation counts statistics, frozen or not.
        lr_scale: Learning rate as a share of the optimiser's.

    Attributes:
        num_features: Length of the vectors it gives.
    """

    def __init__(
        self, network: nn.Module, *, freeze: bool | int = False, fixed_statistics: bool = False, lr_scale: float = 1.0
    ) -> None:
        super().__init__()
        # Channels last is several times as fast on a CPU, above all in the convolutions of each channel by itself.
        self.network = network.to(memory_format=torch.channels_last)
        self.fixed_statistics, self.lr_scale = fixed_statistics, lr_scale
        self.num_features = int(cast(Any, network).num_features)
        self._frozen = _first_parts(network, freeze)
        for part in self._frozen:
            part.requires_grad_(False)

    def train(self, mode: bool = True) -> PackagedBackbone:
        """Changes to training or out of it, all but the frozen parts."""
        super().train(mode)
        fixed = [part for part in self.modules() if isinstance(part, nn.BatchNorm2d)] if self.fixed_statistics else []
        for part in (*self._frozen, *fixed):
            part.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Vectors (N, `num_features`) of images (N, 3, H, W), or grey ones (N, 1, H, W), of values from -1 to 1.

        Raises:
            MongeError: Other inputs.
        """
        if images.ndim != 4 or images.shape[1] not in (1, 3):
            found = f"found shape {tuple(images.shape)}"
            raise MongeError(f"{found}, expected images (N, 3, H, W) or grey ones (N, 1, H, W)")
        colour = images.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
        features: Tensor = self.network(colour)
        return features


def packaged_backbone(
    name: PackagedName = "efficientnet-lite0",
    *,
    freeze: bool | int = False,
    fixed_statistics: bool = False,
    lr_scale: float = 1.0,
    file: str | Path | None = None,
) -> PackagedBackbone:
    """A packaged network with its ImageNet weights, without its classifier.

    Args:
        name: ``"efficientnet-lite0"``, which has 3.4 million parameters below its classifier and gives 1280 numbers.
        freeze: True: all of it; 1 to 7: its stem and so many of its seven stages.
        fixed_statistics: Whether its batch normalisations keep the statistics of ImageNet in training.
        lr_scale: Learning rate as a share of the optimiser's, which `monge.train` obeys.
        file: The weights file; ``None``: the one in the data cache.

    Returns:
        A module that turns float images (N, 3 or 1, H, W), pixel values ``(x / 255 - 0.5) / 0.5``, into vectors
        (N, ``num_features``).

    Raises:
        ValueError: An unknown name, or a number of stages that there is not.
        MongeError: The weights were not fetched yet; the message says how to.
        DataFormatError: The weights file is damaged or of another network.
        MissingExtraError: timm is not installed.
    """
    if name not in get_args(PackagedName):
        raise ValueError(f"packaged network: found {name!r}, expected one of {', '.join(get_args(PackagedName))}")
    if not 0 <= int(freeze) <= _STAGES:
        raise ValueError(f"freeze: found {freeze}, expected true, false or a number of stages up to {_STAGES}")
    network = packaged_classifier(name, file=file)
    cast(Any, network).reset_classifier(0)
    return PackagedBackbone(network, freeze=freeze, fixed_statistics=fixed_statistics, lr_scale=lr_scale)


def packaged_classifier(name: PackagedName = "efficientnet-lite0", *, file: str | Path | None = None) -> nn.Module:
    """The same network as timm builds it, with its classifier of the 1000 classes of ImageNet.

    Args:
        name: ``"efficientnet-lite0"``.
        file: The weights file; ``None``: the one in the data cache.

    Raises:
        MongeError: As for :func:`packaged_backbone`.
    """
    if file is None:
        from monge.data.sources.efficientnet_lite0 import weights_file

        file = weights_file()
    timm = require("timm", extra="train", purpose=f"the packaged network {name!r}")
    network: nn.Module = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    network.load_state_dict(_by_timm_names(Path(file), network))
    return network


def _by_timm_names(file: Path, network: nn.Module) -> dict[str, Tensor]:
    """The tensors of the package's file, all of them and none more, under the names of timm's network."""
    blocks = [f"blocks.{s}.{b}" for s, stage in enumerate(cast(Any, network).blocks) for b in range(len(stage))]
    found, own = {}, network.state_dict()
    for name, tensor in read_tensors(file).items():
        found[_timm_name(name, blocks)] = tensor
    wrong = [name for name in own if name not in found or found[name].shape != own[name].shape]
    if wrong or len(found) != len(own):
        told = f"{len(found)} tensors, {len(wrong)} of {len(own)} missing or of another shape"
        raise DataFormatError(file, "", told, "the weights of EfficientNet-Lite0 in its package's names")
    return found


def _timm_name(name: str, blocks: list[str]) -> str:
    """What timm calls a tensor of the package; a name that is none of them stays."""
    parts = name.split(".")
    if parts[0] == "_blocks" and len(parts) == 4 and parts[1].isdecimal() and int(parts[1]) < len(blocks):
        block = int(parts[1])
        return f"{blocks[block]}.{(_INNER if block else _FIRST).get(parts[2], parts[2])}.{parts[3]}"
    return ".".join([_OUTER.get(parts[0], parts[0]), *parts[1:]])


def _first_parts(network: nn.Module, freeze: bool | int) -> list[nn.Module]:
    """What `freeze` names of a network of timm's EfficientNet family."""
    if not freeze:
        return []
    if freeze is True:
        return [network]
    timm_network = cast(Any, network)
    return [timm_network.conv_stem, timm_network.bn1, *timm_network.blocks[: int(freeze)]]
