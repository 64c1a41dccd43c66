"""From a ``model:`` section with a network for queries and one for the gallery to the two in one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from monge.errors import RecipeError
from monge.nn.build import ModelConfig, build_model
from monge.nn.feature_build import with_experts
from monge.nn.two_modalities import TwoModalities

SIDES = ("query", "gallery")
"""What the two modalities of a recipe are called."""


@dataclass(frozen=True)
class TwoModalitiesConfig:
    """`TwoModalities` and its options.

    Attributes:
        query: The network for queries; its own ``embedding_dim`` is left aside.
        gallery: The network for what is found; the same holds for it.
        embedding_dim: Length of the embeddings of both.

    Example:
        >>> from monge.nn import MLPConfig
        >>> TwoModalitiesConfig(query=MLPConfig(), gallery=MLPConfig(hidden=(32,))).embedding_dim
        64
    """

    query: ModelConfig = field(metadata={"discriminator": "name"})
    gallery: ModelConfig = field(metadata={"discriminator": "name"})
    name: Literal["two_modalities"] = "two_modalities"
    embedding_dim: int = 64
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if self.embedding_dim < 1:
            raise ValueError(f"embedding_dim: found {self.embedding_dim}, expected at least 1")


def build_two_modalities(
    config: TwoModalitiesConfig,
    query_shape: tuple[int, ...],
    gallery_shape: tuple[int, ...],
    *,
    query_widths: tuple[int, ...] = (),
    gallery_widths: tuple[int, ...] = (),
) -> TwoModalities:
    """Builds both networks, the one for queries first.

    Args:
        config: Which networks.
        query_shape: Shape of one query, as `monge.nn.build_model` takes it.
        gallery_shape: Shape of one item of the gallery.
        query_widths: Length of what each of several experts says of a query, where there are such.
        gallery_widths: The same of the gallery.

    Raises:
        RecipeError: A network is not one for such inputs; the message names the side.
        MongeError: As for `monge.nn.build_model`.

    Example:
        >>> import torch
        >>> from monge.nn import MLPConfig
        >>> model = build_two_modalities(TwoModalitiesConfig(MLPConfig(), MLPConfig(), embedding_dim=8), (5,), (7,))
        >>> model.embed("gallery", torch.zeros(3, 7)).shape
        torch.Size([3, 8])
    """
    networks = []
    sides = (
        (config.query, query_shape, query_widths, gallery_widths),
        (config.gallery, gallery_shape, gallery_widths, query_widths),
    )
    for side, (part, shape, widths, others) in zip(SIDES, sides, strict=True):
        try:
            filled = replace(with_experts(part, widths, others), embedding_dim=config.embedding_dim)
            networks.append(build_model(filled, shape=shape))
        except RecipeError as error:
            raise RecipeError(str(error).replace("model.", f"model.{side}.", 1)) from error
    return TwoModalities(networks[0], networks[1], names=SIDES)
