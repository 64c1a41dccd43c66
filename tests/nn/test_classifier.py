"""Trunk, features and head: what comes out, what the head may be, and what the loss can reach."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from monge.errors import RecipeError
from monge.nn import Classifier, LeNet5Config, MLPConfig, TimmConfig, build_classifier


class SharedWeights(nn.Module):
    """One weight vector for all thresholds, as in CORAL."""

    def __init__(self, feature_dim: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Linear(feature_dim, 1, bias=False)
        self.bias = nn.Parameter(torch.zeros(outputs - 1))

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.weight(features) + self.bias
        return logits


def test_features_are_the_positive_part_of_the_trunk_and_logits_are_linear_in_them():
    net, x = Classifier(nn.Linear(5, 7), 7, 3), torch.randn(4, 5)
    features, logits = net.features_and_logits(x)
    torch.testing.assert_close(features, (x @ net.trunk.weight.T + net.trunk.bias).clamp_min(0))
    assert (features == 0).any()
    torch.testing.assert_close(logits, features @ net.head.weight.T + net.head.bias)
    assert torch.equal(net(x), logits)


def test_gradients_reach_every_parameter():
    net = build_classifier(MLPConfig(hidden=(16,), embedding_dim=8), (5,), 3)
    net(torch.randn(32, 5)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_a_head_of_ones_own_gets_both_sizes():
    net = build_classifier(LeNet5Config(embedding_dim=8), (1, 28, 28), 5, head=SharedWeights)
    assert isinstance(net.head, SharedWeights)
    assert net(torch.rand(2, 1, 28, 28)).shape == (2, 4)
    assert sum(p.numel() for p in net.head.parameters()) == 8 + 4


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        (MLPConfig(embedding_dim=12), (9,)),
        (LeNet5Config(embedding_dim=12), (1, 28, 28)),
        (TimmConfig(backbone="resnet10t", embedding_dim=12), (3, 32, 32)),
    ],
)
def test_no_trunk_is_normalised(config, shape):
    net = build_classifier(config, shape, 6).eval()
    features, logits = net.features_and_logits(torch.rand(5, *shape))
    assert (features.shape, logits.shape) == ((5, 12), (5, 6))
    assert not any(type(part).__name__ == "L2Normalize" for part in net.modules())
    assert not torch.allclose(features.norm(dim=1), torch.ones(5), atol=1e-3)


def test_what_cannot_be_built():
    with pytest.raises(ValueError, match="0 outputs"):
        Classifier(nn.Identity(), 4, 0)
    with pytest.raises(RecipeError, match=r"model\.name: found lenet5"):
        build_classifier(LeNet5Config(), (9,), 5)
    with pytest.raises(RecipeError, match=r"model\.name: found mlp"):
        build_classifier(MLPConfig(), (1, 28, 28), 5)
