"""The losses that `monge compare` measures against: pytorch-metric-learning's, with the settings of their papers.

Every baseline is called as ``loss(embeddings, labels)``. Defaults and where each comes from stand in
`monge.recipes.metric_losses`. All of them normalise the embeddings to unit length first, work in float32 (or float64)
whatever the precision around them, and give a zero that can be differentiated where a batch has nothing to compare.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from monge.errors import RecipeError
from monge.extras import require
from monge.recipes.loss_params import check_loss
from monge.recipes.metric_losses import (
    BaselineParams,
    ContrastiveParams,
    LiftedStructureParams,
    MultiSimilarityParams,
    NPairsParams,
    ProxyAnchorParams,
    SupConParams,
    TripletParams,
)

BASELINES: tuple[str, ...] = (
    "contrastive",
    "triplet",
    "lifted_structure",
    "n_pairs",
    "supcon",
    "multi_similarity",
    "proxy_anchor",
)
"""Names that `build_baseline` knows."""


def build_baseline(
    name: str, params: BaselineParams | Mapping[str, Any] | None, embedding_dim: int, num_classes: int
) -> nn.Module:
    """Builds a baseline loss.

    Args:
        name: One of `BASELINES`.
        params: Its typed parameters, a mapping of them, or ``None`` for the defaults.
        embedding_dim: Length of an embedding; only proxy-anchor needs it.
        num_classes: Number of training classes; only proxy-anchor needs it.

    Returns:
        A module called as ``loss(embeddings (B, D), labels (B,)) -> scalar``. Its attribute ``lr_scale`` says at which
        multiple of the model's learning rate its own parameters are to be trained (1 for all but proxy-anchor).

    Raises:
        RecipeError: The name or a parameter is wrong.
        MissingExtraError: pytorch-metric-learning is not installed.

    Example:
        >>> loss = build_baseline("supcon", {"temperature": 0.2}, embedding_dim=2, num_classes=2)
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
        >>> round(loss(x, torch.tensor([0, 0, 1, 1])).item(), 4)
        0.0134
    """
    if name not in BASELINES:
        raise RecipeError(f"loss.name: found {name!r}, expected one of {', '.join(BASELINES)}")
    checked = params if isinstance(params, BaselineParams) else check_loss({"name": name, **(params or {})})
    if checked.name != name:
        raise RecipeError(f"loss.name: asked for {name!r} with the parameters of {checked.name!r}")
    assert isinstance(checked, BaselineParams)  # said for the type checker: the name decides the class
    pml = require("pytorch_metric_learning", extra="train", purpose=f"The loss {name!r}").__name__
    modules = {
        part: require(f"{pml}.{part}", extra="train", purpose=f"The loss {name!r}")
        for part in ("losses", "miners", "distances")
    }
    return _build(checked, modules, embedding_dim, num_classes)


def _build(params: BaselineParams, pml: Mapping[str, Any], embedding_dim: int, num_classes: int) -> nn.Module:
    """One line a loss: which classes of pytorch-metric-learning it is made of."""
    losses, miners, distances = pml["losses"], pml["miners"], pml["distances"]
    match params:
        case ContrastiveParams():
            distance = distances.LpDistance(power=params.power)
            return Baseline(losses.ContrastiveLoss(params.pos_margin, params.neg_margin, distance=distance))
        case TripletParams():
            squared = distances.LpDistance(power=2)
            miner = miners.TripletMarginMiner(params.margin, "semihard", distance=squared)
            return Baseline(losses.TripletMarginLoss(params.margin, distance=squared), miner)
        case LiftedStructureParams():
            return Baseline(LiftedStructure(distances.LpDistance(), params.neg_margin, params.pos_margin))
        case NPairsParams():
            raw = distances.DotProductSimilarity(normalize_embeddings=False)
            return Baseline(NPairsOfBatch(losses.NPairsLoss(distance=raw), params.temperature))
        case SupConParams():
            return Baseline(losses.SupConLoss(temperature=params.temperature))
        case MultiSimilarityParams():
            loss = losses.MultiSimilarityLoss(alpha=params.alpha, beta=params.beta, base=params.base)
            return Baseline(loss, miners.MultiSimilarityMiner(params.epsilon))
        case ProxyAnchorParams():
            loss = losses.ProxyAnchorLoss(num_classes, embedding_dim, margin=params.margin, alpha=params.alpha)
            return Baseline(loss, lr_scale=params.lr_scale)


class Baseline(nn.Module):
    """A loss and, where its paper has one, the miner that picks the pairs it sees; always in full precision.

    Args:
        loss: Called as ``loss(embeddings, labels, indices_tuple)``.
        miner: Called as ``miner(embeddings, labels)``, gives the ``indices_tuple``.
        lr_scale: Learning rate of the loss's own parameters as a multiple of the model's.

    Example:
        >>> squared_norm = lambda embeddings, labels, indices_tuple: embeddings.square().sum()
        >>> Baseline(squared_norm)(torch.ones(2, 3), torch.tensor([0, 1]))
        tensor(6.)
    """

    def __init__(self, loss: Any, miner: Any = None, lr_scale: float = 1.0) -> None:
        super().__init__()
        self.loss, self.miner, self.lr_scale = loss, miner, lr_scale

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Scalar loss of ``embeddings`` (B, D) with integer ``labels`` (B,)."""
        if embeddings.dtype in (torch.float16, torch.bfloat16):
            embeddings = embeddings.float()
        with torch.autocast(embeddings.device.type, enabled=False):
            pairs = self.miner(embeddings, labels) if self.miner is not None else None
            return cast(Tensor, self.loss(embeddings, labels, pairs))


class LiftedStructure(nn.Module):
    """The lifted structured loss, with the value and gradient of pytorch-metric-learning's at a fraction of its cost.

    ``J_ij = log(sum_k exp(a - D_ik) + sum_l exp(a - D_jl)) + D_ij``, loss ``mean max(0, J_ij)^2 / 2`` over positive
    pairs (Oh Song et al., CVPR 2016, eq. 4), k and l running over the negatives of i and of j. Both sums belong to one
    example each, so they are made once an example, (B,), where the library makes one row a positive pair:
    0.6 s a step with 12 images of each of 10 classes.

    Args:
        distance: Called as ``distance(embeddings)``, gives the (B, B) distances.
        neg_margin: The paper's alpha.
        pos_margin: Subtracted from the distance of a positive pair.

    Example:
        >>> loss = LiftedStructure(torch.cdist)
        >>> loss(torch.tensor([[0.0], [0.0], [1.0]]), torch.tensor([0, 0, 1]))
        tensor(0.2402)
    """

    def __init__(self, distance: Any, neg_margin: float = 1.0, pos_margin: float = 0.0) -> None:
        super().__init__()
        self.distance, self.neg_margin, self.pos_margin = distance, neg_margin, pos_margin

    def forward(self, embeddings: Tensor, labels: Tensor, indices_tuple: None = None) -> Tensor:
        """Scalar loss over all pairs of the batch; a tuple of mined pairs is not part of this loss."""
        same = labels[:, None] == labels[None, :]  # (B, B)
        positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        if same.all() or not positive.any():
            return embeddings.sum() * 0.0
        dist = self.distance(embeddings, embeddings)  # (B, B)
        near = (self.neg_margin - dist).masked_fill(same, -torch.inf).logsumexp(dim=1)  # (B,)
        pair = torch.logaddexp(near[:, None], near[None, :]) + dist - self.pos_margin  # (B, B)
        return cast(Tensor, pair[positive].relu().square().mean() / 2)


class NPairsOfBatch(nn.Module):
    """N-pair loss over a P x K batch: as many N-pair batches as it holds, two examples a class in each, averaged.

    An N-pair batch has one anchor and one positive of each class. pytorch-metric-learning takes the first pair of
    every class and leaves the rest of the batch unused; here examples 1 and 2 of each class make the first N-pair
    batch, 3 and 4 the second, and so on, so that this loss learns from as many images a step as the others.

    Args:
        loss: An N-pair loss called as ``loss(embeddings, labels)`` that takes inner products as they are.
        temperature: Divides the inner products of the unit vectors.

    Example:
        >>> loss = NPairsOfBatch(lambda embeddings, labels: torch.tensor(float(len(labels))), temperature=0.1)
        >>> loss(torch.ones(10, 3), torch.tensor([0, 1, 0, 1, 0, 1, 0, 1, 0, 1]))
        tensor(4.)
    """

    def __init__(self, loss: Any, temperature: float) -> None:
        super().__init__()
        self.loss, self.temperature = loss, temperature

    def forward(self, embeddings: Tensor, labels: Tensor, indices_tuple: None = None) -> Tensor:
        """Scalar loss; batches left with fewer than two classes are skipped, an odd last example of a class too."""
        unit = nn.functional.normalize(embeddings, dim=1) / self.temperature**0.5  # (B, D)
        turn = pair_turns(labels)  # (B,)
        losses = []
        for number in range(int(turn.max()) + 1):
            chosen = turn == number
            classes = labels[chosen]
            if (classes != classes[0]).any():
                losses.append(self.loss(unit[chosen], classes))
        return torch.stack(losses).mean() if losses else embeddings.sum() * 0.0


def pair_turns(labels: Tensor) -> Tensor:
    """Numbers the pairs of examples within each class: 0 for its first two, 1 for the next two; -1 for one left over.

    Args:
        labels: Integer (B,).

    Returns:
        Integer (B,).

    Example:
        >>> pair_turns(torch.tensor([5, 5, 7, 5, 7, 5, 5]))
        tensor([ 0,  0,  0,  1,  0,  1, -1])
    """
    same = labels[:, None] == labels[None, :]  # (B, B)
    rank = same.tril(-1).sum(dim=1)  # (B,) how many of its class came before
    alone = (rank % 2 == 0) & (rank == same.sum(dim=1) - 1)
    return torch.where(alone, -1, rank // 2)
