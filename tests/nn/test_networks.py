"""LeNet-5, heads, normalisation and timm backbones: shapes, formulas and refusals."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from monge.errors import MongeError
from monge.nn import L2Normalize, LeNet5, LeNet5Config, MetricHead, TimmConfig, build_model


@pytest.mark.parametrize(("head", "hidden"), [("released", 1024), ("metric", 512)])
def test_lenet_has_the_layers_of_the_program_and_of_the_paper(head, hidden):
    net = LeNet5(in_channels=1, embedding_dim=256, head=head, image_size=28)
    shapes = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    assert shapes == {
        "conv1.weight": (32, 1, 5, 5),
        "conv1.bias": (32,),
        "conv2.weight": (64, 32, 5, 5),
        "conv2.bias": (64,),
        "head.0.weight": (hidden, 7 * 7 * 64),
        "head.0.bias": (hidden,),
        "head.2.weight": (256, hidden),
        "head.2.bias": (256,),
    }
    assert isinstance(net.head[1], nn.ReLU if head == "released" else nn.Sigmoid)


@pytest.mark.parametrize("size", [4, 15, 28, 32])
def test_lenet_takes_any_size_and_keeps_gradients_finite(size):
    net = LeNet5(in_channels=3, embedding_dim=8, image_size=size)
    out = net(torch.rand(2, 3, size, size))
    out.square().sum().backward()
    assert out.shape == (2, 8)
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


def test_lenet_equals_its_layers_written_out():
    net = LeNet5(embedding_dim=5)
    x = torch.rand(3, 1, 28, 28)
    f = nn.functional
    y = f.max_pool2d(f.relu(f.conv2d(x, net.conv1.weight, net.conv1.bias, padding=2)), 2)
    y = f.max_pool2d(f.relu(f.conv2d(y, net.conv2.weight, net.conv2.bias, padding=2)), 2).flatten(1)
    first, _, last = net.head
    y = f.relu(y @ first.weight.T + first.bias) @ last.weight.T + last.bias
    torch.testing.assert_close(net(x), y)


def test_metric_head_has_no_activation_after_the_last_layer():
    kinds = [type(layer).__name__ for layer in MetricHead(8, (6, 4, 2), "sigmoid")]
    assert kinds == ["Linear", "Sigmoid", "Linear", "Sigmoid", "Linear"]
    with pytest.raises(ValueError, match="at least 1"):
        MetricHead(8, ())


def test_normalisation_is_float32_and_safe_at_zero():
    x = torch.zeros(2, 3, dtype=torch.bfloat16)
    x[0, 0] = 2.0
    x.requires_grad_()
    out = L2Normalize()(x)
    assert out.dtype == torch.float32
    assert out[0].tolist() == [1.0, 0.0, 0.0]
    out.sum().backward()
    assert torch.isfinite(x.grad).all()
    assert L2Normalize()(torch.ones(1, 2, dtype=torch.float64)).dtype == torch.float64


def test_model_configs_refuse_what_cannot_be():
    with pytest.raises(ValueError, match="released, metric"):
        LeNet5Config(head="paper")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one of the two"):
        TimmConfig(backbone="resnet18", pretrained=True, weights="a.pth")


def test_build_model_normalises_only_when_asked():
    x = torch.rand(4, 1, 28, 28)
    unit = build_model(LeNet5Config(embedding_dim=16))(x)
    raw = build_model(LeNet5Config(embedding_dim=16, normalize=False))(x)
    torch.testing.assert_close(unit.norm(dim=1), torch.ones(4))
    assert not torch.allclose(raw.norm(dim=1), torch.ones(4))


@pytest.mark.parametrize("backbone", ["resnet10t", "mobilenetv3_small_050", "vit_tiny_patch16_224"])
def test_timm_backbones_carry_a_metric_head(backbone):
    net = build_model(TimmConfig(backbone=backbone, embedding_dim=16, hidden=(32,)), in_channels=3, image_size=32)
    assert net(torch.rand(2, 3, 32, 32)).shape == (2, 16)


def test_unknown_backbone_names_its_neighbours():
    with pytest.raises(MongeError, match=r"model\.backbone: timm has no model 'resnet1800'; near it: .*resnet"):
        build_model(TimmConfig(backbone="resnet1800"))


def test_lenet_needs_torch_alone():
    code = (
        "import sys; import monge.nn as n; n.build_model(n.LeNet5Config());"
        "print([m for m in ('timm', 'torchvision', 'lightning', 'pydantic') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
