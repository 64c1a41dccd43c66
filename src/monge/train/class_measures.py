"""Measuring predicted probabilities: the same code for validation, for the final test and for `monge evaluate`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from monge.data import Examples, Splits
from monge.errors import DataFormatError
from monge.extras import require
from monge.metrics import ava_scores, ordinal_metrics, ranked_probability_scores
from monge.recipes.schema import EvaluateSection
from monge.train.atomic import write_atomically
from monge.train.pictures import pictures_of

_SHOWN = 24
_TOLERANCE = 1e-3
# Of predicted distributions of ratings; the accuracy beside them is for ratings from 1 to 10 alone.
_RATED = ("srcc_mean", "plcc_mean", "srcc_std", "plcc_std", "emd2")


@dataclass(frozen=True)
class Classes:
    """What is known of the classes of a data set.

    Attributes:
        names: One a class.
        ordered: Whether their order means anything.
        positions: Places of ordered classes on a line, or ``None``.
    """

    names: tuple[str, ...]
    ordered: bool
    positions: tuple[float, ...] | None

    @classmethod
    def of(cls, splits: Splits) -> Classes:
        """Those of a data set."""
        return cls(splits.classes, splits.ordered, splits.positions)

    def __len__(self) -> int:
        return len(self.names)


def check_classes(splits: Splits) -> None:
    """Refuses data that cannot be classified, before anything is trained on them.

    Args:
        splits: Every label has to be one of the classes, every target a distribution over them.

    Raises:
        DataFormatError: One is not, or a part is empty; says which.
    """
    count = len(splits.classes)
    for name, part in (("train", splits.train), ("val", splits.val), ("test", splits.test)):
        if len(part) == 0:
            raise DataFormatError(splits.source, f"{name} part", "no examples", "at least one")
        outside = (part.labels < 0) | (part.labels >= count)
        if bool(outside.any()):
            row = int(outside.nonzero()[0])
            found = f"the label {int(part.labels[row])}"
            raise DataFormatError(splits.source, f"{name} part, example {row}", found, f"0 to {count - 1}")
        if part.targets is not None:
            _check_targets(splits.source, name, part.targets, count)


def _check_targets(source: str, name: str, targets: Tensor, count: int) -> None:
    """Refuses rows that are no distributions."""
    if targets.shape[1] != count:
        found = f"targets over {targets.shape[1]} classes"
        raise DataFormatError(source, f"{name} part", found, f"{count}, as many as there are names")
    sums = targets.sum(1)
    wrong = ~((sums - 1).abs() <= _TOLERANCE) | (targets < 0).any(1)
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0])
        found = f"a target that sums to {float(sums[row]):.6g}"
        if bool((targets[row] < 0).any()):
            found = f"a target that holds {float(targets[row].min()):.6g}"
        raise DataFormatError(source, f"{name} part, example {row}", found, "numbers from 0 on that sum to 1")


def class_metrics(
    probabilities: Tensor, examples: Examples, classes: Classes, config: EvaluateSection, prefix: str
) -> dict[str, float]:
    """Scores of predicted probabilities, those of ordered classes where there is an order.

    Args:
        probabilities: (N, C).
        examples: Their labels, and their distributions where the data have any.
        classes: Order and positions.
        config: How classes are decoded.
        prefix: Put before each name, with a slash.
    """
    values = ordinal_metrics(
        probabilities,
        examples.labels,
        decode=config.decode,
        ordered=classes.ordered,
        targets=examples.targets,
        positions=classes.positions,
    )
    if classes.ordered and examples.targets is not None:
        rated = ava_scores(probabilities, examples.targets, classes.positions)
        values |= {name: rated[name] for name in _RATED}
    return {f"{prefix}/{name}": float(value) for name, value in values.items()}


def store_predictions(file: Path, probabilities: Tensor, test: Examples, classes: Classes, source: str) -> None:
    """Writes ``predictions.safetensors``: probabilities and labels of all test examples, pictures of the extreme ones.

    Args:
        file: Where to.
        probabilities: (N, C).
        test: The test split.
        classes: Names, order and positions.
        source: Which data these are.
    """
    safetensors = require("safetensors.torch", extra="train", purpose="Storing predictions")
    tensors = {"test/probabilities": probabilities.contiguous(), "test/labels": test.labels.contiguous()}
    if test.targets is not None:
        tensors["test/targets"] = test.targets.contiguous()
    shown = extreme_rows(probabilities, test.labels, classes.ordered)
    images = pictures_of(test, shown)
    if images is not None:
        tensors |= {"test/shown": shown, "test/images": images}
    metadata = {
        "classes": json.dumps(list(classes.names)),
        "source": source,
        "ordered": json.dumps(classes.ordered),
        "positions": json.dumps(classes.positions),
    }
    write_atomically(file, lambda part: safetensors.save_file(tensors, part, metadata=metadata))


def extreme_rows(probabilities: Tensor, labels: Tensor, ordered: bool, each: int = _SHOWN) -> Tensor:
    """The worst predictions, the very worst first, then the best, the very best last; ties in the order of the data.

    Args:
        probabilities: (N, C).
        labels: (N,).
        ordered: Judged by the ranked probability score; else by the probability of the true class.
        each: How many of either kind, if there are as many.

    Returns:
        Row numbers, int64.

    Example:
        >>> extreme_rows(torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]]), torch.tensor([0, 0, 0]), True, each=1)
        tensor([1, 0])
    """
    if ordered:
        badness = ranked_probability_scores(probabilities, labels)
    else:
        badness = -probabilities.gather(1, labels[:, None]).squeeze(1)
    order = badness.argsort(descending=True, stable=True)
    return order if len(order) <= 2 * each else torch.cat([order[:each], order[-each:]])
