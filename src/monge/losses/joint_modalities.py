"""Losses of one modality, used on two: both laid together in one batch, or both told apart by one classifier."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from monge.losses.cosines import full_precision, scaled_cosines
from monge.losses.margin_softmax import check_classes
from monge.losses.pairs import check_embeddings, checked_labels


class JointModalities(nn.Module):
    """A metric loss over the samples of both modalities in one batch, which it cannot tell apart.

    Pairs within a modality and between the two count alike, as a loss made for one modality has them.

    Args:
        loss: Called as ``loss(embeddings (N + M, D), labels (N + M,))``.

    Example:
        >>> from monge.losses import BatchwiseOTLoss
        >>> labels = torch.tensor([0, 0, 1])
        >>> JointModalities(BatchwiseOTLoss())(torch.randn(3, 4), torch.randn(2, 4), labels, labels[1:]).shape
        torch.Size([])
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    @property
    def lr_scale(self) -> float:
        """Learning rate of the loss's own parameters as a multiple of the model's."""
        return float(getattr(self.loss, "lr_scale", 1.0))

    def forward(self, x_emb: Tensor, y_emb: Tensor, x_labels: Tensor, y_labels: Tensor) -> Tensor:
        """Scalar loss of ``x_emb`` (N, D) and ``y_emb`` (M, D) with integer ``x_labels`` (N,) and ``y_labels`` (M,).

        Raises:
            ValueError: Shapes or dtypes that do not fit, or no samples.
        """
        check_embeddings(x_emb, y_emb)
        x_labels, y_labels = checked_labels(len(x_emb), len(y_emb), x_labels, y_labels)
        dtype = torch.promote_types(x_emb.dtype, y_emb.dtype)
        both = torch.cat([x_emb.to(dtype), y_emb.to(dtype)])  # (N + M, D)
        value: Tensor = self.loss(both, torch.cat([x_labels, y_labels]).to(both.device))
        return value


class SharedClassifierLoss(nn.Module):
    """Cross-entropy of one classifier over both modalities: what it cannot tell apart comes to lie together.

    The classifier is a matrix of class directions, and logits are ``scale`` times the cosine to them (Wang et al.,
    "NormFace", ACM MM 2017), so that embeddings of both modalities may have any length. Its weights belong to the loss.

    Args:
        embedding_dim: Length of an embedding.
        num_classes: Classes.
        scale: Multiplies the cosines; positive.
        lr_scale: Learning rate of the class directions as a multiple of the model's.

    Raises:
        ValueError: A value outside its range.

    Example:
        >>> loss = SharedClassifierLoss(embedding_dim=4, num_classes=3)
        >>> loss(torch.randn(5, 4), torch.randn(2, 4), torch.tensor([0, 1, 2, 0, 1]), torch.tensor([2, 0])).shape
        torch.Size([])
    """

    def __init__(self, embedding_dim: int, num_classes: int, *, scale: float = 16.0, lr_scale: float = 1.0) -> None:
        super().__init__()
        if min(embedding_dim, num_classes) < 1 or not min(scale, lr_scale) > 0:
            raise ValueError(
                f"found embedding_dim {embedding_dim}, num_classes {num_classes}, scale {scale} and lr_scale "
                f"{lr_scale}, expected all above 0"
            )
        self.scale, self.lr_scale = scale, lr_scale
        self.directions = nn.Parameter(functional.normalize(torch.randn(num_classes, embedding_dim), dim=1))

    def forward(self, x_emb: Tensor, y_emb: Tensor, x_labels: Tensor, y_labels: Tensor) -> Tensor:
        """Mean cross-entropy over the samples of both, float32 or float64; arguments as in `JointModalities`.

        Labels are classes from 0 to C - 1.

        Raises:
            ValueError: Shapes, dtypes or labels that do not fit, or no samples.
        """
        check_embeddings(x_emb, y_emb)
        x_labels, y_labels = checked_labels(len(x_emb), len(y_emb), x_labels, y_labels)
        labels = torch.cat([x_labels, y_labels]).to(x_emb.device, torch.long)
        check_classes(labels, len(self.directions))
        dtype = torch.promote_types(x_emb.dtype, y_emb.dtype)
        both = torch.cat([x_emb.to(dtype), y_emb.to(dtype)])  # (N + M, D)
        logits = scaled_cosines(both, self.directions, self.scale)  # (N + M, C)
        with full_precision(both.device):
            return functional.cross_entropy(logits, labels)

    def extra_repr(self) -> str:
        """Settings as they were given."""
        return f"scale={self.scale}, lr_scale={self.lr_scale}"
