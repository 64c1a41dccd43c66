"""Hard triplets against a triple loop, and what must not matter."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import Tensor

from monge.mining import HardGroups, hard_triplets
from oracles.otface import triplets


def batch(n: int = 20, dim: int = 4, classes: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(n, dim, generator=generator, dtype=torch.float64),
        torch.randint(classes, (n,), generator=generator),
    )


def listed(groups: HardGroups) -> list[tuple[int, ...]]:
    return [tuple(row) for row in torch.stack(groups[:3], 1)[groups.valid].tolist()]


@pytest.mark.parametrize("alpha", [0.0, 0.4, -0.3, 3.0])
@pytest.mark.parametrize("most", [1, 7, 100, 20_000])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_hardest_of_all_triplets_in_order(alpha: float, most: int, seed: int) -> None:
    x, labels = batch(seed=seed)
    expected = triplets(x.numpy(), labels.numpy(), alpha)
    groups = hard_triplets(x, labels, alpha=alpha, max_groups=most)
    assert listed(groups) == [triplet[1:] for triplet in expected[:most]]
    assert groups.violations[groups.valid].tolist() == pytest.approx([triplet[0] for triplet in expected[:most]])
    assert groups.hard_pairs == len({triplet[1:3] for triplet in expected})
    assert len(groups.anchors) <= most


@pytest.mark.parametrize("alpha", [0.0, 0.4])
def test_groups_with_all_their_negatives(alpha: float) -> None:
    x, labels = batch(seed=2)
    wanted: dict[tuple[int, int], set[int]] = {}
    for _, a, p, n in triplets(x.numpy(), labels.numpy(), alpha):
        wanted.setdefault((a, p), set()).add(n)
    groups = hard_triplets(x, labels, alpha=alpha, negatives="mean", max_groups=1000)
    found = [
        ((int(a), int(p)), set(mask.nonzero()[:, 0].tolist()))
        for a, p, mask, valid in zip(groups.anchors, groups.positives, groups.negatives, groups.valid, strict=True)
        if valid
    ]
    assert found == list(wanted.items())  # in the order of their hardest negatives


def test_blocks_change_nothing(monkeypatch) -> None:
    x, labels = batch(40, seed=3)
    whole = hard_triplets(x, labels, max_groups=50)
    monkeypatch.setattr(sys.modules[hard_triplets.__module__], "_BLOCK", 130)
    for one, other in zip(whole, hard_triplets(x, labels, max_groups=50), strict=True):
        assert torch.equal(one, other)


def test_order_of_the_batch_does_not_matter() -> None:
    x, labels = batch(30, seed=4)
    order = torch.randperm(30)
    groups, shuffled = hard_triplets(x, labels, max_groups=60), hard_triplets(x[order], labels[order], max_groups=60)
    assert [tuple(order[list(triplet)].tolist()) for triplet in listed(shuffled)] == listed(groups)


def test_equally_hard_ones_in_the_order_of_the_batch() -> None:
    x = torch.eye(2).repeat(4, 1)
    labels = torch.tensor([0, 0, 1, 1, 0, 0, 1, 1])
    groups = hard_triplets(x, labels, max_groups=8)
    assert torch.equal(groups.violations, torch.ones(8))
    expected = triplets(x.numpy(), labels.numpy())
    assert listed(groups) == [triplet[1:] for triplet in expected[:8]]


@pytest.mark.parametrize("negatives", ["each", "mean"])
@pytest.mark.parametrize(
    ("x", "labels"),
    [
        (torch.eye(4), torch.zeros(4, dtype=torch.long)),
        (torch.eye(4), torch.arange(4)),
        (torch.ones(1, 3), torch.tensor([5])),
        (torch.ones(0, 3), torch.empty(0, dtype=torch.long)),
        (torch.full((4, 2), torch.nan), torch.tensor([0, 0, 1, 1])),
    ],
    ids=["one class", "no positives", "one sample", "nothing", "no numbers"],
)
def test_batches_without_hard_triplets(x: Tensor, labels: Tensor, negatives: str) -> None:
    groups = hard_triplets(x, labels, negatives=negatives)
    assert not groups.valid.any()
    assert groups.hard_pairs == 0


def test_half_precision_is_compared_in_float32() -> None:
    x, labels = batch(seed=5)
    low = x.half()
    for one, other in zip(hard_triplets(low, labels), hard_triplets(low.float(), labels), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("negatives", ["each", "mean"])
def test_compiles_whole(negatives: str) -> None:
    torch._dynamo.reset()
    x, labels = batch(seed=6)
    compiled = torch.compile(hard_triplets, fullgraph=True, backend="aot_eager")
    found = compiled(x, labels, max_groups=30, negatives=negatives)
    for one, other in zip(found, hard_triplets(x, labels, max_groups=30, negatives=negatives), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("options", [{"negatives": "all"}, {"max_groups": 0}])
def test_settings_that_do_not_fit(options: dict) -> None:
    with pytest.raises(ValueError, match="expected 'each' or 'mean', and 1"):
        hard_triplets(*batch(), **options)


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"expected floats \(N, D\) and integers \(N,\)"):
        hard_triplets(torch.ones(3, 2), torch.zeros(4))
