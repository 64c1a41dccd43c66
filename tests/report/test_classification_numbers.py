"""What the page of a classification run computes: confusion, clustering, cases, curves; against other libraries."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from fake_classification import NAMES, distances, predictions
from scipy.cluster.hierarchy import cophenet, dendrogram, linkage
from scipy.spatial.distance import squareform
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix

from monge.report.class_confusion import class_confusion
from monge.report.class_tree import class_tree
from monge.report.distance_chart import distance_map, nearness
from monge.report.distribution_chart import named_bars, ordered_bars
from monge.report.forecast_cases import forecast_cases
from monge.report.ground_section import ground_section, tree_of
from monge.report.matrix_chart import heat_map
from monge.report.reliability_section import reliability_section
from monge.report.stored_ground import StoredGround
from monge.report.stored_predictions import StoredPredictions


def items(count: int = 300, classes: int = 5, *, ordered: bool = True) -> StoredPredictions:
    stored = predictions(count, classes)
    names = tuple(NAMES) if classes == 5 else tuple(f"c{i}" for i in range(classes))
    return StoredPredictions(
        stored["test/probabilities"],
        stored["test/labels"],
        names,
        ordered,
        None,
        None,
        stored["test/images"],
        stored["test/shown"],
        count,
        "",
    )


def ground(classes: int = 5) -> StoredGround:
    found = distances(classes)
    names = tuple(f"c{i}" for i in range(classes))
    return StoredGround(found["matrix"], names, "learned", found["history"], tuple(found["epochs"].tolist()))


def test_confusion_and_its_cost_agree_with_sklearn_and_numpy() -> None:
    data, apart = items(), distances()["matrix"]
    predicted = data.probabilities.argmax(dim=1)
    found = class_confusion(data, predicted, apart, None)
    matrix, far = confusion_matrix(data.labels, predicted), apart.numpy().astype(float)
    for i in range(5):
        for j in range(5):
            told = f"{NAMES[i]} → {NAMES[j]}: {matrix[i, j]} of {matrix[i].sum()} "
            assert told in found.chart
            if i != j:
                assert re.search(re.escape(told) + rf"\([0-9.]+ %\), distance {far[i, j]:.3g}<", found.chart)
    wrong = matrix - np.diag(np.diag(matrix))
    assert found.mistakes == wrong.sum()
    assert found.mean_distance == pytest.approx((wrong * far).sum() / wrong.sum())
    chance = (wrong.sum(axis=1) * far.sum(axis=1) / 4).sum() / wrong.sum()
    assert found.chance_distance == pytest.approx(chance)
    cost = [m.count * (m.distance or 0) for m in found.worst]
    assert cost == pytest.approx(sorted((wrong * far).flatten().tolist(), reverse=True)[: len(cost)])


def test_without_distances_the_most_frequent_mistakes_come_first() -> None:
    data = items(ordered=False)
    predicted = data.probabilities.argmax(dim=1)
    found = class_confusion(data, predicted, None, None)
    wrong = confusion_matrix(data.labels, predicted)
    np.fill_diagonal(wrong, 0)
    assert [m.count for m in found.worst] == sorted(wrong[wrong > 0].tolist(), reverse=True)[:8]
    assert (found.mean_distance, found.chance_distance) == (None, None)


def test_neighbouring_classes_are_put_together_and_none_is_lost() -> None:
    data = items(2000, 50)
    predicted = data.probabilities.argmax(dim=1)
    places = torch.arange(50.0)
    found = class_confusion(data, predicted, (places[:, None] - places).abs(), None)
    merged = confusion_matrix(data.labels // 3, predicted // 3)
    assert f"c0–c2 → c3–c5: {merged[0, 1]} of {merged[0].sum()} " in found.chart
    assert f"c48–c49 → c48–c49: {merged[16, 16]} of {merged[16].sum()} " in found.chart
    assert re.search(r"c0–c2 → c3–c5: .*?, distance 3<", found.chart)


def test_rows_follow_the_given_order() -> None:
    data = items(ordered=False)
    chart = class_confusion(data, data.labels, None, [4, 2, 0, 1, 3]).chart
    rows = re.findall(r'<text x="[^"]*" y="[^"]*" text-anchor="end" class="tick">([^<]*)<', chart)
    assert rows == [NAMES[i] for i in (4, 2, 0, 1, 3)]


def test_bars_are_as_wide_as_the_classes_are_apart() -> None:
    chart = heat_map(
        "t", "x", "y", ["a", "b", "c"], [[1, 1, 1]] * 3, [[0.0, 1.0, 4.0], [1.0, 0.0, 2.0], [4.0, 2.0, 0.0]]
    )
    marks = re.findall(r'<rect x="[0-9.]+" y="[0-9.]+" width="([0-9.]+)" height="[0-9.]+" class="far">', chart)
    widths = [float(w) for w in marks[:6]]
    assert [w / widths[1] for w in widths] == pytest.approx([0.25, 1, 0.25, 0.5, 1, 0.5], abs=0.01)


def test_tree_agrees_with_scipy() -> None:
    matrix = torch.rand(12, 12, generator=torch.Generator().manual_seed(0))
    matrix = ((matrix + matrix.T) / 2).fill_diagonal_(0)
    tree = class_tree(matrix)
    joins = linkage(squareform(matrix.double().numpy()), "average", optimal_ordering=True)
    assert [b.height for b in tree.brackets] == pytest.approx(joins[:, 2].tolist())
    drawn = dendrogram(joins, no_plot=True)
    assert tree.order in (drawn["leaves"], drawn["leaves"][::-1])
    flipped = tree.order != drawn["leaves"]
    corners = {(round(b.height, 9), tuple(sorted((b.first, b.second)))) for b in tree.brackets}
    for x, y in zip(drawn["icoord"], drawn["dcoord"]):
        ends = [(x[k] - 5) / 10 for k in (0, 2)]
        ends = [11 - e for e in ends] if flipped else ends
        assert (round(y[1], 9), tuple(sorted(ends))) in corners
    # Two classes are joined at their cophenetic distance.
    assert max(b.height for b in tree.brackets) == pytest.approx(cophenet(joins).max())


def test_an_asymmetric_distance_counts_by_its_mean_and_many_classes_are_fine() -> None:
    matrix = torch.tensor([[0.0, 1.0, 9.0], [3.0, 0.0, 9.0], [9.0, 9.0, 0.0]])
    assert [b.height for b in class_tree(matrix).brackets] == [2.0, 9.0]
    big = torch.rand(260, 260)
    assert sorted(class_tree(big + big.T).order) == list(range(260))


def test_near_classes_stand_side_by_side() -> None:
    place = torch.tensor([0.0, 10.0, 0.1, 10.1, 0.2, 10.2])
    order = class_tree((place[:, None] - place).abs()).order
    assert [i % 2 for i in order] in ([0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0])


def test_shades_of_the_map_are_the_distances() -> None:
    matrix = torch.tensor([[0.0, 0.2, 1.0], [0.2, 0.0, 0.6], [1.0, 0.6, 0.0]])
    assert nearness(matrix, 0.2, 1.0).flatten().tolist() == pytest.approx([0, 1, 0, 1, 0, 0.5, 0, 0.5, 0])
    chart = distance_map(["a", "b", "c"], matrix, class_tree(matrix))
    assert "a – b: 0.2<" in chart
    assert [float(v) for v in re.findall(r'fill-opacity="([0-9.]+)" class="near"', chart)][-4:] == [
        1.0,
        1.0,
        0.56,
        0.56,
    ]


def test_section_of_a_learned_distance() -> None:
    stored = ground(7)
    section = ground_section(stored, tree_of(stored))
    assert not isinstance(section, str)
    matrix = stored.matrix.numpy()
    pairs = sorted((matrix[i, j], i, j) for i in range(7) for j in range(i + 1, 7))
    assert [v for *_, v in section.nearest] == pytest.approx([v for v, *_ in pairs[:6]])
    assert [v for *_, v in section.farthest] == pytest.approx([v for v, *_ in pairs[::-1][:6]])
    assert section.nearest[0][:2] == (f"c{pairs[0][1]}", f"c{pairs[0][2]}")
    assert [epoch for epoch, _ in section.epochs] == [1, 2, 4, 5, 7, 8]
    steps = stored.history.double().numpy()
    moved = np.abs(np.diff(steps, axis=0)).sum(axis=(1, 2)) / 42
    told = re.findall(r"mean change: ([0-9.e-]+) at", section.change or "")
    assert [float(v) for v in told] == pytest.approx(moved.tolist(), rel=1e-3)


def test_only_given_distances_along_the_order_need_no_clustering() -> None:
    places = torch.tensor([0.0, 1.0, 4.0, 4.5])
    line = (places[:, None] - places).abs()
    stored = replace(ground(4), matrix=line, kind="line")
    assert tree_of(stored) is None
    assert tree_of(replace(stored, matrix=line**2, kind="power")) is None
    assert tree_of(replace(stored, kind="learned")) is not None
    assert tree_of(replace(stored, matrix=line[[0, 2, 1, 3]][:, [0, 2, 1, 3]])) is not None


def test_a_thinned_history_tells_the_change_of_one_epoch() -> None:
    stored = ground(5)
    kept = replace(stored, history=stored.history[::2], epochs=stored.epochs[::2])
    section = ground_section(kept, None)
    assert not isinstance(section, str)
    moved = np.abs(np.diff(kept.history.double().numpy(), axis=0)).sum(axis=(1, 2)) / 20 / 2
    told = re.findall(r"mean change: ([0-9.e-]+) at", section.change or "")
    assert [float(v) for v in told] == pytest.approx(moved.tolist(), rel=1e-3)


def test_few_pairs_are_not_listed_twice() -> None:
    stored = ground(3)
    section = ground_section(stored, None)
    assert not isinstance(section, str)
    assert (len(section.nearest), len(section.farthest)) == (2, 1)


@pytest.mark.parametrize("ordered", [True, False])
def test_cases_are_the_worst_and_the_best(ordered: bool) -> None:
    data = replace(items(ordered=ordered), images=None, shown=torch.zeros(0, dtype=torch.long))
    found = forecast_cases(data, data.probabilities.argmax(dim=1))
    p, y = data.probabilities.double().numpy(), data.labels.numpy()
    if ordered:
        scores = ((p.cumsum(axis=1) - (y[:, None] <= np.arange(5))) ** 2)[:, :-1].sum(axis=1)
    else:
        scores = -np.log(p[np.arange(300), y])
    assert [c.score for c in found.worst] == pytest.approx(sorted(scores, reverse=True)[:12])
    # The best ones are of as many classes as there are: here the best of each of the five, then the next.
    best = [min(scores[y == k]) for k in range(5)]
    assert sorted(c.score for c in found.best[:5]) == pytest.approx(sorted(best)[:5])
    assert len({c.true for c in found.best}) == 5
    assert all(c.right == (c.true == c.predicted) for c in (*found.worst, *found.best))


def test_mistakes_do_not_fill_up_the_best_cases() -> None:
    labels = torch.arange(60) % 5
    probabilities = torch.full((60, 5), 0.05)
    guesses = torch.where((labels == 2) & (torch.arange(60) < 40), labels, (labels + 1) % 5)
    probabilities[torch.arange(60), guesses] = 0.8
    data = replace(items(), labels=labels, probabilities=probabilities, images=None, shown=torch.zeros(0).long())
    best = forecast_cases(data, guesses).best
    assert [case.right for case in best] == [True] * 6
    nothing_right = replace(data, labels=(guesses + 1) % 5)
    assert len(forecast_cases(nothing_right, guesses).best) == 6


def test_cases_come_from_the_items_with_pictures() -> None:
    data = items()
    found = forecast_cases(data, data.probabilities.argmax(dim=1))
    p, y = data.probabilities[:48].double().numpy(), data.labels[:48].numpy()
    scores = ((p.cumsum(axis=1) - (y[:, None] <= np.arange(5))) ** 2)[:, :-1].sum(axis=1)
    assert [c.score for c in found.worst] == pytest.approx(sorted(scores, reverse=True)[:12])
    assert all(c.picture is not None and c.picture.name == c.true for c in (*found.worst, *found.best))
    assert len({c.picture.uri for c in (*found.worst, *found.best) if c.picture}) == 18


def test_bars_of_an_ordered_forecast() -> None:
    chart = ordered_bars(["a", "b", "c"], [0.2, 0.5, 0.3], 0, 1, [0.25, 0.25, 0.5])
    heights = [float(h) for h in re.findall(r'<rect [^>]*height="([0-9.]+)"', chart)]
    assert [h / heights[1] for h in heights] == pytest.approx([0.4, 1.0, 0.6], abs=0.01)
    assert re.findall(r'<rect [^>]*class="([a-z-]+)"', chart) == ["true", "guess", "bar-plain"]
    many = ordered_bars([f"c{i}" for i in range(250)], [1 / 250] * 250, 249, 0, None)
    assert many.count("<rect") == 84
    assert "c0–c2: 1.2 %" in many
    assert many.count("goal") == 0


def test_named_bars_hold_the_true_class_wherever_it_stands() -> None:
    chart = named_bars(["a", "b", "c", "d", "e", "f"], [0.4, 0.3, 0.15, 0.1, 0.049, 0.001], 5)
    names = re.findall(r'text-anchor="end" class="tick">([^<]*)<', chart)
    assert names == ["a", "b", "c", "d", "✓ f"]
    assert re.findall(r'<rect [^>]*class="([a-z-]+)"', chart) == ["guess", *["bar-plain"] * 3, "true"]


def test_reliability_agrees_with_sklearn() -> None:
    data = items(2000)
    section = reliability_section(data)
    top, predicted = data.probabilities.double().max(dim=1)
    right = (predicted == data.labels).numpy()
    share, confidence = calibration_curve(right, top.numpy(), n_bins=15)
    told = re.findall(r": ([0-9,]+) predictions, mean confidence ([0-9.]+), ([0-9.]+) % right", section.curve)
    assert [float(c) for _, c, _ in told] == pytest.approx(confidence.tolist(), abs=6e-4)
    assert [float(s) / 100 for *_, s in told] == pytest.approx(share.tolist(), abs=6e-4)
    assert sum(int(n.replace(",", "")) for n, *_ in told) == 2000
    counts = np.array([int(n.replace(",", "")) for n, *_ in told])
    assert section.error == pytest.approx((counts * np.abs(share - confidence)).sum() / 2000)
    assert (section.confidence, section.accuracy) == pytest.approx((float(top.mean()), right.mean()), abs=1e-6)
