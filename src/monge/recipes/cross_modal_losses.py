"""Typed parameters of the losses between two modalities: embeddings and labels of both, or pairs that belong together.

Each default says where it comes from. Labels are classes, or the identity of a pair.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from monge.recipes.params import LossParams


class CrossModalOTParams(LossParams):
    """Parameters of `monge.losses.CrossModalBatchwiseOTLoss`, with the same names and defaults.

    Attributes:
        weights: Of the four sums: queries with queries, gallery with gallery, and the two between them. The released
            program has 1 for each.
        halves: Two halves of each modality, as the released program draws two batches of each; for classes.
        metric: d^2 or 1 - cos as the distance that margins are on.
        temperature: Divides that distance.
        learn_temperature: Train it with the model.
        softmax: Weight of the cross-entropies of both modalities, under one linear classifier, that are added; 0: none.

    Example:
        >>> CrossModalOTParams(metric="cosine", margin=0.5).weights
        (1.0, 1.0, 1.0, 1.0)
    """

    name: Literal["cross_modal_ot"] = "cross_modal_ot"
    weights: tuple[NonNegativeFloat, NonNegativeFloat, NonNegativeFloat, NonNegativeFloat] = (1.0, 1.0, 1.0, 1.0)
    halves: bool = False
    metric: Literal["sqeuclidean", "cosine"] = "sqeuclidean"
    temperature: PositiveFloat = 1.0
    learn_temperature: bool = False
    margin: PositiveFloat = 1.0
    gamma: PositiveFloat = 10.0
    epsilon: PositiveFloat = 0.2
    negative: Literal["hinge_sq_dist", "dist_hinge_sq"] = "hinge_sq_dist"
    pos_margin: NonNegativeFloat = 0.0
    power: float = Field(default=1.0, ge=1.0)
    half: bool = True
    plan_gradient: Literal["detach", "kernel", "full"] = "detach"
    softmax: NonNegativeFloat = 0.0

    @model_validator(mode="after")
    def _learns(self) -> CrossModalOTParams:
        if not any(self.weights) and not self.softmax:
            raise ValueError("weights: found all 0, expected something to learn from")
        return self


class CrossModalOTPresetParams(LossParams):
    """`monge.losses.CrossModalBatchwiseOTLoss` with all the settings of a released program.

    Attributes:
        preset: Which program; ``shrec14`` is the one for drawings and shapes.
        quirks: Its settings as they are, errors included, or with their faults mended.
        softmax: As for `CrossModalOTParams`. Neither of these programs has such a term; those for single shapes have
            0.2 (ModelNet40) and 1 (ModelNet10).
    """

    name: Literal["cross_modal_ot_preset"] = "cross_modal_ot_preset"
    preset: Literal["mnist", "shrec14"] = "shrec14"
    quirks: Literal["corrected", "released"] = "corrected"
    softmax: NonNegativeFloat = 0.0


class InverseOTParams(LossParams):
    """Parameters of `monge.losses.InverseOTLoss`, with the same names and defaults.

    Attributes:
        constraint: ``row`` is InfoNCE (Shi et al.; ICML 2023), ``balanced`` also holds gallery items to their mass,
            ``unbalanced`` puts a price on both, ``partial`` moves a share of the mass.
        epsilon: The temperature; CLIP starts at 0.07.
        learn_epsilon: Train it with the model.
        rho: Price of a marginal that is off, in units of epsilon.
        mass: Share of the mass that is moved.
        rince_weight: Of the robust contrast of the plan. GCA-RINCE has 1 with ``kl_weight`` 0, GCA-UOT 1 with 0.2
            (Chen et al.; NeurIPS 2024).
        rince_q: 0.6 in the released program of GCA.
        rince_lam: 0.01 in the released program of GCA.
    """

    name: Literal["inverse_ot"] = "inverse_ot"
    constraint: Literal["row", "balanced", "unbalanced", "partial"] = "balanced"
    epsilon: PositiveFloat = 0.07
    learn_epsilon: bool = False
    metric: Literal["cosine", "sqeuclidean"] = "cosine"
    symmetric: bool = True
    rho: PositiveFloat = 10.0
    mass: float = Field(default=0.9, gt=0, le=1)
    rince_weight: NonNegativeFloat = 0.0
    kl_weight: NonNegativeFloat = 1.0
    rince_q: float = Field(default=0.6, gt=0, le=1)
    rince_lam: PositiveFloat = 0.01

    @model_validator(mode="after")
    def _goes_together(self) -> InverseOTParams:
        if self.rince_weight + self.kl_weight == 0:
            raise ValueError("rince_weight and kl_weight: found both 0, expected something to learn from")
        if self.rince_weight and self.constraint == "partial":
            raise ValueError("rince_weight: found it beside constraint partial, expected row, balanced or unbalanced")
        return self


class InfoNCEParams(LossParams):
    """InfoNCE between the modalities (van den Oord et al.; 2018), supervised where samples share a label.

    Attributes:
        temperature: CLIP starts at 0.07 (Radford et al.; ICML 2021).
        learn_temperature: Train it with the model, as CLIP does.
        symmetric: Both directions, as CLIP; else queries choose among gallery items only.
    """

    name: Literal["infonce"] = "infonce"
    temperature: PositiveFloat = 0.07
    learn_temperature: bool = False
    symmetric: bool = True


class MaxMarginParams(LossParams):
    """Ranking by hinges in both directions (Socher et al.; TACL 2014).

    Attributes:
        margin: Between cosines; the collaborative-experts program has 0.2.
        negatives: All of them, or the hardest of each positive (Faghri et al.; BMVC 2018).
    """

    name: Literal["max_margin"] = "max_margin"
    margin: PositiveFloat = 0.2
    negatives: Literal["all", "hardest"] = "all"


class CrossModalSupConParams(LossParams):
    """Supervised contrastive loss over the samples of both modalities laid together (Khosla et al.; NeurIPS 2020).

    Attributes:
        temperature: The paper's best, 0.1.
    """

    name: Literal["cross_modal_supcon"] = "cross_modal_supcon"
    temperature: PositiveFloat = 0.1


class CrossModalContrastiveParams(LossParams):
    """Contrastive loss over the samples of both modalities laid together; see `ContrastiveParams` for its settings."""

    name: Literal["cross_modal_contrastive"] = "cross_modal_contrastive"
    pos_margin: NonNegativeFloat = 0.0
    neg_margin: PositiveFloat = 1.0
    power: Literal[1, 2] = 1


class CrossModalTripletParams(LossParams):
    """Triplet loss with semi-hard negatives over both modalities laid together (Schroff et al.; CVPR 2015).

    Attributes:
        margin: Between squared distances of unit vectors; the paper's 0.2.
    """

    name: Literal["cross_modal_triplet"] = "cross_modal_triplet"
    margin: PositiveFloat = 0.2


class CrossModalCrossEntropyParams(LossParams):
    """Cross-entropy of one classifier over both modalities; its class directions are trained with the model.

    Attributes:
        scale: Multiplies the cosines to the class directions (Wang et al.; ACM MM 2017); at 16 the loss can come
            near 0 among some hundred classes.
        lr_scale: Learning rate of the class directions as a multiple of the model's.
    """

    name: Literal["cross_modal_cross_entropy"] = "cross_modal_cross_entropy"
    scale: PositiveFloat = 16.0
    lr_scale: PositiveFloat = 1.0


JointParams = CrossModalSupConParams | CrossModalContrastiveParams | CrossModalTripletParams
"""Parameters of the losses of one modality that see both laid together; from pytorch-metric-learning."""

CrossModalLoss = (
    CrossModalOTParams
    | CrossModalOTPresetParams
    | InverseOTParams
    | InfoNCEParams
    | MaxMarginParams
    | CrossModalSupConParams
    | CrossModalContrastiveParams
    | CrossModalTripletParams
    | CrossModalCrossEntropyParams
)
"""Parameters of every loss between two modalities."""
