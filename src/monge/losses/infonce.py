"""InfoNCE between two modalities, in both directions, with one positive a sample or several.

Sources: A. van den Oord, Y. Li, O. Vinyals, "Representation learning with contrastive predictive coding", 2018; in both
directions and with a trained temperature: A. Radford et al., "Learning transferable visual models from natural language
supervision" (CLIP), ICML 2021; several positives: P. Khosla et al., "Supervised contrastive learning", NeurIPS 2020.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from monge.losses.cosines import full_precision, scaled_cosines
from monge.losses.coupling_targets import Positives, Target


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
    shape = (logits.shape[0], logits.shape[1])
    return _of_side(logits, Positives(positive.to(logits.dtype), shape).target(of_x=1.0), ignore, 1)


def _of_side(logits: Tensor, target: Target, ignore: Tensor | None, side: int) -> Tensor:
    """Of rows (side 1) or columns (side 0); the target weighs positives."""
    if ignore is not None:
        mass = target.rows if side == 1 else target.columns
        # Finite, so that it may be multiplied by the target's 0.
        logits = logits.masked_fill(ignore & (mass > 0).unsqueeze(side), 0.1 * torch.finfo(logits.dtype).min)
    return -target.inner(logits.log_softmax(side))


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
            ValueError: Shapes or dtypes that do not fit, no samples, or labels of one side only.
        """
        scale = 1.0 / self.temperature if self.log_temperature is None else torch.exp(-self.log_temperature)
        logits = scaled_cosines(x_emb, y_emb, scale)  # (N, M)
        shape = (len(x_emb), len(y_emb))
        positives = Positives.find(shape, x_labels, y_labels, ignore, dtype=logits.dtype, device=logits.device)
        ignore = None if ignore is None else ignore.to(logits.device, torch.bool)
        with full_precision(logits.device):
            value = _of_side(logits, positives.target(of_x=1.0), ignore, 1)
            if not self.symmetric:
                return value
            return 0.5 * (value + _of_side(logits, positives.target(of_x=0.0), ignore, 0))

    def extra_repr(self) -> str:
        """Settings as they were given."""
        return f"temperature={self.temperature}, symmetric={self.symmetric}"
