"""Metrics: retrieval, classification, ordered classes, rating distributions, and diagnostics of transport plans."""

from __future__ import annotations

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
from monge.metrics.rescoring import dual_softmax_retrieval, querybank_retrieval
from monge.metrics.retrieval import RecallCurve, recall_curve, retrieval, retrieval_per_query
from monge.metrics.transport import plan_diagnostics
from monge.metrics.undefined import UndefinedMetricWarning

__all__ = [
    "Decoding",
    "Distance",
    "Neighbours",
    "RecallCurve",
    "Reliability",
    "Ties",
    "UndefinedMetricWarning",
    "accuracy",
    "ava_scores",
    "average_mae",
    "classification_metrics",
    "concordance_index",
    "cross_modal_retrieval",
    "decode",
    "distribution_emd",
    "dual_softmax_retrieval",
    "expected_calibration_error",
    "first_ranks",
    "kendall_tau_b",
    "knn_accuracy",
    "knn_predict",
    "maximum_mae",
    "mean_absolute_error",
    "mean_class_accuracy",
    "nearest",
    "negative_log_likelihood",
    "ordinal_metrics",
    "pearson",
    "plan_diagnostics",
    "quadratic_weighted_kappa",
    "querybank_retrieval",
    "rank_summary",
    "ranked_probability_score",
    "ranked_probability_scores",
    "ranks_of_scores",
    "recall_curve",
    "reliability",
    "retrieval",
    "retrieval_per_query",
    "spearman",
    "svm_accuracy",
    "svm_predict",
    "top_k_accuracy",
    "within_one_accuracy",
]
