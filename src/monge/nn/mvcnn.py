"""Networks for objects that are seen in several views: one trunk for all views, pooled over them.

Source: H. Su, S. Maji, E. Kalogerakis, E. Learned-Miller, "Multi-view convolutional neural networks for 3D shape
recognition", ICCV 2015, arXiv 1505.00880. Attention: M. Ilse, J. Tomczak, M. Welling, "Attention-based deep multiple
instance learning", ICML 2018, arXiv 1802.04712.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from monge.errors import MongeError

ViewPool = Literal["max", "mean", "attention"]


class MVCNN(nn.Module):
    """A trunk on every view, and one vector for all views of an object.

    Objects may have different numbers of views: pad them and give a mask. The trunk never sees padding, so that it
    cannot enter the statistics of a batch normalisation either. Out of training the trunk takes at most `max_views`
    views at a time, whatever the size of the batch; in training a batch normalisation must see them all.

    Args:
        trunk: Turns images (N, C, H, W) into vectors (N, D).
        pool: ``"max"`` or ``"mean"`` over the views of each number of the vector, or ``"attention"``: a mean whose
            weights are learnt from the vectors.
        feature_dim: D, needed for ``"attention"``.
        max_views: Views that go through the trunk at a time out of training.

    Raises:
        ValueError: An unknown pooling, or a size that is missing or below 1.

    Example:
        >>> from monge.nn.small_cnn import SmallCNN
        >>> net = MVCNN(SmallCNN(embedding_dim=256), "max").eval()
        >>> views = torch.rand(2, 12, 1, 64, 64)
        >>> has_view = torch.arange(12) < torch.tensor([[12], [7]])
        >>> net(views, has_view).shape
        torch.Size([2, 256])
    """

    def __init__(
        self, trunk: nn.Module, pool: ViewPool = "max", *, feature_dim: int | None = None, max_views: int = 256
    ) -> None:
        super().__init__()
        if pool not in get_args(ViewPool):
            raise ValueError(f"pool: found {pool!r}, expected one of {', '.join(get_args(ViewPool))}")
        if max_views < 1 or (pool == "attention" and (feature_dim is None or feature_dim < 1)):
            raise ValueError(
                f"found max_views {max_views} and feature_dim {feature_dim} with {pool} pooling, expected at least 1 "
                "view at a time, and for attention the length of the trunk's vectors"
            )
        self.trunk, self.pool, self.max_views = trunk, pool, max_views
        self.attention = ViewAttention(feature_dim) if pool == "attention" and feature_dim is not None else None

    def forward(self, views: Tensor, mask: Tensor | None = None) -> Tensor:
        """Vectors (B, D) of float views (B, V, C, H, W).

        Args:
            views: V pictures of each object.
            mask: True where there is a view, bool ``(B, V)``; ``None``: everywhere.

        Raises:
            MongeError: Views or mask of another shape, or an object without a view.
        """
        return self.pooled(self.view_features(views, mask), mask)

    def view_features(self, views: Tensor, mask: Tensor | None = None) -> Tensor:
        """Vectors of each view before they are pooled, (B, V, D); 0 where there is no view. Arguments as above."""
        if views.ndim != 5 or 0 in views.shape[:2]:
            raise MongeError(f"MVCNN takes views (B, V, C, H, W), found inputs of shape {tuple(views.shape)}")
        if mask is None:
            return self._trunk(views.flatten(0, 1)).reshape(*views.shape[:2], -1)
        if mask.shape != views.shape[:2]:
            raise MongeError(f"mask: found shape {tuple(mask.shape)}, expected {tuple(views.shape[:2])}")
        mask = mask.to(views.device, torch.bool)
        if not bool(mask.any(dim=1).all()):
            raise MongeError("mask: found an object without a view, expected at least one view of each")
        seen = self._trunk(views[mask])  # (views there are, D)
        features = seen.new_zeros(*mask.shape, seen.shape[1])  # (B, V, D)
        return features.masked_scatter(mask.unsqueeze(2), seen)

    def pooled(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """One vector (B, D) of the vectors (B, V, D) of all views.

        Args:
            features: From :meth:`view_features`, or from elsewhere.
            mask: True where there is a view, bool ``(B, V)``; ``None``: everywhere.
        """
        if self.attention is not None:
            weights: Tensor = self.attention(features, mask)  # (B, V)
            return (weights.unsqueeze(2) * features).sum(dim=1)
        if self.pool == "max":
            filled = features if mask is None else features.masked_fill(~mask.unsqueeze(2), -torch.inf)
            return filled.amax(dim=1)
        if mask is None:
            return features.mean(dim=1)
        share = mask / mask.sum(dim=1, keepdim=True)  # (B, V)
        return (share.to(features.dtype).unsqueeze(2) * features).sum(dim=1)

    def _trunk(self, images: Tensor) -> Tensor:
        """Vectors (N, D) of images (N, C, H, W), few at a time where that changes nothing."""
        # A traced graph must not depend on the size of the batch.
        if self.training or torch.compiler.is_compiling() or len(images) <= self.max_views:
            vectors: Tensor = self.trunk(images)
        else:
            vectors = torch.cat([self.trunk(chunk) for chunk in torch.split(images, self.max_views)])
        if vectors.ndim != 2:
            raise MongeError(f"MVCNN's trunk gave shape {tuple(vectors.shape)}, expected a vector for each view")
        return vectors


class ViewAttention(nn.Module):
    """Weights of the views of an object, which sum to 1: ``softmax_v(w . tanh(U f_v))`` [Ilse 2018].

    Args:
        feature_dim: Length of a view's vector.
        hidden: Rows of U.

    Example:
        >>> ViewAttention(8)(torch.zeros(2, 4, 8)).tolist()[0]
        [0.25, 0.25, 0.25, 0.25]
    """

    def __init__(self, feature_dim: int, hidden: int = 128) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(feature_dim, hidden), nn.Tanh(), nn.Linear(hidden, 1))

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Weights (B, V) of the vectors (B, V, D); 0 where the mask (B, V) says that there is no view."""
        scores: Tensor = self.score(features).squeeze(2)  # (B, V)
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        return scores.softmax(dim=1)
