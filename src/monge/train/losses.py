"""From the ``loss:`` section of a recipe to a module called as ``loss(embeddings, labels)``."""

from __future__ import annotations

from torch import Tensor, nn

from monge.losses import BatchwiseOTLoss
from monge.losses.plan_diagnostics import PlanDiagnostics
from monge.recipes import LossConfig
from monge.recipes.metric_losses import BaselineParams, BatchwiseOTParams, BatchwiseOTPresetParams


class TwoBatches(nn.Module):
    """The first half of a batch against its second half, as the released 2D program pairs two batches of 64.

    Args:
        loss: Takes the second half as ``ref_emb`` and ``ref_labels``.

    Example:
        >>> import torch
        >>> TwoBatches(BatchwiseOTLoss())(torch.eye(4), torch.tensor([0, 1, 0, 1])).shape
        torch.Size([])
    """

    def __init__(self, loss: BatchwiseOTLoss) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Scalar loss of ``embeddings`` (B, D) with ``labels`` (B,); an odd last example is left out."""
        half = len(labels) // 2
        first, second = slice(half), slice(half, 2 * half)
        loss: Tensor = self.loss(
            embeddings[first], labels[first], ref_emb=embeddings[second], ref_labels=labels[second]
        )
        return loss

    def diagnostics(self) -> PlanDiagnostics:
        """Figures on the plan of the last call."""
        return self.loss.diagnostics()


class WithSoftmax(nn.Module):
    """A batch-wise loss, and a weight times the cross-entropy of a linear classifier on the embeddings.

    The released 3D program adds this: 0.2 for ModelNet40, 1 for ModelNet10.

    Args:
        loss: Called as ``loss(embeddings, labels)``.
        embedding_dim: Length of an embedding.
        num_classes: Training classes.
        weight: Of the cross-entropy.

    Example:
        >>> import torch
        >>> loss = WithSoftmax(BatchwiseOTLoss(), embedding_dim=4, num_classes=2, weight=0.2)
        >>> loss(torch.eye(4), torch.tensor([0, 1, 0, 1])).shape, len(list(loss.parameters()))
        (torch.Size([]), 2)
    """

    def __init__(self, loss: BatchwiseOTLoss | TwoBatches, embedding_dim: int, num_classes: int, weight: float) -> None:
        super().__init__()
        self.loss, self.weight = loss, weight
        self.classifier = nn.Linear(embedding_dim, num_classes)

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Scalar loss of ``embeddings`` (B, D) with ``labels`` (B,)."""
        entropy = nn.functional.cross_entropy(self.classifier(embeddings), labels)
        loss: Tensor = self.loss(embeddings, labels) + self.weight * entropy
        return loss

    def diagnostics(self) -> PlanDiagnostics:
        """Figures on the plan of the last call."""
        return self.loss.diagnostics()


def build_loss(config: LossConfig, embedding_dim: int, num_classes: int) -> nn.Module:
    """Builds the loss of a recipe.

    Args:
        config: One of the typed loss sections.
        embedding_dim: Length of an embedding; losses with proxies need it.
        num_classes: Training classes; losses with proxies need it.

    Returns:
        A module called as ``loss(embeddings (B, D), labels (B,)) -> scalar``. If it has parameters of its own they are
        trained with the model, at ``lr_scale`` (an attribute, 1 if absent) times its learning rate.

    Raises:
        RecipeError: The values do not go together.
        MissingExtraError: A baseline without pytorch-metric-learning.

    Example:
        >>> build_loss(BatchwiseOTParams(margin=2.0), embedding_dim=8, num_classes=3)
        BatchwiseOTLoss(margin=2.0, gamma=10.0, epsilon=0.2, negative='hinge_sq_dist')
    """
    if isinstance(config, BatchwiseOTParams | BatchwiseOTPresetParams):
        pairs = build_batchwise_ot(config)
        loss = TwoBatches(pairs) if isinstance(config, BatchwiseOTPresetParams) and config.two_batches else pairs
        return WithSoftmax(loss, embedding_dim, num_classes, config.softmax) if config.softmax else loss
    from monge.train.baselines import build_baseline

    assert isinstance(config, BaselineParams)  # said for the type checker: the task decided
    return build_baseline(config.name, config, embedding_dim, num_classes)


def build_batchwise_ot(config: BatchwiseOTParams | BatchwiseOTPresetParams) -> BatchwiseOTLoss:
    """The loss of a recipe between all pairs of a batch: without a softmax term, and not between two halves.

    Example:
        >>> build_batchwise_ot(BatchwiseOTParams(margin=2.0, softmax=0.2)).margin
        2.0
    """
    if isinstance(config, BatchwiseOTParams):
        return BatchwiseOTLoss(**config.model_dump(exclude={"name", "softmax"}))
    return BatchwiseOTLoss.preset(config.preset, quirks=config.quirks)
