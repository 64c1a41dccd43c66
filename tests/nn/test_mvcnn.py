"""Views pooled into one vector, the released networks, and two networks side by side."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from monge.errors import MongeError, RecipeError
from monge.nn import (
    MVCNN,
    LeNet5Config,
    MetricNetwork,
    MVCNNConfig,
    SmallCNN,
    SmallCNNConfig,
    TimmConfig,
    TwoModalities,
    build_classifier,
    build_model,
)


class Counting(nn.Module):
    """A trunk that notes how many images it is given; its vectors are the means of the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        self.calls.append(len(images))
        return images.mean(dim=(2, 3))


MASK = torch.tensor([[1, 1, 1, 1], [1, 0, 1, 0], [0, 0, 0, 1]], dtype=torch.bool)


@pytest.mark.parametrize("pool", ["max", "mean", "attention"])
def test_pooling_equals_a_loop_over_the_views_there_are(pool: str) -> None:
    views = torch.randn(3, 4, 5, 6, 6)
    net = MVCNN(Counting(), pool, feature_dim=5)
    for mask in (None, MASK):
        present = torch.ones(3, 4, dtype=torch.bool) if mask is None else mask
        for row, pooled in enumerate(net(views, mask)):
            vectors = torch.stack([views[row, v].mean(dim=(1, 2)) for v in range(4) if present[row, v]])
            if pool == "max":
                expected = vectors.max(dim=0).values
            elif pool == "mean":
                expected = vectors.mean(dim=0)
            else:
                scores = torch.stack([net.attention.score(vector) for vector in vectors])
                expected = (scores.softmax(dim=0) * vectors).sum(dim=0)
            torch.testing.assert_close(pooled, expected)


@pytest.mark.parametrize("pool", ["max", "mean", "attention"])
def test_what_stands_in_the_padding_changes_nothing(pool: str) -> None:
    net = MVCNN(SmallCNN(embedding_dim=8, widths=(4, 8)), pool, feature_dim=8).train()
    views = torch.rand(3, 4, 1, 12, 12)
    padded = views.masked_fill(~MASK[:, :, None, None, None], torch.nan).requires_grad_()
    out = net(padded, MASK)
    torch.testing.assert_close(out, net(views, MASK))
    out.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters())
    assert not padded.grad[~MASK].any()


def test_order_of_the_views_does_not_matter() -> None:
    net = build_model(MVCNNConfig(embedding_dim=6), shape=(5, 1, 32, 32)).eval()
    views = torch.rand(2, 5, 1, 32, 32)
    torch.testing.assert_close(net(views), net(views[:, torch.tensor([3, 0, 4, 1, 2])]))


def test_views_go_in_chunks_out_of_training_alone() -> None:
    net = MVCNN(Counting(), max_views=5)
    views = torch.randn(3, 4, 1, 2, 2)
    whole = net.train()(views)
    torch.testing.assert_close(net.eval()(views), whole)
    net(views, MASK)
    assert net.trunk.calls == [12, 5, 5, 2, 5, 2]


def test_views_of_other_shapes_are_refused() -> None:
    net = MVCNN(Counting())
    with pytest.raises(MongeError, match=r"takes views \(B, V, C, H, W\), found inputs of shape \(3, 1, 8, 8\)"):
        net(torch.zeros(3, 1, 8, 8))
    with pytest.raises(MongeError, match=r"mask: found shape \(4, 3\), expected \(3, 4\)"):
        net(torch.zeros(3, 4, 1, 8, 8), MASK.T)
    with pytest.raises(MongeError, match="an object without a view"):
        net(torch.zeros(3, 4, 1, 8, 8), MASK & False)
    with pytest.raises(MongeError, match="expected a vector for each view"):
        MVCNN(nn.Identity())(torch.zeros(3, 4, 1, 8, 8))
    for bad in ({"pool": "median"}, {"pool": "attention"}, {"max_views": 0}):
        with pytest.raises(ValueError, match="expected"):
            MVCNN(Counting(), **bad)


def test_the_released_head_stands_on_each_view() -> None:
    config = MVCNNConfig(
        backbone=SmallCNNConfig(embedding_dim=16, widths=(4, 8)),
        head="released",
        hidden=(32,),
        embedding_dim=6,
        dropout=0.5,
    )
    net = build_model(config, shape=(3, 1, 16, 16)).eval()
    trunk = net.encoder.trunk
    assert [type(layer).__name__ for layer in trunk.head] == ["Dropout", "Linear", "ReLU"] * 2
    views = torch.rand(2, 3, 1, 16, 16)
    vectors = torch.stack([trunk(views[:, view]) for view in range(3)])
    torch.testing.assert_close(net(views), nn.functional.normalize(vectors.max(dim=0).values, dim=1))
    assert not torch.equal(net.train()(views), net(views))


@pytest.mark.parametrize(
    "backbone",
    [SmallCNNConfig(embedding_dim=16, widths=(4, 8)), LeNet5Config(embedding_dim=16), TimmConfig("resnet10t")],
    ids=lambda c: c.name,
)
@pytest.mark.parametrize("pool", ["max", "attention"])
def test_the_metric_head_stands_on_the_pooled_features(backbone: SmallCNNConfig, pool: str) -> None:
    config = MVCNNConfig(backbone=backbone, pool=pool, hidden=(12,), embedding_dim=6, dropout=0.1)
    net = build_model(config, shape=(3, 1, 32, 32)).eval()
    out = net(torch.rand(2, 3, 1, 32, 32))
    assert out.shape == (2, 6)
    assert [name for name, _ in net.named_children()] == ["encoder", "head", "normalize"]
    assert [type(layer).__name__ for layer in net.head[1]] == ["Linear", "Sigmoid", "Linear"]
    out[0, 0].backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    classifier = build_classifier(config, (3, 1, 32, 32), 10)
    assert classifier(torch.rand(2, 3, 1, 32, 32)).shape == (2, 10)


def test_configs_and_data_that_do_not_fit_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"found mvcnn, which takes views \(V, C, H, W\)"):
        build_model(MVCNNConfig(), shape=(1, 32, 32))
    with pytest.raises(RecipeError, match="found small_cnn, which takes images, but the data are inputs of shape"):
        build_model(SmallCNNConfig(), shape=(12, 1, 32, 32))
    for bad in ({"hidden": (0,)}, {"pool": "sum"}, {"head": "paper"}, {"dropout": 1.0}, {"max_views": 0}):
        with pytest.raises(ValueError, match="expected"):
            MVCNNConfig(**bad)


def test_the_papers_metric_network() -> None:
    net = MetricNetwork(2048)
    shapes = [tuple(layer.weight.shape) for layer in net.layers if isinstance(layer, nn.Linear)]
    assert shapes == [(4096, 2048), (2048, 4096), (512, 2048), (128, 512)]
    assert [isinstance(layer, nn.Sigmoid) for layer in net.layers] == [False, True] * 3 + [False, False]


def test_a_metric_network_equals_its_layers_written_out() -> None:
    net, x = MetricNetwork(5, (4, 3, 2), ("relu", "none", "sigmoid")), torch.randn(6, 5)
    w = net.state_dict()
    y = (x @ w["layers.0.weight"].T + w["layers.0.bias"]).relu()
    y = y @ w["layers.2.weight"].T + w["layers.2.bias"]
    torch.testing.assert_close(net(x), (y @ w["layers.4.weight"].T + w["layers.4.bias"]).sigmoid())
    with pytest.raises(MongeError, match=r"takes features \(N, 5\), found inputs of shape \(6, 4\)"):
        net(x[:, :4])
    for bad in ({"sizes": ()}, {"sizes": (0,)}, {"activation": "tanh"}, {"activation": ("relu",)}):
        with pytest.raises(ValueError, match="found"):
            MetricNetwork(5, **{"sizes": (4, 3), **bad})


@pytest.mark.parametrize(
    ("modality", "mode", "sizes", "steps"),
    [
        ("sketch", "relu", [4096, 2000, 1000, 500, 100], "RRII"),
        ("shape", "relu", [4096, 2000, 2000, 1000, 500, 100], "RRRII"),
        ("sketch", "sigmoid", [4096, 2000, 1000, 100], "SSS"),
        ("shape", "sigmoid", [4096, 2000, 1000, 500, 100], "SRSS"),
    ],
)
def test_released_networks(modality: str, mode: str, sizes: list[int], steps: str) -> None:
    net = MetricNetwork.released(modality, mode)
    linear = net.layers[::2]
    assert [linear[0].in_features, *(layer.out_features for layer in linear)] == sizes
    assert "".join(type(step).__name__[0] for step in net.layers[1::2]) == steps
    for layer, deviation in zip(linear, [0.01] * (len(linear) - 2) + [0.1, 0.1], strict=True):
        assert layer.weight.abs().max() <= 2 * deviation
        assert layer.weight.std().item() == pytest.approx(0.88 * deviation, rel=0.02)  # of a normal cut off at two
        assert not layer.bias.any()
    with pytest.raises(ValueError, match="expected sketch or shape"):
        MetricNetwork.released("text")


def test_two_modalities_share_nothing_and_are_called_by_name() -> None:
    model = TwoModalities(nn.Linear(3, 2), nn.Linear(4, 2), names=("sketch", "shape"))
    x, y = torch.randn(5, 3), torch.randn(6, 4)
    sketches, shapes = model(x, y)
    torch.testing.assert_close(sketches, model["sketch"](x))
    torch.testing.assert_close(shapes, model.embed("shape", y))
    sketches.sum().backward()
    assert model["shape"].weight.grad is None
    assert sorted(model.state_dict())[0] == "networks.shape.bias"
    with pytest.raises(MongeError, match="found 'text', expected sketch or shape"):
        model.embed("text", x)
    with pytest.raises(MongeError, match="expected one length"):
        TwoModalities(nn.Linear(3, 2), nn.Linear(4, 3))(x, y)
    with pytest.raises(ValueError, match="two different words"):
        TwoModalities(nn.Linear(3, 2), nn.Linear(4, 2), names=("a", "a"))
