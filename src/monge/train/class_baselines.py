"""What losses over a ground distance are measured against: cross-entropy, soft labels, CORAL, CORN, dlordinal.

All are called as ``loss(outputs, targets, features=None)`` and leave the features aside. Where their outputs are no
logits of classes they bring the last layer, ``head(features, classes)``, and the way back, ``probabilities(outputs)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from monge.extras import require
from monge.recipes.class_losses import (
    CORALParams,
    CORNParams,
    CrossEntropyParams,
    DlordinalParams,
    LabelSmoothingParams,
    SORDParams,
)

ClassBaselineParams = (
    CrossEntropyParams | LabelSmoothingParams | SORDParams | CORALParams | CORNParams | DlordinalParams
)
"""Parameters of the losses that are built here."""


def build_class_baseline(params: ClassBaselineParams, num_classes: int) -> nn.Module:
    """Builds a baseline.

    Args:
        params: Its typed parameters.
        num_classes: C.

    Returns:
        A module called as ``loss(outputs (N, C), targets, features=None) -> scalar``, targets being int64 (N,) or, but
        for CORN and dlordinal, distributions (N, C).

    Raises:
        MissingExtraError: coral-pytorch or dlordinal is not installed.

    Example:
        >>> loss = build_class_baseline(CrossEntropyParams(), 4)
        >>> loss(torch.zeros(2, 4), torch.tensor([0, 3]))
        tensor(1.3863)
    """
    match params:
        case CrossEntropyParams() | LabelSmoothingParams():
            return Plain(nn.CrossEntropyLoss(label_smoothing=params.label_smoothing))
        case SORDParams():
            return SORDLoss(num_classes, params.distance == "squared", params.scale)
        case CORALParams():
            return CORALLoss(num_classes)
        case CORNParams():
            return CORNLoss(num_classes)
        case DlordinalParams():
            return Plain(_dlordinal(params.which, num_classes))


class Plain(nn.Module):
    """A loss of logits and targets that knows nothing of features.

    Args:
        loss: Called as ``loss(logits, targets)``.

    Example:
        >>> Plain(nn.CrossEntropyLoss())(torch.zeros(1, 2), torch.tensor([0]), features=torch.ones(1, 3))
        tensor(0.6931)
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, outputs: Tensor, targets: Tensor, features: Tensor | None = None) -> Tensor:
        """Scalar loss."""
        return cast(Tensor, self.loss(outputs, targets))


class SORDLoss(nn.Module):
    """Cross-entropy with soft ordinal labels, ``y_i = exp(-phi(k, i)) / sum_j exp(-phi(k, j))`` for the true level k.

    Source: R. Diaz, A. Marathe, "Soft labels for ordinal regression", CVPR 2019, eq. 1. A target that is a
    distribution over the levels gets the mixture of their soft labels.

    Args:
        num_classes: C.
        squared: phi is the squared difference of the levels' numbers; else the absolute one.
        scale: Multiplies phi.

    Example:
        >>> SORDLoss(3).soft_labels[1]
        tensor([0.2119, 0.5761, 0.2119])
    """

    soft_labels: Tensor

    def __init__(self, num_classes: int, squared: bool = True, scale: float = 1.0) -> None:
        super().__init__()
        levels = torch.arange(num_classes, dtype=torch.float32)
        phi = (levels[:, None] - levels[None, :]).abs() ** (2 if squared else 1)  # (C, C)
        self.register_buffer("soft_labels", (-scale * phi).softmax(1), persistent=False)

    def forward(self, outputs: Tensor, targets: Tensor, features: Tensor | None = None) -> Tensor:
        """Scalar loss of logits (N, C)."""
        soft = targets.to(outputs) @ self.soft_labels if targets.is_floating_point() else self.soft_labels[targets]
        return nn.functional.cross_entropy(outputs, soft)


class CORALLoss(nn.Module):
    """Binary tasks "above level k" that share one score and differ in their bias, by coral-pytorch.

    Source: W. Cao, V. Mirjalili, S. Raschka, "Rank consistent ordinal regression for neural networks with application
    to age estimation", Pattern Recognition Letters 140, 2020. The level their program predicts, the number of tasks
    above 1/2, is the median of `probabilities`; ``evaluate.decode`` says what is read off here.

    Args:
        num_classes: C.

    Raises:
        MissingExtraError: coral-pytorch is not installed.

    Example:
        >>> CORALLoss(3).probabilities(torch.tensor([[0.0, -100.0]]))
        tensor([[0.5000, 0.5000, 0.0000]])
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self._loss = require("coral_pytorch.losses", extra="ordinal", purpose="The loss 'coral'").coral_loss
        self._layer = require("coral_pytorch.layers", extra="ordinal", purpose="The loss 'coral'").CoralLayer

    def head(self, features: int, classes: int) -> nn.Module:
        """The layer with shared weights, giving C - 1 outputs."""
        return cast(nn.Module, self._layer(features, classes))

    def forward(self, outputs: Tensor, targets: Tensor, features: Tensor | None = None) -> Tensor:
        """Scalar loss of outputs (N, C - 1)."""
        if targets.is_floating_point():
            above = 1 - targets.to(outputs).cumsum(1)[:, :-1]  # (N, C - 1)
        else:
            above = (targets[:, None] > torch.arange(self.num_classes - 1, device=targets.device)).to(outputs)
        return cast(Tensor, self._loss(outputs, above))

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Probabilities of the levels (N, C) from those of the tasks; tasks out of order count as the one before."""
        return from_exceedances(outputs.sigmoid().cummin(1).values)


class CORNLoss(nn.Module):
    """Binary tasks "above level k, given above level k - 1", each on the examples it is about, by coral-pytorch.

    Source: X. Shi, W. Cao, S. Raschka, "Deep neural networks for rank-consistent ordinal regression based on
    conditional probabilities", 2021.

    Args:
        num_classes: C.

    Raises:
        MissingExtraError: coral-pytorch is not installed.

    Example:
        >>> CORNLoss(3).probabilities(torch.zeros(1, 2))
        tensor([[0.5000, 0.2500, 0.2500]])
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self._loss = require("coral_pytorch.losses", extra="ordinal", purpose="The loss 'corn'").corn_loss

    def head(self, features: int, classes: int) -> nn.Module:
        """A linear layer with C - 1 outputs."""
        return nn.Linear(features, classes - 1)

    def forward(self, outputs: Tensor, targets: Tensor, features: Tensor | None = None) -> Tensor:
        """Scalar loss of outputs (N, C - 1) for labels (N,)."""
        return cast(Tensor, self._loss(outputs, targets, self.num_classes))

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Probabilities of the levels (N, C) by the chain rule."""
        return from_exceedances(outputs.sigmoid().cumprod(1))


def from_exceedances(above: Tensor) -> Tensor:
    """Probabilities of levels from those of lying above each but the last.

    Args:
        above: P(y > k), (N, C - 1), not rising along a row.

    Returns:
        (N, C), rows that sum to 1.

    Example:
        >>> from_exceedances(torch.tensor([[0.75, 0.25]]))
        tensor([[0.2500, 0.5000, 0.2500]])
    """
    one, zero = torch.ones_like(above[:, :1]), torch.zeros_like(above[:, :1])
    return torch.cat([one, above], dim=1) - torch.cat([above, zero], dim=1)


def _dlordinal(which: str, num_classes: int) -> nn.Module:
    """A loss of dlordinal, with the package's defaults and taking logits."""
    losses: Any = require("dlordinal.losses", extra="ordinal", purpose="The loss 'dlordinal'")
    entropy = nn.CrossEntropyLoss()
    makers: dict[str, Callable[[], nn.Module]] = {
        "beta": lambda: losses.BetaLoss(entropy, num_classes),
        "binomial": lambda: losses.BinomialLoss(entropy, num_classes),
        "cdw_ce": lambda: losses.CDWCELoss(num_classes),
        "emd": lambda: losses.EMDLoss(num_classes),
        "exponential": lambda: losses.ExponentialLoss(entropy, num_classes),
        "mce_wk": lambda: losses.MCEAndWKLoss(num_classes, use_logits=True),
        "poisson": lambda: losses.PoissonLoss(entropy, num_classes),
        "slace": lambda: losses.SLACELoss(1.0, num_classes),
        "triangular": lambda: losses.TriangularLoss(entropy, num_classes),
        "weighted_kappa": lambda: losses.WKLoss(num_classes, use_logits=True),
    }
    return makers[which]()
