"""The network for rows: its layers, what its options change, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from monge.errors import MongeError, RecipeError
from monge.nn import MLP, LeNet5, LeNet5Config, MLPConfig, TimmConfig, build_model


def test_an_mlp_equals_its_layers_written_out():
    net = MLP(7, embedding_dim=3, hidden=(5, 4))
    shapes = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    assert shapes == {
        "layers.linear1.weight": (5, 7),
        "layers.linear1.bias": (5,),
        "layers.linear2.weight": (4, 5),
        "layers.linear2.bias": (4,),
        "layers.last.weight": (3, 4),
        "layers.last.bias": (3,),
    }
    x = torch.randn(6, 7)
    w = net.state_dict()
    y = (x @ w["layers.linear1.weight"].T + w["layers.linear1.bias"]).relu()
    y = (y @ w["layers.linear2.weight"].T + w["layers.linear2.bias"]).relu()
    torch.testing.assert_close(net(x), y @ w["layers.last.weight"].T + w["layers.last.bias"])


def test_options_put_their_layers_where_they_belong():
    kinds = [type(layer).__name__ for layer in MLP(4, 2, (8, 8), dropout=0.5, batch_norm=True).layers]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU", "Dropout"] * 2 + ["Linear"]
    assert [type(layer).__name__ for layer in MLP(4, 2, ()).layers] == ["Linear"]


def test_dropout_and_batch_norm_act_in_training_alone():
    torch.manual_seed(0)
    net, x = MLP(4, 2, (64,), dropout=0.5, batch_norm=True), torch.randn(16, 4)
    assert not torch.equal(net(x), net(x))
    net.eval()
    assert torch.equal(net(x), net(x))


@pytest.mark.parametrize("bad", [{"hidden": (3, 0)}, {"embedding_dim": 0}, {"dropout": 1.0}, {"dropout": -0.1}])
def test_sizes_and_dropout_that_cannot_be(bad):
    with pytest.raises(ValueError, match="at least"):
        MLP(4, **bad)
    with pytest.raises(ValueError, match="expected"):
        MLPConfig(**bad)


def test_rows_and_images_are_not_mixed_up():
    with pytest.raises(MongeError, match=r"this MLP takes rows \(N, 4\), found inputs of shape \(2, 1, 28, 28\)"):
        MLP(4)(torch.zeros(2, 1, 28, 28))
    with pytest.raises(MongeError, match=r"takes rows \(N, 4\), found inputs of shape \(2, 5\)"):
        MLP(4)(torch.zeros(2, 5))
    with pytest.raises(MongeError, match=r"LeNet5 takes images \(N, C, H, W\), found inputs of shape \(2, 9\)"):
        LeNet5()(torch.zeros(2, 9))


def test_build_model_takes_rows_by_shape():
    net = build_model(MLPConfig(embedding_dim=6), shape=(9,))
    torch.testing.assert_close(net(torch.randn(4, 9)).norm(dim=1), torch.ones(4))
    raw = build_model(MLPConfig(embedding_dim=6, normalize=False), shape=(9,))
    assert isinstance(raw, nn.Sequential)
    assert [name for name, _ in raw.named_children()] == ["encoder"]
    assert build_model(LeNet5Config(embedding_dim=6), shape=(3, 32, 32))(torch.rand(2, 3, 32, 32)).shape == (2, 6)


def test_build_model_refuses_networks_for_other_inputs():
    with pytest.raises(RecipeError, match=r"model\.name: found mlp, which takes rows, but the data are images"):
        build_model(MLPConfig(), 3, 32)
    for config in (LeNet5Config(), TimmConfig(backbone="resnet10t")):
        with pytest.raises(RecipeError, match=f"found {config.name}, which takes images, but the data are rows of 9"):
            build_model(config, shape=(9,))
    with pytest.raises(RecipeError, match=r"data\.image_size: missing, and the images are 28 x 32"):
        build_model(LeNet5Config(), shape=(1, 28, 32))
