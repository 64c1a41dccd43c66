"""A loss over the samples of several processes against one process that has them all (gloo, CPU)."""

from __future__ import annotations

import pytest
import torch
from processes import WORLDS, found_by_processes
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize
from torch.nn.parallel import DistributedDataParallel

from monge.losses import BatchwiseOTLoss, CrossBatchMemory
from monge.losses.gathered import Gathered, gather_samples


class Proxies(nn.Module):
    """A loss with parameters of its own, and a switch."""

    def __init__(self) -> None:
        super().__init__()
        self.proxies = nn.Parameter(torch.linspace(-1, 1, 12).reshape(3, 4))

    def forward(self, embeddings: Tensor, labels: Tensor, weights: Tensor | None = None, scale: float = 1.0) -> Tensor:
        each = cross_entropy(scale * embeddings @ self.proxies.T, labels, reduction="none")
        return each.mean() if weights is None else (weights * each).sum() / weights.sum()


def build(name: str) -> nn.Module:
    if name == "proxies":
        return Proxies()
    if name == "memory":
        return CrossBatchMemory(BatchwiseOTLoss(), 4, size=10)
    options = {"plain": {}, "full": {"plan_gradient": "full"}, "in blocks": {"max_pairs": 50}}[name]
    return BatchwiseOTLoss(**options)


LOSSES = ("plain", "full", "in blocks", "memory", "proxies")


def batch(step: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    return (
        torch.randn(14, 6, generator=generator),
        torch.randint(0, 3, (14,), generator=generator),
        torch.rand(14, generator=generator),
    )


class Network(nn.Linear):
    def __init__(self) -> None:
        super().__init__(6, 4)
        with torch.no_grad():
            self.weight.copy_(torch.linspace(-1, 1, 24).reshape(4, 6).sin())
            self.bias.zero_()

    def forward(self, inputs: Tensor) -> Tensor:
        return normalize(super().forward(inputs), dim=1)


def two_steps(name: str, share: slice, parallel: bool) -> dict[str, Tensor]:
    """Values and gradients of two training steps on this process's share of each batch."""
    network, loss = Network(), Gathered(build(name))
    model = DistributedDataParallel(network) if parallel else network
    found = {}
    for step in range(2):
        inputs, labels, weights = (part[share] for part in batch(step))
        extra = {"weights": weights, "scale": 2.0} if name == "proxies" else {}
        network.zero_grad()
        loss.zero_grad()
        value = loss(model(inputs), labels, **extra)
        value.backward()
        found[f"value {step}"] = value.detach()
        for kind, module in (("network", network), ("loss", loss)):
            found |= {f"{kind} {step} {key}": p.grad.clone() for key, p in module.named_parameters()}
    return found


def work(rank: int, share: slice) -> dict:
    found = {name: two_steps(name, share, parallel=True) for name in LOSSES}
    odd = torch.full((rank, 2, 3), float(rank), dtype=torch.bfloat16)  # nothing at all from rank 0
    found["odd"] = {"bfloat16": gather_samples(odd), "bool": gather_samples(torch.ones(2 - rank % 2, dtype=torch.bool))}
    try:
        Gathered(build("plain"))(torch.eye(4), torch.arange(4), (torch.zeros(1), torch.zeros(1), torch.zeros(1)))
    except TypeError as error:
        found["refusal"] = str(error)
    return found


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[int, list[dict]]:
    """What each process of 1, 2 and 3 found."""
    return found_by_processes(work, tmp_path_factory.mktemp)


@WORLDS
@pytest.mark.parametrize("name", LOSSES)
def test_processes_with_uneven_shares_equal_one(runs, world: int, name: str) -> None:
    alone = two_steps(name, slice(None), parallel=False)
    assert any(key.startswith("network") and grad.abs().max() > 1e-3 for key, grad in alone.items())
    for found in runs[world]:
        assert found[name].keys() == alone.keys()
        for key, expected in alone.items():
            torch.testing.assert_close(found[name][key], expected, rtol=1e-6, atol=1e-6, msg=f"{name}, {key}")


@WORLDS
def test_every_process_has_the_same_bits(runs, world: int) -> None:
    first, *others = runs[world]
    for found in others:
        for name in LOSSES:
            assert all(torch.equal(found[name][key], tensor) for key, tensor in first[name].items())


def test_a_mean_over_shares_would_be_another_loss() -> None:
    whole = two_steps("plain", slice(None), parallel=False)
    parts = [two_steps("plain", share, parallel=False) for share in (slice(0, 9), slice(9, 14))]
    mean = (parts[0]["network 0 weight"] + parts[1]["network 0 weight"]) / 2
    assert (mean - whole["network 0 weight"]).abs().max() > 1e-3


@WORLDS
def test_any_shape_and_dtype_is_gathered_in_the_order_of_the_ranks(runs, world: int) -> None:
    for found in runs[world]:
        expected = torch.cat([torch.full((rank, 2, 3), float(rank)) for rank in range(world)])
        assert torch.equal(found["odd"]["bfloat16"], expected.bfloat16())
        assert found["odd"]["bool"].shape == (sum(2 - rank % 2 for rank in range(world)),)
        assert found["odd"]["bool"].dtype == torch.bool


@pytest.mark.parametrize("world", [2, 3])
def test_a_miners_tuple_is_refused(runs, world: int) -> None:
    assert "argument 2 is a tuple" in runs[world][0]["refusal"]


def test_without_processes_it_is_the_loss_itself() -> None:
    inputs, labels, _ = batch(0)
    loss = BatchwiseOTLoss()
    assert torch.equal(Gathered(loss)(inputs, labels), loss(inputs, labels))
    triplets = tuple(torch.tensor([index]) for index in range(3))
    assert torch.equal(Gathered(loss)(inputs, labels, triplets), loss(inputs, labels, triplets))
    assert Gathered(Proxies()).state_dict().keys() == {"loss.proxies"}
