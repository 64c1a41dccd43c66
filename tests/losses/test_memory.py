"""Cross-batch memory: what is in the queue, what the loss sees, and that resuming changes nothing."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from pytorch_metric_learning.losses import ContrastiveLoss
from torch import Tensor, nn
from torch.nn.functional import normalize

from monge.losses import BatchwiseOTLoss, CrossBatchMemory


def batch(n: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(n, 4, generator=generator), dim=1), torch.randint(0, 3, (n,), generator=generator)


class Recorder(nn.Module):
    """Remembers what it was called with."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple] = []

    def forward(self, embeddings, labels, indices_tuple=None, ref_emb=None, ref_labels=None) -> Tensor:
        self.calls.append((embeddings, labels, indices_tuple, ref_emb, ref_labels))
        return embeddings.sum()


def test_queue_holds_the_last_embeddings_in_a_ring() -> None:
    memory = CrossBatchMemory(Recorder(), 4, size=10)
    batches = [batch(4, seed) for seed in range(4)]
    for x, labels in batches:
        memory(x, labels)
    stream = torch.cat([x for x, _ in batches])
    expected = stream[6:].roll(int(memory.pointer), 0)  # sixteen seen, ten kept, the next one goes to place 6
    assert int(memory.pointer) == 6
    assert int(memory.filled) == 10
    torch.testing.assert_close(memory.queue, expected)
    assert torch.equal(memory.queue_labels, torch.cat([labels for _, labels in batches])[6:].roll(6))


def test_the_batch_never_meets_its_own_copies() -> None:
    recorder = Recorder()
    memory = CrossBatchMemory(recorder, 4, size=10)
    for seed in range(5):
        x, labels = batch(4, seed)
        memory(x, labels)
        reference = recorder.calls[-1][3]
        if seed:
            assert reference.shape[0] == min(10, 4 * seed)
            assert not (x[:, None] == reference[None]).all(-1).any()


def test_value_is_the_batchs_own_and_the_memorys() -> None:
    loss = BatchwiseOTLoss()
    memory = CrossBatchMemory(loss, 4, size=8, memory_weight=0.5)
    (x, lx), (y, ly) = batch(6, 1), batch(6, 2)
    assert torch.equal(memory(x, lx), loss(x, lx))
    torch.testing.assert_close(memory(y, ly), loss(y, ly) + 0.5 * loss(y, ly, None, x, lx))


def test_gradient_reaches_the_batch_and_not_the_past() -> None:
    memory = CrossBatchMemory(BatchwiseOTLoss(), 4, size=6)
    x, labels = batch(6, 3)
    x.requires_grad_()
    memory(x, labels)
    y, ly = batch(6, 4)
    y.requires_grad_()
    memory(y, ly).backward()  # the queue has been overwritten by now
    assert x.grad is None
    assert y.grad.abs().sum() > 0
    assert not memory.queue.requires_grad


def test_warm_up_remembers_nothing() -> None:
    memory = CrossBatchMemory(BatchwiseOTLoss(), 4, size=8, warmup_steps=2)
    for seed, filled in enumerate((0, 0, 4, 8, 8)):
        memory(*batch(4, seed))
        assert int(memory.filled) == filled


def test_evaluation_reads_but_does_not_write() -> None:
    memory = CrossBatchMemory(BatchwiseOTLoss(), 4, size=8)
    memory(*batch(4, 0))
    before = copy.deepcopy(memory.state_dict())
    value = memory.eval()(*batch(4, 1))
    assert value != memory.loss(*batch(4, 1))
    assert all(torch.equal(before[key], tensor) for key, tensor in memory.state_dict().items())


@pytest.mark.parametrize("stop", [1, 3, 5])
def test_a_resumed_run_equals_the_uninterrupted_one(stop: int) -> None:
    def run(memory: CrossBatchMemory, seeds: range) -> list[float]:
        return [memory(*batch(5, seed)).item() for seed in seeds]

    whole = CrossBatchMemory(BatchwiseOTLoss(), 4, size=12, warmup_steps=2)
    values = run(whole, range(8))
    first = CrossBatchMemory(BatchwiseOTLoss(), 4, size=12, warmup_steps=2)
    run(first, range(stop))
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    resumed = nn.ModuleDict({"loss": CrossBatchMemory(BatchwiseOTLoss(), 4, size=12, warmup_steps=2)})
    resumed.load_state_dict({f"loss.{key}": tensor for key, tensor in torch.load(file, weights_only=True).items()})
    assert run(resumed["loss"], range(stop, 8)) == values[stop:]
    for key, tensor in whole.state_dict().items():
        assert torch.equal(resumed["loss"].state_dict()[key], tensor), key


def test_state_is_complete_and_named() -> None:
    memory = CrossBatchMemory(BatchwiseOTLoss(), 4, size=8)
    assert set(memory.state_dict()) == {"queue", "queue_labels", "pointer", "filled", "steps"}


def test_reset_forgets_everything() -> None:
    memory = CrossBatchMemory(BatchwiseOTLoss(), 4, size=8)
    memory(*batch(4, 0))
    memory.reset()
    assert not any(tensor.any() for tensor in memory.state_dict().values())
    assert torch.equal(memory(*batch(4, 1)), memory.loss(*batch(4, 1)))


def test_a_batch_larger_than_the_memory_leaves_its_last_part() -> None:
    memory = CrossBatchMemory(BatchwiseOTLoss(), 4, size=3)
    x, labels = batch(7, 0)
    memory(x, labels)
    assert torch.equal(memory.queue, x[-3:])
    memory(*batch(2, 1))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_keep_the_queue_in_float32(dtype: torch.dtype) -> None:
    memory = CrossBatchMemory(BatchwiseOTLoss(), 4, size=8)
    for seed in range(3):
        x, labels = batch(4, seed)
        assert memory(x.to(dtype), labels).isfinite()
    assert memory.queue.dtype == torch.float32


def test_wraps_a_loss_of_another_library() -> None:
    memory = CrossBatchMemory(ContrastiveLoss(), 4, size=8)
    x, labels = batch(4, 0)
    memory(x, labels)
    y, ly = batch(4, 1)
    torch.testing.assert_close(memory(y, ly), ContrastiveLoss()(y, ly) + ContrastiveLoss()(y, ly, None, x, labels))


def test_a_miners_tuple_is_for_the_batch_alone() -> None:
    recorder = Recorder()
    memory = CrossBatchMemory(recorder, 4, size=8)
    memory(*batch(4, 0))
    named = tuple(torch.tensor([index]) for index in range(3))
    memory(*batch(4, 1), named)
    assert recorder.calls[-2][2] is named
    assert recorder.calls[-1][2] is None


def test_wrong_sizes_are_refused() -> None:
    for wrong in ({"size": 0}, {"warmup_steps": -1}):
        with pytest.raises(ValueError, match="at least 1"):
            CrossBatchMemory(BatchwiseOTLoss(), 4, **wrong)
