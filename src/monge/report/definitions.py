"""What every metric of a report means, in one sentence."""

from __future__ import annotations

import re
from typing import NamedTuple


class Metric(NamedTuple):
    """Names and definition of a metric; ``short`` is for legends and table heads, ``digits`` how it is printed."""

    short: str
    title: str
    definition: str
    digits: int = 4


METRICS: dict[str, Metric] = {
    "map": Metric(
        "mAP",
        "Mean average precision",
        "Mean over all queries of AP, the mean over the items of the query's class of the precision at their rank; "
        "complete ranking, every query counts once.",
    ),
    "nn": Metric("NN", "Nearest neighbour", "Share of the queries whose nearest item is of their class."),
    "knn": Metric(
        "k-NN", "k-NN accuracy", "Share of the test items whose class wins the vote of the nearest training embeddings."
    ),
    "svm": Metric("SVM", "SVM accuracy", "Share of the test items an RBF SVM on the training embeddings gets right."),
    "ft": Metric(
        "FT", "First tier", "Share of the C items of the query's class among the C nearest, mean over queries."
    ),
    "st": Metric(
        "ST", "Second tier", "Share of the C items of the query's class among the 2C nearest, mean over queries."
    ),
    "e": Metric(
        "E", "E-measure", "Harmonic mean of precision and recall of the 32 nearest; 1 only where a class has 32 items."
    ),
    "dcg": Metric(
        "DCG",
        "Discounted cumulative gain",
        "Hits of the complete ranking weighted 1 at rank 1 and 1/log2(rank) after it, over a perfect ranking's.",
    ),
    "r_precision": Metric(
        "R-precision", "R-precision", "Share of hits among the C nearest, C items of the query's class."
    ),
    "map_at_r": Metric(
        "MAP@R", "MAP at R", "Average precision of the C nearest only, divided by C; mean over queries."
    ),
    "map_20pt": Metric(
        "mAP 20 pt", "20-point mAP", "Mean precision at the recalls 5 %, 10 %, …, 100 %, interpolated linearly."
    ),
    "loss": Metric("loss", "Loss", "Mean of the training loss."),
    "queries": Metric("queries", "Queries", "Number of test items used as queries.", 0),
    "skipped_queries": Metric(
        "skipped", "Skipped queries", "Queries left out because no other item is of their class.", 0
    ),
}

HEADLINE = ("map", "nn", "knn", "svm", "ft", "dcg", "r_precision", "recall_at_1")
"""Metrics shown largest, the first four that a run has."""

_RECALL = re.compile(r"recall_at_([0-9]{1,6})")


def metric(name: str) -> Metric:
    """Names and definition of a metric by its name in ``metrics.jsonl``, with or without its prefix.

    Example:
        >>> metric("test/nn").title, metric("val/recall_at_4").short, metric("test/other").title
        ('Nearest neighbour', 'R@4', 'other')
    """
    plain = name.split("/", 1)[-1]
    if recall := _RECALL.fullmatch(plain):
        k = recall[1]
        meaning = f"Share of the queries with an item of their class among the k nearest, k = {k}."
        return Metric(f"R@{k}", f"Recall at {k}", meaning)
    return METRICS.get(plain, Metric(plain, plain, "As named by the run; this report has no definition of it."))


def importance(name: str) -> tuple[int, int, str]:
    """Sorting key: metrics in the order of their definitions, recalls after them by rank, counts last.

    Example:
        >>> sorted(["val/queries", "val/recall_at_10", "val/recall_at_2", "val/x", "val/nn"], key=importance)
        ['val/nn', 'val/recall_at_2', 'val/recall_at_10', 'val/x', 'val/queries']
    """
    plain = name.split("/", 1)[-1]
    if recall := _RECALL.fullmatch(plain):
        return len(METRICS), int(recall[1]), plain
    if plain not in METRICS:
        return len(METRICS) + 1, 0, plain
    return list(METRICS).index(plain) + (0 if METRICS[plain].digits else len(METRICS) + 2), 0, plain
