"""Losses: each a pure function that reads like its formula, and a thin module around it."""

from __future__ import annotations

from monge.losses.batchwise_ot import (
    BatchwiseOTLoss,
    BatchwiseOTTerms,
    batchwise_ot_loss,
    batchwise_ot_weights,
)
from monge.losses.conservative import ConservativeWassersteinLoss
from monge.losses.cross_modal import CrossModalBatchwiseOTLoss
from monge.losses.feature_map_ot import FeatureMapOTLoss, feature_map_ot_loss
from monge.losses.gathered import Gathered
from monge.losses.infonce import InfoNCELoss, infonce_loss
from monge.losses.inverse_ot import InverseOTLoss, inverse_ot_loss
from monge.losses.joint_modalities import JointModalities, SharedClassifierLoss
from monge.losses.margin_heads import AdaFace, ArcFace, CombinedMargin, CosFace, CurricularFace, Margin, MVSoftmax
from monge.losses.margin_softmax import MarginSoftmax, margin_cross_entropy
from monge.losses.max_margin import MaxMarginLoss, max_margin_loss
from monge.losses.memory import CrossBatchMemory
from monge.losses.otface import OTFaceLoss
from monge.losses.plan_diagnostics import PlanDiagnostics, diagnose_plan
from monge.losses.relaxed_emd import RelaxedEMDLoss
from monge.losses.released import ReleasedSweeps
from monge.losses.squared_emd import SquaredEMDLoss, squared_emd_loss
from monge.losses.wasserstein import WassersteinLoss
from monge.losses.xemd import CrossEntropyEMDLoss

__all__ = [
    "AdaFace",
    "ArcFace",
    "BatchwiseOTLoss",
    "BatchwiseOTTerms",
    "CombinedMargin",
    "ConservativeWassersteinLoss",
    "CosFace",
    "CrossBatchMemory",
    "CrossEntropyEMDLoss",
    "CrossModalBatchwiseOTLoss",
    "CurricularFace",
    "FeatureMapOTLoss",
    "Gathered",
    "InfoNCELoss",
    "InverseOTLoss",
    "JointModalities",
    "MVSoftmax",
    "Margin",
    "MarginSoftmax",
    "MaxMarginLoss",
    "OTFaceLoss",
    "PlanDiagnostics",
    "RelaxedEMDLoss",
    "ReleasedSweeps",
    "SharedClassifierLoss",
    "SquaredEMDLoss",
    "WassersteinLoss",
    "batchwise_ot_loss",
    "batchwise_ot_weights",
    "diagnose_plan",
    "feature_map_ot_loss",
    "infonce_loss",
    "inverse_ot_loss",
    "margin_cross_entropy",
    "max_margin_loss",
    "squared_emd_loss",
]
