"""Scores of genuine and impostor pairs as histograms, and the ROC curves of several sets over a logarithmic FAR."""

from __future__ import annotations

import math

import torch

from monge.metrics.roc import roc_curve
from monge.report.charts import histogram_chart
from monge.report.line_chart import Series, line_chart
from monge.report.stored_verification import StoredPairs
from monge.report.svg import Markup

_POINTS = 160


def score_chart(pairs: StoredPairs) -> Markup:
    """Histograms of the cosine similarities of both kinds of pairs, with the mean threshold of the folds."""
    scores = pairs.similarities
    low, high = float(scores.min()), float(scores.max())
    low, high = (low, high) if low < high else (low - 0.5, high + 0.5)
    # As many bins as the smaller kind of pairs fills.
    bins = min(max(round(2 * min(int(pairs.same.sum()), int((~pairs.same).sum())) ** 0.5), 16), 60)
    shares = [torch.histc(part, bins, low, high) / len(part) for part in (scores[pairs.same], scores[~pairs.same])]
    limit = 1 - float(pairs.found.thresholds.mean()) / 2
    return histogram_chart(
        f"Scores of {pairs.name}",
        "cosine similarity",
        "share of the pairs",
        torch.linspace(low, high, bins + 1).tolist(),
        [("genuine", shares[0].tolist()), ("impostor", shares[1].tolist())],
        mark=(f"threshold {limit:.3f}", min(max(limit, low), high)),
    )


def roc_chart(sets: tuple[StoredPairs, ...]) -> Markup:
    """True-accept rate over false-accept rate, from one accepted impostor on."""
    lines = [_line(pairs) for pairs in sets]
    title = "ROC" if len(sets) > 1 else f"ROC of {sets[0].name}"
    return line_chart(title, "false-accept rate (log scale)", "true-accept rate", lines, log_x=True)


def _line(pairs: StoredPairs) -> Series:
    """The largest acceptance at each of many rates, evenly spread over the orders of magnitude."""
    curve = roc_curve(pairs.similarities, pairs.same)
    smallest = 1 / int((~pairs.same).sum())
    rates = torch.logspace(math.log10(smallest), 0.0, _POINTS, dtype=torch.float64)
    at = torch.searchsorted(curve.far, rates * (1 + 1e-9), right=True) - 1
    return Series(pairs.name, rates.tolist(), curve.tar[at].tolist())
