"""From the ``loss:`` section of a cross-modal recipe to a module that takes the embeddings and labels of both sides."""

from __future__ import annotations

from typing import TypedDict

from torch import nn

from monge.losses import (
    CrossModalBatchwiseOTLoss,
    InfoNCELoss,
    InverseOTLoss,
    JointModalities,
    MaxMarginLoss,
    SharedClassifierLoss,
)
from monge.recipes.cross_modal_losses import (
    CrossModalCrossEntropyParams,
    CrossModalLoss,
    CrossModalOTParams,
    CrossModalOTPresetParams,
    InfoNCEParams,
    InverseOTParams,
    MaxMarginParams,
)


def build_cross_modal_loss(config: CrossModalLoss, embedding_dim: int, num_classes: int) -> nn.Module:
    """Builds the loss of a cross-modal recipe.

    Args:
        config: One of the typed loss sections.
        embedding_dim: Length of an embedding, the same on both sides.
        num_classes: Training classes.

    Returns:
        A module called as ``loss(x_emb (N, D), y_emb (M, D), x_labels (N,), y_labels (M,)) -> scalar``; x are queries,
        y gallery items, samples with equal labels belong together. If it has parameters of its own they are trained
        with the model, at ``lr_scale`` (an attribute, 1 if absent) times its learning rate.

    Raises:
        MissingExtraError: A baseline without pytorch-metric-learning.

    Example:
        >>> build_cross_modal_loss(CrossModalOTParams(weights=(0, 0, 1, 1)), embedding_dim=8, num_classes=3).weights
        {'xy': 2.0}
    """
    settings = config.model_dump(exclude={"name", "softmax"})
    match config:
        case CrossModalOTParams():
            return CrossModalBatchwiseOTLoss(**settings, **_softmax(config.softmax, embedding_dim, num_classes))
        case CrossModalOTPresetParams():
            term = _softmax(config.softmax, embedding_dim, num_classes)
            return CrossModalBatchwiseOTLoss.preset(config.preset, quirks=config.quirks, **term)
        case InverseOTParams():
            return InverseOTLoss(**settings)
        case InfoNCEParams():
            return InfoNCELoss(**settings)
        case MaxMarginParams():
            return MaxMarginLoss(**settings)
        case CrossModalCrossEntropyParams():
            return SharedClassifierLoss(embedding_dim, num_classes, **settings)
        case _:
            from monge.train.baselines import build_baseline  # brings pytorch-metric-learning

            alone = config.name.removeprefix("cross_modal_")
            return JointModalities(build_baseline(alone, settings, embedding_dim, num_classes))


class _SoftmaxTerm(TypedDict):
    softmax_weight: float
    classifier: tuple[int, int] | None


def _softmax(weight: float, embedding_dim: int, num_classes: int) -> _SoftmaxTerm:
    """A classifier where cross-entropies count."""
    return {"softmax_weight": weight, "classifier": (embedding_dim, num_classes) if weight else None}
