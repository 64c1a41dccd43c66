"""Typed parameters of the losses of embeddings.

Each default says where it comes from. "Paper" is the work cited in the class; "PML" is pytorch-metric-learning 2.9.0.
All of them see L2-normalised embeddings, so distances lie in [0, 2] and similarities in [-1, 1].
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from monge.recipes.params import LossParams


class BatchwiseOTParams(LossParams):
    """Parameters of `monge.losses.BatchwiseOTLoss` (Xu, Sun, Liu; CVPR 2019), with the same names and defaults.

    Attributes:
        softmax: Weight of the cross-entropy of a linear classifier on the embeddings that is added; 0: none.

    Example:
        >>> BatchwiseOTParams(margin=1.5).margin
        1.5
    """

    name: Literal["batchwise_ot"] = "batchwise_ot"
    margin: PositiveFloat = 1.0
    gamma: PositiveFloat = 10.0
    epsilon: PositiveFloat = 0.2
    negative: Literal["hinge_sq_dist", "dist_hinge_sq"] = "hinge_sq_dist"
    pos_margin: NonNegativeFloat = 0.0
    power: float = Field(default=1.0, ge=1.0)
    half: bool = True
    plan_gradient: Literal["detach", "kernel", "full"] = "detach"
    include_self: bool = False
    softmax: NonNegativeFloat = 0.0


class BatchwiseOTPresetParams(LossParams):
    """`monge.losses.BatchwiseOTLoss` with all the settings of a released program.

    Attributes:
        preset: Which program.
        quirks: Its settings as they are, errors included, or with their faults mended.
        two_batches: The first half of each batch against the second half, as the released 2D and SHREC programs do,
            instead of the batch against itself.
        softmax: As for `BatchwiseOTParams`; the released 3D program has 0.2 for ModelNet40 and 1 for ModelNet10.
    """

    name: Literal["batchwise_ot_preset"] = "batchwise_ot_preset"
    preset: Literal["mnist", "shrec14", "modelnet10", "modelnet40"]
    quirks: Literal["corrected", "released"] = "corrected"
    two_batches: bool = False
    softmax: NonNegativeFloat = 0.0


class ContrastiveParams(LossParams):
    """All-pairs contrastive loss (Hadsell, Chopra, LeCun; CVPR 2006) as PML has it: hinges on the distance itself.

    Attributes:
        pos_margin: Distance below which a positive pair costs nothing. PML's default, and the paper's form: 0.
        neg_margin: Distance beyond which a negative pair costs nothing. PML's default 1; the paper leaves it free.
        power: 1 for hinges on the distance, as PML; 2 for hinges on its square, the pair costs of the batch-wise OT
            loss without its plan.
    """

    name: Literal["contrastive"] = "contrastive"
    pos_margin: NonNegativeFloat = 0.0
    neg_margin: PositiveFloat = 1.0
    power: Literal[1, 2] = 1


class TripletParams(LossParams):
    """Triplet loss with semi-hard negatives (Schroff, Kalenichenko, Philbin; CVPR 2015, "FaceNet").

    Attributes:
        margin: Between squared distances of unit vectors, in the loss and in the miner. The paper's 0.2
            (PML's own defaults, 0.05 and 0.2, are for plain distances).
    """

    name: Literal["triplet"] = "triplet"
    margin: PositiveFloat = 0.2


class LiftedStructureParams(LossParams):
    """Lifted structured embedding (Oh Song, Xiang, Jegelka, Savarese; CVPR 2016).

    Attributes:
        neg_margin: The paper's alpha, 1.0; also PML's default.
        pos_margin: Subtracted from the positive distance; 0 in the paper and in PML.
    """

    name: Literal["lifted_structure"] = "lifted_structure"
    neg_margin: PositiveFloat = 1.0
    pos_margin: NonNegativeFloat = 0.0


class NPairsParams(LossParams):
    """Multi-class N-pair loss (Sohn; NeurIPS 2016).

    Attributes:
        temperature: Divides the similarities. The paper uses unbounded inner products and penalises their norm instead,
            because a softmax over values in [-1, 1] cannot get near 0; on unit vectors a temperature does that job.
            0.1 is the value `SupConParams` has from its paper, so that the two differ in their pairs only.
    """

    name: Literal["n_pairs"] = "n_pairs"
    temperature: PositiveFloat = 0.1


class SupConParams(LossParams):
    """Supervised contrastive loss, the form with the sum outside the logarithm (Khosla et al.; NeurIPS 2020).

    Attributes:
        temperature: The paper's best, 0.1; also PML's default.
    """

    name: Literal["supcon"] = "supcon"
    temperature: PositiveFloat = 0.1


class MultiSimilarityParams(LossParams):
    """Multi-similarity loss with its pair mining (Wang, Han, Huang, Dong, Scott; CVPR 2019).

    Attributes:
        alpha: Exponential weight of positives; the paper's 2.
        beta: Exponential weight of negatives; the paper's 50.
        base: Similarity around which both turn; 0.5 in the authors' code and in PML (1 in the paper's text).
        epsilon: Slack of the mining; the paper's 0.1.
    """

    name: Literal["multi_similarity"] = "multi_similarity"
    alpha: PositiveFloat = 2.0
    beta: PositiveFloat = 50.0
    base: float = 0.5
    epsilon: NonNegativeFloat = 0.1


class ProxyAnchorParams(LossParams):
    """Proxy-anchor loss (Kim, Kim, Cho, Kwak; CVPR 2020); its proxies, one a class, are trained with the model.

    Attributes:
        margin: The paper's delta, 0.1; also PML's default.
        alpha: Scale of the exponents; the paper's 32, also PML's default.
        lr_scale: Learning rate of the proxies as a multiple of the model's; 100 in the paper's experiments.
    """

    name: Literal["proxy_anchor"] = "proxy_anchor"
    margin: NonNegativeFloat = 0.1
    alpha: PositiveFloat = 32.0
    lr_scale: PositiveFloat = 100.0


BaselineParams = (
    ContrastiveParams
    | TripletParams
    | LiftedStructureParams
    | NPairsParams
    | SupConParams
    | MultiSimilarityParams
    | ProxyAnchorParams
)
"""Parameters of the losses that come from pytorch-metric-learning."""

MetricLoss = BatchwiseOTParams | BatchwiseOTPresetParams | BaselineParams
"""Parameters of every loss of embeddings."""
