"""Retrieval scores against other libraries, on random data without ties."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from monge.metrics import retrieval, retrieval_per_query

sklearn_metrics = pytest.importorskip("sklearn.metrics")
torchmetrics = pytest.importorskip("torchmetrics.retrieval")


@pytest.fixture(scope="module")
def data() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(0, 8, (260,), generator=generator)
    centres = torch.randn(8, 12, generator=generator)
    x = centres[labels] + 1.5 * torch.randn(260, 12, generator=generator)
    return x[:60], x[60:], labels[:60], labels[60:]


def flat(data: tuple[Tensor, Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, relevance and query number of every pair, as torchmetrics takes them.

    It ignores items of negative score and rounds to float32, so the scores are 200 for the nearest, 199, ..., 1.
    """
    queries, gallery, query_labels, gallery_labels = data
    scores = 200.0 - torch.cdist(queries.double(), gallery.double()).argsort(dim=1).argsort(dim=1)
    relevant = query_labels[:, None] == gallery_labels
    index = torch.arange(60)[:, None].expand_as(relevant)
    return scores.flatten(), relevant.flatten(), index.flatten()


@pytest.mark.parametrize(
    ("key", "name", "options"),
    [
        ("map", "RetrievalMAP", {}),
        ("r_precision", "RetrievalRPrecision", {}),
        ("nn", "RetrievalPrecision", {"top_k": 1}),
        ("recall_at_1", "RetrievalHitRate", {"top_k": 1}),
        ("recall_at_4", "RetrievalHitRate", {"top_k": 4}),
    ],
)
def test_torchmetrics(
    data: tuple[Tensor, Tensor, Tensor, Tensor], key: str, name: str, options: dict[str, int]
) -> None:
    scores, relevant, index = flat(data)
    other = getattr(torchmetrics, name)(**options)(scores, relevant, indexes=index)
    assert retrieval(*data)[key] == pytest.approx(float(other), abs=1e-6)


def test_dcg_is_not_the_usual_ndcg_but_near_it(data: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    scores, relevant, index = flat(data)
    other = float(torchmetrics.RetrievalNormalizedDCG()(scores, relevant, indexes=index))
    dcg = retrieval(*data)["dcg"]
    assert dcg != pytest.approx(other, abs=1e-4)
    assert dcg == pytest.approx(other, abs=0.05)


def test_sklearn_average_precision(data: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    scores, relevant, _ = flat(data)
    mine = retrieval_per_query(*data)["map"]
    for row, (score, flags) in enumerate(zip(scores.unflatten(0, (60, -1)), relevant.unflatten(0, (60, -1)))):
        want = sklearn_metrics.average_precision_score(flags.numpy(), score.numpy())
        assert float(mine[row]) == pytest.approx(want, abs=1e-9)


@pytest.mark.parametrize("alone", [True, False])
def test_pytorch_metric_learning(data: tuple[Tensor, Tensor, Tensor, Tensor], alone: bool) -> None:
    distances = pytest.importorskip("pytorch_metric_learning.distances")
    inference = pytest.importorskip("pytorch_metric_learning.utils.inference")
    calculator = pytest.importorskip("pytorch_metric_learning.utils.accuracy_calculator")
    queries, gallery, query_labels, gallery_labels = data
    calculate = calculator.AccuracyCalculator(
        include=("precision_at_1", "r_precision", "mean_average_precision_at_r", "mean_average_precision"),
        k=199,
        device=torch.device("cpu"),
        knn_func=inference.CustomKNN(distances.LpDistance(normalize_embeddings=False)),
        kmeans_func=lambda *_: None,
    )
    if alone:
        other = calculate.get_accuracy(gallery.double(), gallery_labels)
        mine = retrieval(gallery, query_labels=gallery_labels)
    else:
        calculate.k = 200
        other = calculate.get_accuracy(queries.double(), query_labels, gallery.double(), gallery_labels)
        mine = retrieval(*data)
    names = {
        "nn": "precision_at_1",
        "r_precision": "r_precision",
        "map_at_r": "mean_average_precision_at_r",
        "map": "mean_average_precision",
    }
    for key, name in names.items():
        assert mine[key] == pytest.approx(other[name], abs=1e-9), key
