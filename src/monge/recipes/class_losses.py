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
    epsilon: PositiveFloat = 0.1
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

    name: str
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


class WassersteinParams(LossParams):
    """Parameters of `monge.losses.WassersteinLoss` (Frogner et al.; NeurIPS 2015), with the same names and defaults.

    Attributes:
        ground: Distance between classes; unset: the line, for classes with an order.
        power: Exponent of the distance.
        epsilon: Entropic regularisation in units of the cost, the paper's 1/lambda.
        rho: Price of marginals that are off, in units of the cost; unset: they are met.
        label_smoothing: As for cross-entropy.
    """

    name: Literal["wasserstein"] = "wasserstein"
    ground: GroundConfig | None = None
    power: PositiveFloat = 1.0
    epsilon: PositiveFloat = 0.1
    rho: PositiveFloat | None = None
    label_smoothing: Smoothing = 0.0


class RelaxedEMDParams(LossParams):
    """Parameters of `monge.losses.RelaxedEMDLoss` (Martinez et al.; 2016), with the same names and defaults.

    Attributes:
        ground: A line or a tree; unset: the line, for classes with an order.
        rho: Exponent of the mass that crosses a link; 2 is the paper's, 1 the transport cost itself.
        label_smoothing: As for cross-entropy.
    """

    name: Literal["relaxed_emd"] = "relaxed_emd"
    ground: GroundConfig | None = None
    rho: Annotated[float, Field(ge=1)] = 2.0
    label_smoothing: Smoothing = 0.0


class ConservativeParams(LossParams):
    """Parameters of `monge.losses.ConservativeWassersteinLoss` (Liu et al.; ICCV 2019), with its names and defaults.

    Attributes:
        ground: Distance between classes; unset: the line, for classes with an order.
        price: How what mass pays grows with the distance.
        exponent: Of the power.
        threshold: Of the Huber price.
        unimodal: Share of a label that is spread around its class.
        spread: How far, in units of the distance.
        solver: For soft targets without a closed form.
        epsilon: Entropic regularisation of that solver, in units of the mean price.
        label_smoothing: Share of a target that is spread over all classes.
    """

    name: Literal["conservative"] = "conservative"
    ground: GroundConfig | None = None
    price: Literal["linear", "power", "huber"] = "power"
    exponent: PositiveFloat = 2.0
    threshold: PositiveFloat = 1.0
    unimodal: Annotated[float, Field(ge=0, le=1)] = 0.0
    spread: PositiveFloat = 1.0
    solver: Literal["entropic", "exact"] = "entropic"
    epsilon: PositiveFloat = 0.05
    label_smoothing: Smoothing = 0.0


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


TransportParams = (
    SquaredEMDParams | XEMD1Params | XEMD2Params | WassersteinParams | RelaxedEMDParams | ConservativeParams
)
"""Parameters of monge's own losses of classes, each over a ground distance."""

ClassLoss = (
    CrossEntropyParams
    | LabelSmoothingParams
    | TransportParams
    | SORDParams
    | CORALParams
    | CORNParams
    | DlordinalParams
)
"""Parameters of every loss of classes."""
