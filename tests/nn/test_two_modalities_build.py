"""Two networks from one section of a recipe."""

from __future__ import annotations

import pytest
import torch

from monge.errors import RecipeError
from monge.nn import LeNet5Config, MLPConfig, MVCNNConfig, SmallCNNConfig
from monge.nn.two_modalities_build import SIDES, TwoModalitiesConfig, build_two_modalities


def test_both_sides_end_in_the_same_length_whatever_their_own_says():
    config = TwoModalitiesConfig(
        SmallCNNConfig(embedding_dim=7, widths=(4, 8)),
        MVCNNConfig(backbone=SmallCNNConfig(embedding_dim=8, widths=(4,)), embedding_dim=99),
        embedding_dim=5,
    )
    model = build_two_modalities(config, (1, 16, 16), (3, 1, 16, 16))
    assert model.names == SIDES
    queries, gallery = model(torch.rand(4, 1, 16, 16), torch.rand(2, 3, 1, 16, 16))
    assert (queries.shape, gallery.shape) == ((4, 5), (2, 5))
    torch.testing.assert_close(queries.norm(dim=1), torch.ones(4))


def test_they_share_nothing_and_follow_the_random_numbers():
    config = TwoModalitiesConfig(MLPConfig(hidden=(4,)), MLPConfig(hidden=(4,)), embedding_dim=3)
    torch.manual_seed(1)
    model = build_two_modalities(config, (6,), (6,))
    torch.manual_seed(1)
    again = build_two_modalities(config, (6,), (6,))
    x = torch.rand(5, 6)
    assert torch.equal(model.embed("query", x), again.embed("query", x))
    assert not torch.equal(model.embed("query", x), model.embed("gallery", x))


def test_mistakes_name_the_side():
    config = TwoModalitiesConfig(MLPConfig(), LeNet5Config())
    with pytest.raises(RecipeError, match=r"model\.query\.name: found mlp, which takes rows"):
        build_two_modalities(config, (1, 28, 28), (1, 28, 28))
    with pytest.raises(RecipeError, match=r"model\.gallery\.name: found lenet5, which takes images"):
        build_two_modalities(config, (6,), (6,))
    with pytest.raises(ValueError, match="embedding_dim: found 0, expected at least 1"):
        TwoModalitiesConfig(MLPConfig(), MLPConfig(), embedding_dim=0)
