"""Metrics: retrieval by exact search, classification of embeddings, and diagnostics of transport plans."""

from __future__ import annotations

from monge.metrics.classify import (
    accuracy,
    knn_accuracy,
    knn_predict,
    mean_class_accuracy,
    svm_accuracy,
    svm_predict,
)
from monge.metrics.distances import Distance
from monge.metrics.neighbours import Neighbours, nearest
from monge.metrics.ranking import Ties
from monge.metrics.retrieval import RecallCurve, recall_curve, retrieval, retrieval_per_query
from monge.metrics.transport import plan_diagnostics

__all__ = [
    "Distance",
    "Neighbours",
    "RecallCurve",
    "Ties",
    "accuracy",
    "knn_accuracy",
    "knn_predict",
    "mean_class_accuracy",
    "nearest",
    "plan_diagnostics",
    "recall_curve",
    "retrieval",
    "retrieval_per_query",
    "svm_accuracy",
    "svm_predict",
]
