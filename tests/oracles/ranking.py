"""Slow retrieval scores: one ranked list of 0/1 flags at a time, as the formulas are printed, with loops only.

Formulas: SHREC sketch tracks' tool and the paper on the batch-wise OT loss (NN, FT, ST, E, DCG, AP, 20-point curve),
TREC (11-point curve), deep metric learning (recall@K, R-precision, MAP@R). Ties by brute force: the mean over all
orders of the tied items.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence

Flags = Sequence[int]


def nearest_neighbour(flags: Flags) -> float:
    return float(flags[0])


def tier(flags: Flags, times: int) -> float:
    c = sum(flags)
    return sum(flags[: times * c]) / c


def e_measure(flags: Flags) -> float:
    first = flags[:32]
    precision, recall = sum(first) / len(first), sum(first) / sum(flags)
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


def shrec_dcg(flags: Flags) -> float:
    gain = float(flags[0])
    for i in range(2, len(flags) + 1):
        gain += flags[i - 1] / math.log2(i)
    ideal = 1.0
    for j in range(2, sum(flags) + 1):
        ideal += 1 / math.log2(j)
    return gain / ideal


def average_precision(flags: Flags, depth: int | None = None) -> float:
    total, seen = 0.0, 0
    for i, flag in enumerate(flags[:depth], start=1):
        seen += flag
        total += flag * seen / i
    return total / sum(flags)


def map_at_r(flags: Flags) -> float:
    return average_precision(flags, depth=sum(flags))


def recall_at(flags: Flags, k: int) -> float:
    return float(any(flags[:k]))


def precisions(flags: Flags) -> list[float]:
    """Precision at each hit."""
    found = []
    for i, flag in enumerate(flags, start=1):
        if flag:
            found.append((len(found) + 1) / i)
    return found


def twenty_points(flags: Flags) -> list[float]:
    """Precision at recall 1/20 ... 20/20, linear between hits; NaN where C < 2 or C < 20/j."""
    values = precisions(flags)
    c = len(values)
    curve = []
    for j in range(1, 21):
        if c < 2 or c * j < 20:
            curve.append(math.nan)
            continue
        whole, part = divmod(c * j, 20)
        after = values[min(whole, c - 1)]
        curve.append(values[whole - 1] + (after - values[whole - 1]) * part / 20)
    return curve


def eleven_points(flags: Flags) -> list[float]:
    """Largest precision among hits of recall at least 0, 0.1, ..., 1."""
    values = precisions(flags)
    c = len(values)
    return [max(p for hit, p in enumerate(values, start=1) if 10 * hit >= j * c) for j in range(11)]


def scores(flags: Flags, recall_ks: Sequence[int] = (1, 2, 4, 8)) -> dict[str, float]:
    """All scores of one list that has a relevant item."""
    return {
        "map": average_precision(flags),
        "nn": nearest_neighbour(flags),
        "ft": tier(flags, 1),
        "st": tier(flags, 2),
        "e": e_measure(flags),
        "dcg": shrec_dcg(flags),
        "r_precision": tier(flags, 1),
        "map_at_r": map_at_r(flags),
        **{f"recall_at_{k}": recall_at(flags, k) for k in recall_ks},
    }


def ranked_flags(distances: Sequence[float], relevant: Flags) -> list[int]:
    """Flags in ascending order of distance, ties in the order given."""
    return [relevant[i] for i in sorted(range(len(distances)), key=lambda i: (distances[i], i))]


def tied_orders(distances: Sequence[float], relevant: Flags) -> Iterator[list[int]]:
    """Every list that some order of the tied items gives, each as often as there are such orders."""
    groups: dict[float, list[int]] = {}
    for distance, flag in zip(distances, relevant):
        groups.setdefault(distance, []).append(flag)
    orders = [list(itertools.permutations(groups[distance])) for distance in sorted(groups)]
    for choice in itertools.product(*orders):
        yield [flag for group in choice for flag in group]


def expected(score: Callable[[Flags], float], distances: Sequence[float], relevant: Flags) -> float:
    """Mean of a score over all orders of the tied items."""
    values = [score(flags) for flags in tied_orders(distances, relevant)]
    return sum(values) / len(values)


def majority(votes: Sequence[int]) -> int:
    """Most frequent label; among equally frequent ones, the one that comes first."""
    best = votes[0]
    for label in votes:
        if votes.count(label) > votes.count(best):
            best = label
    return best
