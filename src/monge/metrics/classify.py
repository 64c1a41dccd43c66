"""Classification accuracy of embeddings: k nearest neighbours, and the RBF support vector machine of the papers."""

from __future__ import annotations

import torch
from torch import Tensor

from monge.errors import MongeError
from monge.extras import require
from monge.metrics.distances import Distance
from monge.metrics.embeddings import check_embeddings, check_labels, check_same_width
from monge.metrics.neighbours import nearest


def accuracy(predictions: Tensor, labels: Tensor) -> float:
    """Overall (instance) accuracy: share of predictions that are right.

    Args:
        predictions: ``(N,)`` integers.
        labels: ``(N,)`` integers.

    Returns:
        A float in [0, 1].

    Raises:
        MongeError: Labels that are not one integer a prediction, or none.

    Example:
        >>> accuracy(torch.tensor([0, 0, 1, 1]), torch.tensor([0, 0, 0, 1]))
        0.75
    """
    return float(_right(predictions, labels).mean())


def mean_class_accuracy(predictions: Tensor, labels: Tensor) -> float:
    """Class accuracy: mean over the classes present in `labels` of the share of each that is right.

    Args:
        predictions: ``(N,)`` integers.
        labels: ``(N,)`` integers.

    Returns:
        A float in [0, 1]; differs from `accuracy` where classes differ in size.

    Raises:
        MongeError: Labels that are not one integer a prediction, or none.

    Example:
        >>> round(mean_class_accuracy(torch.tensor([0, 0, 1, 1]), torch.tensor([0, 0, 0, 1])), 4)
        0.8333
    """
    right = _right(predictions, labels)
    _, index, count = torch.unique(labels, return_inverse=True, return_counts=True)
    total = torch.zeros(count.shape[0], dtype=torch.float64, device=right.device).index_add_(0, index, right)
    return float((total / count).mean())


def _right(predictions: Tensor, labels: Tensor) -> Tensor:
    check_labels("predictions", predictions, predictions.shape[0] if predictions.dim() == 1 else labels.numel())
    check_labels("labels", labels, predictions.shape[0])
    if labels.numel() == 0:
        raise MongeError("labels: found none, expected at least one prediction to judge")
    return (predictions.to(labels.device) == labels).double()


def knn_predict(
    train_emb: Tensor, train_labels: Tensor, test_emb: Tensor, k: int = 5, *, distance: Distance = "euclidean"
) -> Tensor:
    """Labels by majority vote of the k nearest training items; a tied vote goes to the class with the nearest one.

    Args:
        train_emb: ``(N, D)`` embeddings, any floating dtype.
        train_labels: ``(N,)`` integers.
        test_emb: ``(M, D)`` embeddings.
        k: Voters; clipped to N.
        distance: ``"euclidean"``, ``"sqeuclidean"`` or ``"cosine"``.

    Returns:
        ``(M,)`` int64 labels.

    Raises:
        MongeError: Embeddings that cannot be ranked, labels of a wrong shape or dtype, or k below 1.

    Example:
        >>> knn_predict(torch.tensor([[0.0], [1.0], [1.1]]), torch.tensor([4, 7, 7]), torch.tensor([[0.4]]), k=2)
        tensor([4])
    """
    indices, _ = nearest(test_emb, train_emb, k, distance=distance)
    check_labels("train_labels", train_labels, train_emb.shape[0])
    votes = train_labels.to(indices.device).long()[indices]  # (M, k), nearest first
    winners = []
    for part in torch.split(votes, max(1, 2**24 // votes.shape[1] ** 2)):
        count = (part[:, :, None] == part[:, None, :]).sum(dim=2)  # (m, k) votes for the class of each voter
        order = torch.arange(part.shape[1], 0, -1, device=part.device)
        best = (count * (part.shape[1] + 1) + order).argmax(dim=1, keepdim=True)  # most votes, then the nearest
        winners.append(part.gather(1, best)[:, 0])
    return torch.cat(winners)


def knn_accuracy(
    train_emb: Tensor,
    train_labels: Tensor,
    test_emb: Tensor,
    test_labels: Tensor,
    k: int = 5,
    *,
    distance: Distance = "euclidean",
) -> float:
    """Overall accuracy of `knn_predict` on the test embeddings.

    Args:
        train_emb: ``(N, D)`` embeddings, any floating dtype.
        train_labels: ``(N,)`` integers.
        test_emb: ``(M, D)`` embeddings.
        test_labels: ``(M,)`` integers.
        k: Voters; clipped to N.
        distance: ``"euclidean"``, ``"sqeuclidean"`` or ``"cosine"``.

    Returns:
        A float in [0, 1].

    Raises:
        MongeError: As `knn_predict`, or test labels of a wrong shape or dtype.

    Example:
        >>> train, labels = torch.tensor([[0.0], [1.0]]), torch.tensor([0, 1])
        >>> knn_accuracy(train, labels, torch.tensor([[0.2], [0.9]]), torch.tensor([0, 1]), k=1)
        1.0
    """
    return accuracy(knn_predict(train_emb, train_labels, test_emb, k, distance=distance), test_labels)


def svm_predict(train_emb: Tensor, train_labels: Tensor, test_emb: Tensor) -> Tensor:
    """Labels by the support vector machine of the batch-wise OT programs, trained on all training embeddings.

    An RBF kernel with C = 1 and gamma = 1 / D (scikit-learn's ``gamma="auto"``, the default of its time; today's
    ``"scale"`` gives other numbers). Training time grows with the square of N.

    Args:
        train_emb: ``(N, D)`` embeddings, any floating dtype.
        train_labels: ``(N,)`` integers, of at least two classes.
        test_emb: ``(M, D)`` embeddings.

    Returns:
        ``(M,)`` int64 labels on the CPU.

    Raises:
        MissingExtraError: scikit-learn is not installed.
        MongeError: Embeddings that are not finite, labels of a wrong shape or dtype, or a single class.

    Example:
        >>> svm_predict(torch.tensor([[0.0], [1.0]]), torch.tensor([3, 5]), torch.tensor([[0.1], [0.8]]))
        tensor([3, 5])
    """
    svm = require("sklearn.svm", extra="train", purpose="SVM accuracy")
    check_embeddings("train_emb", train_emb)
    check_embeddings("test_emb", test_emb)
    check_same_width(test_emb, train_emb)
    check_labels("train_labels", train_labels, train_emb.shape[0])
    if bool((train_labels == train_labels[0]).all()):
        raise MongeError("train_labels: found a single class, expected at least two for an SVM")
    machine = svm.SVC(C=1.0, kernel="rbf", gamma="auto")
    machine.fit(train_emb.detach().double().cpu().numpy(), train_labels.cpu().numpy())
    return torch.from_numpy(machine.predict(test_emb.detach().double().cpu().numpy())).long()


def svm_accuracy(train_emb: Tensor, train_labels: Tensor, test_emb: Tensor, test_labels: Tensor) -> float:
    """Overall accuracy of `svm_predict` on the test embeddings: the classification result of the BWOT paper.

    Args:
        train_emb: ``(N, D)`` embeddings, any floating dtype.
        train_labels: ``(N,)`` integers, of at least two classes.
        test_emb: ``(M, D)`` embeddings.
        test_labels: ``(M,)`` integers.

    Returns:
        A float in [0, 1].

    Raises:
        MissingExtraError: scikit-learn is not installed.
        MongeError: As `svm_predict`, or test labels of a wrong shape or dtype.

    Example:
        >>> train, labels = torch.tensor([[0.0], [1.0]]), torch.tensor([0, 1])
        >>> svm_accuracy(train, labels, torch.tensor([[0.2], [0.9]]), torch.tensor([0, 1]))
        1.0
    """
    return accuracy(svm_predict(train_emb, train_labels, test_emb), test_labels)
