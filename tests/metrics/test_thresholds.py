"""Calibrated thresholds: what they accept where they were set, and the file they are kept in."""

from __future__ import annotations

import json

import pytest
import torch

from monge.errors import DataFormatError, MongeError
from monge.metrics.roc import tar_at_far
from monge.metrics.thresholds import OperatingPoint, calibrate


@pytest.mark.parametrize("far", [0.01, 0.05, 0.5, 0.999])
@pytest.mark.parametrize("digits", [2, 8])
def test_a_threshold_accepts_as_much_as_the_curve_says_at_its_rate(far, digits):
    generator = torch.Generator().manual_seed(digits)
    same = torch.rand(900, generator=generator) < 0.3
    scores = (torch.where(same, 0.5, 0.1) + 0.2 * torch.randn(900, generator=generator)).round(decimals=digits)
    point = calibrate(scores, same, far, pairs="drawn")
    assert point.far <= far
    assert point.tar == pytest.approx(tar_at_far(scores, same, (far,))[far])
    assert int(point.accepts(scores)[~same].sum()) == round(point.far * point.impostors)
    assert (point.genuine, point.impostors) == (int(same.sum()), int((~same).sum()))
    assert not bool((scores == point.threshold).any())


def test_it_stands_midway_and_in_squared_distance_too():
    point = calibrate(torch.tensor([0.9, 0.4, 0.6, 0.2]), torch.tensor([1, 1, 0, 0]), 0.5)
    assert point.threshold == pytest.approx(0.3)
    assert point.squared_distance == pytest.approx(1.4)


def test_a_file_keeps_it(tmp_path):
    point = calibrate(torch.rand(50), torch.arange(50) % 2, 0.1, pairs="lfw")
    point.save(tmp_path / "threshold.json")
    assert OperatingPoint.load(tmp_path / "threshold.json") == point


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "expected the JSON file of a calibrated threshold"),
        ("[]", "found other keys, expected an object with threshold"),
        (json.dumps({"threshold": 1}), "found other keys"),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    (tmp_path / "t.json").write_text(content)
    with pytest.raises(DataFormatError, match=message):
        OperatingPoint.load(tmp_path / "t.json")
    point = calibrate(torch.rand(50), torch.arange(50) % 2, 0.1)
    (tmp_path / "u.json").write_text(json.dumps(vars(point) | {"far": "low"}))
    with pytest.raises(DataFormatError, match="far: found 'low', expected a number"):
        OperatingPoint.load(tmp_path / "u.json")
    with pytest.raises(DataFormatError, match="No such file"):
        OperatingPoint.load(tmp_path / "none.json")


def test_rates_that_these_pairs_cannot_tell_are_refused():
    same = torch.tensor([True, False] * 20)
    with pytest.raises(MongeError, match="20 genuine and 20 impostor pairs, expected genuine ones and at least 1000"):
        calibrate(torch.rand(40), same, 1e-3)
    with pytest.raises(MongeError, match="far: found 1, expected a rate between 0 and 1"):
        calibrate(torch.rand(40), same, 1)
