"""Every loss where its tensors are on another device: the value and the gradients of the CPU, and all of it there."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from elsewhere import elsewhere
from monge import ground, losses, mining
from monge.ot import use_backend

LABELS = torch.arange(12) % 4
ORDERED = torch.tensor([0, 1, 2, 4, 3, 0, 1, 2])


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape) + shape[0]))


EMBEDDINGS = (drawn(12, 8), LABELS)
MODALITIES = (drawn(12, 8), drawn(7, 8), LABELS, torch.arange(7) % 4)
CLASSES = (drawn(8, 5), ORDERED)
MATRIX = torch.cdist(drawn(5, 2), drawn(5, 2)).fill_diagonal_(0.0)

CASES: dict[str, tuple[nn.Module, tuple[Tensor, ...]]] = {
    "batchwise": (losses.BatchwiseOTLoss(), EMBEDDINGS),
    "batchwise, full gradient": (losses.BatchwiseOTLoss(plan_gradient="full"), EMBEDDINGS),
    "batchwise, kernel gradient": (losses.BatchwiseOTLoss(plan_gradient="kernel"), EMBEDDINGS),
    "batchwise, blocks": (losses.BatchwiseOTLoss(max_pairs=40), EMBEDDINGS),
    "batchwise, released": (losses.BatchwiseOTLoss.preset("mnist", quirks="released"), EMBEDDINGS),
    "memory": (losses.CrossBatchMemory(losses.BatchwiseOTLoss(), 8, 24, warm_start=True), EMBEDDINGS),
    "gathered": (losses.Gathered(losses.BatchwiseOTLoss()), EMBEDDINGS),
    "cross-modal": (losses.CrossModalBatchwiseOTLoss(), MODALITIES),
    "cross-modal, classifier": (
        losses.CrossModalBatchwiseOTLoss(softmax_weight=0.5, classifier=(8, 4), learn_temperature=True),
        MODALITIES,
    ),
    "joint": (losses.JointModalities(losses.BatchwiseOTLoss()), MODALITIES),
    "shared classifier": (losses.SharedClassifierLoss(8, 4), MODALITIES),
    "infonce": (losses.InfoNCELoss(learn_temperature=True), MODALITIES),
    "max-margin": (losses.MaxMarginLoss(), MODALITIES),
    **{
        f"inverse, {constraint}": (losses.InverseOTLoss(constraint=constraint, learn_epsilon=True), MODALITIES)
        for constraint in ("row", "balanced", "unbalanced", "partial")
    },
    "inverse, rince": (losses.InverseOTLoss(rince_weight=0.5), MODALITIES),
    **{
        margin: (losses.MarginSoftmax(8, 4, margin), EMBEDDINGS)
        for margin in ("arcface", "cosface", "combined", "curricularface", "mv-arcface", "adaface")
    },
    "feature maps": (losses.FeatureMapOTLoss(), (*EMBEDDINGS, drawn(12, 6, 3, 3))),
    "feature maps, implicit": (
        losses.FeatureMapOTLoss(gradient="implicit", negatives="mean", marginals="saliency", center="channels"),
        (*EMBEDDINGS, drawn(12, 6, 3, 3)),
    ),
    "token sets": (losses.FeatureMapOTLoss(), (*EMBEDDINGS, drawn(12, 9, 6), torch.rand(12, 9) < 0.8)),
    "otface": (losses.OTFaceLoss(8, 4), (*EMBEDDINGS, drawn(12, 6, 3, 3))),
    "squared emd": (losses.SquaredEMDLoss(weight=torch.rand(5), label_smoothing=0.1), CLASSES),
    "squared emd, matrix": (losses.SquaredEMDLoss(ground.Matrix(MATRIX)), CLASSES),
    "squared emd, exact": (losses.SquaredEMDLoss(ground.Matrix(MATRIX), solver="exact"), CLASSES),
    "squared emd, power": (losses.SquaredEMDLoss(ground.Power(ground.Line([0.0, 1.0, 3.0, 4.0, 7.0]), 2.0)), CLASSES),
    "squared emd, tree": (
        losses.SquaredEMDLoss(ground.Tree([-1, 0, 0, 1, 1, 2, 2, 2], leaves=[3, 4, 5, 6, 7])),
        CLASSES,
    ),
    "squared emd, vectors": (losses.SquaredEMDLoss(ground.FromEmbeddings(drawn(5, 3))), CLASSES),
    "squared emd, learned": (losses.SquaredEMDLoss(ground.Learned(5)), (*CLASSES, drawn(8, 6))),
    "xemd": (losses.CrossEntropyEMDLoss(MATRIX, weight_emd="auto"), CLASSES),
    "wasserstein": (losses.WassersteinLoss(), CLASSES),
    "wasserstein, unbalanced": (losses.WassersteinLoss(rho=1.0), CLASSES),
    "relaxed emd": (losses.RelaxedEMDLoss(), CLASSES),
    "conservative": (losses.ConservativeWassersteinLoss(unimodal=0.5), CLASSES),
}


def moved(arguments: tuple[Tensor, ...], device: torch.device | str) -> list[Tensor]:
    return [t.to(device).requires_grad_(t.is_floating_point()) for t in (given.clone() for given in arguments)]


def stepped(module: nn.Module, arguments: list[Tensor]) -> list[Tensor]:
    """Value and gradients of three steps, on the CPU."""
    found = []
    torch.manual_seed(0)
    for _ in range(3):
        value = module(*arguments)
        assert value.device == arguments[0].device
        value.backward()
        found.append(value.detach().cpu())
    leaves = [*module.parameters(), *(t for t in arguments if t.requires_grad)]
    for leaf in leaves:
        assert leaf.grad is None or leaf.grad.device == leaf.device
    return found + [torch.zeros(()) if leaf.grad is None else leaf.grad.detach().cpu() for leaf in leaves]


@pytest.mark.parametrize("float64", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_loss_is_that_of_the_cpu(case: str, float64: bool) -> None:
    module, arguments = CASES[case]
    with use_backend("torch"):  # what runs on a GPU without Triton
        expected = stepped(copy.deepcopy(module), moved(arguments, "cpu"))
        with elsewhere(float64=float64) as device:
            found = stepped(copy.deepcopy(module).to(device), moved(arguments, device))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_learned_distances_follow() -> None:
    with elsewhere() as device:
        found = []
        for where in (torch.device("cpu"), device):
            learned = ground.Learned(5, head_start=1)
            loss = losses.SquaredEMDLoss(learned).to(where)
            logits, targets, features = moved((*CLASSES, drawn(8, 6)), where)
            for _ in range(3):
                loss(logits, targets, features).backward()
                learned.refresh()
            assert learned.matrix().device == where
            found.append((learned.matrix().cpu(), logits.grad.cpu()))
    for ours, theirs in zip(*found):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("weighted", [False, True])
def test_soft_miner(weighted: bool) -> None:
    miner = mining.SoftMiner(normalize="pairs") if weighted else mining.SoftMiner()
    with elsewhere() as device:
        found = miner(*(t.to(device) for t in EMBEDDINGS))
        assert {t.device for t in found} == {device}
        assert len(found[0]) > 0


def test_hard_triplets() -> None:
    expected = mining.hard_triplets(*EMBEDDINGS, alpha=0.2, max_groups=9)
    with elsewhere() as device:
        found = mining.hard_triplets(*(t.to(device) for t in EMBEDDINGS), alpha=0.2, max_groups=9)
    for ours, theirs in zip(found, expected):
        assert torch.equal(ours.cpu(), theirs) if isinstance(theirs, Tensor) else ours == theirs


def test_the_other_device_refuses_what_a_gpu_refuses() -> None:
    with elsewhere() as device:
        there, here = torch.ones(3, device=device), torch.ones(3)
        refused: list[Callable[[], Any]] = [
            lambda: there + here,
            lambda: torch.stack([there, here]),
            lambda: there.numpy(),
            lambda: torch.rand(2, device=device, generator=torch.Generator()),
            lambda: torch.nn.functional.linear(there, torch.ones(2, 3)),
        ]
        for call in refused:
            with pytest.raises(RuntimeError):
                call()
        assert (there * 2.0 + torch.tensor(1.0))[torch.tensor([0, 2])].cpu().tolist() == [3.0, 3.0]
        assert there.to("cpu").device.type == "cpu"
