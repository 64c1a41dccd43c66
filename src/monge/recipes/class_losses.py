"""Typed parameters of the losses of classes: logits in, labels or distributions over the classes as targets.

Each default says where it comes from.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, NonNegativeInt, PositiveFloat

from monge.recipes.grounds import GroundConfig
from monge.recipes.params import LossParams, canonical

Smoothing = Annotated[float, Field(ge=0, lt=1)]


class CrossEntropyParams(LossParams):
    """`torch.nn.CrossEntropyLoss`, which knows of no relation between classes.

    Attributes:
        label_smoothing: Share of a target that is spread over all classes.
    """

    name: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: Smoothing = 0.0


class LabelSmoothingParams(LossParams):
    """Cross-entropy with smoothed labels (Szegedy et al.; CVPR 2016).

    Attributes:
        label_smoothing: The paper's 0.1.
    """

    name: Literal["label_smoothing"] = "label_smoothing"
    label_smoothing: Smoothing = 0.1


class SquaredEMDParams(LossParams):
    """Parameters of `monge.losses.SquaredEMDLoss` (Hou, Yu, Samaras; 2016), with the same names and defaults.

    Attributes:
        ground: Distance between classes; unset: the line, for classes with an order.
        power: 2 is the paper's loss, 1 the transport cost itself.
        root: Take the root of each example's loss.
        class_average: Divide by the number of classes; the paper's text and its copies differ in this.
        solver: For distributions as targets, power 1 and a ground that is neither line nor tree.
        epsilon: Entropic regularisation of that solver, in units of the mean distance.
        label_smoothing: As for cross-entropy.
    """

    name: Literal["squared_emd"] = "squared_emd"
    ground: GroundConfig | None = None
    power: Literal[1, 2] = 2
    root: bool = False
    class_average: bool = False
    solver: Literal["entropic", "exact"] = "entropic"
    epsilon: PositiveFloat = 0.05
    label_smoothing: Smoothing = 0.0


def _weight(value: object) -> object:
    """A weight in the words of a recipe."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value != "auto" and not (number and 0 < float(str(value)) < math.inf):
        raise ValueError(f"found {value!r}, expected a number above 0, or auto")
    return value


class XEMDParams(LossParams):
    """What both presets of `monge.losses.CrossEntropyEMDLoss` have (Hou, Yu, Samaras; 2016, eq. 16).

    Attributes:
        ground: Distance between classes; unset: for classes with an order, the line with ends at distance 1, for
            which mu is meant.
        omega: Power of the distance.
        mu: Added to the power; below 0 mass on near classes is rewarded.
        weight_emd: Weight of the EMD term beside cross-entropy, or ``"auto"``: the paper's rule, by which cross-entropy
            is 3.5 times the term after the head start.
        head_start: Epochs of cross-entropy alone; unset: 4, the paper's, where the weight or the distance is found in
            training, else none.
        label_smoothing: As for cross-entropy.
    """

    ground: GroundConfig | None = None
    omega: PositiveFloat
    mu: float
    weight_emd: Annotated[float | Literal["auto"], BeforeValidator(_weight)] = "auto"
    head_start: NonNegativeInt | None = None
    label_smoothing: Smoothing = 0.0


class XEMD1Params(XEMDParams):
    """Cross-entropy with the EMD term, the paper's first setting: distances as they are, mu -0.5."""

    name: Literal["xemd1"] = "xemd1"
    omega: PositiveFloat = 1.0
    mu: float = -0.5


class XEMD2Params(XEMDParams):
    """Cross-entropy with the EMD term, the paper's second setting: squared distances, mu -0.25."""

    name: Literal["xemd2"] = "xemd2"
    omega: PositiveFloat = 2.0
    mu: float = -0.25


class SORDParams(LossParams):
    """Soft ordinal labels under cross-entropy (Diaz, Marathe; CVPR 2019).

    Attributes:
        distance: Of the levels' numbers, the paper's phi.
        scale: Multiplies it; large values give back hard labels.
    """

    name: Literal["sord"] = "sord"
    distance: Literal["squared", "absolute"] = "squared"
    scale: PositiveFloat = 1.0


class CORALParams(LossParams):
    """Rank-consistent thresholds over one score (Cao, Mirjalili, Raschka; 2020), by coral-pytorch."""

    name: Literal["coral"] = "coral"


class CORNParams(LossParams):
    """Conditional thresholds (Shi, Cao, Raschka; 2021), by coral-pytorch."""

    name: Literal["corn"] = "corn"


Dlordinal = Literal[
    "beta",
    "binomial",
    "cdw_ce",
    "emd",
    "exponential",
    "mce_wk",
    "poisson",
    "slace",
    "triangular",
    "weighted_kappa",
]


class DlordinalParams(LossParams):
    """A loss of the package dlordinal, with its own defaults.

    Attributes:
        which: The loss: class-distance weighting, soft labels of a distribution (beta, binomial ...), weighted kappa.
    """

    name: Literal["dlordinal"] = "dlordinal"
    which: Annotated[Dlordinal, BeforeValidator(lambda which: canonical(which) if isinstance(which, str) else which)]


ClassLoss = (
    CrossEntropyParams
    | LabelSmoothingParams
    | SquaredEMDParams
    | XEMD1Params
    | XEMD2Params
    | SORDParams
    | CORALParams
    | CORNParams
    | DlordinalParams
)
"""Parameters of every loss of classes."""
