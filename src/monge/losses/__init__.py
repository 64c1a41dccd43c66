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
from monge.losses.gathered import Gathered
from monge.losses.infonce import InfoNCELoss, infonce_loss
from monge.losses.inverse_ot import InverseOTLoss, inverse_ot_loss
from monge.losses.joint_modalities import JointModalities, SharedClassifierLoss
from monge.losses.max_margin import MaxMarginLoss, max_margin_loss
from monge.losses.memory import CrossBatchMemory
from monge.losses.plan_diagnostics import PlanDiagnostics, diagnose_plan
from monge.losses.relaxed_emd import RelaxedEMDLoss
from monge.losses.released import ReleasedSweeps
from monge.losses.squared_emd import SquaredEMDLoss, squared_emd_loss
from monge.losses.wasserstein import WassersteinLoss
from monge.losses.xemd import CrossEntropyEMDLoss

__all__ = [
    "BatchwiseOTLoss",
    "BatchwiseOTTerms",
    "ConservativeWassersteinLoss",
    "CrossBatchMemory",
    "CrossEntropyEMDLoss",
    "CrossModalBatchwiseOTLoss",
    "Gathered",
    "InfoNCELoss",
    "InverseOTLoss",
    "JointModalities",
    "MaxMarginLoss",
    "PlanDiagnostics",
    "RelaxedEMDLoss",
    "ReleasedSweeps",
    "SharedClassifierLoss",
    "SquaredEMDLoss",
    "WassersteinLoss",
    "batchwise_ot_loss",
    "batchwise_ot_weights",
    "diagnose_plan",
    "infonce_loss",
    "inverse_ot_loss",
    "max_margin_loss",
    "squared_emd_loss",
]
