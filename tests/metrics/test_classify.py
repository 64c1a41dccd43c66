"""k-NN and SVM accuracy against scikit-learn, a loop and hand-made cases."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor

from monge.errors import MissingExtraError, MongeError
from monge.metrics import (
    accuracy,
    knn_accuracy,
    knn_predict,
    mean_class_accuracy,
    nearest,
    svm_accuracy,
    svm_predict,
)
from oracles import ranking as oracle

neighbors = pytest.importorskip("sklearn.neighbors")
metrics = pytest.importorskip("sklearn.metrics")
svm = pytest.importorskip("sklearn.svm")


@pytest.fixture
def data() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    labels = torch.randint(0, 4, (400,)) * 3 + 1
    x = torch.randn(13, 6)[labels] + 1.2 * torch.randn(400, 6)
    return x[:300], labels[:300], x[300:], labels[300:]


def test_one_neighbour_equals_scikit_learn(data: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    train, train_labels, test, test_labels = data
    other = neighbors.KNeighborsClassifier(1).fit(train.numpy(), train_labels.numpy())
    assert knn_predict(train, train_labels, test, 1).tolist() == other.predict(test.numpy()).tolist()
    assert knn_accuracy(*data, k=1) == pytest.approx(other.score(test.numpy(), test_labels.numpy()))


def test_votes_equal_scikit_learn_where_there_is_no_tie() -> None:
    labels = torch.randint(0, 2, (300,))
    x = torch.randn(300, 3) + labels[:, None]
    other = neighbors.KNeighborsClassifier(7).fit(x[:200].numpy(), labels[:200].numpy())
    assert knn_predict(x[:200], labels[:200], x[200:], 7).tolist() == other.predict(x[200:].numpy()).tolist()


@pytest.mark.parametrize("k", [2, 4, 5, 10, 1000])
def test_votes_equal_the_loop(data: tuple[Tensor, Tensor, Tensor, Tensor], k: int) -> None:
    train, train_labels, test, _ = data
    votes = train_labels[nearest(test, train, k).indices].tolist()
    assert knn_predict(train, train_labels, test, k).tolist() == [oracle.majority(row) for row in votes]


def test_tied_vote_goes_to_the_nearest() -> None:
    train, labels = torch.tensor([[1.0], [-2.0], [3.0], [-4.0]]), torch.tensor([5, 2, 5, 2])
    assert knn_predict(train, labels, torch.zeros(1, 1), 4).tolist() == [5]
    assert knn_predict(train, labels.flip(0), torch.zeros(1, 1), 4).tolist() == [2]


def test_svm_is_the_released_one(data: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    train, train_labels, test, test_labels = data
    other = svm.SVC(C=1.0, kernel="rbf", gamma=1 / 6).fit(train.double().numpy(), train_labels.numpy())
    assert svm_predict(train, train_labels, test).tolist() == other.predict(test.double().numpy()).tolist()
    assert svm_accuracy(*data) == pytest.approx(other.score(test.double().numpy(), test_labels.numpy()))


def test_half_embeddings(data: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    train, train_labels, test, test_labels = data
    for dtype in (torch.float16, torch.bfloat16):
        small, small_test = train.to(dtype), test.to(dtype)
        assert svm_accuracy(small, train_labels, small_test, test_labels) == svm_accuracy(
            small.float(), train_labels, small_test.float(), test_labels
        )
        assert knn_accuracy(small, train_labels, small_test, test_labels) == knn_accuracy(
            small.float(), train_labels, small_test.float(), test_labels
        )


def test_accuracies_equal_scikit_learn() -> None:
    predictions, labels = torch.randint(0, 5, (200,)), torch.randint(0, 3, (200,))
    assert accuracy(predictions, labels) == pytest.approx(metrics.accuracy_score(labels, predictions))
    want = sum(float((predictions[labels == c] == c).double().mean()) for c in range(3)) / 3
    assert mean_class_accuracy(predictions, labels) == pytest.approx(want)
    present = predictions < 3
    assert mean_class_accuracy(predictions[present], labels[present]) == pytest.approx(
        metrics.balanced_accuracy_score(labels[present], predictions[present])
    )


def test_wrong_inputs_are_refused(data: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    train, train_labels, test, test_labels = data
    with pytest.raises(MongeError, match="single class"):
        svm_predict(train, torch.zeros_like(train_labels), test)
    with pytest.raises(MongeError, match="train_labels: found shape"):
        knn_predict(train, train_labels[:5], test)
    with pytest.raises(MongeError, match="labels: found shape"):
        knn_accuracy(train, train_labels, test, test_labels[:5])
    with pytest.raises(MongeError, match="train_emb: row 3"):
        svm_predict(train.index_fill(0, torch.tensor([3]), torch.nan), train_labels, test)
    with pytest.raises(MongeError, match="labels: found none"):
        accuracy(test_labels[:0], test_labels[:0])


def test_without_scikit_learn_the_command_is_named(
    data: tuple[Tensor, Tensor, Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.svm", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'monge\[train\]'"):
        svm_accuracy(*data)


def test_importing_the_room_needs_the_core_alone() -> None:
    code = "import sys, monge.metrics; print([m for m in ('sklearn', 'scipy', 'torchvision') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
