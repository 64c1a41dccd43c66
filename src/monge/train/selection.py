"""The validation metric that chooses epochs and learning rates, and which way is better."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from monge.data import Splits
from monge.data.any_splits import AnySplits
from monge.data.cross_modal import CrossModalSplits
from monge.errors import RecipeError
from monge.recipes import Recipe, Task

PAIR_RANKS = (1, 5, 10)
"""The k whose recalls ``geometric_mean`` is made of."""
_RETRIEVAL = ("map", "nn", "ft", "st", "e", "dcg", "r_precision", "map_at_r")
_ORDERED = (
    "mae",
    "accuracy",
    "within_one",
    "amae",
    "mmae",
    "qwk",
    "rps",
    "spearman",
    "kendall",
    "c_index",
    "emd",
    "ece",
    "nll",
)
_PAIRS = ("accuracy", "auc", "eer", "val", *(f"tar_at_far_1e-0{power}" for power in range(1, 5)))
_UNORDERED = ("accuracy", "mean_class_accuracy", "nll", "ece", "top5")
_LOWER_IS_BETTER = {
    "mae",
    "amae",
    "mmae",
    "rps",
    "emd",
    "emd2",
    "ece",
    "eer",
    "nll",
    "q2g_medr",
    "g2q_medr",
    "q2g_meanr",
    "g2q_meanr",
}
# What a table has room for, the most telling first.
_MAIN = {
    # Accuracy is a classifier's whose features were measured too.
    "map": ("map", "nn", "knn", "svm", "accuracy"),
    "geometric_mean": ("geometric_mean", "q2g_r1", "q2g_r10", "g2q_r1"),
    "mae": ("mae", "accuracy", "within_one", "qwk", "rps"),
    "eer": ("accuracy", "tar_at_far_1e-03", "auc", "eer"),
    "accuracy": ("accuracy", "mean_class_accuracy", "nll"),
}


@dataclass(frozen=True)
class Selection:
    """A metric and its direction.

    Attributes:
        metric: Name as in ``metrics.jsonl``.
        higher_is_better: Direction.

    Example:
        >>> Selection("val/mae", higher_is_better=False).better(0.4, 0.5)
        True
    """

    metric: str = "val/map"
    higher_is_better: bool = True

    def better(self, value: float, than: float) -> bool:
        """Whether one value beats another; NaN beats nothing and is beaten by every number."""
        if math.isnan(value) or math.isnan(than):
            return math.isnan(than) and not math.isnan(value)
        return value > than if self.higher_is_better else value < than

    def best(self, values: Iterable[float]) -> float:
        """The best of some values; NaN where there is no number among them."""
        best = math.nan
        for value in values:
            best = value if self.better(value, best) else best
        return best

    @property
    def best_word(self) -> str:
        """``"highest"`` or ``"lowest"``."""
        return "highest" if self.higher_is_better else "lowest"

    def to_json(self) -> dict[str, Any]:
        """As it stands in ``compare.json`` and ``environment.json``."""
        return {"metric": self.metric, "higher_is_better": self.higher_is_better}

    @classmethod
    def of(cls, name: str) -> Selection:
        """The selection by a validation metric.

        Args:
            name: Without its ``val/``.
        """
        return cls(f"val/{name}", name not in _LOWER_IS_BETTER)


def _retrieval_names(recipe: Recipe, splits: AnySplits) -> tuple[str, ...]:
    """What retrieval by classes or by pairs is measured by, the default first."""
    ranks = recipe.evaluate.recall_at
    if isinstance(splits, CrossModalSplits) and splits.paired:
        found = sorted({*PAIR_RANKS, *ranks})
        names = (*(f"r{k}" for k in found), "medr", "meanr", "geometric_mean")
        return ("geometric_mean", *(f"{way}_{name}" for way in ("q2g", "g2q") for name in names))
    return _RETRIEVAL + tuple(f"recall_at_{k}" for k in ranks)


def _class_names(recipe: Recipe, splits: AnySplits) -> tuple[str, ...]:
    """What probabilities of classes are measured by, the default first."""
    return _ORDERED if isinstance(splits, Splits) and splits.ordered else _UNORDERED


_KNOWN: dict[Task, Callable[[Recipe, AnySplits], tuple[str, ...]]] = {
    "embedding": _retrieval_names,
    "classification": _class_names,
    "cross-modal": _retrieval_names,
    "face": lambda recipe, splits: _PAIRS,
}
"""Validation metrics of each task, the one that selects unless another is named first."""


def choose_selection(recipe: Recipe, splits: AnySplits) -> Selection:
    """What ``evaluate.select`` means for a recipe on its data.

    Args:
        recipe: Names the metric, or leaves it to its task.
        splits: Whether the classes have an order, or labels name pairs.

    Raises:
        RecipeError: There is no such metric here.

    Example:
        >>> from monge.data import load_images
        >>> from monge.recipes import load_recipe
        >>> choose_selection(load_recipe("mnist"), load_images("mnist", "synthetic")).metric
        'val/map'
    """
    known = _KNOWN[recipe.task](recipe, splits)
    name = recipe.evaluate.select or known[0]
    if name not in known:
        raise RecipeError(f"evaluate.select: found {name!r}, expected one of {', '.join(known)} for these data")
    return Selection.of(name)


def main_metrics(measured: Iterable[str]) -> list[str]:
    """The few test metrics that stand for all that were measured.

    Args:
        measured: Names with their ``test/``.

    Example:
        >>> main_metrics(["test/nn", "test/map", "test/ft"])
        ['test/map', 'test/nn']
    """
    names = set(measured)
    kind = next((kind for kind in _MAIN if f"test/{kind}" in names), None)
    return [f"test/{name}" for name in _MAIN.get(kind or "", ()) if f"test/{name}" in names]
