"""What every metric of a report means, in one sentence."""

from __future__ import annotations

import math
import re
from typing import NamedTuple


class Metric(NamedTuple):
    """Names and definition of a metric.

    Attributes:
        short: For legends and table heads.
        title: For headings.
        definition: What it means, one sentence.
        digits: Decimals it is printed with.
        lower: Whether lower is better.
    """

    short: str
    title: str
    definition: str
    digits: int = 4
    lower: bool = False


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
    "geometric_mean": Metric(
        "geometric mean",
        "Geometric mean of recalls",
        "That of the recalls at 1, 5 and 10, mean of both directions.",
    ),
    "accuracy": Metric("accuracy", "Accuracy", "Share of the items whose class is predicted exactly."),
    "mae": Metric(
        "MAE",
        "Mean absolute error",
        "Mean distance of the predicted from the true class, in classes or in the unit of their positions.",
        lower=True,
    ),
    "qwk": Metric(
        "QWK",
        "Quadratic weighted kappa",
        "1 less the mean squared class difference over that of chance with the same class frequencies; 0 is chance.",
    ),
    "within_one": Metric("within one", "Within one class", "Share of the items predicted at most one class off."),
    "rps": Metric(
        "RPS",
        "Ranked probability score",
        "Sum over the classes of the squared difference of the cumulative probabilities from the truth's, mean over "
        "items; not divided by the number of classes.",
        lower=True,
    ),
    "mean_class_accuracy": Metric(
        "class accuracy", "Mean class accuracy", "Mean over the classes of the share of each that is predicted exactly."
    ),
    "top5": Metric("top 5", "Top-5 accuracy", "Share of the items whose class is among the five most probable."),
    "amae": Metric(
        "AMAE",
        "Average MAE",
        "Mean over the classes of the mean absolute error of each, so that rare ones weigh as much.",
        lower=True,
    ),
    "mmae": Metric("MMAE", "Maximum MAE", "Mean absolute error of the class that has the largest.", lower=True),
    "spearman": Metric("Spearman", "Spearman's rho", "Rank correlation of predicted and true classes."),
    "kendall": Metric(
        "Kendall", "Kendall's tau-b", "Surplus of the pairs of items in the right order, corrected for ties."
    ),
    "c_index": Metric(
        "C-index",
        "Concordance index",
        "Share of the pairs of items of different classes that are in the right order, ties one half.",
    ),
    "emd": Metric(
        "EMD",
        "Earth mover's distance",
        "Mean over the classes of the difference of the cumulative probabilities from the truth's, mean over items.",
        lower=True,
    ),
    "emd2": Metric(
        "EMD r = 2",
        "Earth mover's distance, r = 2",
        "As EMD, with the root of the mean square over the classes instead of the mean.",
        lower=True,
    ),
    "ece": Metric(
        "ECE",
        "Expected calibration error",
        "Mean difference of accuracy and confidence (the largest probability) in 15 bins of the confidence.",
        lower=True,
    ),
    "nll": Metric("NLL", "Negative log-likelihood", "Mean of −log of the probability of the true class.", lower=True),
    "srcc_mean": Metric(
        "SRCC mean", "Rank correlation of means", "Spearman's rho of predicted and given mean ratings."
    ),
    "plcc_mean": Metric("PLCC mean", "Correlation of means", "Pearson's r of predicted and given mean ratings."),
    "srcc_std": Metric(
        "SRCC std", "Rank correlation of deviations", "Spearman's rho of the standard deviations of the ratings."
    ),
    "plcc_std": Metric(
        "PLCC std", "Correlation of deviations", "Pearson's r of the standard deviations of the ratings."
    ),
    "loss": Metric("loss", "Loss", "Mean of the training loss.", lower=True),
    "train/cross_entropy": Metric("cross-entropy", "Cross-entropy term", "That part of the training loss.", lower=True),
    "train/emd": Metric("EMD term", "EMD term", "That part of the training loss.", lower=True),
    "train/emd_weight": Metric("weight", "Weight of the EMD term", "What the EMD term is multiplied by."),
    "train/margin_loss": Metric("margin softmax", "Margin softmax", "That part of the training loss.", lower=True),
    "train/transport_loss": Metric(
        "transport term", "Transport term", "That part of the training loss, before its weight.", lower=True
    ),
    "train/triplet_loss": Metric("triplet term", "Triplet term", "That part of the training loss.", lower=True),
    "train/query_softmax": Metric(
        "query softmax", "Cross-entropy of the queries", "That of the classifier beside the transport term.", lower=True
    ),
    "train/gallery_softmax": Metric(
        "gallery softmax",
        "Cross-entropy of the gallery",
        "That of the classifier beside the transport term.",
        lower=True,
    ),
    "train/groups": Metric("groups", "Hard groups a step", "Groups whose transport was computed.", 0),
    "train/hard_pairs": Metric(
        "hard pairs", "Pairs with a hard negative", "Pairs of one class that an other class comes between.", 0
    ),
    "train/positive_distance": Metric("to the positive", "Transport to the positive", "Mean over the hard groups."),
    "train/negative_distance": Metric("to the negative", "Transport to the negative", "Mean over the hard groups."),
    "train/active": Metric("active", "Hard groups that cost something", "Share of them."),
    "train/lr": Metric("learning rate", "Learning rate", "Step size of the optimiser."),
    "queries": Metric("queries", "Queries", "Number of test items used as queries.", 0),
    "skipped_queries": Metric(
        "skipped", "Skipped queries", "Queries left out because no other item is of their class.", 0
    ),
}

PAIRS: dict[str, Metric] = {
    "accuracy": Metric(
        "accuracy",
        "Accuracy",
        "Share of the pairs decided rightly, by the threshold that is best on the other folds; mean over the folds.",
    ),
    "accuracy_std": Metric(
        "± accuracy", "Deviation of the accuracy", "Population standard deviation of the folds' accuracies.", lower=True
    ),
    "val": Metric(
        "VAL",
        "Validation rate",
        "Share of the genuine pairs accepted by the threshold that accepts 0.1 % of the impostors of the other folds; "
        "mean over the folds.",
    ),
    "val_std": Metric("± VAL", "Deviation of VAL", "Population standard deviation over the folds.", lower=True),
    "eer": Metric(
        "EER",
        "Equal error rate",
        "The rate at which as large a share of impostors is accepted as of genuine pairs is refused.",
        lower=True,
    ),
    "auc": Metric(
        "AUC", "Area under the ROC curve", "How often a genuine pair scores above an impostor pair, ties one half."
    ),
}
"""Metrics of pairs that are verified, named ``<part>/<set>/<metric>``."""

_OF_PLANS = {
    "entropy": Metric("entropy", "Entropy of the plan", "Over that of the uniform plan; 1 is uniform."),
    "deviation": Metric(
        "largest deviation",
        "Plan against uniform",
        "Largest relative distance of a weight from the uniform one.",
    ),
    "hard_mass": Metric("mass on hard pairs", "Mass of the plan on hard pairs", "Those of a ground cost below 0.1."),
    "hard_pairs": Metric("share of hard pairs", "Hard pairs of the batch", "Those of a ground cost below 0.1."),
    "marginal_error": Metric("L1 error", "Error of the plan's marginals", "Both sides, of a mass of 1.", lower=True),
}

HEADLINES = {
    "map": (("map", "nn", "knn", "svm", "ft", "dcg", "r_precision", "recall_at_1"), 4),
    "geometric_mean": (("geometric_mean", "q2g_r1", "q2g_r10", "g2q_r1", "g2q_r10"), 5),
    "mae": (("accuracy", "mae", "qwk", "within_one", "rps"), 5),
    "accuracy": (("accuracy", "mean_class_accuracy", "top5", "nll", "ece"), 5),
}
"""Metrics shown largest and how many of them, by the metric that tells the kind of task; the first that a run has."""

_RECALL = re.compile(r"recall_at_([0-9]{1,6})")
_DIRECTION = re.compile(r"(q2g|g2q)_(?:r([0-9]{1,6})|(medr|meanr|geometric_mean|queries|skipped_queries))")
_PLAN = re.compile(r"train/plan_(?:(\w+?)_)?(entropy|deviation|hard_mass|hard_pairs|marginal_error)")
_TAR = re.compile(r"tar_at_far_([0-9]e[+-][0-9]{2})")


def metric(name: str, *, pairs: bool = False) -> Metric:
    """Names and definition of a metric by its name in ``metrics.jsonl``, with or without its prefix.

    Args:
        name: The name, ``<part>/<metric>`` or ``<part>/<set of pairs>/<metric>``.
        pairs: Whether a metric without a set is the mean over several sets of pairs.

    Example:
        >>> metric("test/nn").title, metric("val/recall_at_4").short, metric("test/other").title
        ('Nearest neighbour', 'R@4', 'other')
        >>> metric("test/lfw/accuracy").short, metric("test/lfw/tar_at_far_1e-03").short
        ('lfw accuracy', 'lfw TAR@0.001')
    """
    plain = name.split("/", 1)[-1]
    if "/" in plain:
        of, plain = plain.rsplit("/", 1)
        own = _of_pairs(plain) or metric(plain)
        return own._replace(short=f"{of} {own.short}", title=f"{own.title}, {of}")
    if pairs and (mean := _of_pairs(plain)):
        return mean._replace(title=f"{mean.title}, mean of the sets", definition=f"{mean.definition} Mean of the sets.")
    if direction := _DIRECTION.fullmatch(plain):
        return _of_direction(*direction.groups())
    if recall := _RECALL.fullmatch(plain):
        k = recall[1]
        meaning = f"Share of the queries with an item of their class among the k nearest, k = {k}."
        return Metric(f"R@{k}", f"Recall at {k}", meaning)
    if plan := _PLAN.fullmatch(name):
        own, between = _OF_PLANS[plan[2]], f", {plan[1]}" if plan[1] else ""
        return own._replace(short=f"{own.short}{between}", title=f"{own.title}{between}")
    unknown = Metric(plain, plain, "As named by the run; this report has no definition of it.")
    return METRICS.get(name) or METRICS.get(plain) or _of_pairs(plain) or unknown


def _of_direction(way: str, k: str | None, other: str | None) -> Metric:
    """A metric of queries that search the gallery, or of gallery items that search the queries."""
    there = way == "q2g"
    arrow, asks = ("→", "queries") if there else ("←", "gallery items")
    told = "query to gallery" if there else "gallery to query"
    if k is not None:
        meaning = f"Share of the {asks} that find one that belongs to them among the {k} nearest of the other side."
        return Metric(f"{arrow} R@{k}", f"Recall at {k}, {told}", meaning)
    match other:
        case "medr":
            meaning = f"Median rank of the first that belongs to each of the {asks}; ties averaged."
            return Metric(f"{arrow} MedR", f"Median rank, {told}", meaning, 1, lower=True)
        case "meanr":
            meaning = f"Mean rank of the first that belongs to each of the {asks}; ties averaged."
            return Metric(f"{arrow} MeanR", f"Mean rank, {told}", meaning, 1, lower=True)
        case "geometric_mean":
            return Metric(f"{arrow} mean", f"Geometric mean, {told}", "That of the recalls at 1, 5 and 10.")
        case "queries":
            return Metric(f"{arrow} queries", f"Queries, {told}", f"Number of {asks} that have something to find.", 0)
    return Metric(f"{arrow} skipped", f"Skipped, {told}", f"Number of {asks} that nothing belongs to.", 0)


def is_known(name: str) -> bool:
    """Whether there is a definition of a metric, named without its prefix.

    Example:
        >>> is_known("eer"), is_known("loudness"), is_known("train/plan_xy_entropy")
        (True, False, True)
    """
    return name in METRICS or _PLAN.fullmatch(name) is not None or _of_pairs(name) is not None


def _of_pairs(name: str) -> Metric | None:
    """A metric of a set of pairs."""
    if tar := _TAR.fullmatch(name):
        far = f"{float(tar[1]):g}"
        meaning = f"Share of the genuine pairs accepted where at most {100 * float(tar[1]):g} % of the impostors are."
        return Metric(f"TAR@{far}", f"TAR at FAR {far}", meaning)
    return PAIRS.get(name)


def importance(name: str, *, pairs: bool = False) -> tuple[int, int, str]:
    """Sorting key: metrics in the order of their definitions, recalls after them by rank, counts last.

    Args:
        name: The name.
        pairs: Whether metrics without a set are means over several sets of pairs.

    Example:
        >>> sorted(["val/queries", "val/recall_at_10", "val/recall_at_2", "val/x", "val/nn"], key=importance)
        ['val/nn', 'val/recall_at_2', 'val/recall_at_10', 'val/x', 'val/queries']
    """
    plain = name.split("/", 1)[-1]
    if direction := _DIRECTION.fullmatch(plain):
        way, k, other = direction.groups()
        return len(METRICS), 10_000_000 * (way == "g2q") + (int(k) if k else 9_000_000), other or plain
    if recall := _RECALL.fullmatch(plain):
        return len(METRICS), int(recall[1]), plain
    if "/" in plain:
        return _order_in_a_set(*plain.rsplit("/", 1))
    if pairs and _of_pairs(plain):
        return _order_in_a_set("", plain)
    if plain not in METRICS:
        return _order_in_a_set("", plain) if _of_pairs(plain) else (len(METRICS) + 1, 0, plain)
    return list(METRICS).index(plain) + (0 if METRICS[plain].digits else len(METRICS) + 2), 0, plain


def _order_in_a_set(pairs: str, name: str) -> tuple[int, int, str]:
    """What is told of every set first, in the order of the sets; then the next metric."""
    known = list(PAIRS)
    if name in known[:1]:
        return 0, 0, pairs
    if tar := _TAR.fullmatch(name):
        return 0, 1 - round(math.log10(float(tar[1]))), pairs
    return 0, 20 + (known.index(name) if name in known else len(known)), pairs
