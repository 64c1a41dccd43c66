"""Networks for extracted features and their options: a transformer over frames, gated experts, gated captions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from torch import nn

from monge.errors import RecipeError
from monge.nn.adapter import Adapter
from monge.nn.frame_transformer import FramePool, FrameTransformer
from monge.nn.gated_experts import Combine, GatedExperts, GatedText
from monge.nn.masked_pool import RowPool

_CHECKS = {"extra": "forbid"}


@dataclass(frozen=True)
class FrameTransformerConfig:
    """`FrameTransformer` and its options; for clips ``(T, F)`` and captions word by word ``(L, F)``.

    Attributes:
        embedding_dim: Length of the embedding.
        width: Length of the rows inside.
        layers: How many.
        heads: Of the attention; divide `width`.
        pool: ``"mean"`` or ``"cls"``.
        dropout: Probability that a number is left out in training.
        positions: Whether the order of the rows matters.
        normalize: Scale embeddings to unit length.

    Example:
        >>> FrameTransformerConfig(layers=1).width
        256
    """

    name: Literal["frame_transformer"] = "frame_transformer"
    embedding_dim: int = 256
    width: int = 256
    layers: int = 2
    heads: int = 4
    pool: FramePool = "mean"
    dropout: float = 0.1
    positions: bool = True
    normalize: bool = True
    __pydantic_config__: ClassVar[dict[str, str]] = _CHECKS

    def __post_init__(self) -> None:
        sizes = [self.embedding_dim, self.width, self.layers, self.heads]
        if min(sizes) < 1 or self.width % max(1, self.heads):
            raise ValueError(f"sizes: found {sizes}, expected each at least 1 and heads that divide the width")
        _check_dropout(self.dropout)


@dataclass(frozen=True)
class GatedExpertsConfig:
    """`GatedExperts` and its options; for clips that several experts have seen.

    Attributes:
        embedding_dim: Length of the embedding.
        widths: Length of a row of each expert; none: as the data have them.
        combine: ``"concatenate"``, for captions from ``gated_text``, or ``"sum"``, for any.
        pool: Over time, ``"mean"`` or ``"max"``.
        dropout: Probability that a number of the pooled features is left out in training.
        normalize: Scale embeddings to unit length.

    Example:
        >>> GatedExpertsConfig(combine="sum").pool
        'mean'
    """

    name: Literal["gated_experts"] = "gated_experts"
    embedding_dim: int = 256
    widths: tuple[int, ...] = ()
    combine: Combine = "concatenate"
    pool: RowPool = "mean"
    dropout: float = 0.0
    normalize: bool = True
    __pydantic_config__: ClassVar[dict[str, str]] = _CHECKS

    def __post_init__(self) -> None:
        if min(self.embedding_dim, self.embedding_dim, *self.widths) < 1:
            raise ValueError(f"sizes: found {[*self.widths, self.embedding_dim]}, expected each at least 1")
        _check_dropout(self.dropout)


@dataclass(frozen=True)
class GatedTextConfig:
    """`GatedText` and its options; for captions of clips that go through ``gated_experts``.

    Attributes:
        embedding_dim: Length of the embedding.
        experts: How many the clips have; unset: as the data have them.
        dropout: Probability that a number of the pooled words is left out in training.
        normalize: Scale embeddings to unit length.

    Example:
        >>> GatedTextConfig(experts=7).embedding_dim
        256
    """

    name: Literal["gated_text"] = "gated_text"
    embedding_dim: int = 256
    experts: int | None = None
    dropout: float = 0.0
    normalize: bool = True
    __pydantic_config__: ClassVar[dict[str, str]] = _CHECKS

    def __post_init__(self) -> None:
        if min(self.embedding_dim, 1 if self.experts is None else self.experts) < 1:
            raise ValueError(f"sizes: found {[self.embedding_dim, self.experts]}, expected each at least 1")
        _check_dropout(self.dropout)


@dataclass(frozen=True)
class AdapterConfig:
    """`Adapter` and its options; for vectors that are near already where they mean alike, such as those of sentences.

    Attributes:
        embedding_dim: Length of the embedding, which must be that of the vectors.
        hidden: Size of the layer between.
        dropout: Probability that a number of that layer is left out in training.
        normalize: Scale embeddings to unit length.

    Example:
        >>> AdapterConfig(hidden=64).embedding_dim
        384
    """

    name: Literal["adapter"] = "adapter"
    embedding_dim: int = 384
    hidden: int = 256
    dropout: float = 0.0
    normalize: bool = True
    __pydantic_config__: ClassVar[dict[str, str]] = _CHECKS

    def __post_init__(self) -> None:
        if min(self.embedding_dim, self.hidden) < 1:
            raise ValueError(f"sizes: found {[self.hidden, self.embedding_dim]}, expected each at least 1")
        _check_dropout(self.dropout)


FeatureConfig = FrameTransformerConfig | GatedExpertsConfig | GatedTextConfig | AdapterConfig
"""What `build_feature_network` takes."""


def build_feature_network(config: FeatureConfig, shape: tuple[int, ...]) -> nn.Module:
    """Builds a network for extracted features, without the scaling to unit length.

    Args:
        config: Which network.
        shape: ``(T, F)``, or for gated networks also ``(F,)``; for adapters ``(F,)`` alone.

    Raises:
        RecipeError: The network is not one for such inputs.

    Example:
        >>> import torch
        >>> build_feature_network(GatedExpertsConfig(embedding_dim=8), (5, 12))(torch.zeros(2, 5, 12)).shape
        torch.Size([2, 8])
    """
    if isinstance(config, AdapterConfig):
        if shape != (config.embedding_dim,):
            found = f"an input has the shape {shape} and embedding_dim is {config.embedding_dim}"
            raise RecipeError(f"model.name: found adapter, which takes vectors of embedding_dim numbers, but {found}")
        return Adapter(config.embedding_dim, config.hidden, config.dropout)
    transformer = isinstance(config, FrameTransformerConfig)
    if len(shape) != 2 and (transformer or len(shape) != 1):
        wanted = "features of frames or words (T, F)" if transformer else "features (T, F) or (F,)"
        found = f"an input has the shape {shape}"
        raise RecipeError(f"model.name: found {config.name}, which takes {wanted}, but {found}: use mlp or mvcnn")
    width = shape[-1]
    try:
        if isinstance(config, FrameTransformerConfig):
            return FrameTransformer(
                width,
                config.embedding_dim,
                width=config.width,
                layers=config.layers,
                heads=config.heads,
                max_rows=shape[0],
                pool=config.pool,
                dropout=config.dropout,
                positions=config.positions,
            )
        if isinstance(config, GatedTextConfig):
            return GatedText(width, config.embedding_dim, experts=config.experts or 1, dropout=config.dropout)
        widths = config.widths or (width,)
        if sum(widths) != width:
            told = " + ".join(map(str, widths))
            raise RecipeError(f"model.widths: found {told} numbers, expected {width}, as the features have")
        return GatedExperts(
            widths, config.embedding_dim, combine=config.combine, pool=config.pool, dropout=config.dropout
        )
    except ValueError as error:
        raise RecipeError(f"model.{error}") from error


def with_experts(config: Any, widths: tuple[int, ...], others: tuple[int, ...]) -> Any:
    """A configuration with what it leaves to the data: the experts of its own side, and how many the other side has.

    Args:
        config: Of one side, any network.
        widths: Length of a row of each expert of this side; none: they are not known.
        others: The same of the other side.

    Raises:
        RecipeError: Experts that are given, and that the data do not have.

    Example:
        >>> with_experts(GatedTextConfig(), (300,), (2048, 1024, 128)).experts
        3
    """
    if isinstance(config, GatedExpertsConfig) and widths:
        if config.widths and config.widths != widths:
            told = ", ".join(map(str, config.widths)), ", ".join(map(str, widths))
            raise RecipeError(f"model.widths: found {told[0]}, expected {told[1]}, as the features have, or none")
        return replace(config, widths=widths)
    if isinstance(config, GatedTextConfig) and others:
        if config.experts not in (None, len(others)):
            found = f"found {config.experts}, expected {len(others)}, as the features of the other side have"
            raise RecipeError(f"model.experts: {found}, or none")
        return replace(config, experts=len(others))
    return config


def _check_dropout(dropout: float) -> None:
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout: found {dropout}, expected at least 0 and below 1")
