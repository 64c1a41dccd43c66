"""The adapter: nothing at the start, the formula afterwards, sizes and shapes that do not fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from monge.errors import MongeError, RecipeError
from monge.nn.adapter import Adapter
from monge.nn.build import build_model
from monge.nn.feature_build import AdapterConfig


def test_it_begins_with_the_vectors_as_they_are() -> None:
    x = torch.randn(5, 12)
    net = build_model(AdapterConfig(embedding_dim=12, hidden=4, dropout=0.5), shape=(12,))
    assert torch.allclose(net(x), torch.nn.functional.normalize(x, dim=1))


def test_the_formula() -> None:
    torch.manual_seed(0)
    net, x = Adapter(6, hidden=3, dropout=0.5), torch.randn(4, 6)
    torch.nn.init.normal_(net.up.weight)
    torch.nn.init.normal_(net.up.bias)
    first, second = ([one.detach().numpy() for one in (part.weight, part.bias)] for part in (net.down, net.up))
    for row, made in zip(x.numpy(), net.eval()(x).detach().numpy()):
        hidden = np.maximum(first[0] @ row + first[1], 0)
        assert made == pytest.approx(row + second[0] @ hidden + second[1], abs=1e-5)


def test_it_learns_from_the_first_step() -> None:
    net, x = Adapter(6, hidden=3), torch.randn(4, 6)
    net(x).square().sum().backward()
    assert net.up.weight.grad is not None
    assert net.up.weight.grad.abs().sum() > 0


def test_what_does_not_fit() -> None:
    with pytest.raises(RecipeError, match=r"found adapter, which takes vectors .* \(7,\) and embedding_dim is 8"):
        build_model(AdapterConfig(embedding_dim=8), shape=(7,))
    with pytest.raises(RecipeError, match="found adapter"):
        build_model(AdapterConfig(embedding_dim=8), shape=(5, 8))
    with pytest.raises(MongeError, match=r"takes vectors \(N, 6\), found shape \(4, 5\)"):
        Adapter(6)(torch.zeros(4, 5))
    for sizes in ((0, 4, 0.0), (4, 0, 0.0), (4, 4, 1.0)):
        with pytest.raises(ValueError, match="an adapter needs sizes"):
            Adapter(*sizes)
    with pytest.raises(ValueError, match="expected each at least 1"):
        AdapterConfig(hidden=0)
