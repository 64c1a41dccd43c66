"""Adapters for pytorch-metric-learning 2: our losses where it wants its own, and our weights in its losses.

`monge.losses.BatchwiseOTLoss` takes that library's call and its miners' tuples as it is. These classes are for the
places that check types or names instead of calling. Version 3 checks neither and needs only the loss itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from monge.errors import MongeError
from monge.extras import require
from monge.mining import SoftMiner

if TYPE_CHECKING:
    from monge.losses.pairs import IndicesTuple

require("pytorch_metric_learning", extra="train", purpose="monge.integrations.pml")

from pytorch_metric_learning.losses import BaseMetricLossFunction  # noqa: E402
from pytorch_metric_learning.losses import CrossBatchMemory as PMLCrossBatchMemory  # noqa: E402
from pytorch_metric_learning.reducers import BaseReducer  # noqa: E402


class PMLLoss(BaseMetricLossFunction):  # type: ignore[misc]
    """A metric loss of ours as a pytorch-metric-learning loss, for wrappers that accept only its base class.

    Args:
        loss: Called as ``loss(embeddings, labels, indices_tuple, ref_emb, ref_labels)``; returns a scalar.

    Example:
        >>> from monge.losses import BatchwiseOTLoss
        >>> PMLLoss(BatchwiseOTLoss())(torch.eye(3), torch.tensor([0, 0, 1])).shape
        torch.Size([])
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def compute_loss(
        self,
        embeddings: Tensor,
        labels: Tensor | None,
        indices_tuple: IndicesTuple | None,
        ref_emb: Tensor | None,
        ref_labels: Tensor | None,
    ) -> dict[str, dict[str, Any]]:
        """Returns the loss in the form that the library's reducers expect."""
        if ref_emb is embeddings:  # how the library says "the batch against itself"
            ref_emb, ref_labels = None, None
        value = self.loss(embeddings, labels, indices_tuple, ref_emb, ref_labels)
        return {"loss": {"losses": value, "indices": None, "reduction_type": "already_reduced"}}


class PMLMemory(PMLCrossBatchMemory):  # type: ignore[misc]
    """pytorch-metric-learning's ``CrossBatchMemory`` around any loss that takes its call.

    The library's class accepts a fixed list of loss names; this one accepts every loss. Its queue pointer is not part
    of its state, so a resumed run differs: `monge.losses.CrossBatchMemory` has no such gap.

    Example:
        >>> from monge.losses import BatchwiseOTLoss
        >>> memory = PMLMemory(BatchwiseOTLoss(), embedding_size=3, memory_size=8)
        >>> memory(torch.eye(3), torch.tensor([0, 0, 1])).shape
        torch.Size([])
    """

    @classmethod
    def check_loss_support(cls, loss_name: str) -> None:
        """Accepts every loss."""


class PlanReducer(BaseReducer):  # type: ignore[misc]
    """Soft mining for the pair losses of pytorch-metric-learning: a mean over pairs weighted by the transport plan.

    Positive and negative pairs are averaged apart, as the library does, each with the plan's weights. The pairs must
    lie within one batch, since a reducer is not shown the reference set, and be those that its labels make. (A set with
    the labels of the batch, in its order, cannot be told from it: call such losses without ``ref_emb``.)

    Args:
        miner: Where the weights come from; its ``normalize`` does not matter, since the weights are averaged with.
        normalize_embeddings: Give the miner embeddings of length 1, as the library's distances make them by default.

    Raises:
        MongeError: On a call, if the pairs are not those of the batch, or the loss is not one of pairs.

    Example:
        >>> from pytorch_metric_learning.losses import ContrastiveLoss
        >>> loss = ContrastiveLoss(reducer=PlanReducer(SoftMiner()))
        >>> loss(torch.eye(3), torch.tensor([0, 0, 1])).shape
        torch.Size([])
    """

    def __init__(self, miner: SoftMiner, *, normalize_embeddings: bool = True) -> None:
        super().__init__()
        self.miner = miner
        self.normalize_embeddings = normalize_embeddings

    def pos_pair_reduction(
        self, losses: Tensor, pairs: tuple[Tensor, Tensor], embeddings: Tensor, labels: Tensor
    ) -> Tensor:
        """Weighted mean over positive pairs."""
        return self._mean(losses, pairs, embeddings, labels, polarity=0)

    def neg_pair_reduction(
        self, losses: Tensor, pairs: tuple[Tensor, Tensor], embeddings: Tensor, labels: Tensor
    ) -> Tensor:
        """Weighted mean over negative pairs."""
        return self._mean(losses, pairs, embeddings, labels, polarity=1)

    def triplet_reduction(self, losses: Tensor, triplets: Any, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Raises: a triplet has no weight of its own."""
        raise MongeError(
            "PlanReducer weighs pairs: found a loss of triplets, expected one of pairs, as ContrastiveLoss"
        )

    def element_reduction(self, losses: Tensor, indices: Any, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Raises: a sample has no weight of its own."""
        raise MongeError("PlanReducer weighs pairs: found a loss of samples, expected one of pairs, as ContrastiveLoss")

    def _mean(
        self, losses: Tensor, pairs: tuple[Tensor, Tensor], embeddings: Tensor, labels: Tensor, *, polarity: int
    ) -> Tensor:
        rows, columns = pairs
        if columns.numel() and int(columns.max()) >= embeddings.shape[0]:
            raise MongeError(
                f"PlanReducer needs pairs within one batch: found partner {int(columns.max())} in a batch of "
                f"{embeddings.shape[0]}; call the loss without ref_emb"
            )
        strange = (rows == columns) | ((labels[rows] == labels[columns]) != (polarity == 0))
        if bool(strange.any()):
            place = int(strange.nonzero()[0, 0])
            kind = "positive" if polarity == 0 else "negative"
            raise MongeError(
                f"PlanReducer needs the pairs that a batch's labels make: found {int(rows[place])} and "
                f"{int(columns[place])} as a {kind} pair; call the loss without ref_emb"
            )
        points = normalize(embeddings.detach(), dim=1) if self.normalize_embeddings else embeddings
        weights = self.miner(points, labels)[polarity][rows, columns]
        mean: Tensor = (weights * losses).sum() / weights.sum().clamp_min(torch.finfo(weights.dtype).tiny)
        return mean
