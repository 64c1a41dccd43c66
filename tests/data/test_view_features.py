"""Views described by a network: each by itself, once, on the grey level asked for; parts that share their views."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from monge import data
from monge.data import view_features
from monge.data.view_features import ViewFeatures, encode_views
from monge.errors import MongeError


class Brightness(nn.Module):
    """Mean and largest value of each picture in the place of a network."""

    calls = 0

    def forward(self, images: Tensor) -> Tensor:
        Brightness.calls += 1
        return torch.stack([images.mean((1, 2, 3)), images.amax((1, 2, 3))], dim=1)


@pytest.fixture(autouse=True)
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(view_features, "packaged_backbone", lambda name: Brightness())
    Brightness.calls = 0


def test_each_view_has_its_own_vector_on_the_grey_level_asked_for() -> None:
    splits = data.load_shapes("furniture", "synthetic", size=16, views=3)
    described = encode_views(splits, background=255)
    part = described.val
    assert isinstance(part, ViewFeatures)
    assert part.shape == (3, 2)
    pixels = splits.val.inputs([4]).float() / 255  # (1, 3, 1, 16, 16)
    filled = torch.where(pixels == 0, 1.0, pixels)
    torch.testing.assert_close(part.inputs([4])[0, :, 0], ((filled - 0.5) / 0.5).mean((0, 2, 3, 4)))
    assert part.inputs([4])[0, :, 1].tolist() == [1, 1, 1]
    assert torch.equal(part.labels, splits.val.labels)
    assert described.source.endswith("each view as efficientnet-lite0 describes it")


def test_subsets_and_pictures_stay_with_their_shapes() -> None:
    splits = data.load_shapes("furniture", "synthetic", size=16, views=3)
    part = encode_views(splits).test
    some = part.subset([7, 2, 7])
    assert torch.equal(some.inputs([0, 1, 2]), part.inputs([7, 2, 7]))
    assert torch.equal(some.labels, part.labels[[7, 2, 7]])
    assert torch.equal(some.pictures(torch.tensor([1])), splits.test.inputs([2])[:, 1])
    assert some.pictures(torch.tensor([0, 1])).is_contiguous()


def test_they_are_computed_once_for_the_same_views_and_settings() -> None:
    splits = data.load_shapes("furniture", "synthetic", size=16, views=3)
    first = encode_views(splits, background=128)
    calls = Brightness.calls
    assert calls > 0
    again = encode_views(splits, background=128)
    assert Brightness.calls == calls
    assert torch.equal(again.train.features, first.train.features)
    assert not torch.equal(encode_views(splits, background=0).train.features, first.train.features)
    assert Brightness.calls > calls


def test_data_without_views_are_refused_in_one_line() -> None:
    with pytest.raises(MongeError, match=r"data\.features: found data that are no views"):
        encode_views(data.load_images("mnist", "synthetic"))
