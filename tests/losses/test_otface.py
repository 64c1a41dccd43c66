"""OTFace as a whole: its two parts, its presets, and several processes against one (gloo, CPU)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from processes import WORLDS, found_by_processes
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from monge.losses import ArcFace, FeatureMapOTLoss, Gathered, MarginSoftmax, OTFaceLoss, feature_map_ot

# Plain torch, without Newton's method, stops just above these tolerances. Processes are compared with each other here.
ANY_END = pytest.mark.filterwarnings("ignore::monge.errors.ConvergenceWarning")
KINDS = (
    "arcface", "curricularface", "adaface", "mean negatives", "saliency", "tokens", "one group", "no groups",
    "margin alone", "gathered",
)  # fmt: skip


class Network(nn.Module):
    """A convolution, whose output is the feature map, and an embedding on top."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.embedding = nn.Conv2d(2, 5, 2), nn.Linear(20, 4)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.linspace(-3, 5, parameter.numel()).sin().reshape(parameter.shape))

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.convolution(inputs)
        return self.embedding(maps.flatten(1)), maps


def build(kind: str) -> nn.Module:
    transport = FeatureMapOTLoss(
        max_groups=1 if kind == "one group" else 9,
        tol=1e-6 if kind == "saliency" else 1e-7,
        negatives="mean" if kind == "mean negatives" else "each",
        marginals="saliency" if kind == "saliency" else "uniform",
        gradient="implicit" if kind == "saliency" else "envelope",
    )
    margin = kind if kind in ("curricularface", "adaface") else "arcface"
    if kind == "gathered":
        return Gathered(transport)
    loss = OTFaceLoss(4, 4, margin, 0.0 if kind == "margin alone" else 10.0, scale=8.0, transport=transport)
    with torch.no_grad():
        loss.softmax.weight.copy_(torch.linspace(1, 9, 16).cos().reshape(4, 4))
    return loss


@contextmanager
def counted() -> Iterator[list[int]]:
    """How many transport problems are solved in each call."""
    solved: list[int] = []
    plain = feature_map_ot.map_distances
    feature_map_ot.map_distances = lambda sets, first, *rest: solved.append(len(first)) or plain(sets, first, *rest)
    yield solved
    feature_map_ot.map_distances = plain


def two_steps(kind: str, share: slice, parallel: bool) -> dict[str, Tensor]:
    """Gradients and buffers of two training steps on this process's share of each batch."""
    network, loss = Network(), build(kind)
    model = DistributedDataParallel(network, find_unused_parameters=kind == "gathered") if parallel else network
    found = {}
    for step in range(2):
        generator = torch.Generator().manual_seed(step)
        inputs = torch.randn(14, 2, 3, 3, generator=generator)[share]
        labels = torch.randint(0, 4, (14,), generator=generator)
        if kind == "no groups":
            labels = torch.zeros_like(labels)
        labels = labels[share]
        network.zero_grad()
        loss.zero_grad()
        embeddings, maps = model(inputs)
        extra = {}
        if kind == "tokens":
            maps = maps.flatten(2).transpose(1, 2)
            extra = {"mask": (inputs[:, 0, 0, :1] > 0) | torch.tensor([[True, True, False, True]])}
        loss(embeddings, labels, feature_maps=maps, **extra).backward()
        for parameter in loss.parameters():  # what the wrapper around model and loss together would do
            if parallel and distributed.get_world_size() > 1:
                distributed.all_reduce(parameter.grad)
                parameter.grad /= distributed.get_world_size()
        for name, module in (("network", network), ("loss", loss)):
            found |= {
                f"{name} {step} {key}": torch.zeros_like(p) if p.grad is None else p.grad.clone()
                for key, p in module.named_parameters()
            }
        found |= {f"buffer {step} {key}": buffer.clone() for key, buffer in loss.named_buffers()}
        if kind not in ("margin alone", "gathered"):
            found[f"groups {step}"] = loss.diagnostics().groups
            found[f"transport {step}"] = loss.diagnostics().transport_loss
    return found


def work(rank: int, share: slice) -> dict:
    found = {}
    for kind in KINDS:
        with counted() as solved:
            found[kind] = two_steps(kind, share, parallel=True)
        found[f"solved {kind}"] = sum(solved)
    return found


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[int, list[dict]]:
    """What each process of 1, 2 and 3 found."""
    return found_by_processes(work, tmp_path_factory.mktemp)


@ANY_END
@WORLDS
@pytest.mark.parametrize("kind", KINDS)
def test_processes_with_uneven_shares_equal_one(runs, world: int, kind: str) -> None:
    alone = two_steps(kind, slice(None), parallel=False)
    if kind not in ("no groups", "margin alone", "gathered"):
        assert alone["groups 0"] == (1 if kind == "one group" else 9)
        assert alone["transport 0"] > 0
    for found in runs[world]:
        assert found[kind].keys() == alone.keys()
        for key, expected in alone.items():
            torch.testing.assert_close(found[kind][key], expected, rtol=2e-5, atol=2e-6, msg=f"{kind}, {key}")


@ANY_END
@WORLDS
@pytest.mark.parametrize("kind", ["arcface", "mean negatives", "one group", "no groups", "gathered"])
def test_each_process_solves_its_share(runs, world: int, kind: str) -> None:
    alone = runs[1][0][f"solved {kind}"]
    each = [found[f"solved {kind}"] for found in runs[world]]
    if kind == "gathered":  # knows nothing of the work inside
        assert each == [alone] * world
    else:
        assert sum(each) == alone
        assert max(each) - min(each) <= 2  # one a step
    assert (alone > 0) == (kind != "no groups")


def test_groups_of_each_process_alone_would_be_others() -> None:
    whole = two_steps("arcface", slice(None), parallel=False)
    parts = [two_steps("arcface", share, parallel=False) for share in (slice(0, 9), slice(9, 14))]
    mean = (parts[0]["network 0 convolution.weight"] + parts[1]["network 0 convolution.weight"]) / 2
    assert (mean - whole["network 0 convolution.weight"]).abs().max() > 1e-3


def batch() -> tuple[Tensor, Tensor, Tensor]:
    return torch.randn(12, 4), torch.randint(3, (12,)), torch.randn(12, 6, 2, 2)


def test_it_is_the_sum_of_its_parts() -> None:
    x, labels, maps = batch()
    loss = OTFaceLoss(4, 3, "am-softmax", weight=3.0, m=0.2)
    alone = MarginSoftmax(4, 3, "am-softmax", m=0.2)
    alone.load_state_dict(loss.softmax.state_dict())
    expected = alone(x, labels) + 3.0 * FeatureMapOTLoss()(x, labels, maps)
    torch.testing.assert_close(loss(x, labels, feature_maps=maps), expected)
    figures = loss.diagnostics()
    torch.testing.assert_close(figures.margin_loss + 3.0 * figures.transport_loss, expected.detach())


def test_transport_reaches_maps_and_margin_embeddings_and_class_vectors() -> None:
    x, labels, maps = (part.requires_grad_() if part.is_floating_point() else part for part in batch())
    loss = OTFaceLoss(4, 3)
    loss(x, labels, feature_maps=maps).backward()
    assert all(part.grad.abs().max() > 0 for part in (x, maps, loss.softmax.weight))


def test_weight_zero_is_the_margin_alone_and_needs_no_maps() -> None:
    x, labels, _ = batch()
    loss = OTFaceLoss(4, 3, weight=0.0)
    assert torch.equal(loss(x, labels), loss.softmax(x, labels))
    with pytest.raises(ValueError, match="feature_maps are missing"):
        OTFaceLoss(4, 3)(x, labels)
    with pytest.raises(ValueError, match="weight is -1"):
        OTFaceLoss(4, 3, weight=-1.0)


def test_presets() -> None:
    released = OTFaceLoss.preset("released", 4, 3, quirks="released")
    assert released.softmax.scale == 64
    assert isinstance(released.softmax.margin, ArcFace)
    assert (released.softmax.margin.m, released.softmax.margin.fallback) == (0.45, True)
    assert (released.weight, released.across_processes) == (10.0, False)
    assert released.transport.solver.sweeps is not None
    assert OTFaceLoss.preset("released", 4, 3, margin="am-softmax").softmax.scale == 30
    recommended = OTFaceLoss.preset("recommended", 4, 3, margin="adaface")
    assert recommended.transport.solver.epsilon < 1
    assert recommended.across_processes


def test_compiles_whole() -> None:
    torch._dynamo.reset()
    x, labels, maps = batch()
    loss = OTFaceLoss(4, 3, transport=FeatureMapOTLoss(max_groups=16, tol=1e-5))
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, labels, maps), loss(x, labels, maps), rtol=1e-4, atol=1e-5)
