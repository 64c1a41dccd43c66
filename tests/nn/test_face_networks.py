"""Face networks: InsightFace's names and counts, feature maps of every stage, weights, refusals."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from monge.errors import DataFormatError, MongeError, RecipeError
from monge.nn.face_build import (
    IResNetConfig,
    MobileFaceNetConfig,
    SmallFaceNetConfig,
    TimmFaceConfig,
    build_face_network,
)
from monge.nn.iresnet import IResNet
from monge.nn.mobilefacenet import MobileFaceNet
from monge.nn.small_face_net import SmallFaceNet
from monge.recipes import load_recipe


def norm_names(name: str, width: int) -> dict[str, tuple[int, ...]]:
    """The entries that batch normalisation has in a state dictionary."""
    return {
        **{f"{name}.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")},
        f"{name}.num_batches_tracked": (),
    }


def published_iresnet(blocks: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Names and shapes in InsightFace's published IResNet files, written down by hand."""
    found: dict[str, tuple[int, ...]] = {"conv1.weight": (64, 3, 3, 3), "prelu.weight": (64,)}
    found |= norm_names("bn1", 64)
    narrow = 64
    for stage, (wide, count) in enumerate(zip((64, 128, 256, 512), blocks), start=1):
        for block in range(count):
            name = f"layer{stage}.{block}"
            found |= norm_names(f"{name}.bn1", narrow)
            found |= {f"{name}.conv1.weight": (wide, narrow, 3, 3), f"{name}.prelu.weight": (wide,)}
            found |= norm_names(f"{name}.bn2", wide) | norm_names(f"{name}.bn3", wide)
            found[f"{name}.conv2.weight"] = (wide, wide, 3, 3)
            if block == 0:
                found[f"{name}.downsample.0.weight"] = (wide, narrow, 1, 1)
                found |= norm_names(f"{name}.downsample.1", wide)
            narrow = wide
    found |= {"fc.weight": (512, 25088), "fc.bias": (512,)}
    return found | norm_names("bn2", 512) | norm_names("features", 512)


@pytest.mark.parametrize(
    ("depth", "blocks", "millions"),
    [(18, (2, 2, 2, 2), 24.0), (34, (3, 4, 6, 3), 34.1), (50, (3, 4, 14, 3), 43.6), (100, (3, 13, 30, 3), 65.2)],
)
def test_iresnets_have_the_published_names_shapes_and_counts(depth, blocks, millions):
    with torch.device("meta"):
        net = IResNet(depth)
    assert {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()} == published_iresnet(blocks)
    assert round(sum(p.numel() for p in net.parameters()) / 1e6, 1) == millions


def test_iresnet_equals_its_layers_written_out():
    net = IResNet(18, embedding_dim=8, image_size=20).eval()
    for buffer in net.buffers():
        if buffer.is_floating_point():
            nn.init.uniform_(buffer, 0.5, 1.5)
    x = torch.rand(3, 3, 20, 20)
    state, f = net.state_dict(), nn.functional

    def norm(name, y):
        w, b, mean, var = (state[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var"))
        return f.batch_norm(y, mean, var, w, b, eps=1e-5)

    y = f.prelu(norm("bn1", f.conv2d(x, state["conv1.weight"], padding=1)), state["prelu.weight"])
    for stage in range(1, 5):
        for block in range(2):
            name, stride = f"layer{stage}.{block}", 2 if block == 0 else 1
            z = f.conv2d(norm(f"{name}.bn1", y), state[f"{name}.conv1.weight"], padding=1)
            z = f.prelu(norm(f"{name}.bn2", z), state[f"{name}.prelu.weight"])
            z = norm(f"{name}.bn3", f.conv2d(z, state[f"{name}.conv2.weight"], stride=stride, padding=1))
            if block == 0:
                y = norm(f"{name}.downsample.1", f.conv2d(y, state[f"{name}.downsample.0.weight"], stride=2))
            y = y + z
    embedding, maps = net.with_maps(x)
    torch.testing.assert_close(maps, y)
    expected = norm("features", norm("bn2", y).flatten(1) @ state["fc.weight"].T + state["fc.bias"])
    torch.testing.assert_close(embedding, expected)
    torch.testing.assert_close(net(x), expected)


def published_mobilefacenet(blocks: tuple[int, ...], scale: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes in InsightFace's published MobileFaceNet files, written down by rule."""
    found: dict[str, tuple[int, ...]] = {}

    def convolution(name: str, shape: tuple[int, ...], activation: bool = True) -> None:
        found[f"{name}.layers.0.weight"] = shape
        found.update(norm_names(f"{name}.layers.1", shape[0]))
        if activation:
            found[f"{name}.layers.2.weight"] = shape[:1]

    def bottleneck(name: str, narrow: int, inner: int, out: int) -> None:
        convolution(f"{name}.layers.0", (inner, narrow, 1, 1))
        convolution(f"{name}.layers.1", (inner, 1, 3, 3))
        convolution(f"{name}.layers.2", (out, inner, 1, 1), activation=False)

    def residuals(name: str, count: int, width: int, inner: int) -> None:
        for block in range(count):
            bottleneck(f"{name}.layers.{block}", width, inner, width)

    narrow, wide = 64 * scale, 128 * scale
    convolution("layers.0", (narrow, 3, 3, 3))
    if blocks[0] == 1:
        convolution("layers.1", (narrow, narrow // 64, 3, 3))
    else:
        residuals("layers.1", blocks[0], narrow, 128)
    bottleneck("layers.2", narrow, 128, narrow)
    residuals("layers.3", blocks[1], narrow, 128)
    bottleneck("layers.4", narrow, 256, wide)
    residuals("layers.5", blocks[2], wide, 256)
    bottleneck("layers.6", wide, 512, wide)
    residuals("layers.7", blocks[3], wide, 256)
    convolution("conv_sep", (512, wide, 1, 1))
    convolution("features.layers.0", (512, 1, 7, 7), activation=False)
    found["features.layers.2.weight"] = (512, 512)
    return found | norm_names("features.layers.3", 512)


@pytest.mark.parametrize(
    ("size", "blocks", "scale", "millions"),
    [("standard", (1, 4, 6, 2), 2, 2.06), ("large", (2, 8, 12, 4), 4, 6.31)],
)
def test_mobilefacenets_have_the_published_names_shapes_and_counts(size, blocks, scale, millions):
    with torch.device("meta"):
        net = MobileFaceNet(size)
    shapes = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    assert shapes == published_mobilefacenet(blocks, scale)
    assert round(sum(p.numel() for p in net.parameters()) / 1e6, 2) == millions


@pytest.mark.parametrize(("maps", "shape"), [("layer1", (64, 16)), ("layer2", (128, 8)), ("layer3", (256, 4))])
def test_iresnet_gives_the_map_of_any_stage(maps, shape):
    out = IResNet(18, image_size=32, maps=maps).eval().with_maps(torch.rand(2, 3, 32, 32))
    assert out.feature_maps.shape == (2, shape[0], shape[1], shape[1])


def test_dropout_stands_before_the_linear_layer():
    for net in (IResNet(18, image_size=16, dropout=0.5), MobileFaceNet(image_size=16, dropout=0.5)):
        net.train()
        for module in net.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()  # only dropout may differ between two calls
        x = torch.rand(2, 3, 16, 16)
        first, second = net.with_maps(x), net.with_maps(x)
        torch.testing.assert_close(first.feature_maps, second.feature_maps)
        assert not torch.allclose(first.embedding, second.embedding)


@pytest.mark.parametrize(
    "config",
    [
        IResNetConfig(depth=18, embedding_dim=16),
        MobileFaceNetConfig(embedding_dim=16),
        SmallFaceNetConfig(embedding_dim=16),
        TimmFaceConfig(backbone="resnet10t", embedding_dim=16, maps="layer3"),
        TimmFaceConfig(backbone="vit_tiny_patch16_224", embedding_dim=16),
    ],
    ids=lambda config: config.name,
)
def test_gradients_reach_every_weight_through_embedding_and_maps(config):
    net = build_face_network(config, (1, 32, 32))
    embedding, maps = net.with_maps(torch.rand(4, 1, 32, 32))
    assert embedding.shape == (4, 16)
    assert maps.dim() == 4
    (embedding.square().sum() + maps.square().sum()).backward()
    for name, parameter in net.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name


def test_the_map_is_what_the_embedding_is_made_of():
    net = SmallFaceNet(1, 8, 16, (4, 6)).eval()
    embedding, maps = net.with_maps(torch.rand(2, 1, 16, 16))
    torch.testing.assert_close(embedding, net.features(net.fc(net.norm(maps).flatten(1))))


def test_timm_stages_by_name_and_by_number_are_the_same():
    torch.manual_seed(0)
    by_name = build_face_network(TimmFaceConfig(backbone="resnet10t", embedding_dim=8, maps="layer2"), (3, 32, 32))
    by_number = build_face_network(TimmFaceConfig(backbone="resnet10t", embedding_dim=8, maps=-3), (3, 32, 32))
    by_number.load_state_dict(by_name.state_dict())
    x = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(by_name.eval().with_maps(x)[1], by_number.eval().with_maps(x)[1])
    torch.testing.assert_close(by_name(x), by_name.features(by_name.fc(by_name.backbone(x))))


def write_checkpoint(path: Path, shapes: dict[str, tuple[int, ...]], prefix: str = "") -> dict[str, torch.Tensor]:
    """A file as InsightFace's training writes it, with random numbers."""
    torch.manual_seed(0)
    state = {
        name: torch.tensor(7) if name.endswith("tracked") else 0.5 + torch.rand(shape) for name, shape in shapes.items()
    }
    torch.save({prefix + name: tensor for name, tensor in state.items()}, path)
    return state


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize(
    ("model", "shapes"),
    [
        ("{name: iresnet, depth: 18, weights: FILE}", published_iresnet((2, 2, 2, 2))),
        ("{name: mobilefacenet, weights: FILE}", published_mobilefacenet((1, 4, 6, 2), 2)),
    ],
    ids=["iresnet", "mobilefacenet"],
)
def test_published_checkpoints_load_whole_by_recipe(tmp_path, recwarn, model, shapes, prefix):
    state = write_checkpoint(tmp_path / "backbone.pth", shapes, prefix)
    recipe = load_recipe("ms1mv3", [f"model={model.replace('FILE', str(tmp_path / 'backbone.pth'))}"])
    net = build_face_network(recipe.model)
    assert not [w for w in recwarn if "tensors loaded" in str(w.message)]
    loaded = net.state_dict()
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in state.items())


def test_what_does_not_fit_of_a_checkpoint_is_told_by_name(tmp_path):
    shapes = published_mobilefacenet((1, 4, 6, 2), 2)
    file = tmp_path / "backbone.pth"
    write_checkpoint(file, {**shapes, "classifier": (10, 512)})
    with pytest.warns(UserWarning, match=r"1 unexpected \(classifier\), 0 of another shape"):
        build_face_network(MobileFaceNetConfig(weights=str(file)))
    write_checkpoint(file, {name: shape for name, shape in shapes.items() if not name.startswith("conv_sep")})
    with pytest.warns(UserWarning, match=r"7 missing \(conv_sep.layers.0.weight, .*\.\.\.\), 0 unexpected"):
        build_face_network(MobileFaceNetConfig(weights=str(file)))
    with pytest.warns(UserWarning, match=r"2 of another shape \(layers.0.layers.0.weight, features.layers.0"):
        build_face_network(MobileFaceNetConfig(weights=str(file)), (1, 48, 48))
    with pytest.raises(DataFormatError, match="none of the tensors fits this network"):
        build_face_network(SmallFaceNetConfig(weights=str(file)), (3, 112, 112))


def test_what_cannot_be_is_refused_in_one_line():
    with pytest.raises(ValueError, match=r"expected one of 18, 34, 50, 100 and one of layer1"):
        IResNet(20)
    with pytest.raises(ValueError, match="maps: found 'layer5'"):
        IResNetConfig(maps="layer5")
    with pytest.raises(ValueError, match="dropout: found 1"):
        MobileFaceNetConfig(dropout=1.0)
    with pytest.raises(RecipeError, match=r"square images, but the data are \(3, 112, 96\)"):
        build_face_network(IResNetConfig(), (3, 112, 96))
    with pytest.raises(MongeError, match=r"IResNet: found \(2, 3, 24, 24\), expected images \(N, 3, 32, 32\)"):
        IResNet(18, image_size=32)(torch.rand(2, 3, 24, 24))
    with pytest.raises(MongeError, match=r"model.maps: found 'layer9', expected one of .*layer4"):
        build_face_network(TimmFaceConfig(backbone="resnet10t", maps="layer9"))
    with pytest.raises(MongeError, match="timm has no model 'resnet1800'"):
        build_face_network(TimmFaceConfig(backbone="resnet1800"))
