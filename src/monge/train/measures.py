"""Measuring embeddings: the same code for validation, for the final test and for `monge evaluate`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from monge.data import Examples, Splits
from monge.errors import RunError
from monge.extras import require
from monge.metrics import knn_accuracy, retrieval, svm_accuracy
from monge.recipes.schema import EvaluateSection
from monge.train.atomic import write_atomically
from monge.train.inference import outputs_of
from monge.train.pictures import pictures_of, views_of
from monge.train.seeds import REFERENCE, mixed_seed

if TYPE_CHECKING:
    from monge.train.task import Task


def check_measurable(splits: Splits) -> None:
    """Refuses data on which retrieval cannot be measured, before anything is trained on them.

    Args:
        splits: Validation and test need a class with two examples.

    Raises:
        RunError: One of them has none.
    """
    for name, part in (("validation", splits.val), ("test", splits.test)):
        if len(part) == 0 or int(torch.bincount(part.labels).max()) < 2:
            raise RunError(
                f"{splits.source}: the {name} split has no two examples of a class, so nothing can be retrieved"
            )


def retrieval_metrics(embeddings: Tensor, labels: Tensor, config: EvaluateSection, prefix: str) -> dict[str, float]:
    """Every item as a query against all others.

    Args:
        embeddings: (N, D).
        labels: (N,).
        config: Distance and ranks.
        prefix: Put before each name, with a slash.
    """
    values = retrieval(embeddings, query_labels=labels, distance=config.distance, recall_at=config.recall_at)
    return {f"{prefix}/{name}": float(value) for name, value in values.items()}


def measure_test_embeddings(task: Task[Any], splits: Splits, embeddings_file: Path) -> dict[str, float]:
    """Embeds the test split, measures it and stores the embeddings.

    Args:
        task: Holds the trained model.
        splits: Test examples, and the training examples that k-NN and SVM learn from.
        embeddings_file: Where to store embeddings, labels and images.

    Returns:
        Metrics named ``test/...``.
    """
    embeddings = outputs_of(task, splits.test)
    metrics = measure_vectors(task, splits, embeddings)
    _store(embeddings_file, embeddings, splits.test, splits)
    return metrics


def measure_vectors(
    task: Task[Any], splits: Splits, embeddings: Tensor, forward: Callable[[Tensor], Tensor] | None = None
) -> dict[str, float]:
    """Retrieval among the vectors of the test split, and how well those of the training split classify them.

    Args:
        task: Holds the trained model.
        splits: Test examples, and the training examples that k-NN and SVM learn from.
        embeddings: Vectors of the test split, (N, D).
        forward: What gave them; the task itself unless given.

    Returns:
        Metrics named ``test/...``.
    """
    config, test = task.recipe.evaluate, splits.test
    metrics = retrieval_metrics(embeddings, test.labels, config, "test")
    if config.knn or config.svm:
        reference = reference_split(splits.train, config.reference_items, task.recipe.seed)
        known = (outputs_of(task, reference, forward=forward), reference.labels)
        if config.knn:
            metrics["test/knn"] = float(knn_accuracy(*known, embeddings, test.labels, k=config.knn))
        if config.svm:
            metrics["test/svm"] = float(svm_accuracy(*known, embeddings, test.labels))
    return metrics


def reference_split(train: Examples, items: int | None, seed: int) -> Examples:
    """Training examples for k-NN and SVM, as many of each class as of any other.

    Args:
        train: The training split.
        items: How many at most; none: all.
        seed: Seed of the run.
    """
    if items is None or items >= len(train):
        return train
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(mixed_seed(REFERENCE, seed)))
    classes = torch.unique(train.labels)
    each = max(1, items // len(classes))
    chosen = [order[train.labels[order] == label][:each] for label in classes]
    return train.subset(torch.cat(chosen).sort().values)


def _store(file: Path, embeddings: Tensor, test: Examples, splits: Splits) -> None:
    """Writes ``embeddings.safetensors``."""
    safetensors = require("safetensors.torch", extra="train", purpose="Storing embeddings")
    tensors = {
        "test/embeddings": embeddings.contiguous(),
        "test/labels": test.labels.contiguous(),
    }
    images = pictures_of(test, torch.arange(len(test)))
    if images is not None:
        tensors["test/images"] = images
    if len(test.shape) == 4:
        tensors["test/views"] = views_of(test)
    metadata = {"classes": json.dumps(list(splits.classes)), "source": splits.source}
    write_atomically(file, lambda part: safetensors.save_file(tensors, part, metadata=metadata))
