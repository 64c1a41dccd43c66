"""The packaged network: names mapped, grey inputs, what frozen parts do in training, and recipes that name it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

from monge.data import is_cached
from monge.errors import DataFormatError, MongeError, RecipeError
from monge.nn import MVCNNConfig, PackagedConfig, build_classifier, build_model, packaged_backbone
from monge.nn.packaged import packaged_classifier


def released_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under the names of the package, which has them in the same order as timm."""
    blocks, renamed, seen = -1, {}, ""
    for name, tensor in tensors.items():
        parts = name.split(".")
        if parts[0] != "blocks":
            outer = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1"}
            renamed[".".join([outer.get(parts[0], "_fc"), *parts[1:]])] = tensor
            continue
        if ".".join(parts[:3]) != seen:
            blocks, seen = blocks + 1, ".".join(parts[:3])
        inner = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1"}
        inner |= {"conv_pwl": "_project_conv", "bn3": "_bn2"}
        if blocks == 0:
            inner = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
        renamed[f"_blocks.{blocks}.{inner[parts[3]]}.{parts[4]}"] = tensor
    return renamed


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """A network whose numbers are all drawn, statistics too, so that no two of its tensors can be swapped unseen."""
    torch.manual_seed(0)
    net = timm.create_model("tf_efficientnet_lite0")
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return net.eval()


@pytest.fixture(scope="module")
def file(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "lite0.pth"
    torch.save(released_names(network.state_dict()), path)
    return path


def test_every_tensor_of_the_package_finds_its_place(network: nn.Module, file: Path) -> None:
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(packaged_classifier(file=file).eval()(images), network(images))
        pooled = network.forward_features(images).mean((2, 3))
        backbone = packaged_backbone(file=file).eval()
        torch.testing.assert_close(backbone(images), pooled)
        grey = images[:, :1]
        torch.testing.assert_close(backbone(grey), backbone(grey.repeat(1, 3, 1, 1)))
    assert backbone.num_features == 1280 == pooled.shape[1]


def test_files_of_other_networks_are_refused_in_one_line(file: Path, tmp_path: Path) -> None:
    tensors = torch.load(file, weights_only=True)
    for change in ({"_extra": torch.ones(1)}, {"_fc.bias": torch.ones(7)}):
        torch.save(tensors | change, tmp_path / "other.pth")
        with pytest.raises(DataFormatError, match="expected the weights of EfficientNet-Lite0") as caught:
            packaged_backbone(file=tmp_path / "other.pth")
        assert "\n" not in str(caught.value)
    del tensors["_conv_stem.weight"]
    torch.save(tensors, tmp_path / "lacks.pth")
    with pytest.raises(DataFormatError, match="295 tensors, 1 of 296 missing"):
        packaged_backbone(file=tmp_path / "lacks.pth")
    with pytest.raises(MongeError, match=r"found shape \(1, 2, 8, 8\)"):
        packaged_backbone(file=file)(torch.zeros(1, 2, 8, 8))


def test_weights_that_were_not_fetched_say_how_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGE_CACHE", str(tmp_path))
    with pytest.raises(MongeError, match="run `monge data get efficientnet-lite0`") as caught:
        build_model(PackagedConfig(), shape=(3, 32, 32))
    assert "\n" not in str(caught.value)


def moved_by_a_step(net: nn.Module) -> dict[str, bool]:
    """What a training step on a batch changed, statistics included."""
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    net.train()(torch.rand(4, 3, 32, 32)).square().sum().backward()
    optimizer.step()
    return {name: not torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items()}


def test_frozen_stages_stay_with_their_statistics(file: Path) -> None:
    moved = moved_by_a_step(packaged_backbone(file=file, freeze=3))
    still = tuple(f"network.{part}." for part in ("conv_stem", "bn1", "blocks.0", "blocks.1", "blocks.2"))
    assert {name.startswith(still) for name, changed in moved.items() if not changed} == {True}
    assert all(changed for name, changed in moved.items() if not name.startswith(still))


def test_a_whole_frozen_backbone_and_fixed_statistics(file: Path) -> None:
    frozen = packaged_backbone(file=file, freeze=True)
    before = {name: tensor.clone() for name, tensor in frozen.state_dict().items()}
    frozen.train()(torch.rand(4, 3, 32, 32))
    assert all(torch.equal(tensor, before[name]) for name, tensor in frozen.state_dict().items())
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    moved = moved_by_a_step(packaged_backbone(file=file, fixed_statistics=True))
    assert {name.rpartition(".")[2] for name, changed in moved.items() if not changed} == {
        "running_mean",
        "running_var",
        "num_batches_tracked",
    }


def test_recipes_stand_it_under_heads_and_views(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monge.data.sources.efficientnet_lite0.weights_file", lambda: file)
    config = PackagedConfig(embedding_dim=12, hidden=(20,), lr_scale=0.1)
    net = build_model(config, shape=(1, 32, 32)).eval()
    assert net(torch.zeros(2, 1, 32, 32)).norm(dim=1).tolist() == pytest.approx([1, 1])
    assert net.encoder.lr_scale == 0.1
    views = build_classifier(MVCNNConfig(backbone=config, embedding_dim=16), (3, 1, 32, 32), 5).eval()
    assert views(torch.zeros(2, 3, 1, 32, 32)).shape == (2, 5)
    with pytest.raises(RecipeError, match="takes 1 or 3 channels, but the images have 2"):
        build_model(config, shape=(2, 32, 32))


@pytest.mark.parametrize("wrong", [{"freeze": 8}, {"freeze": -1}, {"lr_scale": 0.0}, {"hidden": (0,)}])
def test_configurations_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong)).replace('hidden', 'sizes')}: found"):
        PackagedConfig(**wrong)


@pytest.mark.skipif(not is_cached("efficientnet-lite0"), reason="efficientnet-lite0 is not in the data cache")
def test_the_real_weights_know_a_flower() -> None:
    from PIL import Image
    from sklearn.datasets import load_sample_image

    square = Image.fromarray(load_sample_image("flower.jpg")).crop((107, 0, 534, 427)).resize((224, 224), Image.BICUBIC)
    pixels = torch.from_numpy(np.array(square)).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        chances = packaged_classifier().eval()((pixels - 0.5) / 0.5).softmax(1)[0]
    assert int(chances.argmax()) == 985  # the class of daisies
