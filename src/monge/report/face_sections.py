"""What the page of a face run shows of its pairs: scores, ROC, folds, thresholds, hardest pairs, matched regions."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from monge.errors import DataFormatError, MongeError
from monge.metrics.matched_regions import matched_regions
from monge.metrics.roc import auc, equal_error_rate, tar_at_far
from monge.metrics.telling_pairs import hardest_pairs
from monge.metrics.thresholds import OperatingPoint, calibrate
from monge.metrics.undefined import UndefinedMetricWarning
from monge.report.face_cases import PairCase, case_of, set_cases
from monge.report.face_charts import roc_chart, score_chart
from monge.report.match_picture import match_picture
from monge.report.run_folder import RunFolder
from monge.report.stored_verification import StoredPairs, StoredVerification
from monge.report.svg import Markup, clean
from monge.train.face_measures import HARDEST

_FARS = (0.1, 0.01, 1e-3, 1e-4)
_MOST_SHOWN = 3
_MATCHES = 6
_THRESHOLD_FILE = "threshold.json"


@dataclass(frozen=True)
class ScoreRow:
    """One set in the table beside the ROC curves; a rate is NaN where there are too few impostors for it."""

    name: str
    genuine: int
    impostors: int
    tars: list[float]
    eer: float
    auc: float


@dataclass(frozen=True)
class RocSection:
    """The curves of all sets and the table beside them."""

    chart: Markup
    rows: list[ScoreRow]


@dataclass(frozen=True)
class FoldTable:
    """Accuracy and threshold of every fold of every set."""

    names: list[str]
    rows: list[tuple[int, list[tuple[float, float] | None]]]
    means: list[tuple[float, float]]
    on_grid: list[tuple[float, float]]


@dataclass(frozen=True)
class Region:
    """A pair with the regions that transport matches."""

    chart: Markup
    case: PairCase


def face_sections(run: RunFolder) -> Mapping[str, object]:
    """The sections made from the stored pairs, or the reason why there are none."""
    items = run.results
    if not isinstance(items, StoredVerification):
        reason = clean(items, 300) if isinstance(items, str) else ""
        absent = dict.fromkeys(("scores", "roc", "folds", "cases", "regions"), reason)
        return {**absent, "points": [], "fars": _FARS, "left_out": []}
    sets = items.sets
    return {
        "scores": [score_chart(pairs) for pairs in sets],
        "roc": RocSection(roc_chart(sets), [_score_row(pairs) for pairs in sets]),
        "fars": _FARS,
        "folds": _fold_table(sets),
        "points": _operating_points(run.path, sets[0]),
        "cases": [set_cases(pairs) for pairs in sets[:_MOST_SHOWN]],
        "left_out": [pairs.name for pairs in sets[_MOST_SHOWN:]],
        "regions": _regions(sets),
    }


def _score_row(pairs: StoredPairs) -> ScoreRow:
    scores = pairs.similarities
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        tars = list(tar_at_far(scores, pairs.same, _FARS).values())
    genuine = int(pairs.same.sum())
    rates = equal_error_rate(scores, pairs.same), auc(scores, pairs.same)
    return ScoreRow(pairs.name, genuine, len(pairs.same) - genuine, tars, *rates)


def _fold_table(sets: tuple[StoredPairs, ...]) -> FoldTable:
    by_set = []
    for pairs in sets:
        folds = torch.unique(pairs.folds).tolist()
        values = zip(pairs.found.accuracies.tolist(), (1 - pairs.found.thresholds / 2).tolist())
        by_set.append(dict(zip(folds, values)))
    numbers = sorted({fold for found in by_set for fold in found})
    rows = [(fold, [found.get(fold) for found in by_set]) for fold in numbers]
    means = [(pairs.found.accuracy, pairs.found.accuracy_std) for pairs in sets]
    on_grid = [(pairs.on_grid.accuracy, pairs.on_grid.accuracy_std) for pairs in sets]
    return FoldTable([pairs.name for pairs in sets], rows, means, on_grid)


def _operating_points(folder: Path, pairs: StoredPairs) -> list[tuple[str, OperatingPoint]]:
    """The threshold stored with the model, if it is, and those that the first set gives for round rates."""
    points = []
    try:
        stored = OperatingPoint.load(folder / _THRESHOLD_FILE)
        points.append(("stored with the model", stored))
    except DataFormatError:
        pass  # most runs have none
    for far in _FARS:
        try:
            points.append((f"set on {pairs.name}", calibrate(pairs.similarities, pairs.same, far, pairs=pairs.name)))
        except MongeError:  # too few impostors for this rate and for all smaller ones
            break
    return points


def _regions(sets: tuple[StoredPairs, ...]) -> list[Region] | str:
    for pairs in sets:
        if pairs.maps is None or pairs.images is None:
            continue
        places = []
        for row in hardest_pairs(pairs.distances, pairs.limits, pairs.same, count=HARDEST).tolist():
            first, second = (pairs.place(int(side[row])) for side in (pairs.first, pairs.second))
            if first is not None and second is not None and bool(pairs.maps[[first, second]].isfinite().all()):
                places.append((row, first, second))
        if not places:
            continue
        maps = [pairs.maps[[place[side] for place in places]].float() for side in (1, 2)]
        found = matched_regions(*maps, most=_MATCHES)
        drawn = []
        for i, (row, one, other) in enumerate(places):
            label = f"matched regions of pair {row} of {pairs.name}"
            chart = match_picture(label, pairs.images[one], pairs.images[other], found, i)
            drawn.append(Region(chart, case_of(pairs, row)))
        return drawn
    return "the run stored no feature maps with the pictures of a set"
