"""Weights files: what fits is loaded and accounted for, what is unsafe is refused."""

from __future__ import annotations

import os

import pytest
import safetensors.torch
import timm
import torch
from torch import nn

from monge.errors import DataFormatError
from monge.nn import TimmConfig, build_model, load_weights


def small() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))


def test_both_formats_and_wrappers_load_the_same(tmp_path):
    source = small()
    torch.save({"state_dict": {f"module.{k}": v for k, v in source.state_dict().items()}}, tmp_path / "a.pth")
    safetensors.torch.save_file(source.state_dict(), tmp_path / "a.safetensors")
    for file in ("a.pth", "a.safetensors"):
        net = small()
        report = load_weights(net, tmp_path / file)
        assert (len(report.loaded), report.missing, report.unexpected, report.mismatched) == (4, (), (), ())
        torch.testing.assert_close(net[0].weight, source[0].weight)


def test_partial_fit_is_reported_by_name(tmp_path):
    torch.save({"0.weight": torch.ones(2, 3), "1.weight": torch.ones(5, 2), "fc": torch.ones(1)}, tmp_path / "b.pt")
    report = load_weights(small(), tmp_path / "b.pt")
    assert report.loaded == ("0.weight",)
    assert report.missing == ("0.bias", "1.bias")
    assert report.unexpected == ("fc",)
    assert report.mismatched == ("1.weight",)


class Evil:
    def __reduce__(self):
        return os.system, ("echo never",)


def test_pickles_that_run_code_are_refused(tmp_path):
    torch.save({"0.weight": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(DataFormatError, match="plain tensors only"):
        load_weights(small(), tmp_path / "evil.pth")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.pth", None, "no such file"),
        ("cut.pth", b"PK\x03\x04", "plain tensors only"),
        ("text.pth", b"text", "plain tensors only"),
        ("empty.pt", b"", "plain tensors only"),
        ("cut.safetensors", b"\x00\x01", "a safetensors file"),
    ],
)
def test_broken_files_are_one_line(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataFormatError, match=message) as caught:
        load_weights(small(), tmp_path / name)
    assert "\n" not in str(caught.value)


def test_nothing_that_fits_is_an_error(tmp_path):
    torch.save({"conv": torch.ones(1)}, tmp_path / "c.pth")
    with pytest.raises(DataFormatError, match="none of the tensors fits"):
        load_weights(small(), tmp_path / "c.pth")


def test_backbone_weights_by_recipe_say_what_was_left_out(tmp_path):
    source = timm.create_model("resnet10t", in_chans=3)
    torch.save(source.state_dict(), tmp_path / "r.pth")
    with pytest.warns(UserWarning, match=r"2 unexpected \(fc.weight, fc.bias\)"):
        net = build_model(TimmConfig(backbone="resnet10t", weights=str(tmp_path / "r.pth")), 3, 32)
    torch.testing.assert_close(net.encoder.conv1[0].weight, source.conv1[0].weight)
