"""What a training step sees of the views of a shape: some of them, on a grey ground, and all of them in testing."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from monge.data.augment import some_views
from monge.errors import RecipeError
from monge.recipes import load_recipe
from monge.recipes.picture_data import NormalizeSection
from monge.train.parameter_groups import parameter_groups
from monge.train.pixels import DrawnViews, Pixels
from monge.train.task import pixels_of

PLAIN = NormalizeSection()


def test_views_are_drawn_for_each_object_without_repeats_and_in_order() -> None:
    views = torch.arange(12.0).expand(50, 12)[:, :, None]
    drawn = some_views(views, 4, torch.Generator().manual_seed(0))[:, :, 0]
    assert drawn.shape == (50, 4)
    assert bool((drawn.diff(dim=1) > 0).all())
    assert len(drawn.unique(dim=0)) > 30
    assert sorted(drawn.unique().tolist()) == list(range(12))
    assert torch.equal(some_views(views, 4, torch.Generator().manual_seed(0))[:, :, 0], drawn)


def test_some_views_in_training_and_all_in_testing() -> None:
    views = torch.randint(1, 255, (2, 6, 1, 8, 8), dtype=torch.uint8)
    for ready, inputs in ((Pixels(PLAIN, train_views=2), views), (DrawnViews(2), views.flatten(2).float())):
        assert ready(inputs, torch.Generator().manual_seed(0)).shape[:2] == (2, 2)
        assert ready(inputs).shape == inputs.shape
    assert DrawnViews()(views, torch.Generator()) is views


def test_the_ground_is_grey_also_where_a_shape_is_moved_away() -> None:
    views = torch.zeros(64, 1, 1, 16, 16, dtype=torch.uint8)
    views[..., 6:10, 6:10] = 51
    ready = Pixels(PLAIN, ("shift",), background=255)
    moved = ready(views, torch.Generator().manual_seed(0))
    torch.testing.assert_close(moved.amin((1, 2, 3, 4)), torch.full((64,), 0.2))
    torch.testing.assert_close((moved > 0.9).sum((1, 2, 3, 4)), torch.full((64,), 256 - 16))
    assert len(moved.unique(dim=0)) > 4


def test_recipes_choose_between_pixels_and_vectors() -> None:
    assert isinstance(pixels_of(load_recipe("furniture-pretrained")), DrawnViews)
    assert pixels_of(load_recipe("furniture", ["data.train_views=3", "data.background=255"])).train_views == 3
    with pytest.raises(RecipeError, match="train_views: found 7, expected at most views, which are 6"):
        load_recipe("furniture", ["data.train_views=7"])
    with pytest.raises(RecipeError, match="augment: found it with features"):
        load_recipe("furniture-pretrained", ["data.augment=[flip]"])


def test_slower_parts_have_groups_of_their_own_and_frozen_ones_none() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)), nn.Linear(3, 1))
    net[1].lr_scale, net[1][1].lr_scale = 0.1, 0.5
    net[2].requires_grad_(False)
    groups = parameter_groups(net, 2.0)
    assert [group["lr"] for group in groups] == [2.0, 1.0, 0.2]
    assert [group["params"] for group in groups] == [list(part.parameters()) for part in (net[0], net[1][1], net[1][0])]
