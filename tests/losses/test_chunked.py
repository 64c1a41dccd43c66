"""The batch-wise OT loss in blocks against the same loss with all pairs at once, and how much it holds at a time."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from monge.errors import UniformPlanWarning
from monge.losses import BatchwiseOTLoss, CrossBatchMemory, chunked
from monge.ot import WarmStart

TIGHT = 1e-11


def batch(n: int, seed: int = 0, dim: int = 6, classes: int = 4, dtype=torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (n,), generator=generator)
    centres = torch.randn(classes, dim, generator=torch.Generator().manual_seed(99), dtype=dtype)
    return normalize(centres[labels] + 0.8 * torch.randn(n, dim, generator=generator, dtype=dtype), dim=1), labels


OPTIONS = {
    "paper": {},
    "no half": {"half": False},
    "quartic": {"power": 2.0},
    "positive margin": {"pos_margin": 0.3},
    "hinge on distance": {"negative": "dist_hinge_sq", "margin": 1.2, "pos_margin": 0.4},
    "odd power of a hinge on distance": {"negative": "dist_hinge_sq", "power": 1.5},
    "kernel": {"plan_gradient": "kernel"},
    "kernel, quartic": {"plan_gradient": "kernel", "power": 2.0, "margin": 1.4},
    "with diagonal": {"include_self": True},
}
every_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())


@every_option
@pytest.mark.parametrize("sizes", [(23, None), (11, 30), (30, 11)], ids=["itself", "wide", "tall"])
def test_value_and_gradients_are_those_of_all_pairs_at_once(options: dict, sizes: tuple) -> None:
    n, m = sizes
    (x, labels), (y, ref_labels) = batch(n, 1), batch(m, 2) if m else (None, None)
    leaves = [part.requires_grad_() for part in (x, y) if part is not None]
    whole = BatchwiseOTLoss(tol=TIGHT, **options)(x, labels, None, y, ref_labels)
    expected = torch.autograd.grad(whole, leaves)
    for max_pairs in (1, 40, 200):
        value = BatchwiseOTLoss(tol=TIGHT, max_pairs=max_pairs, **options)(x, labels, None, y, ref_labels)
        torch.testing.assert_close(value, whole, rtol=1e-10, atol=0)
        for grad, dense in zip(torch.autograd.grad(value, leaves), expected):
            torch.testing.assert_close(grad, dense, rtol=1e-8, atol=1e-12)


def test_few_pairs_go_the_usual_way() -> None:
    x, labels = batch(10)
    loss = BatchwiseOTLoss(max_pairs=100)
    assert torch.equal(loss(x, labels), BatchwiseOTLoss()(x, labels))
    triplets = tuple(torch.tensor([index]) for index in range(3))
    assert torch.equal(loss(x, labels, triplets), BatchwiseOTLoss()(x, labels, triplets))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_other_precisions_and_autocast(dtype: torch.dtype) -> None:
    x, labels = batch(64, dtype=torch.float32)
    leaf = x.to(dtype).requires_grad_()
    loss = BatchwiseOTLoss(max_pairs=500)
    value = loss(leaf, labels)
    value.backward()
    assert value.dtype == torch.float32
    assert leaf.grad.dtype == dtype
    assert value.item() == pytest.approx(BatchwiseOTLoss()(leaf.detach(), labels).item(), rel=2e-3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(loss(leaf, labels), value)


def test_a_tolerance_beyond_float32_is_met_in_float64() -> None:
    x, labels = batch(40, dtype=torch.float32)
    value = BatchwiseOTLoss(max_pairs=300, tol=1e-9)(x, labels)
    assert value.dtype == torch.float32
    exact = BatchwiseOTLoss(tol=TIGHT)(x.double(), labels)
    assert value.item() == pytest.approx(exact.item(), rel=1e-6)


@pytest.mark.parametrize("epsilon", [1.0, 0.05, 0.01])
def test_other_epsilons_meet_the_tolerance(epsilon: float) -> None:
    x, labels = batch(90, dtype=torch.float32)
    loss = BatchwiseOTLoss(max_pairs=1000, epsilon=epsilon)
    loss(x, labels)
    assert loss.diagnostics().marginal_error < 1.2e-3


def test_coinciding_points_and_points_far_from_the_origin() -> None:
    points = (1e3 + torch.eye(4).repeat(3, 1)).requires_grad_()
    labels = torch.arange(12) % 3
    for options in ({}, {"negative": "dist_hinge_sq"}, {"include_self": True}):
        value = BatchwiseOTLoss(max_pairs=20, **options)(points, labels)
        (grad,) = torch.autograd.grad(value, points)
        whole = BatchwiseOTLoss(**options)(points, labels)
        assert value.item() == pytest.approx(whole.item(), rel=2e-3)
        assert grad.isfinite().all()


class Largest(TorchDispatchMode):
    """Notes the largest tensor that any operation gives back, also within the loss's own operator."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.monge.streamed_batchwise_ot.default:
            with self:
                result = chunked._value_and_gradient._init_fn(*args, **(kwargs or {}))
        else:
            result = func(*args, **(kwargs or {}))
        sizes = [leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        self.elements = max([self.elements, *sizes])
        return result


@pytest.mark.parametrize(("n", "m"), [(1500, None), (128, 65_536)], ids=["itself", "memory"])
def test_no_tensor_exceeds_the_budget(n: int, m: int | None) -> None:
    x, labels = batch(n, dim=4, dtype=torch.float32)
    y, ref_labels = batch(m, 1, dim=4, dtype=torch.float32) if m else (None, None)
    budget = 300_000  # the vectors of 65,536 x 4 embeddings just fit
    x.requires_grad_()
    with Largest() as seen:
        loss = BatchwiseOTLoss(max_pairs=budget)
        loss(x, labels, None, y, ref_labels).backward()
        loss.diagnostics()
    assert budget // 2 < seen.elements <= budget
    with Largest() as dense:
        BatchwiseOTLoss()(x[:64], labels[:64])
    assert dense.elements >= 64 * 64  # the meter sees what is there


def test_diagnostics_are_those_of_all_pairs_at_once() -> None:
    x, labels = batch(30)
    y, ref_labels = batch(17, 1)
    for reference in ((None, None), (y, ref_labels)):
        whole, blocks = BatchwiseOTLoss(tol=TIGHT), BatchwiseOTLoss(tol=TIGHT, max_pairs=100)
        for loss in (whole, blocks):
            loss(x, labels, None, *reference)
        expected = torch.stack(list(whole.diagnostics()))
        torch.testing.assert_close(torch.stack(list(blocks.diagnostics())), expected, rtol=1e-7, atol=1e-10)


def test_warns_of_a_uniform_plan() -> None:
    x, labels = batch(30)
    with pytest.warns(UniformPlanWarning):
        BatchwiseOTLoss(max_pairs=100, epsilon=100.0)(x, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BatchwiseOTLoss(max_pairs=100)(x, labels)


@every_option
def test_compiles_whole(options: dict) -> None:
    torch._dynamo.reset()
    x, labels = batch(24)
    x.requires_grad_()
    loss = BatchwiseOTLoss(max_pairs=100, **options)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    plain, fused = loss(x, labels), compiled(x, labels)
    torch.testing.assert_close(fused, plain)
    torch.testing.assert_close(torch.autograd.grad(fused, x), torch.autograd.grad(plain, x))


def test_without_gradient_nothing_is_kept() -> None:
    x, labels = batch(24)
    loss = BatchwiseOTLoss(max_pairs=100)
    assert not loss(x, labels).requires_grad
    with torch.no_grad():
        assert not loss(x.requires_grad_(), labels).requires_grad


def test_a_memory_larger_than_the_budget() -> None:
    memory, whole = (
        CrossBatchMemory(BatchwiseOTLoss(tol=1e-6, max_pairs=budget), 6, size=64) for budget in (200, None)
    )
    for seed in range(6):
        x, labels = batch(16, seed, dtype=torch.float32)
        torch.testing.assert_close(memory(x, labels), whole(x, labels), rtol=1e-4, atol=0)


@pytest.mark.parametrize("sizes", [(96, None), (40, 96), (96, 40)], ids=["itself", "wide", "tall"])
def test_a_warm_start_saves_passes_and_changes_nothing(sizes: tuple, monkeypatch) -> None:
    n, m = sizes
    (x, labels), (y, ref_labels) = batch(n, 1), batch(m, 2) if m else (None, None)
    solve, passes = chunked.stream_potentials, []

    def counting(*args, **kwargs):
        found = solve(*args, **kwargs)
        passes.append(found.iterations)
        return found

    monkeypatch.setattr(chunked, "stream_potentials", counting)
    loss, warm = BatchwiseOTLoss(max_pairs=500, tol=1e-8), WarmStart(200)
    ids = torch.arange(n)
    keys = (ids, ids) if m is None else (None, 100 + torch.arange(m))
    loss(x, labels, None, y, ref_labels, warm=warm.at(*keys))
    moved = x + 1e-4 * torch.randn_like(x)
    cold = loss(moved, labels, None, y, ref_labels)
    value = loss(moved, labels, None, y, ref_labels, warm=warm.at(*keys))
    assert passes[2] < passes[1] == pytest.approx(passes[0], abs=5)
    torch.testing.assert_close(value, cold, rtol=1e-6, atol=0)


def test_a_loss_that_was_called_holds_no_graph_and_can_be_copied() -> None:
    x, labels = batch(20)
    loss = BatchwiseOTLoss(max_pairs=100)
    value = loss(x.requires_grad_(), labels)
    assert torch.equal(copy.deepcopy(loss)(x, labels), value)
    assert not loss.diagnostics().entropy.requires_grad


def test_a_second_derivative_raises_and_is_no_silent_zero() -> None:
    x, labels = batch(20)
    x.requires_grad_()
    (first,) = torch.autograd.grad(BatchwiseOTLoss(max_pairs=100)(x, labels), x, create_graph=True)
    with pytest.raises(RuntimeError, match="in blocks has no second derivative"):
        torch.autograd.grad(first.square().sum(), x)


def test_what_blocks_cannot_do_is_refused() -> None:
    x, labels = batch(20)
    with pytest.raises(ValueError, match="plan_gradient of 'detach' or 'kernel'"):
        BatchwiseOTLoss(max_pairs=100, plan_gradient="full")
    with pytest.raises(ValueError, match="max_pairs is 0"):
        BatchwiseOTLoss(max_pairs=0)
    loss = BatchwiseOTLoss(max_pairs=100)
    triplets = tuple(torch.tensor([index]) for index in range(3))
    with pytest.raises(ValueError, match="400 pairs are more than max_pairs=100"):
        loss(x, labels, triplets)
    with pytest.raises(ValueError, match="without ref_labels"):
        loss(x, labels, ref_emb=x)
    with pytest.raises(ValueError, match="labels are needed"):
        loss(x)
    with pytest.raises(ValueError, match=r"found \(3,\)"):
        loss(x, labels[:3])
    with pytest.raises(ValueError, match=r"\(20, 6\) and \(20, 5\)"):
        loss(x, labels, None, x[:, :5], labels)
