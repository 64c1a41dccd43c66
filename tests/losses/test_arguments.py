"""What every loss is called with: the same is accepted and refused by all, in words of the caller."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend

from monge.ground import Matrix
from monge.losses import (
    BatchwiseOTLoss,
    ConservativeWassersteinLoss,
    CrossBatchMemory,
    CrossModalBatchwiseOTLoss,
    FeatureMapOTLoss,
    InfoNCELoss,
    InverseOTLoss,
    JointModalities,
    MarginSoftmax,
    MaxMarginLoss,
    OTFaceLoss,
    SharedClassifierLoss,
    SquaredEMDLoss,
    WassersteinLoss,
)

DIM, CLASSES = 6, 3

OF_ONE: dict[str, Callable[[], nn.Module]] = {
    "batch-wise": BatchwiseOTLoss,
    "batch-wise in blocks": lambda: BatchwiseOTLoss(max_pairs=10),
    "memory": lambda: CrossBatchMemory(BatchwiseOTLoss(), DIM, 20),
    "margin": lambda: MarginSoftmax(DIM, CLASSES),
    "maps": FeatureMapOTLoss,
    "otface": lambda: OTFaceLoss(DIM, CLASSES),
}
OF_TWO: dict[str, Callable[[], nn.Module]] = {
    "cross-modal": CrossModalBatchwiseOTLoss,
    "cross-modal by cosine": lambda: CrossModalBatchwiseOTLoss(metric="cosine"),
    "cross-modal with softmax": lambda: CrossModalBatchwiseOTLoss(softmax_weight=0.2, classifier=(DIM, CLASSES)),
    "inverse": InverseOTLoss,
    "inverse by distance": lambda: InverseOTLoss(metric="sqeuclidean"),
    "infonce": InfoNCELoss,
    "max-margin": MaxMarginLoss,
    "joint": lambda: JointModalities(BatchwiseOTLoss()),
    "shared classifier": lambda: SharedClassifierLoss(DIM, CLASSES),
}
OF_CLASSES: dict[str, Callable[[], nn.Module]] = {
    "wasserstein": WassersteinLoss,
    "conservative": lambda: ConservativeWassersteinLoss(price="huber"),
    "squared emd": lambda: SquaredEMDLoss(Matrix(2.0 * (1.0 - torch.eye(CLASSES))), power=1),
}


def inputs(name: str, n: int = 8, seed: int = 0) -> dict[str, Tensor]:
    """Arguments of a loss by name."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % CLASSES
    x, y = torch.randn(2, n, DIM, generator=generator)
    if name in OF_TWO:
        return {"x_emb": x, "y_emb": y, "x_labels": labels, "y_labels": labels.flip(0)}
    if name in OF_CLASSES:
        return {"logits": x[:, :CLASSES], "targets": y[:, :CLASSES].softmax(1)}
    maps = {"feature_maps": torch.randn(n, 4, 2, 2, generator=generator)} if name in ("maps", "otface") else {}
    return {"embeddings": x, "labels": labels, **maps}


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    return (OF_ONE | OF_TWO | OF_CLASSES)[name]()


every_loss_of_embeddings = pytest.mark.parametrize("name", [*OF_ONE, *OF_TWO])


@every_loss_of_embeddings
@pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.uint8])
def test_labels_of_any_integers_say_the_same(name: str, dtype: torch.dtype) -> None:
    given = inputs(name)
    narrow = {key: value if value.is_floating_point() else value.to(dtype) for key, value in given.items()}
    assert torch.equal(build(name)(**narrow), build(name)(**given))


@every_loss_of_embeddings
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_labels_that_are_no_integers_are_refused(name: str, dtype: torch.dtype) -> None:
    given = inputs(name)
    wrong = {key: value.to(dtype) if "labels" in key else value for key, value in given.items()}
    with pytest.raises(ValueError, match=r"expected integers|and integers"):
        build(name)(**wrong)


@every_loss_of_embeddings
def test_embeddings_that_are_no_floats_are_refused(name: str) -> None:
    for key, value in inputs(name).items():
        if value.is_floating_point():
            with pytest.raises(ValueError, match="expected floats"):
                build(name)(**inputs(name) | {key: (10 * value).long()})


@pytest.mark.parametrize("name", ["batch-wise", "batch-wise in blocks", "memory", *OF_TWO])
def test_pairs_need_samples(name: str) -> None:
    with pytest.raises(ValueError, match=r"found 0.* samples, expected at least one"):
        build(name)(**{key: value[:0] for key, value in inputs(name).items()})


@pytest.mark.parametrize("name", OF_TWO)
def test_two_modalities_need_embeddings_of_one_length(name: str) -> None:
    given = inputs(name)
    for key in ("x_emb", "y_emb"):
        with pytest.raises(ValueError, match=r"expected floats \(N, D\) and \(M, D\)"):
            build(name)(**given | {key: given[key][:, 1:]})


@pytest.mark.parametrize("name", ["margin", "otface", "cross-modal with softmax", "shared classifier"])
@pytest.mark.parametrize("shift", [-1, 1, -100])
def test_labels_of_a_classifier_are_its_classes(name: str, shift: int) -> None:
    given = inputs(name)
    moved = {key: value + shift if "labels" in key else value for key, value in given.items()}
    with pytest.raises(ValueError, match=rf"expected \[0, {CLASSES - 1}\]"):
        build(name)(**moved)


def test_one_zero_vector_among_others_pulls_no_stronger_than_they_do() -> None:
    for name in ("cross-modal by cosine", "inverse", "infonce", "max-margin", "shared classifier"):
        given = inputs(name)
        given["x_emb"][2] = 0.0
        given["x_emb"].requires_grad_()
        build(name)(**given).backward()
        assert not given["x_emb"].grad[2].any()
        assert given["x_emb"].grad.isfinite().all()


def test_a_memory_that_refuses_a_batch_remembers_nothing_of_it() -> None:
    memory = CrossBatchMemory(BatchwiseOTLoss(), DIM, 20)
    given = inputs("memory")
    with pytest.raises(ValueError, match=rf"expected \(N, {DIM}\) and \(N,\)"):
        memory(given["embeddings"][:, 1:], given["labels"])
    assert int(memory.steps) == int(memory.filled) == 0


@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
@pytest.mark.parametrize("together", [False, True], ids=["groups", "no group"])
def test_groups_that_cannot_be_told_are_not_measured(broken: float, together: bool) -> None:
    given = inputs("maps")
    given["embeddings"][3, 1] = broken
    if together:
        given["labels"] = torch.zeros_like(given["labels"])
    assert FeatureMapOTLoss()(**given).isnan()


@pytest.mark.parametrize("name", ["batch-wise", "batch-wise in blocks", "margin", "maps", "infonce", *OF_CLASSES])
def test_batches_of_several_sizes_share_a_graph(name: str) -> None:
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    loss = build(name)
    compiled = torch.compile(loss, fullgraph=True, backend=counter)
    for n in (6, 9, 12, 13, 7):
        given = inputs(name, n)
        for key, value in given.items():
            given[key] = value.requires_grad_() if value.is_floating_point() and key != "targets" else value
        value = compiled(**given)
        torch.testing.assert_close(value, loss(**given), rtol=1e-3, atol=1e-4)
        value.backward()
    assert counter.frame_count <= 2  # one for the first size, one for all others


def test_a_memory_of_a_compiled_loss_grows_without_new_graphs() -> None:
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(BatchwiseOTLoss(), fullgraph=True, backend=counter)
    memory, plain = CrossBatchMemory(compiled, DIM, 100), CrossBatchMemory(BatchwiseOTLoss(), DIM, 100)
    for step in range(14):
        given = inputs("memory", seed=step)
        torch.testing.assert_close(memory(**given), plain(**given), rtol=1e-3, atol=1e-4)
    assert counter.frame_count <= 3  # the batch against itself, the first queue, all others


def test_a_memory_with_a_warm_start_compiles() -> None:
    torch._dynamo.reset()
    memories = [CrossBatchMemory(BatchwiseOTLoss(tol=1e-6), DIM, 20, warm_start=True) for _ in range(2)]
    compiled = torch.compile(memories[1], fullgraph=True, backend="aot_eager")
    for step in range(3):
        given = inputs("memory", seed=step)
        torch.testing.assert_close(compiled(**given), memories[0](**given), rtol=1e-4, atol=1e-5)
