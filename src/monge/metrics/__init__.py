"""Metrics: retrieval, classification, ordered classes, rating distributions, and diagnostics of transport plans."""

from __future__ import annotations

from monge.metrics.blending import Blend, blended_verification
from monge.metrics.calibration import Reliability, expected_calibration_error, reliability
from monge.metrics.classify import (
    accuracy,
    knn_accuracy,
    knn_predict,
    mean_class_accuracy,
    svm_accuracy,
    svm_predict,
)
from monge.metrics.cross_modal import cross_modal_retrieval, first_ranks, rank_summary, ranks_of_scores
from monge.metrics.distances import Distance
from monge.metrics.forecasts import (
    distribution_emd,
    negative_log_likelihood,
    ranked_probability_score,
    ranked_probability_scores,
    top_k_accuracy,
)
from monge.metrics.identification import Candidates, identification, rank_accuracy, search, tpir_among_all, tpir_at_fpir
from monge.metrics.map_transport import MapWeights, transport_distances
from monge.metrics.matched_regions import MatchedRegions, matched_regions
from monge.metrics.neighbours import Neighbours, nearest
from monge.metrics.ordinal import Decoding, classification_metrics, decode, ordinal_metrics
from monge.metrics.ordinal_scores import (
    average_mae,
    maximum_mae,
    mean_absolute_error,
    quadratic_weighted_kappa,
    within_one_accuracy,
)
from monge.metrics.quality import ava_scores
from monge.metrics.rank_correlation import concordance_index, kendall_tau_b, pearson, spearman
from monge.metrics.ranking import Ties
from monge.metrics.reranking import rerank
from monge.metrics.rescoring import dual_softmax_retrieval, querybank_retrieval
from monge.metrics.retrieval import RecallCurve, recall_curve, retrieval, retrieval_per_query
from monge.metrics.roc import FarRule, RocCurve, auc, equal_error_rate, roc_curve, tar_at_far
from monge.metrics.templates import TemplatePool, Templates, pool_templates, template_similarities
from monge.metrics.thresholds import OperatingPoint, calibrate
from monge.metrics.transport import plan_diagnostics
from monge.metrics.undefined import UndefinedMetricWarning
from monge.metrics.verification import (
    Verification,
    VerificationProtocol,
    contiguous_folds,
    flip_sum,
    pair_distances,
    verification_metrics,
    verify,
)

__all__ = [
    "Blend",
    "Candidates",
    "Decoding",
    "Distance",
    "FarRule",
    "MapWeights",
    "MatchedRegions",
    "Neighbours",
    "OperatingPoint",
    "RecallCurve",
    "Reliability",
    "RocCurve",
    "TemplatePool",
    "Templates",
    "Ties",
    "UndefinedMetricWarning",
    "Verification",
    "VerificationProtocol",
    "accuracy",
    "auc",
    "ava_scores",
    "average_mae",
    "blended_verification",
    "calibrate",
    "classification_metrics",
    "concordance_index",
    "contiguous_folds",
    "cross_modal_retrieval",
    "decode",
    "distribution_emd",
    "dual_softmax_retrieval",
    "equal_error_rate",
    "expected_calibration_error",
    "first_ranks",
    "flip_sum",
    "identification",
    "kendall_tau_b",
    "knn_accuracy",
    "knn_predict",
    "matched_regions",
    "maximum_mae",
    "mean_absolute_error",
    "mean_class_accuracy",
    "nearest",
    "negative_log_likelihood",
    "ordinal_metrics",
    "pair_distances",
    "pearson",
    "plan_diagnostics",
    "pool_templates",
    "quadratic_weighted_kappa",
    "querybank_retrieval",
    "rank_accuracy",
    "rank_summary",
    "ranked_probability_score",
    "ranked_probability_scores",
    "ranks_of_scores",
    "recall_curve",
    "reliability",
    "rerank",
    "retrieval",
    "retrieval_per_query",
    "roc_curve",
    "search",
    "spearman",
    "svm_accuracy",
    "svm_predict",
    "tar_at_far",
    "template_similarities",
    "top_k_accuracy",
    "tpir_among_all",
    "tpir_at_fpir",
    "transport_distances",
    "verification_metrics",
    "verify",
    "within_one_accuracy",
]
