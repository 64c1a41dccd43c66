"""Our loss among pytorch-metric-learning's parts: its call, miners, memory, wrappers, and our weights in its losses."""

from __future__ import annotations

import importlib
import sys
import warnings

import pytest
import torch
from pytorch_metric_learning import losses, miners
from pytorch_metric_learning.reducers import MeanReducer
from pytorch_metric_learning.utils.distributed import DistributedLossWrapper
from torch import Tensor
from torch.nn.functional import normalize

from monge.errors import MissingExtraError, MongeError
from monge.integrations.pml import PlanReducer, PMLLoss, PMLMemory
from monge.losses import BatchwiseOTLoss
from monge.losses.pairs import named_pairs
from monge.mining import SoftMiner


def batch(n: int = 48, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 6, (n,), generator=generator)
    centres = torch.randn(6, 8, generator=generator)
    return normalize(centres[labels] + torch.randn(n, 8, generator=generator), dim=1), labels


MINERS = {
    "triplet margin": miners.TripletMarginMiner(margin=0.2, type_of_triplets="all"),
    "semi-hard": miners.TripletMarginMiner(margin=0.2, type_of_triplets="semihard"),
    "batch hard": miners.BatchHardMiner(),
    "batch easy-hard": miners.BatchEasyHardMiner(),
    "multi-similarity": miners.MultiSimilarityMiner(),
    "pair margin": miners.PairMarginMiner(pos_margin=0.2, neg_margin=0.8),
    "distance weighted": miners.DistanceWeightedMiner(),
    "angular": miners.AngularMiner(),
}


@pytest.mark.parametrize("miner", MINERS.values(), ids=MINERS.keys())
def test_miners_work_unchanged(miner: torch.nn.Module) -> None:
    x, labels = batch()
    x.requires_grad_()
    named = miner(x, labels)
    loss = BatchwiseOTLoss()
    value = loss(x, labels, named)
    value.backward()
    assert value > 0
    assert x.grad.isfinite().all()
    positive, negative = named_pairs(named, 48, 48, x.device)
    plan = loss.terms(x, labels, named).plan.detach()
    assert not plan[~(positive | negative)].any()
    assert plan.sum().item() == pytest.approx(1.0, rel=1e-3)
    assert loss.diagnostics().marginal_error < 2e-3


@pytest.mark.parametrize("miner", [miners.MultiSimilarityMiner(), miners.BatchHardMiner()])
def test_miners_work_with_a_reference_set(miner: torch.nn.Module) -> None:
    (x, lx), (y, ly) = batch(24, 1), batch(40, 2)
    named = miner(x, lx, y, ly)
    value = BatchwiseOTLoss()(x.requires_grad_(), lx, named, y, ly)
    value.backward()
    assert value > 0
    assert x.grad.isfinite().all()


def test_takes_the_place_of_a_loss_of_the_library() -> None:
    (x, lx), (y, ly) = batch(24, 3), batch(24, 4)
    named = miners.MultiSimilarityMiner()(x, lx)
    for loss in (losses.ContrastiveLoss(), BatchwiseOTLoss()):
        for arguments in ((x, lx), (x, lx, named), (x, None, named), (x, lx, None, y, ly)):
            value = loss(*arguments)
            assert value.shape == ()
            assert value.isfinite()


def test_memory_of_the_library() -> None:
    loss = BatchwiseOTLoss()
    memory = PMLMemory(loss, embedding_size=8, memory_size=64)
    (x, lx), (y, ly) = batch(24, 5), batch(24, 6)
    memory(x, lx)
    y.requires_grad_()
    value = memory(y, ly)
    value.backward()
    assert y.grad.isfinite().all()
    # What the library asks for: the batch against the queue with itself in it, less the positives (i, own copy).
    past, past_labels = torch.cat([x, y.detach()]), torch.cat([lx, ly])
    own = torch.zeros(24, 48, dtype=torch.bool)
    own[:, 24:] = torch.eye(24, dtype=torch.bool)
    same = ly[:, None] == past_labels
    named = (*torch.where(same & ~own), *torch.where(~same))
    torch.testing.assert_close(value, loss(y, ly, named, past, past_labels))


@pytest.mark.parametrize("miner", [None, miners.MultiSimilarityMiner()])
def test_memory_of_the_library_past_its_end(miner: torch.nn.Module | None) -> None:
    memory = PMLMemory(BatchwiseOTLoss(), embedding_size=8, memory_size=50, miner=miner)
    for seed in range(5):
        x, labels = batch(24, 10 + seed)
        value = memory(x.requires_grad_(), labels)
        value.backward()
        assert value.isfinite()
        assert x.grad.isfinite().all()


def test_adapter_passes_the_base_class_check_and_changes_no_value() -> None:
    x, labels = batch(24, 7)
    loss = BatchwiseOTLoss()
    adapted = PMLLoss(BatchwiseOTLoss())
    assert torch.equal(adapted(x, labels), loss(x, labels))  # without the diagonal, though the library passes x twice
    y, ly = batch(16, 8)
    assert torch.equal(adapted(x, labels, None, y, ly), loss(x, labels, None, y, ly))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the wrapper says that it has nothing to do in one process
        assert torch.equal(DistributedLossWrapper(adapted)(x, labels), loss(x, labels))
    both = losses.MultipleLosses([adapted, losses.ContrastiveLoss()], weights=[1.0, 0.5])
    torch.testing.assert_close(both(x, labels), loss(x, labels) + 0.5 * losses.ContrastiveLoss()(x, labels))


def test_plan_reducer_is_the_weighted_mean() -> None:
    x, labels = batch(24, 9)
    value = losses.ContrastiveLoss(reducer=PlanReducer(SoftMiner()))(x, labels)
    weights = SoftMiner()(x, labels)
    distance = torch.cdist(x, x)
    positive = (weights.positive * distance).sum() / weights.positive.sum()
    negative = (weights.negative * (1 - distance).clamp_min(0)).sum() / weights.negative.sum()
    torch.testing.assert_close(value, positive + negative, rtol=1e-4, atol=0)


def test_plan_reducer_with_a_flat_plan_is_the_plain_mean() -> None:
    x, labels = batch(24, 10)
    flat = losses.ContrastiveLoss(reducer=PlanReducer(SoftMiner(epsilon=1e9)))(3.0 * x, labels)
    torch.testing.assert_close(flat, losses.ContrastiveLoss(reducer=MeanReducer())(3.0 * x, labels))


def test_plan_reducer_puts_more_weight_on_hard_pairs_than_the_mean() -> None:
    x, labels = batch(48, 11)
    weighted = losses.ContrastiveLoss(reducer=PlanReducer(SoftMiner()))(x.requires_grad_(), labels)
    weighted.backward()
    assert weighted > losses.ContrastiveLoss(reducer=MeanReducer())(x, labels)
    assert x.grad.isfinite().all()


def test_a_missing_library_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_metric_learning", None)
    monkeypatch.delitem(sys.modules, "monge.integrations.pml")
    with pytest.raises(MissingExtraError, match=r"pip install 'monge\[train\]'"):
        importlib.import_module("monge.integrations.pml")


def test_plan_reducer_refuses_what_it_has_no_weights_for() -> None:
    (x, labels), (y, ly) = batch(24, 12), batch(24, 13)
    reducer = PlanReducer(SoftMiner())
    for reference, of_reference in ((y, ly), (y[:9], ly[:9])):
        with pytest.raises(MongeError, match="pairs that a batch's labels make"):
            losses.ContrastiveLoss(reducer=reducer)(x, labels, None, reference, of_reference)
    for loss, named in ((losses.TripletMarginLoss, "triplets"), (losses.MultiSimilarityLoss, "samples")):
        with pytest.raises(MongeError, match=f"found a loss of {named}, expected one of pairs"):
            loss(reducer=reducer)(x, labels)


def test_plan_reducer_refuses_a_reference_set() -> None:
    (x, lx), (y, ly) = batch(8, 12), batch(24, 13)
    with pytest.raises(MongeError, match="within one batch"):
        losses.ContrastiveLoss(reducer=PlanReducer(SoftMiner()))(x, lx, None, y, ly)
