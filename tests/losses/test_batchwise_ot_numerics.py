"""Degenerate batches, low precision, autocast, compilation and order: where metric losses tend to break."""

from __future__ import annotations

import contextlib
import shutil
import warnings

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from monge.errors import UniformPlanWarning
from monge.losses import BatchwiseOTLoss, ReleasedSweeps

VARIANTS = {
    "paper": {},
    "hinge on distance": {"negative": "dist_hinge_sq", "pos_margin": 0.2},
    "kernel": {"plan_gradient": "kernel"},
    "full": {"plan_gradient": "full"},
    "quartic": {"power": 2.0},
    "with diagonal": {"include_self": True},
    "released": {"sweeps": ReleasedSweeps(20, 1e-12), "plan_gradient": "kernel"},
}
every_variant = pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS.keys())


def batch(n: int = 24, dim: int = 8, classes: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (n,), generator=generator)
    centres = torch.randn(classes, dim, generator=generator)
    return normalize(centres[labels] + 0.7 * torch.randn(n, dim, generator=generator), dim=1), labels


DEGENERATE = {
    "identical": (torch.ones(6, 3), torch.tensor([0, 0, 1, 1, 2, 2])),
    "identical, one class": (torch.ones(6, 3), torch.zeros(6, dtype=torch.long)),
    "all zero": (torch.zeros(5, 3), torch.tensor([0, 0, 1, 1, 2])),
    "one class": (torch.eye(5), torch.zeros(5, dtype=torch.long)),
    "no positives": (torch.eye(5), torch.arange(5)),
    "batch of one": (torch.ones(1, 3), torch.tensor([7])),
    "batch of two": (torch.eye(2), torch.tensor([0, 1])),
    "duplicates among others": (torch.eye(3).repeat_interleave(2, 0), torch.tensor([0, 1, 0, 0, 1, 1])),
    "far away": (1e4 * torch.eye(4), torch.tensor([0, 0, 1, 1])),
    "far from the origin": (1e3 + torch.eye(4), torch.tensor([0, 0, 1, 1])),
    "tiny": (1e-6 * torch.eye(4), torch.tensor([0, 0, 1, 1])),
}


@every_variant
@pytest.mark.parametrize("case", DEGENERATE.values(), ids=DEGENERATE.keys())
def test_degenerate_batches_stay_finite(case: tuple[Tensor, Tensor], options: dict) -> None:
    points, labels = case
    x = points.clone().requires_grad_()
    loss = BatchwiseOTLoss(**options)
    value = loss(x, labels)
    value.backward()
    assert value.isfinite()
    assert value >= 0
    assert x.grad.isfinite().all()
    assert all(figure.isfinite() for figure in loss.diagnostics())


def test_batch_of_one_costs_nothing_and_stays_in_the_graph() -> None:
    x = torch.ones(1, 3, requires_grad=True)
    value = BatchwiseOTLoss()(x, torch.tensor([0]))
    value.backward()
    assert value == 0
    assert torch.equal(x.grad, torch.zeros(1, 3))


def test_one_class_is_half_the_weighted_mean_of_squared_distances() -> None:
    x = torch.eye(5)  # all pairs at squared distance 2, so the plan is uniform and rightly so
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert BatchwiseOTLoss()(x, torch.zeros(5, dtype=torch.long)).item() == pytest.approx(1.0)


@every_variant
@pytest.mark.parametrize("blocks", [{}, {"max_pairs": 40}], ids=["whole", "in blocks"])
@pytest.mark.filterwarnings("ignore::monge.errors.ConvergenceWarning")
def test_what_is_no_number_never_passes_for_a_distance(options: dict, blocks: dict) -> None:
    x, labels = batch(8)
    x[3, 1] = torch.nan
    if blocks and ("sweeps" in options or options.get("plan_gradient") == "full"):
        pytest.skip("not in blocks")
    with contextlib.suppress(ValueError):  # the engine looks at its costs, fixed sweeps and blocks do not
        assert BatchwiseOTLoss(**options, **blocks)(x, labels).isnan()


@every_variant
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 2e-3), (torch.bfloat16, 1e-2)])
def test_half_precision_equals_float32_of_the_rounded_batch(
    options: dict, dtype: torch.dtype, tolerance: float
) -> None:
    x, labels = batch()
    low = x.to(dtype).requires_grad_()
    exact = low.detach().float().requires_grad_()
    loss = BatchwiseOTLoss(**options)
    value, reference = loss(low, labels), loss(exact, labels)
    value.backward()
    reference.backward()
    assert value.dtype == torch.float32
    assert torch.equal(value, reference)
    assert low.grad.dtype == dtype
    torch.testing.assert_close(low.grad.float(), exact.grad, rtol=tolerance, atol=tolerance * 1e-2)


def test_float16_distances_beyond_its_range() -> None:
    x = (300.0 * torch.eye(4)).half().requires_grad_()  # squared distances of 180,000; float16 ends at 65,504
    value = BatchwiseOTLoss()(x, torch.zeros(4, dtype=torch.long))
    value.backward()
    assert value.item() == pytest.approx(90_000.0)
    assert x.grad.isfinite().all()


@every_variant
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_changes_neither_value_nor_dtypes(options: dict, dtype: torch.dtype) -> None:
    x, labels = batch()
    model = nn.Linear(8, 8)
    before = {name: parameter.dtype for name, parameter in model.named_parameters()}
    loss = BatchwiseOTLoss(**options)
    plain = loss(x, labels)
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(loss(x, labels), plain)
        loss(model(x), labels).backward()
    assert {name: parameter.dtype for name, parameter in model.named_parameters()} == before
    assert all(parameter.grad.dtype == torch.float32 for parameter in model.parameters())


@every_variant
def test_order_of_the_batch_does_not_matter(options: dict) -> None:
    x, labels = (part.double() if part.is_floating_point() else part for part in batch(seed=3))
    x.requires_grad_()
    order = torch.randperm(24, generator=torch.Generator().manual_seed(4))
    loss = BatchwiseOTLoss(**options, tol=1e-10)
    value, shuffled = loss(x, labels), loss(x[order], labels[order])
    torch.testing.assert_close(value, shuffled, rtol=1e-8, atol=0)
    (one,), (other,) = torch.autograd.grad(value, x), torch.autograd.grad(shuffled, x)
    torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-10)


def test_order_of_the_reference_set_does_not_matter() -> None:
    x, lx = batch(seed=5)
    y, ly = batch(16, seed=6)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(7))
    loss = BatchwiseOTLoss()
    torch.testing.assert_close(loss(x, lx, None, y, ly), loss(x, lx, None, y[order], ly[order]), rtol=1e-5, atol=0)


def test_names_of_the_classes_do_not_matter() -> None:
    x, labels = batch(seed=8)
    assert torch.equal(BatchwiseOTLoss()(x, labels), BatchwiseOTLoss()(x, 1000 - 7 * labels.int()))


@every_variant
def test_compiles_whole_and_once_for_every_mix_of_labels(options: dict) -> None:
    torch._dynamo.reset()
    x, labels = batch(seed=9)
    x.requires_grad_()
    loss = BatchwiseOTLoss(**options)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    (plain,) = torch.autograd.grad(loss(x, labels), x)
    (fused,) = torch.autograd.grad(compiled(x, labels), x)
    torch.testing.assert_close(fused, plain, rtol=1e-5, atol=1e-7)
    assert 0 < float(compiled.diagnostics().entropy) < 1
    with torch._dynamo.config.patch(error_on_recompile=True):
        for mix in (torch.zeros(24, dtype=torch.long), torch.arange(24), labels.flip(0)):
            torch.testing.assert_close(compiled(x, mix), loss(x, mix), rtol=1e-5, atol=1e-6)


def test_compiles_with_reference_set_and_with_a_miners_tuple() -> None:
    torch._dynamo.reset()
    x, lx = batch(seed=10)
    y, ly = batch(16, seed=11)
    loss = BatchwiseOTLoss()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, lx, None, y, ly), loss(x, lx, None, y, ly))
    triplets = tuple(torch.randint(0, 24, (40,), generator=torch.Generator().manual_seed(k)) for k in range(3))
    torch.testing.assert_close(compiled(x, lx, triplets), loss(x, lx, triplets))


@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")
def test_inductor_gives_the_eager_result() -> None:
    torch._dynamo.reset()
    x, labels = batch(seed=12)
    loss = BatchwiseOTLoss()
    torch.testing.assert_close(torch.compile(loss, fullgraph=True)(x, labels), loss(x, labels), rtol=1e-5, atol=0)


def test_warns_once_when_the_plan_is_uniform() -> None:
    x, labels = batch(seed=13)
    loss = BatchwiseOTLoss(epsilon=100.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(300):
            loss(x, labels)
    (warning,) = caught
    assert warning.category is UniformPlanWarning
    assert "lower epsilon" in str(warning.message)
    assert warning.filename == __file__


def test_no_warning_for_a_plan_that_re_weights_or_has_nothing_to_weigh() -> None:
    x, labels = batch(seed=14)
    learnt = torch.eye(4)[labels % 4] * 2.0  # every pair is right: nothing costs anything
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BatchwiseOTLoss()(x, labels)
        BatchwiseOTLoss()(learnt, labels)
        BatchwiseOTLoss(epsilon=100.0)(learnt, labels)
        BatchwiseOTLoss(epsilon=100.0)(x[:1], labels[:1])


def test_warning_is_looked_for_again_later() -> None:
    x, labels = batch(seed=15)
    learnt = torch.eye(4)[labels] * 2.0
    loss = BatchwiseOTLoss(epsilon=100.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss(learnt, labels)
        for _ in range(99):
            loss(x, labels)
    with pytest.warns(UniformPlanWarning):
        loss(x, labels)
