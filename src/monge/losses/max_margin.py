"""Max-margin ranking between two modalities: what belongs together is nearer, by a margin, than what does not.

Sources: all negatives, as in R. Socher et al., "Grounded compositional semantics for finding and describing images with
sentences", TACL 2014, and in the collaborative-experts program of Y. Liu et al., BMVC 2019; the hardest negative: F.
Faghri, D. J. Fleet, J. R. Kiros, S. Fidler, "VSE++", BMVC 2018.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from monge.losses.cosines import scaled_cosines
from monge.losses.coupling_targets import positive_pairs

Negatives = Literal["all", "hardest"]


def max_margin_loss(
    similarity: Tensor,
    positive: Tensor,
    counted: Tensor,
    *,
    margin: float = 0.2,
    negatives: Negatives = "all",
) -> tuple[Tensor, Tensor]:
    """Hinges ``max(0, margin + s_ij - s_ip)`` of every row i, its positives p and its negatives j, added up.

    All triplets count although none is made: with the positives of a row in order, those that a negative comes too near
    to are the first so many, and their sum is a cumulative one.

    Args:
        similarity: ``(N, M)``.
        positive: Pairs that belong together, bool ``(N, M)``.
        counted: Pairs that count at all, bool ``(N, M)``.
        margin: By how much a positive should be ahead.
        negatives: All of them, or of every positive only the one with the largest hinge.

    Returns:
        The sum, and the number of hinges in it; scalars.

    Example:
        >>> similarity = torch.tensor([[0.9, 0.8, 0.1]])
        >>> positive = torch.tensor([[True, False, False]])
        >>> max_margin_loss(similarity, positive, torch.ones(1, 3, dtype=torch.bool))
        (tensor(0.1000), tensor(2))
    """
    negative = counted & ~positive
    if negatives == "hardest":
        hardest = similarity.masked_fill(~negative, -torch.inf).amax(1, keepdim=True)  # (N, 1)
        chosen = positive & negative.any(1, keepdim=True)
        hinge = torch.relu(margin + torch.where(chosen, hardest, 0.0) - similarity)  # (N, M)
        return torch.where(chosen, hinge, 0.0).sum(), chosen.sum()
    counts = positive.sum(1)  # (N,)
    # Compiled graphs need shapes that do not depend on the labels.
    most = positive.shape[1] if torch.compiler.is_compiling() else max(1, int(counts.max()))
    ordered = similarity.masked_fill(~positive, torch.inf).topk(most, largest=False).values  # (N, R), positives first
    sums = torch.where(torch.isinf(ordered), 0.0, ordered).cumsum(1)  # (N, R)
    reach = (margin + similarity).detach()
    near = torch.searchsorted(ordered.detach().contiguous(), reach.contiguous())  # (N, M), how many are too near
    behind = torch.where(near > 0, sums.gather(1, (near - 1).clamp_min(0)), 0.0)
    hinges = near * (margin + similarity) - behind  # (N, M)
    count = (counts * negative.sum(1)).sum()
    return torch.where(negative, hinges, 0.0).sum(), count


class MaxMarginLoss(nn.Module):
    """Ranking by hinges on cosines, mean over the triplets of both directions.

    Args:
        margin: By how much a positive should be ahead; the collaborative-experts program has 0.2.
        negatives: ``"all"``, or ``"hardest"`` of each positive, as in VSE++.

    Raises:
        ValueError: A value outside its range.

    Example:
        >>> MaxMarginLoss()(torch.eye(3), torch.eye(3))
        tensor(0.)
    """

    def __init__(self, *, margin: float = 0.2, negatives: Negatives = "all") -> None:
        super().__init__()
        if not margin > 0:
            raise ValueError(f"margin: found {margin}, expected more than 0")
        if negatives not in get_args(Negatives):
            raise ValueError(f"negatives: found {negatives!r}, expected one of {', '.join(get_args(Negatives))}")
        self.margin, self.negatives = margin, negatives

    def forward(
        self,
        x_emb: Tensor,
        y_emb: Tensor,
        x_labels: Tensor | None = None,
        y_labels: Tensor | None = None,
        *,
        ignore: Tensor | None = None,
    ) -> Tensor:
        """Returns the loss, a scalar of dtype float32 or float64, 0 where there is nothing to rank.

        Args:
            x_emb: Embeddings of the queries, ``(N, D)``.
            y_emb: Embeddings of the gallery items, ``(M, D)``.
            x_labels: Classes or pair identities, integers ``(N,)``; ``None`` on both sides: i-th x, i-th y.
            y_labels: ``(M,)``.
            ignore: Pairs that do not count, bool ``(N, M)``.

        Raises:
            ValueError: Shapes or dtypes that do not fit, no samples, or labels of one side only.
        """
        similarity = scaled_cosines(x_emb, y_emb)  # (N, M)
        positive = positive_pairs(len(x_emb), len(y_emb), x_labels, y_labels, ignore, device=x_emb.device)
        counted = torch.ones_like(positive) if ignore is None else ~ignore.to(positive.device, torch.bool)
        sums, counts = [], []
        for turned in (False, True):
            given = [t.mT if turned else t for t in (similarity, positive, counted)]
            value, count = max_margin_loss(*given, margin=self.margin, negatives=self.negatives)
            sums.append(value)
            counts.append(count)
        return torch.stack(sums).sum() / torch.stack(counts).sum().clamp_min(1)

    def extra_repr(self) -> str:
        """Settings as they were given."""
        return f"margin={self.margin}, negatives={self.negatives!r}"
