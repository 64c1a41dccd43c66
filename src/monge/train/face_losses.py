"""From the ``loss:`` section of a face recipe to a module that takes embeddings, identities and feature maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor, nn

from monge.losses import (
    AdaFace,
    ArcFace,
    CombinedMargin,
    CosFace,
    CurricularFace,
    FeatureMapOTLoss,
    Margin,
    MarginSoftmax,
    MVSoftmax,
    OTFaceLoss,
)
from monge.losses.margin_heads import MarginName
from monge.losses.margin_softmax import MarginGradient
from monge.recipes.face_losses import (
    AdaFaceParams,
    AMSoftmaxParams,
    ArcFaceParams,
    CurricularFaceParams,
    FaceLoss,
    MarginLoss,
    MVSoftmaxParams,
    OTFaceParams,
    OTFacePresetParams,
    SphereFaceParams,
    TripletArcFaceParams,
)


class SoftmaxWithTriplets(nn.Module):
    """A margin softmax plus ``weight`` times a loss of the embeddings alone.

    Args:
        softmax: The margin softmax.
        triplet: Called ``triplet(embeddings, labels)``.
        weight: Of the second.

    Example:
        >>> import torch
        >>> from monge.losses import BatchwiseOTLoss
        >>> loss = SoftmaxWithTriplets(MarginSoftmax(4, 3), BatchwiseOTLoss(), 1.0)
        >>> sorted(loss.terms), loss(torch.eye(3, 4), torch.arange(3)).shape, sorted(loss.terms)
        ([], torch.Size([]), ['margin_loss', 'triplet_loss'])
    """

    def __init__(self, softmax: MarginSoftmax, triplet: nn.Module, weight: float) -> None:
        super().__init__()
        self.softmax, self.triplet, self.weight = softmax, triplet, weight
        self.terms: Mapping[str, Tensor] = {}

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Scalar loss of ``embeddings`` (B, D) with ``labels`` (B,)."""
        margin, triplet = self.softmax(embeddings, labels), self.triplet(embeddings, labels)
        self.terms = {"margin_loss": margin.detach(), "triplet_loss": triplet.detach()}
        total: Tensor = margin + self.weight * triplet
        return total


def build_face_loss(config: FaceLoss, embedding_dim: int, num_classes: int) -> nn.Module:
    """Builds the loss of a face recipe.

    Args:
        config: One of the typed loss sections.
        embedding_dim: Length of an embedding.
        num_classes: Training identities.

    Returns:
        A module called as ``loss(embeddings (B, D), labels (B,)) -> scalar``, or for transport with
        ``feature_maps=(B, C, H, W)`` besides. Its class vectors are trained with the model, at ``lr_scale`` (an
        attribute) times its learning rate.

    Raises:
        MissingExtraError: Triplets without pytorch-metric-learning.

    Example:
        >>> build_face_loss(ArcFaceParams(m=0.3), embedding_dim=8, num_classes=3).margin
        ArcFace(m=0.3, fallback=False)
    """
    match config:
        case OTFaceParams():
            settings = config.model_dump(exclude={"name", "softmax", "weight"})
            loss: nn.Module = OTFaceLoss(
                embedding_dim,
                num_classes,
                _margin(config.softmax),
                config.weight,
                scale=config.softmax.scale,
                margin_gradient=_gradient(config.softmax),
                transport=FeatureMapOTLoss(**settings),
            )
            return _at_rate(loss, config.softmax.lr_scale)
        case OTFacePresetParams():
            margin = cast(MarginName, config.softmax.replace("_", "-"))
            return OTFaceLoss.preset(config.preset, embedding_dim, num_classes, margin=margin, quirks=config.quirks)
        case TripletArcFaceParams():
            from monge.train.baselines import build_baseline  # brings pytorch-metric-learning

            triplet = build_baseline("triplet", {"margin": config.margin}, embedding_dim, num_classes)
            softmax = _softmax(config.softmax, embedding_dim, num_classes)
            return _at_rate(SoftmaxWithTriplets(softmax, triplet, config.weight), config.softmax.lr_scale)
        case _:
            return _at_rate(_softmax(config, embedding_dim, num_classes), config.lr_scale)


def needs_maps(loss: nn.Module) -> bool:
    """Whether a loss compares feature maps.

    Args:
        loss: From `build_face_loss`.
    """
    return isinstance(loss, OTFaceLoss) and loss.weight > 0


def _softmax(config: MarginLoss, embedding_dim: int, num_classes: int) -> MarginSoftmax:
    return MarginSoftmax(
        embedding_dim,
        num_classes,
        _margin(config),
        scale=config.scale,
        gradient=_gradient(config),
        across_processes=True,
    )


def _gradient(config: MarginLoss) -> MarginGradient:
    return "straight-through" if config.gradient == "straight_through" else "exact"


def _margin(config: MarginLoss) -> Margin:
    match config:
        case ArcFaceParams():
            return ArcFace(config.m, fallback=config.fallback)
        case AMSoftmaxParams():
            return CosFace(config.m)
        case SphereFaceParams():
            return CombinedMargin(config.m1, config.m2, config.m3, monotone=True)
        case CurricularFaceParams():
            return CurricularFace(config.m, momentum=config.momentum)
        case MVSoftmaxParams():
            return MVSoftmax(config.base, config.m, t=config.t, adaptive=config.adaptive, momentum=config.momentum)
        case AdaFaceParams():
            return AdaFace(config.m, h=config.h, momentum=config.momentum)


def _at_rate(loss: Any, lr_scale: float) -> nn.Module:
    loss.lr_scale = lr_scale
    made: nn.Module = loss
    return made
