"""The cross-modal loss against its formulas: sums of problems in NumPy, finite differences, odd batches, precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from monge.errors import UniformPlanWarning
from monge.losses import BatchwiseOTLoss, CrossModalBatchwiseOTLoss, Gathered, ReleasedSweeps
from monge.losses.cross_modal import deal_halves
from oracles import cross_modal as oracle

TIGHT = 1e-11
WEIGHTS = (1.0, 0.5, 2.0, 0.25)


def batch(n: int = 10, m: int = 7, dim: int = 4, classes: int = 3, seed: int = 0) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    lx, ly = (torch.randint(0, classes, (size,), generator=generator) for size in (n, m))
    centres = torch.randn(classes, dim, generator=generator, dtype=torch.float64)
    points = [centres[c] + 0.8 * torch.randn(len(c), dim, generator=generator, dtype=torch.float64) for c in (lx, ly)]
    return normalize(points[0], dim=1), normalize(points[1], dim=1), lx, ly


def arrays(*tensors: Tensor) -> list[np.ndarray]:
    return [tensor.detach().numpy() for tensor in tensors]


OPTIONS = {
    "paper": {},
    "margin and gamma": {"margin": 0.6, "gamma": 3.0},
    "no half, quartic": {"half": False, "power": 2.0},
    "two margins on distance": {"negative": "dist_hinge_sq", "margin": 1.2, "pos_margin": 0.4},
}


@pytest.mark.parametrize("halves", [False, True])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_value_equals_the_formula(options: dict, halves: bool) -> None:
    x, y, lx, ly = batch(seed=1)
    renamed = {"form" if key == "negative" else key: value for key, value in options.items()}
    formula = oracle.four_sums if halves else oracle.whole_batches
    expected = formula(*arrays(x, y, lx, ly), WEIGHTS, **renamed)
    value = CrossModalBatchwiseOTLoss(weights=WEIGHTS, halves=halves, tol=TIGHT, **options)(x, y, lx, ly)
    assert value.shape == ()
    assert value.item() == pytest.approx(expected, rel=1e-9)


def test_preset_computes_what_the_released_program_computes() -> None:
    x, y, lx, ly = batch(12, 12, seed=2)
    (x1, x2), (y1, y2) = deal_halves(lx), deal_halves(ly)
    batches = arrays(x[x1], x[x2], y[y1], y[y2])
    expected = oracle.released_shrec14(*batches, arrays(lx[x1], lx[x2], ly[y1], ly[y2]))
    loss = CrossModalBatchwiseOTLoss.preset("shrec14", quirks="released")
    assert loss(x, y, lx, ly).item() == pytest.approx(expected, rel=1e-12)
    corrected = CrossModalBatchwiseOTLoss.preset()
    assert not corrected.halves
    assert corrected.softmax_weight == 0
    assert CrossModalBatchwiseOTLoss.preset("modelnet40").softmax_weight == 0.2
    assert CrossModalBatchwiseOTLoss.preset("modelnet10", quirks="released").softmax_weight == 1.0


def test_every_sum_has_its_own_plan_weight_and_figures() -> None:
    x, y, lx, ly = batch(seed=3)
    loss = CrossModalBatchwiseOTLoss(weights=(1, 0, 0.5, 3), halves=True, tol=TIGHT)
    parts = loss.parts(x, y, lx, ly)
    assert list(parts) == ["xx", "x1y1", "x2y2"] == list(loss.diagnostics())
    assert loss(x, y, lx, ly).item() == pytest.approx(
        (parts["xx"] + 0.5 * parts["x1y1"] + 3 * parts["x2y2"]).item(), rel=1e-12
    )
    alone = BatchwiseOTLoss(tol=TIGHT)
    (x1, _), (y1, _) = deal_halves(lx), deal_halves(ly)
    torch.testing.assert_close(parts["x1y1"], alone(x[x1], lx[x1], None, y[y1], ly[y1]))
    assert loss.diagnostics()["x1y1"].entropy == alone.diagnostics().entropy


@pytest.mark.parametrize("order", ["grouped by class", "mixed"])
def test_halves_hold_every_class_in_whatever_order(order: str) -> None:
    labels = torch.arange(5).repeat_interleave(4)
    labels = labels if order == "grouped by class" else labels[torch.randperm(20)]
    first, second = deal_halves(labels)
    assert labels[first].bincount().tolist() == labels[second].bincount().tolist() == [2] * 5
    assert sorted([*first.tolist(), *second.tolist()]) == list(range(20))


def test_pair_identity_with_several_captions_a_clip() -> None:
    captions, clips = torch.eye(6)[[0, 1, 2, 3]], torch.eye(6)[[4, 5]]
    ids, clip_ids = torch.tensor([7, 7, 9, 9]), torch.tensor([7, 9])
    loss = CrossModalBatchwiseOTLoss(weights=(1, 0, 1, 0), margin=0.5)
    parts = loss.parts(captions, clips, ids, clip_ids)
    # All squared distances are 2: only positives cost, and the captions of a clip are positives, not negatives.
    expected = oracle.problem(*arrays(captions, ids, captions, ids), np.eye(4, dtype=bool), margin=0.5)
    assert parts["xx"].item() == pytest.approx(expected, rel=1e-3)
    assert parts["xx"] > 0
    moved = captions.clone().requires_grad_()
    loss(moved, clips, ids, clip_ids).backward()
    assert (moved.grad[0] @ (captions[0] - captions[1])) > 0  # a step against the gradient brings them together


@pytest.mark.parametrize("halves", [False, True])
def test_ignored_pairs_do_not_count(halves: bool) -> None:
    x, y, lx, ly = batch(8, 8, seed=4)
    ignored = torch.rand(8, 8) < 0.2
    loss = CrossModalBatchwiseOTLoss(weights=(0, 0, 1, 0), halves=halves, tol=TIGHT)
    value = loss(x, y, lx, ly, ignore_xy=ignored)
    rows, columns = (deal_halves(lx)[0], deal_halves(ly)[0]) if halves else (torch.arange(8), torch.arange(8))
    chosen = arrays(x[rows], lx[rows], y[columns], ly[columns])
    expected = oracle.problem(*chosen, ignored[rows][:, columns].numpy())
    assert value.item() == pytest.approx(expected, rel=1e-9)
    far = y.clone()
    far[0] = 50.0
    every = torch.zeros(8, 8, dtype=torch.bool)
    every[:, 0] = True
    torch.testing.assert_close(loss(x, far, lx, ly, ignore_xy=every), loss(x, y, lx, ly, ignore_xy=every))


def test_ignoring_within_a_modality_leaves_the_diagonal_out_too() -> None:
    x, y, lx, ly = batch(seed=5)
    loss = CrossModalBatchwiseOTLoss(weights=(1, 1, 0, 0), tol=TIGHT)
    none = {"ignore_xx": torch.zeros(10, 10, dtype=torch.bool), "ignore_yy": torch.zeros(7, 7, dtype=torch.bool)}
    torch.testing.assert_close(loss(x, y, lx, ly, **none), loss(x, y, lx, ly))
    assert loss(x, y, lx, ly, ignore_xx=torch.ones(10, 10)) == pytest.approx(loss.parts(x, y, lx, ly)["yy"].item())


def test_cosine_costs_and_temperature() -> None:
    x, y, lx, ly = batch(seed=6)
    cosine = CrossModalBatchwiseOTLoss(metric="cosine", margin=0.4, tol=TIGHT)
    plain = CrossModalBatchwiseOTLoss(margin=0.4, tol=TIGHT)
    torch.testing.assert_close(cosine(3 * x, 5 * y, lx, ly), plain(x / 2**0.5, y / 2**0.5, lx, ly))
    cost = cosine.problems["xy"].terms(cosine._side(3 * x, lx).embeddings, lx, None, cosine._side(y, ly)[0], ly)
    torch.testing.assert_close(cost.positive, 1 - x @ y.T)
    halved = CrossModalBatchwiseOTLoss(temperature=0.5, margin=0.4, tol=TIGHT)
    torch.testing.assert_close(halved(x, y, lx, ly), plain(2**0.5 * x, 2**0.5 * y, lx, ly))


def test_learned_temperature_gets_the_right_gradient() -> None:
    x, y, lx, ly = batch(seed=7)
    loss = CrossModalBatchwiseOTLoss(temperature=0.7, learn_temperature=True, plan_gradient="full", tol=1e-13).double()
    assert [name for name, _ in loss.named_parameters()] == ["log_temperature"]

    def value(log_temperature: Tensor) -> Tensor:
        return torch.func.functional_call(loss, {"log_temperature": log_temperature}, (x, y, lx, ly))

    start = loss.log_temperature.detach().clone().requires_grad_()
    assert start.exp().item() == pytest.approx(0.7)
    assert torch.autograd.gradcheck(value, (start,), atol=1e-6)


@pytest.mark.parametrize("halves", [False, True])
def test_gradient_passes_gradcheck(halves: bool) -> None:
    x, y, lx, ly = batch(6, 5, 3, 2, seed=8)
    loss = CrossModalBatchwiseOTLoss(weights=WEIGHTS, halves=halves, plan_gradient="full", tol=1e-13, margin=1.5)
    inputs = (x.requires_grad_(), y.requires_grad_())
    assert torch.autograd.gradcheck(lambda a, b: loss(a, b, lx, ly), inputs, atol=1e-6)


def test_softmax_term_is_cross_entropy_with_its_weight() -> None:
    x, y, lx, ly = batch(seed=9)
    a, b = torch.randn(10, 3), torch.randn(7, 3)
    expected = oracle.cross_entropy(*arrays(a, lx)) + oracle.cross_entropy(*arrays(b, ly))
    loss = CrossModalBatchwiseOTLoss(weights=(0, 0, 0, 0), softmax_weight=0.2)
    value = loss(x, y, lx, ly, x_logits=a, y_logits=b)
    assert value.item() == pytest.approx(0.2 * expected, rel=1e-5)
    assert list(loss.parts(x, y, lx, ly, y_logits=b.half())) == ["y_softmax"]
    with pytest.raises(ValueError, match=r"no logits with softmax_weight 0\.2"):
        loss(x, y, lx, ly)
    with pytest.raises(ValueError, match="some logits with softmax_weight 0,"):
        CrossModalBatchwiseOTLoss()(x, y, lx, ly, x_logits=a)


DEGENERATE = {
    "one class only": (torch.eye(4), torch.eye(4)[:3], [1, 1, 1, 1], [1, 1, 1]),
    "no partner class": (torch.eye(4), torch.eye(4)[:3], [0, 0, 1, 1], [2, 2, 3]),
    "batch of one": (torch.ones(1, 4), torch.ones(1, 4), [0], [0]),
    "one against several": (torch.ones(1, 4), torch.eye(4), [0], [0, 1, 0, 1]),
    "identical": (torch.ones(4, 4), torch.ones(4, 4), [0, 0, 1, 1], [0, 1, 0, 1]),
    "odd sizes": (torch.eye(4)[:3], torch.eye(4).repeat(2, 1)[:5], [0, 1, 2], [0, 0, 1, 2, 2]),
}


@pytest.mark.parametrize("settings", [{}, {"halves": True}, {"metric": "cosine", "negative": "dist_hinge_sq"}])
@pytest.mark.parametrize("case", DEGENERATE.values(), ids=DEGENERATE.keys())
def test_odd_batches_stay_finite(case: tuple, settings: dict) -> None:
    x, y = case[0].clone().requires_grad_(), case[1].clone().requires_grad_()
    value = CrossModalBatchwiseOTLoss(**settings)(x, y, torch.tensor(case[2]), torch.tensor(case[3]))
    value.backward()
    assert value.isfinite()
    assert value >= 0
    assert x.grad.isfinite().all()
    assert y.grad.isfinite().all()


def test_a_class_without_partner_is_only_pushed_away() -> None:
    classes = torch.zeros(3, dtype=torch.long), torch.ones(2, dtype=torch.long)
    parts = CrossModalBatchwiseOTLoss().parts(torch.zeros(3, 2), torch.full((2, 2), 0.1), *classes)
    assert parts["xy"].item() == pytest.approx(0.5 * (1 - 0.02))
    assert parts["xx"] == parts["yy"] == 0


def test_a_batch_of_one_pair_costs_its_distance() -> None:
    x, y = torch.zeros(1, 2), torch.tensor([[0.3, 0.0]])
    label = torch.zeros(1, dtype=torch.long)
    for halves in (False, True):
        loss = CrossModalBatchwiseOTLoss(halves=halves)
        assert loss(x, y, label, label).item() == pytest.approx(2 * 0.5 * 0.09)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("settings", [{}, {"halves": True, "metric": "cosine", "temperature": 0.5}])
def test_half_precision_and_autocast_compute_in_float32(settings: dict, dtype: torch.dtype) -> None:
    x, y, lx, ly = batch(seed=10)
    loss = CrossModalBatchwiseOTLoss(**settings)
    low = x.to(dtype).requires_grad_()
    value, reference = loss(low, y.to(dtype), lx, ly), loss(x.to(dtype).float(), y.to(dtype).float(), lx, ly)
    value.backward()
    assert value.dtype == torch.float32
    assert torch.equal(value, reference)
    assert low.grad.dtype == dtype
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(loss(x.to(dtype).float(), y.to(dtype).float(), lx, ly), reference)


@pytest.mark.parametrize("halves", [False, True])
def test_order_of_each_modality_does_not_matter(halves: bool) -> None:
    x, y, lx, ly = batch(seed=11)
    loss = CrossModalBatchwiseOTLoss(halves=halves, tol=1e-10)
    # Halves go by the order within a class, so there whole classes change places.
    rows, columns = ((2 - lx).argsort(stable=True), (2 - ly).argsort(stable=True)) if halves else (None, None)
    rows = torch.randperm(10) if rows is None else rows
    columns = torch.randperm(7) if columns is None else columns
    torch.testing.assert_close(loss(x[rows], y[columns], lx[rows], ly[columns]), loss(x, y, lx, ly))


def test_modalities_may_change_places() -> None:
    x, y, lx, ly = batch(seed=12)
    one = CrossModalBatchwiseOTLoss(weights=(1, 2, 3, 4), tol=1e-10)
    other = CrossModalBatchwiseOTLoss(weights=(2, 1, 3, 4), tol=1e-10)
    torch.testing.assert_close(one(x, y, lx, ly), other(y, x, ly, lx))


@pytest.mark.parametrize("settings", [{}, {"halves": True, "learn_temperature": True}])
def test_compiles_whole(settings: dict) -> None:
    torch._dynamo.reset()
    x, y, lx, ly = batch(seed=13)
    x, y = x.float().requires_grad_(), y.float()
    loss = CrossModalBatchwiseOTLoss(**settings)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    (plain,) = torch.autograd.grad(loss(x, y, lx, ly), x)
    (fused,) = torch.autograd.grad(compiled(x, y, lx, ly), x)
    torch.testing.assert_close(fused, plain, rtol=1e-5, atol=1e-7)
    with torch._dynamo.config.patch(error_on_recompile=True):
        mixed = (torch.zeros_like(lx), ly.flip(0))
        torch.testing.assert_close(compiled(x, y, *mixed), loss(x, y, *mixed), rtol=1e-5, atol=1e-6)


def test_blocks_of_pairs_give_the_same() -> None:
    x, y, lx, ly = batch(seed=14)
    whole, blocks = CrossModalBatchwiseOTLoss(tol=1e-8), CrossModalBatchwiseOTLoss(tol=1e-8, max_pairs=20)
    torch.testing.assert_close(whole(x, y, lx, ly), blocks(x, y, lx, ly), rtol=1e-6, atol=0)


def test_flat_plans_are_warned_of_and_a_gathered_loss_is_the_loss() -> None:
    x, y, lx, ly = batch(seed=15)
    with pytest.warns(UniformPlanWarning):
        CrossModalBatchwiseOTLoss(epsilon=100.0)(x, y, lx, ly)
    loss = CrossModalBatchwiseOTLoss()
    assert torch.equal(Gathered(loss)(x, y, lx, ly), loss(x, y, lx, ly))


def test_wrong_arguments_are_refused() -> None:
    x, y, lx, ly = batch()
    loss = CrossModalBatchwiseOTLoss()
    with pytest.raises(ValueError, match=r"found \(9,\) and \(7,\), expected \(10,\) and \(7,\)"):
        loss(x, y, lx[:9], ly)
    with pytest.raises(ValueError, match="found 0 and 7 samples, expected at least one of each"):
        loss(x[:0], y, lx[:0], ly)
    with pytest.raises(ValueError, match=r"ignore_xy: found shape \(7, 10\), expected \(10, 7\)"):
        loss(x, y, lx, ly, ignore_xy=torch.zeros(7, 10))
    with pytest.raises(ValueError, match="sweeps cannot be used"):
        CrossModalBatchwiseOTLoss(sweeps=ReleasedSweeps(20))(x, y, lx, ly, ignore_xy=torch.zeros(10, 7))
    for settings, named in (
        ({"weights": (1, 1, 1)}, "expected 4"),
        ({"weights": (1, 1, 1, -1)}, "none negative"),
        ({"weights": (0, 0, 0, 0)}, "all 0"),
        ({"metric": "euclid"}, "sqeuclidean, cosine"),
        ({"temperature": 0.0}, "more than 0"),
        ({"epsilon": 0.0}, "must be positive"),
    ):
        with pytest.raises(ValueError, match=named):
            CrossModalBatchwiseOTLoss(**settings)


@pytest.mark.gpu
@pytest.mark.parametrize("settings", [{}, {"halves": True, "metric": "cosine", "learn_temperature": True}])
def test_embeddings_on_a_gpu_with_labels_and_masks_elsewhere(settings: dict) -> None:
    x, y, lx, ly = batch(seed=16)
    loss = CrossModalBatchwiseOTLoss(**settings, tol=1e-8)
    ignored = torch.rand(10, 7) < 0.1
    expected = loss(x, y, lx, ly, ignore_xy=ignored)
    value = loss.cuda()(x.cuda(), y.cuda(), lx, ly, ignore_xy=ignored)
    torch.testing.assert_close(value.cpu(), expected.detach(), rtol=1e-6, atol=0)
