"""InfoNCE between two modalities, in both directions, with one positive a sample or several.

Sources: A. van den Oord, Y. Li, O. Vinyals, "Representation learning with contrastive predictive coding", 2018; in both
directions and with a trained temperature: A. Radford et al., "Learning transferable visual models from natural language
supervision" (CLIP), ICML 2021; several positives: P. Khosla et al., "Supervised contrastive learning", NeurIPS 2020.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from monge.losses.cosines import scaled_cosines
from monge.losses.coupling_targets import positive_pairs


def infonce_loss(logits: Tensor, positive: Tensor, ignore: Tensor | None = None) -> Tensor:
    """Mean over rows of ``-mean log softmax`` at their positives; rows without a positive do not count.

    Args:
        logits: Similarities over temperature, ``(N, M)``.
        positive: Pairs that belong together, bool ``(N, M)``, none of them ignored.
        ignore: Pairs that do not count, bool ``(N, M)``.

    Returns:
        Scalar, 0 where no row has a positive.

    Example:
        >>> infonce_loss(torch.tensor([[0.0, -2.0], [-2.0, 0.0]]), torch.eye(2, dtype=torch.bool))
        tensor(0.1269)
    """
    wanted = positive.to(logits.dtype)  # (N, M)
    counts = wanted.sum(1)  # (N,)
    there = counts > 0
    seen = logits if ignore is None else logits.masked_fill(ignore & there.unsqueeze(1), -torch.inf)
    log_sums = seen.logsumexp(1)  # (N,)
    found = (wanted * logits).sum(1) / counts.clamp_min(1.0)  # (N,)
    return torch.where(there, log_sums - found, 0.0).sum() / there.sum().clamp_min(1)


class InfoNCELoss(nn.Module):
    """InfoNCE on cosines; the i-th x and y, or samples with equal labels, are positives of each other.

    Args:
        temperature: Divides the cosines; positive. CLIP starts at 0.07.
        learn_temperature: Make it a parameter, ``log_temperature``, that starts at the value given.
        symmetric: Mean of both directions; else queries choose among gallery items only.

    Raises:
        ValueError: A temperature that is not positive.

    Example:
        >>> loss = InfoNCELoss(temperature=0.5)
        >>> loss(torch.eye(2), torch.eye(2))  # log(1 + exp(-2))
        tensor(0.1269)
    """

    def __init__(self, *, temperature: float = 0.07, learn_temperature: bool = False, symmetric: bool = True) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError(f"temperature: found {temperature}, expected more than 0")
        self.temperature, self.symmetric = temperature, symmetric
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature))) if learn_temperature else None

    def forward(
        self,
        x_emb: Tensor,
        y_emb: Tensor,
        x_labels: Tensor | None = None,
        y_labels: Tensor | None = None,
        *,
        ignore: Tensor | None = None,
    ) -> Tensor:
        """Returns the loss, a scalar of dtype float32 or float64.

        Args:
            x_emb: Embeddings of the queries, ``(N, D)``.
            y_emb: Embeddings of the gallery items, ``(M, D)``.
            x_labels: Classes or pair identities, integers ``(N,)``; ``None`` on both sides: i-th x, i-th y.
            y_labels: ``(M,)``.
            ignore: Pairs that do not count, bool ``(N, M)``.

        Raises:
            ValueError: Shapes that do not fit, no samples, or labels of one side only.
        """
        positive = positive_pairs(len(x_emb), len(y_emb), x_labels, y_labels, ignore, device=x_emb.device)
        scale = 1.0 / self.temperature if self.log_temperature is None else torch.exp(-self.log_temperature)
        logits = scaled_cosines(x_emb, y_emb, scale)  # (N, M)
        ignore = None if ignore is None else ignore.to(logits.device, torch.bool)
        value = infonce_loss(logits, positive, ignore)
        if not self.symmetric:
            return value
        return 0.5 * (value + infonce_loss(logits.mT, positive.mT, None if ignore is None else ignore.mT))

    def extra_repr(self) -> str:
        """Settings as they were given."""
        return f"temperature={self.temperature}, symmetric={self.symmetric}"
