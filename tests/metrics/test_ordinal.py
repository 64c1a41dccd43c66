"""Scores of ordered classes: published values, slow loops, what is undefined and what is refused."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from torch import Tensor

from monge import metrics
from monge.errors import MongeError
from monge.metrics import UndefinedMetricWarning, classification_metrics, decode, ordinal_metrics
from monge.metrics.probabilities import row_blocks
from oracles import ordinal as oracle

LABELS, PREDICTED = torch.tensor([0, 0, 1, 2, 4, 4]), torch.tensor([0, 1, 1, 4, 4, 2])
TABLE = ["accuracy", "mae", "within_one", "amae", "mmae", "qwk"]
ORDERED = [*TABLE, "rps", "spearman", "kendall", "c_index", "emd", "ece", "nll"]


def forecasts(count: int = 60, classes: int = 6, missing: tuple[int, ...] = (2,)) -> tuple[Tensor, Tensor]:
    """Random float64 forecasts and labels; the classes in `missing` are never true."""
    labels = torch.tensor([k for k in range(classes) if k not in missing])[
        torch.randint(classes - len(missing), (count,))
    ]
    return (torch.randn(count, classes) * 1.5 + 2 * torch.eye(classes)[labels]).double().softmax(1), labels


def test_golden_values() -> None:
    scores = ordinal_metrics(torch.eye(5)[PREDICTED], LABELS)
    golden = {
        "mae": 0.833333,
        "accuracy": 0.5,
        "within_one": 0.666667,
        "qwk": 0.709677,
        "amae": 0.875,
        "mmae": 2.0,
        "kendall": 0.692308,
        "spearman": 0.818182,
        "c_index": 11 / 13,
    }
    assert {name: scores[name] for name in golden} == pytest.approx(golden, abs=5e-7)


def test_golden_rps_is_not_normalised_by_default() -> None:
    uniform, labels = torch.full((5, 5), 0.2), torch.tensor([0, 0, 1, 2, 4])
    assert metrics.ranked_probability_score(uniform, labels) == pytest.approx(0.92)
    assert metrics.ranked_probability_score(uniform, labels, normalised=True) == pytest.approx(0.23)


def test_keys() -> None:
    p, labels = forecasts()
    assert list(ordinal_metrics(p, labels)) == ORDERED
    plain = ["accuracy", "mean_class_accuracy", "nll", "ece", "top5"]
    assert list(classification_metrics(p, labels)) == list(ordinal_metrics(p, labels, ordered=False)) == plain


@pytest.mark.parametrize("how", ["argmax", "expectation", "median"])
@pytest.mark.parametrize("missing", [(), (0, 3), (4, 5)])
def test_scores_equal_the_loops(how: str, missing: tuple[int, ...]) -> None:
    p, labels = forecasts(missing=missing)
    found = ordinal_metrics(p, labels, decode=how)  # type: ignore[arg-type]
    rows, y = p.tolist(), labels.tolist()
    z = [oracle.decoded(row, how) for row in rows]
    errors = [abs(a - b) for a, b in zip(z, y)]
    want = {
        "accuracy": sum(e == 0 for e in errors) / len(y),
        "mae": sum(errors) / len(y),
        "within_one": sum(e <= 1 for e in errors) / len(y),
        "amae": sum(oracle.class_maes(z, y)) / len(set(y)),
        "mmae": max(oracle.class_maes(z, y)),
        "qwk": oracle.weighted_kappa(z, y, 6),
        "kendall": oracle.tau_b(z, y),
        "c_index": oracle.c_index(z, y),
        "rps": sum(oracle.ranked_probability(row, k) for row, k in zip(rows, y)) / len(y),
        "emd": sum(oracle.emd_r(row, [float(j == k) for j in range(6)], 1) for row, k in zip(rows, y)) / len(y),
        "ece": oracle.calibration_error(rows, y, 15),
        "nll": -sum(math.log(row[k]) for row, k in zip(rows, y)) / len(y),
    }
    assert {name: found[name] for name in want} == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_other_dtypes_agree_with_their_own_values_in_float64(dtype: torch.dtype) -> None:
    p, labels = forecasts()
    small = p.to(dtype)
    same = small.double() / small.double().sum(dim=1, keepdim=True)
    tolerance = 1e-5 if dtype == torch.float32 else 0.02
    assert ordinal_metrics(small, labels.to(torch.uint8)) == pytest.approx(ordinal_metrics(same, labels), abs=tolerance)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    p, labels = forecasts()
    every = [ordinal_metrics(p, labels, decode="median"), classification_metrics(p, labels), metrics.ava_scores(p, p)]
    monkeypatch.setattr("monge.metrics.probabilities._BLOCK", 40)
    assert len(list(row_blocks(p))) == 10
    again = [ordinal_metrics(p, labels, decode="median"), classification_metrics(p, labels), metrics.ava_scores(p, p)]
    for one, other in zip(every, again):
        assert one == pytest.approx(other, abs=1e-12)


def test_decoding_ties_go_to_the_lower_class() -> None:
    half = torch.tensor([[0.5, 0.5], [0.4, 0.6], [0.6, 0.4]])
    for how in ("argmax", "expectation", "median"):
        assert decode(half, how).tolist() == [0, 1, 0]  # type: ignore[arg-type]
    # 0.1 + 0.2 + 0.2 is a little below a half in float32, and its expectation a little above 2.5.
    assert decode(torch.tensor([[0.1, 0.2, 0.2, 0.5]]), "median").tolist() == [2]
    assert decode(torch.tensor([[0.3, 0.0, 0.0, 0.1, 0.1, 0.5]]), "expectation").tolist() == [3]
    assert decode(torch.full((1, 10), 0.1), "median").tolist() == [4]
    assert decode(torch.full((1, 10), 0.1), "expectation").tolist() == [4]


def test_expectation_is_taken_on_the_positions() -> None:
    p, positions = torch.tensor([[0.5, 0.0, 0.5], [0.9, 0.0, 0.1]]), (0.0, 2.0, 20.0)
    assert decode(p, "expectation").tolist() == [1, 0]
    assert decode(p, "expectation", positions=positions).tolist() == [1, 1]
    assert decode(p, "median", positions=positions).tolist() == [0, 0]


def test_positions_are_the_unit_of_the_errors() -> None:
    p, labels = torch.eye(4)[torch.tensor([0, 3, 1])], torch.tensor([1, 1, 2])
    ages = ordinal_metrics(p, labels, positions=torch.tensor([2.0, 6.0, 13.0, 60.0]))
    assert (ages["mae"], ages["amae"], ages["mmae"]) == pytest.approx((65 / 3, 18.0, 29.0))
    levels = ordinal_metrics(p, labels)
    assert levels["mae"] == pytest.approx(4 / 3)
    assert ages["within_one"] == levels["within_one"] == pytest.approx(2 / 3)


def test_emd_compares_with_the_targets() -> None:
    p, labels = forecasts()
    targets = torch.rand(60, 6).double().softmax(1)
    want = sum(oracle.emd_r(a, b, 1) for a, b in zip(p.tolist(), targets.tolist())) / 60
    assert ordinal_metrics(p, labels, targets=targets)["emd"] == pytest.approx(want)
    for r in (1.0, 2.0, 3.5):
        want = sum(oracle.emd_r(a, b, r) for a, b in zip(p.tolist(), targets.tolist())) / 60
        assert metrics.distribution_emd(p, targets, r=r) == pytest.approx(want)


def test_what_is_undefined_is_nan_with_one_warning() -> None:
    same = torch.eye(3)[torch.tensor([1, 1, 1])]
    with pytest.warns(UndefinedMetricWarning) as caught:
        scores = ordinal_metrics(same, torch.tensor([1, 1, 1]))
    assert [name for name in ORDERED if math.isnan(scores[name])] == ["qwk", "spearman", "kendall", "c_index"]
    assert [str(w.message) for w in caught] == [
        "qwk, spearman, kendall, c_index are undefined and reported as NaN: "
        "all predictions or all labels are the same class"
    ]
    # A constant guess of several classes is no better than chance: kappa 0 and C-index a half, by their formulas.
    with pytest.warns(UndefinedMetricWarning, match="^spearman, kendall are undefined"):
        scores = ordinal_metrics(same, torch.tensor([0, 1, 2]))
    assert (scores["qwk"], scores["c_index"]) == (0.0, 0.5)
    for function in (metrics.quadratic_weighted_kappa, metrics.spearman, metrics.kendall_tau_b, metrics.pearson):
        with pytest.warns(UndefinedMetricWarning, match="is undefined and reported as NaN"):
            assert math.isnan(function(torch.tensor([1, 1]), torch.tensor([1, 1])))
    with pytest.warns(UndefinedMetricWarning, match="c_index is undefined"):
        assert math.isnan(metrics.concordance_index(torch.tensor([0, 1]), torch.tensor([1, 1])))


def test_good_data_do_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ordinal_metrics(*forecasts())


def test_a_probability_of_zero_keeps_the_log_loss_finite() -> None:
    tiny = torch.finfo(torch.float32).tiny
    found = metrics.negative_log_likelihood(torch.tensor([[1.0, 0.0]]), torch.tensor([1]))
    assert found == pytest.approx(-math.log(tiny))


def test_one_class() -> None:
    with pytest.warns(UndefinedMetricWarning):
        scores = ordinal_metrics(torch.ones(3, 1), torch.zeros(3, dtype=torch.long), decode="expectation")
    assert (scores["accuracy"], scores["rps"], scores["mae"]) == (1.0, 0.0, 0.0)
    with pytest.raises(MongeError, match="normalised: found one class"):
        metrics.ranked_probability_score(torch.ones(3, 1), torch.zeros(3, dtype=torch.long), normalised=True)


@pytest.mark.parametrize(
    ("p", "labels", "options", "message"),
    [
        (torch.randn(2, 3), torch.tensor([0, 1]), {}, r"probabilities: row 0 (has the value|sums to)"),
        (torch.full((2, 3), 0.5), torch.tensor([0, 1]), {}, r"row 0 sums to 1.5, expected 1 \(softmax of the logits\)"),
        (torch.tensor([[1.0, 0.0], [math.nan, 0.0]]), torch.tensor([0, 1]), {}, "row 1 sums to nan"),
        (torch.tensor([[1.5, -0.5]]), torch.tensor([0]), {}, "row 0 has the value -0.5"),
        (torch.tensor([[1, 0]]), torch.tensor([0]), {}, r"torch.int64 tensor of shape \(1, 2\), expected floating"),
        (torch.zeros(0, 3), torch.zeros(0, dtype=torch.long), {}, r"found none \(shape \(0, 3\)\), expected"),
        (torch.eye(3), torch.tensor([0, 1]), {}, r"labels: found shape \(2,\), expected \(3,\)"),
        (torch.eye(3), torch.tensor([0, 1, 3]), {}, "labels: found class 3, expected numbers from 0 to 2"),
        (torch.eye(3), torch.tensor([0, -100, 1]), {}, "labels: found class -100"),
        (torch.eye(3), torch.tensor([0.0, 1.0, 2.0]), {}, "labels: found dtype torch.float32"),
        (torch.eye(3), torch.arange(3), {"decode": "mode"}, "decode: found 'mode', expected 'argmax'"),
        (torch.eye(3), torch.arange(3), {"positions": (1.0, 2.0)}, r"positions: found shape \(2,\), expected \(3,\)"),
        (torch.eye(3), torch.arange(3), {"positions": (1.0, 2.0, 2.0)}, "expected finite numbers in increasing order"),
        (torch.eye(3), torch.arange(3), {"targets": torch.eye(2)}, r"targets: found shape \(2, 2\), expected \(3, 3\)"),
    ],
)
def test_wrong_inputs_get_one_clear_line(p: Tensor, labels: Tensor, options: dict[str, object], message: str) -> None:
    with pytest.raises(MongeError, match=message) as caught:
        ordinal_metrics(p, labels, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_wrong_options_of_the_single_functions() -> None:
    p, labels = forecasts()
    with pytest.raises(MongeError, match="k: found 0"):
        metrics.top_k_accuracy(p, labels, k=0)
    with pytest.raises(MongeError, match="bins: found 0"):
        metrics.expected_calibration_error(p, labels, bins=0)
    with pytest.raises(MongeError, match=r"r: found 0\.5"):
        metrics.distribution_emd(p, labels, r=0.5)
    with pytest.raises(MongeError, match=r"predictions: found shape \(2,\), expected \(3,\)"):
        metrics.mean_absolute_error(torch.tensor([0, 1]), torch.tensor([0, 1, 2]))
    with pytest.raises(MongeError, match="targets: found shape"):
        metrics.ava_scores(p, torch.eye(6)[:3])
    with pytest.raises(MongeError, match="labels: found dtype"):
        metrics.ranked_probability_score(p, p)


@pytest.mark.gpu
def test_on_a_gpu_the_same() -> None:
    p, labels = forecasts()
    device = p.cuda()
    assert ordinal_metrics(device, labels) == pytest.approx(ordinal_metrics(p, labels), abs=1e-12)
    assert classification_metrics(device, labels.cuda()) == pytest.approx(classification_metrics(p, labels), abs=1e-12)
    assert metrics.ava_scores(device, p.flip(1)) == pytest.approx(metrics.ava_scores(p, p.flip(1)), abs=1e-12)
