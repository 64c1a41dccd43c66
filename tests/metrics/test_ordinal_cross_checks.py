"""Scores of classes against scikit-learn, torchmetrics, dlordinal and SciPy, on random data with missing classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from monge.metrics import ava_scores, classification_metrics, ordinal_metrics, quadratic_weighted_kappa, reliability

sklearn_metrics = pytest.importorskip("sklearn.metrics")
classification = pytest.importorskip("torchmetrics.classification")
regression = pytest.importorskip("torchmetrics.regression")
stats = pytest.importorskip("scipy.stats")


@pytest.fixture(params=[(), (0,), (2, 6), (7,)], ids=str)
def data(request: pytest.FixtureRequest) -> tuple[Tensor, Tensor]:
    """Probabilities of eight classes, of which some are never true, in float32 with rows that sum to one."""
    present = torch.tensor([k for k in range(8) if k not in request.param])
    labels = present[torch.randint(len(present), (400,))]
    return (torch.randn(400, 8) + 2 * torch.eye(8)[labels]).softmax(dim=1), labels


def test_scikit_learn(data: tuple[Tensor, Tensor]) -> None:
    p, labels = data
    found, plain = ordinal_metrics(p, labels), classification_metrics(p, labels)
    y, z = labels.numpy(), p.argmax(dim=1).numpy()
    exact = p.double().numpy() / p.double().sum(dim=1, keepdim=True).numpy()
    kappa = sklearn_metrics.cohen_kappa_score(y, z, weights="quadratic", labels=range(8))
    assert found["qwk"] == pytest.approx(kappa, abs=1e-12)
    assert found["accuracy"] == plain["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(y, z))
    assert found["mae"] == pytest.approx(sklearn_metrics.mean_absolute_error(y, z))
    assert found["nll"] == pytest.approx(sklearn_metrics.log_loss(y, exact, labels=range(8)), abs=1e-6)
    assert plain["top5"] == pytest.approx(sklearn_metrics.top_k_accuracy_score(y, exact, k=5, labels=range(8)))
    recalls = sklearn_metrics.recall_score(y, z, labels=np.unique(y), average="macro", zero_division=0)
    assert plain["mean_class_accuracy"] == pytest.approx(recalls)


def test_kappa_keeps_the_place_of_classes_that_do_not_occur() -> None:
    labels, predicted = torch.tensor([0, 0, 1, 5, 5, 1]), torch.tensor([0, 1, 1, 5, 1, 5])
    given, closed = (
        sklearn_metrics.cohen_kappa_score(labels, predicted, weights="quadratic", labels=names)
        for names in (range(6), None)
    )
    assert quadratic_weighted_kappa(predicted, labels) == pytest.approx(given)
    assert given != pytest.approx(closed, abs=0.01)


def test_torchmetrics(data: tuple[Tensor, Tensor]) -> None:
    p, labels = data
    found, z = ordinal_metrics(p, labels), p.argmax(dim=1)
    kappa = classification.MulticlassCohenKappa(8, weights="quadratic")(z, labels)
    assert found["qwk"] == pytest.approx(float(kappa), abs=1e-5)
    ece = classification.MulticlassCalibrationError(8, n_bins=15, norm="l1")(p, labels)
    assert found["ece"] == pytest.approx(float(ece), abs=1e-5)
    top5 = classification.MulticlassAccuracy(8, top_k=5, average="micro")(p, labels)
    assert classification_metrics(p, labels)["top5"] == pytest.approx(float(top5), abs=1e-6)
    rho = regression.SpearmanCorrCoef()(z.float(), labels.float())
    assert found["spearman"] == pytest.approx(float(rho), abs=1e-5)
    tau = regression.KendallRankCorrCoef(variant="b")(z.float(), labels.float())
    assert found["kendall"] == pytest.approx(float(tau), abs=1e-5)


def test_dlordinal(data: tuple[Tensor, Tensor]) -> None:
    others = pytest.importorskip("dlordinal.metrics")
    p, labels = data
    found, y, z = ordinal_metrics(p, labels), labels.numpy(), p.argmax(dim=1).numpy()
    assert found["rps"] == pytest.approx(others.ranked_probability_score(y, p.double().numpy()), abs=1e-6)
    assert found["within_one"] == pytest.approx(others.accuracy_off1(y, z, labels=range(8)))
    # Every class is predicted somewhere, so that its tables have all eight.
    assert len(np.unique(z)) == 8
    assert found["amae"] == pytest.approx(others.amae(y, z))
    assert found["mmae"] == pytest.approx(others.mmae(y, z))


def test_scipy(data: tuple[Tensor, Tensor]) -> None:
    p, labels = data
    found, y, z = ordinal_metrics(p, labels), labels.numpy(), p.argmax(dim=1).numpy()
    assert found["spearman"] == pytest.approx(stats.spearmanr(z, y).statistic, abs=1e-12)
    assert found["kendall"] == pytest.approx(stats.kendalltau(z, y).statistic, abs=1e-12)
    places = np.arange(8)
    emd = [stats.wasserstein_distance(places, places, row, np.eye(8)[k]) for row, k in zip(p.double().numpy(), y)]
    assert found["emd"] == pytest.approx(np.mean(emd) / 8, abs=1e-6)


def test_rating_scores_equal_numpy_and_scipy() -> None:
    p, t = (torch.randn(300, 10).mul(2).double().softmax(dim=1) for _ in range(2))
    ratings = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.5, 7.0, 8.0, 9.0, 10.0])
    sides = []
    for shares in (p.numpy(), t.numpy()):
        mean = shares @ ratings
        sides.append((mean, np.sqrt(shares @ ratings**2 - mean**2)))
    (mean, std), (true_mean, true_std) = sides
    found = ava_scores(p, t, ratings.tolist(), cut=5.2)
    gaps = np.abs(p.numpy().cumsum(axis=1) - t.numpy().cumsum(axis=1))
    want = {
        "srcc_mean": stats.spearmanr(mean, true_mean).statistic,
        "plcc_mean": stats.pearsonr(mean, true_mean).statistic,
        "srcc_std": stats.spearmanr(std, true_std).statistic,
        "plcc_std": stats.pearsonr(std, true_std).statistic,
        "accuracy": np.mean((mean > 5.2) == (true_mean > 5.2)),
        "emd": gaps.mean(),
        "emd2": np.sqrt((gaps**2).mean(axis=1)).mean(),
    }
    assert found == pytest.approx(want, abs=1e-9)
    assert ava_scores(p, t)["plcc_mean"] == pytest.approx(ava_scores(p, t, range(1, 11))["plcc_mean"])


def test_reliability_equals_scikit_learns_curve(data: tuple[Tensor, Tensor]) -> None:
    calibration = pytest.importorskip("sklearn.calibration")
    p, labels = data
    found = reliability(p, labels, bins=10)
    right = (p.argmax(dim=1) == labels).numpy()
    share, confidence = calibration.calibration_curve(right, p.double().amax(dim=1).numpy(), n_bins=10)
    filled = found.counts > 0
    assert found.accuracy[filled].tolist() == pytest.approx(share.tolist())
    assert found.confidence[filled].tolist() == pytest.approx(confidence.tolist())
    assert int(found.counts.sum()) == 400
