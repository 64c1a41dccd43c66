"""Typed parameters of the losses of faces: margin softmax over identities, and what is added to it.

Each default says where it comes from.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, NonNegativeFloat, PositiveFloat, PositiveInt

from monge.recipes.params import LossParams, named


class MarginParams(LossParams):
    """What the margin softmax losses share.

    Attributes:
        scale: Factor of the logits.
        gradient: ``exact``, or ``straight_through``: the margin is a constant of the backward pass, as in programs
            that apply it without gradient.
        lr_scale: Learning rate of the class vectors as a multiple of the model's.
    """

    scale: PositiveFloat = 64.0
    gradient: Literal["exact", "straight_through"] = "exact"
    lr_scale: PositiveFloat = 1.0


class ArcFaceParams(MarginParams):
    """``cos(theta + m)`` (Deng et al.; CVPR 2019), with the paper's scale and margin.

    Attributes:
        m: Angle; the program of OTFace has 0.45.
        fallback: ``cos theta - m sin m`` past ``pi - m``, as in that program.
    """

    name: Literal["arcface"] = "arcface"
    m: PositiveFloat = 0.5
    fallback: bool = False


class AMSoftmaxParams(MarginParams):
    """``cos theta - m`` (Wang et al.; 2018), with the scale and margin of AM-Softmax; CosFace has a scale of 64."""

    name: Literal["am_softmax"] = "am_softmax"
    scale: PositiveFloat = 30.0
    m: PositiveFloat = 0.35


class SphereFaceParams(MarginParams):
    """``cos(m1 theta + m2) - m3``, falling all the way (Liu et al.; CVPR 2017, with the classes' lengths taken off).

    Attributes:
        m1: Factor of the angle; the revised SphereFace-R has 1.7 at best.
        m2: Additive angle.
        m3: Additive margin.
    """

    name: Literal["sphereface"] = "sphereface"
    scale: PositiveFloat = 30.0
    m1: float = Field(default=1.7, ge=1.0)
    m2: NonNegativeFloat = 0.0
    m3: NonNegativeFloat = 0.0


class CurricularFaceParams(MarginParams):
    """Wrong classes that are hard weigh more as training goes on (Huang et al.; CVPR 2020), with the paper's settings.

    Attributes:
        m: Angle.
        momentum: Share of a batch in the moving mean cosine.
    """

    name: Literal["curricularface"] = "curricularface"
    m: PositiveFloat = 0.5
    momentum: float = Field(default=0.01, gt=0, le=1)


class MVSoftmaxParams(MarginParams):
    """Wrong classes above the right one's margin weigh more (Wang et al.; AAAI 2020), with the published program's
    settings.

    Attributes:
        base: ``cosface`` (MV-AM) or ``arcface`` (MV-Arc).
        m: Of the base; unset: 0.35 and 0.5.
        t: How much more.
        adaptive: ``c + t (c + 1)`` instead of ``c + t``.
        momentum: Above 0, ``t`` follows the mean cosine with the right class.
    """

    name: Literal["mv_softmax"] = "mv_softmax"
    scale: PositiveFloat = 32.0
    base: Literal["cosface", "arcface"] = "cosface"
    m: PositiveFloat | None = None
    t: NonNegativeFloat = 0.2
    adaptive: bool = True
    momentum: float = Field(default=0.0, ge=0, le=1)


class AdaFaceParams(MarginParams):
    """Margins that follow the quality of a picture (Kim et al.; CVPR 2022), with the paper's settings.

    Attributes:
        m: Size of both margins.
        h: Lengths ``1 / h`` standard deviations off the mean count as best or worst.
        momentum: Share of a batch in the moving mean and deviation.
    """

    name: Literal["adaface"] = "adaface"
    m: PositiveFloat = 0.4
    h: PositiveFloat = 0.333
    momentum: float = Field(default=0.01, gt=0, le=1)


MarginLoss = ArcFaceParams | AMSoftmaxParams | SphereFaceParams | CurricularFaceParams | MVSoftmaxParams | AdaFaceParams
"""Parameters of every margin softmax."""

_Softmax = Annotated[Annotated[MarginLoss, Field(discriminator="name")], BeforeValidator(named)]


class OTFaceParams(LossParams):
    """`monge.losses.OTFaceLoss` (Qian et al.; 2022): a margin softmax plus transport between maps of hard samples.

    Attributes:
        softmax: The margin softmax, by name or as a section.
        weight: Of the transport term; 10 as released.
        alpha: How much less similar a negative may be than the positive and still be hard; 0 as released.
        max_groups: Most groups a step.
        negatives: ``each`` as released, or the ``mean`` map of a pair's hard negatives, as in an earlier state.
        center: Nothing (released), the mean of the ``channels`` (earlier state), or the mean token (``positions``).
        marginals: ``uniform``, or ``saliency``.
        epsilon: Entropic regularisation; 1 as released, 0.1 in an earlier state.
        tol: Marginal error of the plans.
        gradient: ``envelope`` of the entropic value, or ``implicit`` of the linear cost.
        margin: By how much the negative map must be farther; released: none.
        average: Over all ``groups``, or over the ``active`` ones as released.

    Example:
        >>> OTFaceParams(softmax="am-softmax").softmax.scale
        30.0
    """

    name: Literal["otface"] = "otface"
    softmax: _Softmax = ArcFaceParams()
    weight: NonNegativeFloat = 10.0
    alpha: float = 0.0
    max_groups: PositiveInt = 512
    negatives: Literal["each", "mean"] = "each"
    center: Literal["channels", "positions"] | None = None
    marginals: Literal["uniform", "saliency"] = "uniform"
    epsilon: PositiveFloat = 0.1
    tol: PositiveFloat = 1e-3
    gradient: Literal["envelope", "implicit"] = "envelope"
    margin: NonNegativeFloat = 0.1
    average: Literal["groups", "active"] = "groups"


class OTFacePresetParams(LossParams):
    """`monge.losses.OTFaceLoss` with all the settings of a published state of its program.

    Attributes:
        preset: Which state.
        quirks: As it is, errors included, or with its faults mended.
        softmax: ``arcface`` (m 0.45 with its fallback) or ``am_softmax``.
    """

    name: Literal["otface_preset"] = "otface_preset"
    preset: Literal["released", "groups-2020"] = "released"
    quirks: Literal["corrected", "released"] = "corrected"
    softmax: Literal["arcface", "am_softmax"] = "arcface"


class TripletArcFaceParams(LossParams):
    """A margin softmax plus the triplet loss with semi-hard negatives (Schroff et al.; CVPR 2015).

    Attributes:
        softmax: The margin softmax, by name or as a section.
        weight: Of the triplet loss.
        margin: Between squared distances of unit vectors; the paper's 0.2.
    """

    name: Literal["triplet_arcface"] = "triplet_arcface"
    softmax: _Softmax = ArcFaceParams()
    weight: NonNegativeFloat = 1.0
    margin: PositiveFloat = 0.2


FaceLoss = (
    ArcFaceParams
    | AMSoftmaxParams
    | SphereFaceParams
    | CurricularFaceParams
    | MVSoftmaxParams
    | AdaFaceParams
    | OTFaceParams
    | OTFacePresetParams
    | TripletArcFaceParams
)
"""Parameters of every loss of faces."""
