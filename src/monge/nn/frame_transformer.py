"""A small transformer over the frames of a clip, or the words of a caption, given as extracted features."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from monge.errors import MongeError
from monge.nn.masked_pool import pooled, present

FramePool = Literal["mean", "cls"]


class FrameTransformer(nn.Module):
    """Layers of attention and feed-forward network over rows of features, in the order that they come in.

    Each layer normalises first (Xiong and others, 2020). Positions are learned vectors, added to the rows. A row that
    is NaN as a whole is not there: nothing attends to it and it is not pooled. Single numbers that are NaN, such as
    those of an expert who saw nothing, are 0. An input without any row comes out as zeros.

    Args:
        in_features: Length of a row.
        embedding_dim: Length of the vectors that come out.
        width: Length of the rows inside.
        layers: How many.
        heads: Of the attention; divide `width`.
        max_rows: Most rows of an input.
        pool: ``"mean"`` of the rows, or ``"cls"``: what a further row, a learned one, has gathered.
        dropout: Probability that a number is left out in training, after attention and within the feed-forward network.
        positions: Whether the order of the rows matters.

    Raises:
        ValueError: A size below 1, heads that do not divide the width, or another pool.

    Example:
        >>> net = FrameTransformer(12, 8, width=16, layers=1, heads=2)
        >>> clips = torch.randn(3, 5, 12)
        >>> clips[1, 2:] = torch.nan
        >>> net(clips).shape, net(torch.full((1, 5, 12), torch.nan)).abs().sum().item()
        (torch.Size([3, 8]), 0.0)
    """

    def __init__(
        self,
        in_features: int,
        embedding_dim: int,
        *,
        width: int = 256,
        layers: int = 2,
        heads: int = 4,
        max_rows: int = 512,
        pool: FramePool = "mean",
        dropout: float = 0.1,
        positions: bool = True,
    ) -> None:
        super().__init__()
        sizes = [in_features, embedding_dim, width, layers, heads, max_rows]
        if min(sizes) < 1 or width % heads or not 0 <= dropout < 1:
            found = f"{sizes} and dropout {dropout}"
            raise ValueError(f"needs sizes of at least 1, heads that divide the width and a dropout in [0, 1): {found}")
        if pool not in get_args(FramePool):
            raise ValueError(f"pool: found {pool!r}, expected one of {', '.join(get_args(FramePool))}")
        self.in_features, self.pool = in_features, pool
        self.project = nn.Sequential(nn.LayerNorm(in_features), nn.Linear(in_features, width))
        self.positions = nn.Parameter(torch.randn(max_rows, width) * 0.02) if positions else None
        self.cls = nn.Parameter(torch.randn(width) * 0.02) if pool == "cls" else None
        self.layers = nn.ModuleList(_Layer(width, heads, dropout) for _ in range(layers))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, embedding_dim))

    def forward(self, features: Tensor) -> Tensor:
        """Vectors ``(N, D)`` of rows ``(N, T, F)``.

        Raises:
            MongeError: Rows of another length, or more of them than there are positions.
        """
        if features.ndim != 3 or features.shape[2] != self.in_features:
            found = f"inputs of shape {tuple(features.shape)}"
            raise MongeError(f"this transformer takes rows (N, T, {self.in_features}), found {found}")
        rows, there = present(features)
        x: Tensor = self.project(rows)  # (N, T, W)
        if self.positions is not None:
            if x.shape[1] > len(self.positions):
                raise MongeError(f"this transformer takes {len(self.positions)} rows, found {x.shape[1]}")
            x = x + self.positions[: x.shape[1]]
        known = there
        if self.cls is not None:
            x = torch.cat([self.cls.expand(len(x), 1, -1), x], 1)
            known = torch.cat([torch.ones_like(there[:, :1]), there], 1)
        # Attention to nothing is 0 / 0: who has no row at all looks at what stands in its place, and is cleared below.
        seen = known | ~known.any(1, keepdim=True)
        for layer in self.layers:
            x = layer(x, seen)
        vectors: Tensor = self.head(x[:, 0] if self.cls is not None else pooled(x, there, "mean"))
        return vectors * there.any(1, keepdim=True)


class _Layer(nn.Module):
    """Attention among rows, then a feed-forward network on each."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        inner, outer = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.feed = nn.Sequential(inner, nn.GELU(), nn.Dropout(dropout), outer, nn.Dropout(dropout))

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        """Rows ``(N, T, W)``; all look at those that are seen, ``(N, T)``."""
        q, k, v = self.qkv(self.norm1(x)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (N, H, T, W / H)
        looked = functional.scaled_dot_product_attention(q, k, v, attn_mask=seen[:, None, None, :])
        gathered = self.out(looked.transpose(1, 2).flatten(2))
        x = x + functional.dropout(gathered, self.dropout, self.training)
        fed: Tensor = x + self.feed(self.norm2(x))
        return fed
