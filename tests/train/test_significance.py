"""Paired tests against SciPy, Holm's correction by hand, and what cannot be tested."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from monge.train.significance import holm, paired_rule, paired_tests, t_test


def runs(seed: int, count: int = 5) -> dict[str, dict[int, dict[str, float]]]:
    """Three losses whose runs share what the seed decides."""
    random = np.random.default_rng(seed)
    shared = random.normal(0, 0.1, count)
    values = {
        name: shared + offset + random.normal(0, 0.01, count) for name, offset in (("a", 0), ("b", 0.1), ("c", 0))
    }
    return {name: {s: {"test/mae": float(v)} for s, v in enumerate(each)} for name, each in values.items()}


@pytest.mark.parametrize("seed", range(5))
def test_p_values_and_intervals_are_scipys(seed):
    losses = runs(seed)
    tests = paired_tests(losses, ["test/mae"])
    assert [(test.a, test.b) for test in tests] == [("a", "b"), ("a", "c"), ("b", "c")]
    for test in tests:
        a, b = ([losses[name][s]["test/mae"] for s in range(5)] for name in (test.a, test.b))
        expected = stats.ttest_rel(a, b)
        assert test.p == pytest.approx(expected.pvalue, rel=1e-9)
        interval = expected.confidence_interval(0.95)
        assert test.difference == pytest.approx(np.mean(a) - np.mean(b))
        ends = (test.difference - test.interval, test.difference + test.interval)
        assert ends == pytest.approx((interval.low, interval.high))
        assert test.significant == (test.p_holm < 0.05)
    assert tests[0].significant
    assert tests[2].significant


def test_holm_steps_down():
    # Sorted: 0.005 * 4, 0.01 * 3, 0.03 * 2, 0.04 * 1, each at least the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_the_correction_keeps_the_chance_of_a_false_claim_at_its_level():
    random = np.random.default_rng(0)
    false = 0
    for _ in range(400):
        values = random.normal(size=(4, 6))
        losses = {f"l{i}": {s: {"m": float(v)} for s, v in enumerate(row)} for i, row in enumerate(values)}
        false += any(test.significant for test in paired_tests(losses, ["m"]))
    assert false / 400 < 0.075


def test_equal_and_constant_differences():
    assert t_test([0.0, 0.0, 0.0]) == 1.0
    assert t_test([0.5, 0.5, 0.5]) == 0.0


def test_what_cannot_be_tested_is_left_out():
    losses = runs(0, count=2)
    assert paired_tests(losses, ["test/mae"]) is None
    assert paired_rule(None).startswith("not tested")
    losses = runs(0)
    del losses["c"][0], losses["c"][1], losses["c"][2]
    assert [(test.a, test.b) for test in paired_tests(losses, ["test/mae"])] == [("a", "b")]
    assert paired_rule(paired_tests(losses, ["test/mae"])).endswith("one pair; significant: corrected p below 0.05")
    losses["a"][0]["test/mae"] = losses["a"][1]["test/mae"] = losses["a"][2]["test/mae"] = math.nan
    assert paired_tests(losses, ["test/mae"]) is None
    assert paired_tests({"a": {}}, ["test/mae"]) is None
