"""Classes as vectors: word embeddings or CLIP vectors of their names, prototypes, attributes."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monge.ground.base import Ground
from monge.ot import pairwise_cost

EmbeddingMetric = Literal["cosine", "euclidean"]

# Shorter vectors have no cosine; see `monge.ot.pairwise_cost`.
_SHORTEST = 1e-12


class FromEmbeddings(Ground):
    """Distances between class vectors, computed when they are asked for: memory is C x F, never C x C.

    Args:
        vectors: One for each class, shape ``(C, F)``, finite.
        metric: ``"cosine"``: ``1 - cos(v_i, v_k)``, in [0, 2]. ``"euclidean"``: ``|v_i - v_k|``.

    Raises:
        ValueError: An unknown metric, vectors of a length that is not finite, or a zero vector (or one shorter than
            1e-12) where the metric is cosine.

    Example:
        >>> words = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
        >>> FromEmbeddings(words).columns(torch.tensor([0]), 3)
        tensor([[0., 0., 1.]])
    """

    vectors: Tensor
    _costly = True

    def __init__(self, vectors: Tensor | NDArray[np.generic], metric: EmbeddingMetric = "cosine") -> None:
        if metric not in get_args(EmbeddingMetric):
            raise ValueError(f"metric is {metric!r}: expected one of {', '.join(get_args(EmbeddingMetric))}")
        given = torch.as_tensor(vectors).detach()
        if given.dim() != 2 or 0 in given.shape or not given.is_floating_point():
            raise ValueError(
                f"class vectors have shape {tuple(given.shape)} and dtype {given.dtype}: expected floats (C, F), one "
                "row for each class"
            )
        length = torch.linalg.vector_norm(given.to(torch.promote_types(given.dtype, torch.float32)), dim=1)  # (C,)
        for wrong, what in ((~torch.isfinite(length), "not finite"), (length <= _SHORTEST, "zero")):
            if bool(wrong.any()) and (metric == "cosine" or what == "not finite"):
                raise ValueError(f"the vector of class {int(wrong.nonzero()[0])} is {what}: {metric} has no use for it")
        super().__init__(len(given))
        self.metric: EmbeddingMetric = metric
        self.register_buffer("vectors", given.clone(), persistent=False)

    def _columns(self, labels: Tensor, num_classes: int) -> Tensor:
        distances = pairwise_cost(self.vectors.index_select(0, labels), self.vectors, self.metric)  # (N, C)
        return distances.scatter(1, labels.unsqueeze(1), 0.0)  # rounding leaves a little at a class itself

    def extra_repr(self) -> str:
        """Sizes and metric."""
        return f"num_classes={self.num_classes}, dim={self.vectors.shape[1]}, metric={self.metric!r}"
