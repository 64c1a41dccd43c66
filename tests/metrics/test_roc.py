"""ROC curves and what is read off them, against loops, scikit-learn, torchmetrics and the IJB script's rule."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from monge.errors import MongeError
from monge.metrics.roc import auc, equal_error_rate, roc_curve, tar_at_far
from monge.metrics.undefined import UndefinedMetricWarning
from oracles import verification as oracle


def pairs(count: int, seed: int, digits: int, share: float = 0.4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    same = rng.random(count) < share
    return np.round(rng.normal(np.where(same, 0.6, 0.2), 0.25), digits), same


CASES = [(80, 0, 12), (80, 1, 1), (33, 2, 1), (7, 3, 12), (120, 4, 2)]


@pytest.mark.parametrize(("count", "seed", "digits"), CASES)
def test_curve_area_and_equal_error_rate(count, seed, digits):
    metrics = pytest.importorskip("sklearn.metrics")
    scores, same = pairs(count, seed, digits)
    t, s = torch.from_numpy(scores), torch.from_numpy(same)
    far, tar, thresholds = metrics.roc_curve(same, scores, drop_intermediate=False)
    found = roc_curve(t, s)
    np.testing.assert_allclose(found.far.numpy(), far, atol=1e-15)
    np.testing.assert_allclose(found.tar.numpy(), tar, atol=1e-15)
    np.testing.assert_array_equal(found.thresholds.numpy(), thresholds)
    assert auc(t, s) == pytest.approx(oracle.auc(scores, same), abs=1e-13)
    assert auc(t, s) == pytest.approx(metrics.roc_auc_score(same, scores), abs=1e-12)
    assert equal_error_rate(t, s) == pytest.approx(oracle.equal_error_rate(scores, same), abs=1e-12)


def test_torchmetrics_agrees_where_no_line_has_to_be_drawn():
    eer = pytest.importorskip("torchmetrics.functional.classification").binary_eer
    scores, same = pairs(4000, 5, 12)
    t, s = torch.from_numpy(scores).clamp(0, 1), torch.from_numpy(same)
    # It averages the two rates at the nearest point of the curve: half a pair of either kind apart at most.
    assert equal_error_rate(t, s) == pytest.approx(float(eer(t, s.long())), abs=1 / min(same.sum(), (~same).sum()))


@pytest.mark.parametrize(("count", "seed", "digits"), CASES)
@pytest.mark.parametrize("far", ["1/50", "1/10", "3/10", "1/2", "1"])
def test_acceptance_at_most_at_a_rate(count, seed, digits, far):
    scores, same = pairs(count, seed, digits)
    target = Fraction(far)
    expected = oracle.tar_at_far(scores, same, target)
    if math.isnan(expected):
        with pytest.warns(UndefinedMetricWarning, match="fewer than 1 / rate impostors"):
            found = tar_at_far(torch.from_numpy(scores), torch.from_numpy(same), (float(target),))
    else:
        found = tar_at_far(torch.from_numpy(scores), torch.from_numpy(same), (float(target),))
    np.testing.assert_allclose(list(found.values()), [expected], atol=1e-12)


@pytest.mark.parametrize(("count", "seed", "digits"), [*CASES, (3000, 6, 3), (3000, 7, 12)])
def test_the_rule_of_the_ijb_script_has_its_own_name(count, seed, digits):
    pytest.importorskip("sklearn")
    scores, same = pairs(count, seed, digits, share=0.1)
    targets = [t for t in (1e-3, 1e-2, 0.1, 0.25, 0.5) if t * (~same).sum() >= 1]
    found = tar_at_far(torch.from_numpy(scores), torch.from_numpy(same), targets, rule="nearest")
    assert list(found.values()) == pytest.approx(oracle.ijb_script(scores, same, targets), abs=1e-12)


def test_the_two_rules_differ_where_impostors_tie():
    scores = torch.tensor([0.9, 0.8, 0.8, 0.8, 0.5, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    same = torch.tensor([1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0])
    assert tar_at_far(scores, same, (0.2,))[0.2] == pytest.approx(1 / 3)  # two impostors of eight tie: 0.25 is too many
    assert tar_at_far(scores, same, (0.2,), rule="nearest")[0.2] == 1.0


def test_rates_below_one_impostor_are_nan_and_exact_ones_are_not():
    same = torch.tensor([True] * 10 + [False] * 1000)
    scores = torch.cat([torch.ones(10), torch.linspace(0, 0.9, 1000)])
    assert tar_at_far(scores, same, (1e-3,)) == {1e-3: 1.0}
    with pytest.warns(UndefinedMetricWarning, match="tar@far=0.0001 is undefined"):
        assert math.isnan(tar_at_far(scores, same, (1e-4,))[1e-4])
    with pytest.warns(UndefinedMetricWarning, match="0 genuine"):
        assert math.isnan(tar_at_far(torch.rand(9), torch.zeros(9, dtype=torch.bool), (0.5,))[0.5])


def test_monotone_maps_of_the_scores_change_nothing():
    scores, same = (torch.from_numpy(x) for x in pairs(300, 8, 2))
    other = (scores * 3).exp()
    assert auc(scores, same) == auc(other, same)
    assert equal_error_rate(scores, same) == equal_error_rate(other, same)
    assert tar_at_far(scores, same, (0.1,)) == tar_at_far(other, same, (0.1,))


def test_half_precision_and_perfect_scores():
    same = torch.tensor([True, True, False, False])
    scores = torch.tensor([0.9, 0.8, 0.2, 0.1], dtype=torch.float16)
    assert (auc(scores, same), equal_error_rate(scores, same)) == (1.0, 0.0)
    assert (auc(-scores, same), equal_error_rate(-scores, same)) == (0.0, 1.0)
    assert (auc(torch.ones(4), same), equal_error_rate(torch.ones(4), same)) == (0.5, 0.5)


def test_what_cannot_be_read_off_is_refused():
    with pytest.raises(MongeError, match="3 genuine and 0 impostor pairs, expected at least one of each"):
        roc_curve(torch.rand(3), torch.ones(3, dtype=torch.bool))
    with pytest.raises(MongeError, match=r"fars: found 0, expected rates above 0"):
        tar_at_far(torch.rand(3), torch.tensor([1, 0, 1]), (0,))
    with pytest.raises(MongeError, match="rule: found 'most'"):
        tar_at_far(torch.rand(3), torch.tensor([1, 0, 1]), rule="most")  # type: ignore[arg-type]
