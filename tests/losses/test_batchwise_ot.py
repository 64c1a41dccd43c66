"""The batch-wise OT loss against the formulas: slow NumPy reference, POT, closed forms, finite differences."""

from __future__ import annotations

import math
import warnings

import numpy as np
import ot as pot
import pytest
import torch
from torch.nn.functional import normalize

from monge.errors import UniformPlanWarning
from monge.losses import BatchwiseOTLoss, batchwise_ot_loss, batchwise_ot_weights
from oracles import batchwise_ot as oracle

TIGHT = 1e-11


def batch(n: int, dim: int, classes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (n,), generator=generator)
    centres = torch.randn(classes, dim, generator=generator, dtype=torch.float64)
    noise = torch.randn(n, dim, generator=generator, dtype=torch.float64)
    return normalize(centres[labels] + 0.8 * noise, dim=1), labels


OPTIONS = {
    "paper": {},
    "margin": {"margin": 0.6},
    "gamma": {"gamma": 3.0},
    "sharp": {"epsilon": 0.05},
    "uniform": {"epsilon": 100.0},
    "no half": {"half": False},
    "quartic": {"power": 2.0},
    "positive margin": {"pos_margin": 0.3},
    "hinge on distance": {"negative": "dist_hinge_sq"},
    "two margins on distance": {"negative": "dist_hinge_sq", "margin": 1.2, "pos_margin": 0.4},
}


def batchwise_value(x, labels, y=None, ref_labels=None, **settings) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UniformPlanWarning)
        return BatchwiseOTLoss(**settings)(x, labels, ref_emb=y, ref_labels=ref_labels)


@pytest.mark.parametrize("pairs", ["two batches", "without diagonal", "with diagonal"])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_value_equals_the_formula(options: dict, pairs: str) -> None:
    x, lx = batch(12, 5, 3, seed=1)
    y, ly = batch(9, 5, 3, seed=2) if pairs == "two batches" else (x, lx)
    same = lx.numpy()[:, None] == ly.numpy()
    support = ~np.eye(12, dtype=bool) if pairs == "without diagonal" else np.ones(same.shape, dtype=bool)
    renamed = {"form" if key == "negative" else key: value for key, value in options.items()}
    expected = oracle.loss(x.numpy(), y.numpy(), same, support, **renamed)

    reference = (y, ly) if pairs == "two batches" else (None, None)
    settings = {**options, "include_self": pairs == "with diagonal"}
    value = batchwise_value(x, lx, *reference, **settings, tol=TIGHT)
    assert value.shape == ()
    assert value.item() == pytest.approx(expected, rel=1e-9)
    default = batchwise_value(x.float(), lx, *reference, **settings)  # float32 and the default tolerance
    assert default.item() == pytest.approx(expected, rel=2e-3)


def test_plan_equals_pot() -> None:
    x, lx = batch(20, 6, 4, seed=3)
    y, ly = batch(20, 6, 4, seed=4)
    terms = batchwise_ot_weights(x, lx, y, ly, tol=TIGHT)
    expected = pot.sinkhorn([], [], terms.ground_cost.numpy(), 0.2, stopThr=1e-14, numItermax=10_000)
    np.testing.assert_allclose(terms.plan.numpy(), expected, rtol=1e-9)
    cost = terms.cost.numpy()
    np.testing.assert_allclose(terms.ground_cost.numpy(), np.exp(-10.0 * cost), rtol=1e-12)
    assert batchwise_ot_loss(terms).item() == pytest.approx(0.5 * np.sum(expected * cost), rel=1e-9)


def test_gradient_is_the_published_one() -> None:
    x, lx = batch(10, 4, 3, seed=5)
    y, ly = batch(8, 4, 3, seed=6)
    x.requires_grad_()
    terms = batchwise_ot_weights(x, lx, y, ly, tol=TIGHT)
    assert not terms.plan.requires_grad
    batchwise_ot_loss(terms).backward()
    expected = oracle.gradient_to_batch(
        x.detach().numpy(), y.numpy(), terms.plan.numpy(), terms.same.numpy(), margin=1.0
    )
    np.testing.assert_allclose(x.grad.numpy(), expected, atol=1e-14)


def test_gradient_against_itself_counts_both_roles() -> None:
    x, labels = batch(10, 4, 3, seed=7)
    x.requires_grad_()
    terms = batchwise_ot_weights(x, labels, tol=TIGHT)
    batchwise_ot_loss(terms).backward()
    points, plan, same = x.detach().numpy(), terms.plan.numpy(), terms.same.numpy()
    expected = oracle.gradient_to_batch(points, points, plan, same, 1.0)
    expected += oracle.gradient_to_batch(points, points, plan.T, same, 1.0)
    np.testing.assert_allclose(x.grad.numpy(), expected, atol=1e-14)


def test_full_gradient_passes_gradcheck() -> None:
    x, lx = batch(6, 3, 2, seed=8)
    y, ly = batch(5, 3, 2, seed=9)
    loss = BatchwiseOTLoss(plan_gradient="full", tol=1e-13, margin=1.5)
    inputs = (x.requires_grad_(), y.requires_grad_())
    assert torch.autograd.gradcheck(lambda a, b: loss(a, lx, None, b, ly), inputs, atol=1e-6)


@pytest.mark.parametrize("include_self", [True, False])
def test_full_gradient_against_itself_passes_gradcheck(include_self: bool) -> None:
    x, labels = batch(6, 3, 2, seed=10)
    loss = BatchwiseOTLoss(plan_gradient="full", tol=1e-13, margin=1.5, include_self=include_self)
    assert torch.autograd.gradcheck(lambda a: loss(a, labels), (x.requires_grad_(),), atol=1e-6)


@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize("negative", ["hinge_sq_dist", "dist_hinge_sq"])
def test_detached_gradient_passes_gradcheck_with_the_plan_held(negative: str, power: float) -> None:
    x, labels = batch(7, 3, 3, seed=11)
    plan = batchwise_ot_weights(x, labels, negative=negative, margin=1.3).plan

    def value_with_that_plan(a: torch.Tensor) -> torch.Tensor:
        return batchwise_ot_loss(
            batchwise_ot_weights(a, labels, negative=negative, margin=1.3)._replace(plan=plan), power=power
        )

    assert torch.autograd.gradcheck(value_with_that_plan, (x.requires_grad_(),))


def test_kernel_gradient_weighs_pairs_as_derived() -> None:
    """dL/dM = T (1 + gamma G M / epsilon), between 1 and 2.84 times T at lambda 5 and gamma 10."""
    x, lx = batch(12, 4, 3, seed=12)
    y, ly = batch(12, 4, 3, seed=13)
    terms = batchwise_ot_weights(x.requires_grad_(), lx, y, ly, plan_gradient="kernel")
    (slope,) = torch.autograd.grad(batchwise_ot_loss(terms, half=False), terms.cost)
    factor = slope / terms.plan.detach()
    torch.testing.assert_close(factor, (1 + 10.0 / 0.2 * terms.ground_cost * terms.cost).detach())
    assert 1.0 <= factor.min() < 1.1
    assert 1.5 < factor.max() <= 2.84


def test_two_identical_points() -> None:
    x = torch.zeros(2, 3, requires_grad=True)
    positive = BatchwiseOTLoss()(x, torch.tensor([4, 4]))
    negative = BatchwiseOTLoss(margin=0.7)(x, torch.tensor([4, 5]))
    (positive + negative).backward()
    assert positive.item() == 0.0
    assert negative.item() == pytest.approx(0.5 * 0.7)  # both pairs off the diagonal cost the margin
    assert torch.equal(x.grad, torch.zeros(2, 3))


def test_two_points_far_apart() -> None:
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0]], requires_grad=True)
    assert BatchwiseOTLoss()(x, torch.tensor([0, 1])).item() == 0.0
    value = BatchwiseOTLoss()(x, torch.tensor([0, 0]))
    value.backward()
    assert value.item() == pytest.approx(12.5)
    torch.testing.assert_close(x.grad, torch.tensor([[-3.0, -4.0], [3.0, 4.0]]))


def test_two_points_with_diagonal_in_closed_form() -> None:
    """Costs 0 on the diagonal and h off it: T_01 = 1/2 / (1 + exp((G_01 - G_00) / epsilon))."""
    distance2, gamma, epsilon = 0.3, 10.0, 0.2
    x = torch.tensor([[0.0], [math.sqrt(distance2)]], dtype=torch.float64)
    off = 0.5 / (1.0 + math.exp((math.exp(-gamma * distance2) - 1.0) / epsilon))
    value = BatchwiseOTLoss(include_self=True, tol=TIGHT)(x, torch.tensor([0, 0]))
    assert value.item() == pytest.approx(0.5 * 2 * off * distance2, rel=1e-9)


def test_uniform_plan_gives_the_mean_over_pairs() -> None:
    x, lx = batch(10, 4, 3, seed=14)
    y, ly = batch(7, 4, 3, seed=15)
    loss = BatchwiseOTLoss(epsilon=1e9)
    with pytest.warns(UserWarning, match="within 2 % of uniform"):
        value = loss(x, lx, ref_emb=y, ref_labels=ly)
    assert value.item() == pytest.approx(0.5 * loss.terms(x, lx, None, y, ly).cost.mean().item(), rel=1e-6)


def test_hard_pairs_get_the_mass() -> None:
    """At lambda 5 hard pairs outweigh easy ones by far; mean weights as measured for the released SHREC setting."""
    x, labels = batch(128, 16, 8, seed=16)
    terms = batchwise_ot_weights(x, labels)
    weight = terms.plan * 128 * 127
    hard = (terms.ground_cost < 0.1) & terms.support
    easy = (terms.ground_cost > 0.9) & terms.support
    assert weight[hard].mean() > 1.2
    assert weight[easy].mean() < 0.2


def test_module_is_the_function_and_moves_nothing_but_plain_values() -> None:
    x, labels = batch(8, 4, 3, seed=17)
    loss = BatchwiseOTLoss(margin=0.8)
    assert loss(x, labels) == batchwise_ot_loss(batchwise_ot_weights(x, labels, margin=0.8))
    assert not list(loss.parameters())
    assert not loss.state_dict()
    assert loss.half()(x, labels) == loss(x, labels)  # nn.Module.half still works
    assert "margin=0.8" in repr(loss)


def test_wrong_arguments_are_refused() -> None:
    x, labels = batch(4, 3, 2)
    with pytest.raises(ValueError, match="ref_labels"):
        BatchwiseOTLoss()(x, labels, ref_emb=x)
    with pytest.raises(ValueError, match="labels are needed"):
        BatchwiseOTLoss()(x)
    with pytest.raises(ValueError, match=r"found \(3,\)"):
        BatchwiseOTLoss()(x, labels[:3])
    with pytest.raises(ValueError, match="hinge_sq_dist"):
        BatchwiseOTLoss(negative="hinge")
    with pytest.raises(ValueError, match="detach"):
        batchwise_ot_weights(x, labels, plan_gradient="none")
    with pytest.raises(ValueError, match="positive"):
        BatchwiseOTLoss(epsilon=0.0)
