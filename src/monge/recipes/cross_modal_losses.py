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

    @model_validator(mode="after")
    def _learns(self) -> CrossModalOTParams:
        if not any(self.weights):
            raise ValueError("weights: found all 0, expected something to learn from")
        return self


class CrossModalOTPresetParams(LossParams):
    """`monge.losses.CrossModalBatchwiseOTLoss` with all the settings of a released program.

    Attributes:
        preset: Which program; ``shrec14`` is the one for drawings and shapes.
        quirks: Its settings as they are, errors included, or with their faults mended.
    """

    name: Literal["cross_modal_ot_preset"] = "cross_modal_ot_preset"
    preset: Literal["mnist", "shrec14"] = "shrec14"
    quirks: Literal["corrected", "released"] = "corrected"


CrossModalLoss = CrossModalOTParams | CrossModalOTPresetParams
"""Parameters of every loss between two modalities."""
