"""A mixture of experts: features of a clip from several networks, each with a gated unit and a weight of its own.

Source: A. Miech, I. Laptev, J. Sivic, "Learning a Text-Video Embedding from Incomplete and Heterogeneous Data", 2018,
arXiv 1804.02516 [MoEE], whose gated units Y. Liu, S. Albanie, A. Nagrani, A. Zisserman, "Use What You Have", BMVC 2019
[CE] keep. There a caption is compared with each expert of a clip on its own, and the similarities are added up with
weights that the caption chooses, which are shared out anew among the experts that a clip has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from monge.errors import MongeError
from monge.nn.heads import L2Normalize
from monge.nn.masked_pool import RowPool, pooled, present

Combine = Literal["concatenate", "sum"]


class GatedUnit(nn.Module):
    """A linear map, then each number times a gate that all of them decide on [MoEE]: ``y * sigmoid(W y + b)``.

    Args:
        in_features: Length of the vectors that come in.
        out_features: Length of those that come out.

    Example:
        >>> GatedUnit(6, 4)(torch.zeros(3, 6)).shape
        torch.Size([3, 4])
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.linear, self.gate = nn.Linear(in_features, out_features), nn.Linear(out_features, out_features)

    def forward(self, vectors: Tensor) -> Tensor:
        """Vectors ``(N, out_features)``."""
        y = self.linear(vectors)
        gated: Tensor = y * torch.sigmoid(self.gate(y))
        return gated


class GatedExperts(nn.Module):
    """Embeds what several experts say of a clip.

    The rows of each expert are pooled over time, go through a gated unit and are scaled to unit length. ``concatenate``
    lays the results end to end, zeros for an expert that has nothing: with a caption from `GatedText`, which has a
    part for each expert too, the inner product is the sum over experts of their similarities with the weights of the
    caption; at unit length, where the experts that a clip has share the length 1 among them. ``sum`` adds them up with
    learned weights that are shared out among the experts that are there; it goes with any network for captions.

    Args:
        widths: Length of a row of each expert; in an input they stand side by side.
        embedding_dim: Length of the vectors that come out.
        combine: ``"concatenate"`` or ``"sum"``.
        pool: Over time, ``"mean"`` or ``"max"``.
        dropout: Probability that a number of the pooled features is left out in training.

    Raises:
        ValueError: No experts, a size below 1, or fewer numbers than experts.

    Example:
        >>> net = GatedExperts((3, 5), 8)
        >>> clips = torch.randn(4, 6, 8)
        >>> clips[2, :, 3:] = torch.nan
        >>> (net(clips)[2] != 0).tolist()
        [True, True, True, True, False, False, False, False]
    """

    def __init__(
        self,
        widths: Sequence[int],
        embedding_dim: int,
        *,
        combine: Combine = "concatenate",
        pool: RowPool = "mean",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not widths or min(*widths, embedding_dim, embedding_dim) < 1 or not 0 <= dropout < 1:
            raise ValueError(f"needs sizes of at least 1 and a dropout in [0, 1), found {widths}, {embedding_dim}")
        if combine not in ("concatenate", "sum"):
            raise ValueError(f"combine: found {combine!r}, expected concatenate or sum")
        self.widths, self.combine, self.pool = tuple(widths), combine, pool
        sizes = shares(embedding_dim, len(widths)) if combine == "concatenate" else [embedding_dim] * len(widths)
        self.units = nn.ModuleList(GatedUnit(width, size) for width, size in zip(widths, sizes))
        self.weights = nn.Parameter(torch.zeros(len(widths))) if combine == "sum" else None
        self.dropout, self.unit = nn.Dropout(dropout), L2Normalize()

    def forward(self, features: Tensor) -> Tensor:
        """Vectors ``(N, D)`` of features ``(N, T, F)`` or ``(N, F)``; zeros where all of them are NaN.

        Raises:
            MongeError: Features of another length.
        """
        if features.ndim not in (2, 3) or features.shape[-1] != sum(self.widths):
            wanted = f"features of {' + '.join(map(str, self.widths))} numbers"
            raise MongeError(f"these experts take {wanted}, found inputs of shape {tuple(features.shape)}")
        rows = features[:, None] if features.ndim == 2 else features
        parts, known = [], []
        for unit, own in zip(self.units, torch.split(rows, list(self.widths), 2)):
            numbers, there = present(own)  # (N, T, width), (N, T)
            vector = self.unit(unit(self.dropout(pooled(numbers, there, self.pool))))
            known.append(there.any(1, keepdim=True))
            parts.append(vector * known[-1])
        if self.weights is None:
            # Of one length, so that a clip with few experts is not the farther from every caption for that.
            return torch.cat(parts, 1) / torch.cat(known, 1).sum(1, keepdim=True).clamp(min=1).sqrt()
        shared = self.weights.exp() * torch.cat(known, 1)  # (N, E)
        shared = shared / shared.sum(1, keepdim=True).clamp(min=1e-12)
        return (torch.stack(parts, 1) * shared[:, :, None]).sum(1)


class GatedText(nn.Module):
    """Embeds a caption for `GatedExperts` that concatenate: a gated unit for each expert, times its weight [MoEE].

    Words are pooled first, with weights of their own that a linear map chooses. [CE] pools them by NetVLAD.

    Args:
        in_features: Length of a row, or of the vector of a caption.
        embedding_dim: Length of the vectors that come out.
        experts: How many there are.
        dropout: Probability that a number of the pooled words is left out in training.

    Raises:
        ValueError: A size below 1, or fewer numbers than experts.

    Example:
        >>> GatedText(6, 8, experts=3)(torch.randn(2, 5, 6)).shape
        torch.Size([2, 8])
    """

    def __init__(self, in_features: int, embedding_dim: int, *, experts: int, dropout: float = 0.0) -> None:
        super().__init__()
        if min(in_features, embedding_dim, experts) < 1 or not 0 <= dropout < 1:
            found = f"{in_features}, {embedding_dim}, {experts} and dropout {dropout}"
            raise ValueError(f"needs sizes of at least 1 and a dropout in [0, 1), found {found}")
        self.in_features = in_features
        self.attention = nn.Linear(in_features, 1)
        self.units = nn.ModuleList(GatedUnit(in_features, size) for size in shares(embedding_dim, experts))
        self.weights = nn.Linear(in_features, experts)
        self.dropout, self.unit = nn.Dropout(dropout), L2Normalize()

    def forward(self, features: Tensor) -> Tensor:
        """Vectors ``(N, D)`` of captions ``(N, L, F)`` or ``(N, F)``; zeros where all of one is NaN.

        Raises:
            MongeError: Features of another length.
        """
        if features.ndim not in (2, 3) or features.shape[-1] != self.in_features:
            found = f"inputs of shape {tuple(features.shape)}"
            raise MongeError(f"this network takes captions of {self.in_features} numbers, found {found}")
        words, there = present(features[:, None] if features.ndim == 2 else features)
        chosen = self.attention(words)[:, :, 0].masked_fill(~there, -1e4).softmax(1) * there  # (N, L)
        caption = self.dropout((words * chosen[:, :, None]).sum(1))
        weights = self.weights(caption).softmax(1)  # (N, E)
        parts = [self.unit(unit(caption)) for unit in self.units]
        weighted = [part * weights[:, place, None] for place, part in enumerate(parts)]
        return torch.cat(weighted, 1) * there.any(1, keepdim=True)


def shares(size: int, parts: int) -> list[int]:
    """A length in so many parts, as equal as can be, the longer ones first.

    Raises:
        ValueError: More parts than there is to share.

    Example:
        >>> shares(10, 4)
        [3, 3, 2, 2]
    """
    if size < parts:
        raise ValueError(f"embedding_dim: found {size}, expected at least {parts}, one number for each expert")
    return [size // parts + (place < size % parts) for place in range(parts)]
