"""Every metric where its tensors are on another device: the numbers of the CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from elsewhere import elsewhere
from monge import metrics, ot
from monge.ot import use_backend


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


LABELS = torch.arange(20) % 4
GIVEN: dict[str, Tensor] = {
    "x": drawn(0, 20, 6),
    "y": drawn(1, 12, 6),
    "labels": LABELS,
    "y_labels": torch.arange(12) % 4,
    "probabilities": drawn(2, 20, 4).softmax(1),
    "targets": drawn(3, 20, 4).softmax(1),
    "predictions": (LABELS + (torch.arange(20) % 3 == 0)).clamp_max(3),
    "first": torch.arange(0, 20, 2),
    "second": torch.arange(1, 20, 2),
    "distances": drawn(4, 40).abs(),
    "other": drawn(5, 40).abs(),
    "same": torch.arange(40) % 2 == 0,
    "maps": drawn(6, 20, 5, 3, 3),
    "y_maps": drawn(7, 12, 5, 3, 3),
    "media": torch.arange(20) % 7,
}

Measure = Callable[..., Any]
CASES: dict[str, tuple[Measure, str]] = {
    **{
        name: (getattr(metrics, name), "predictions labels")
        for name in (
            "accuracy",
            "mean_class_accuracy",
            "average_mae",
            "maximum_mae",
            "mean_absolute_error",
            "within_one_accuracy",
            "quadratic_weighted_kappa",
            "concordance_index",
        )
    },
    **{
        name: (getattr(metrics, name), "probabilities labels")
        for name in (
            "classification_metrics",
            "ordinal_metrics",
            "expected_calibration_error",
            "negative_log_likelihood",
            "ranked_probability_score",
            "ranked_probability_scores",
            "reliability",
        )
    },
    "top_k_accuracy": (lambda p, t: metrics.top_k_accuracy(p, t, 2), "probabilities labels"),
    "decode": (lambda p: metrics.decode(p, "median"), "probabilities"),
    "distribution_emd": (metrics.distribution_emd, "probabilities targets"),
    "ava_scores": (metrics.ava_scores, "probabilities targets"),
    **{name: (getattr(metrics, name), "distances other") for name in ("pearson", "spearman", "kendall_tau_b")},
    "knn_accuracy": (metrics.knn_accuracy, "y y_labels x labels"),
    "svm_accuracy": (metrics.svm_accuracy, "y y_labels x labels"),
    "nearest": (lambda x, y: metrics.nearest(x, y, 3), "x y"),
    "retrieval, alone": (lambda x, t: metrics.retrieval(x, query_labels=t), "x labels"),
    "retrieval": (metrics.retrieval, "x y labels y_labels"),
    "retrieval_per_query": (metrics.retrieval_per_query, "x y labels y_labels"),
    "recall_curve": (metrics.recall_curve, "x y labels y_labels"),
    "cross_modal_retrieval": (metrics.cross_modal_retrieval, "x y labels y_labels"),
    "dual_softmax_retrieval": (metrics.dual_softmax_retrieval, "x y labels y_labels"),
    "querybank_retrieval": (metrics.querybank_retrieval, "x y labels y_labels x y"),
    "first_ranks": (metrics.first_ranks, "x y labels y_labels"),
    "pair_distances": (metrics.pair_distances, "x first second"),
    "flip_sum": (metrics.flip_sum, "x x"),
    **{
        name: (getattr(metrics, name), "distances same")
        for name in ("auc", "equal_error_rate", "roc_curve", "verify", "verification_metrics")
    },
    "tar_at_far": (lambda s, t: metrics.tar_at_far(s, t, (0.1,)), "distances same"),
    "calibrate": (lambda s, t: metrics.calibrate(s, t, 0.1), "distances same"),
    "blended_verification": (metrics.blended_verification, "distances other same"),
    "search": (metrics.search, "x labels y y_labels"),
    "tpir_among_all": (lambda x, t, y, u: metrics.tpir_among_all(x, t, y[:4], u[:4]), "x labels y y_labels"),
    "identification": (lambda x, t, y, u: metrics.identification(x, t, [(y, u)]), "x labels y y_labels"),
    "template_similarities": (
        lambda x, t, m, i, j: metrics.template_similarities(metrics.pool_templates(x, t, m), i % 4, j % 4),
        "x labels media first second",
    ),
    "transport_distances": (metrics.transport_distances, "maps first second"),
    "matched_regions": (lambda a: metrics.matched_regions(a[:4], a[4:8]), "maps"),
    "rerank": (lambda x, a, y, b: metrics.rerank(x, a, y, b, shortlist=5), "x maps y y_maps"),
    "plan_diagnostics": (lambda a: metrics.plan_diagnostics(ot.sinkhorn(a.abs(), epsilon=0.5).plan), "maps"),
}


def told(found: Any) -> list[float]:
    """All the numbers of a result, in order."""
    if isinstance(found, Tensor):
        return [float(n) for n in found.detach().cpu().flatten().tolist()]
    if is_dataclass(found):
        return told([getattr(found, field.name) for field in fields(found)])
    if isinstance(found, Mapping):
        return told(list(found.values()))
    if isinstance(found, list | tuple):
        return [number for part in found for number in told(part)]
    return [float(found)] if isinstance(found, int | float) else []


@pytest.mark.filterwarnings("ignore::monge.metrics.UndefinedMetricWarning")
@pytest.mark.parametrize("name", CASES)
def test_metric_is_that_of_the_cpu(name: str) -> None:
    measure, words = CASES[name]
    given = [GIVEN[word] for word in words.split()]
    with use_backend("torch"):
        expected = told(measure(*given))
        with elsewhere() as device:
            found = told(measure(*(t.to(device) for t in given)))
    assert expected
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-6, nan_ok=True)
