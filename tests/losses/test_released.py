"""The presets against NumPy transcriptions of what the released programs compute, value and gradient."""

from __future__ import annotations

import warnings

import numpy as np
import ot as pot
import pytest
import torch
from torch import Tensor

from monge.errors import UniformPlanWarning
from monge.losses import BatchwiseOTLoss, ReleasedSweeps, batchwise_ot_loss
from monge.losses.presets import preset_settings
from monge.losses.released import released_plan
from oracles import batchwise_ot as oracle

NAMES = ("mnist", "shrec14", "modelnet10", "modelnet40")


def batch(n: int, seed: int, scale: float) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 4, (n,), generator=generator)
    centres = torch.randn(4, 6, generator=torch.Generator().manual_seed(99), dtype=torch.float64)
    return scale * (centres[labels] + 0.5 * torch.randn(n, 6, generator=generator, dtype=torch.float64)), labels


def quiet(loss: BatchwiseOTLoss, *arguments: Tensor | None) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UniformPlanWarning)
        return loss(*arguments)


@pytest.mark.parametrize(("name", "n", "scale"), [("mnist", 64, 0.5), ("shrec14", 30, 0.25)])
def test_two_batch_programs(name: str, n: int, scale: float) -> None:
    (x, lx), (y, ly) = batch(n, 1, scale), batch(n, 2, scale)
    same = lx.numpy()[:, None] == ly.numpy()
    program = {"mnist": oracle.released_mnist, "shrec14": oracle.released_shrec14}[name]
    expected, slope = program(x.numpy(), y.numpy(), same)

    loss = BatchwiseOTLoss.preset(name, quirks="released")
    assert quiet(loss, x, lx, None, y, ly).item() == pytest.approx(expected, rel=1e-12)
    terms = loss.terms(x.requires_grad_(), lx, None, y, ly)
    value = batchwise_ot_loss(terms, power=loss.power, half=False)
    (got,) = torch.autograd.grad(value, terms.cost)
    np.testing.assert_allclose(got.numpy(), slope, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(("name", "margin", "pos_margin"), [("modelnet40", 12.0, 8.0), ("modelnet10", 8.0, 6.0)])
def test_three_dimensional_program(name: str, margin: float, pos_margin: float) -> None:
    x, labels = batch(20, 3, 4.0)
    same = labels.numpy()[:, None] == labels.numpy()
    expected, slope = oracle.released_modelnet(x.numpy(), same, margin, pos_margin)

    loss = BatchwiseOTLoss.preset(name, quirks="released")
    assert quiet(loss, x, labels).item() == pytest.approx(expected, rel=1e-12)
    terms = loss.terms(x.requires_grad_(), labels)
    assert not terms.plan.requires_grad
    (got,) = torch.autograd.grad(batchwise_ot_loss(terms, half=False), terms.cost)
    np.testing.assert_allclose(got.numpy(), slope, rtol=1e-12)


def test_reversed_sign_favours_easy_pairs() -> None:
    x, labels = batch(20, 4, 4.0)
    terms = BatchwiseOTLoss.preset("modelnet40", quirks="released").terms(x, labels)
    weight = 400 * terms.plan
    easy, hard = terms.ground_cost > 0.9, terms.ground_cost < 0.1
    assert weight[easy].mean() > 1.0 > weight[hard].mean()
    assert weight.min() > 0.99
    assert weight.max() < 1.01


def test_sweeps_equal_pot_stopped_at_the_same_count() -> None:
    cost = torch.rand(20, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = pot.sinkhorn([], [], cost.numpy(), 0.05, numItermax=7, stopThr=0.0)
        reversed_sign = pot.sinkhorn([], [], cost.numpy(), -0.5, numItermax=50)
    np.testing.assert_allclose(released_plan(cost, ReleasedSweeps(7), epsilon=0.05).numpy(), expected, rtol=1e-12)
    got = released_plan(cost, ReleasedSweeps(50, reversed_sign=True), epsilon=0.5)
    np.testing.assert_allclose(got.numpy(), reversed_sign, rtol=1e-6)


def test_rows_are_exact_and_columns_are_not() -> None:
    cost = torch.rand(30, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(6)).square()
    plan = released_plan(cost, ReleasedSweeps(2), epsilon=0.05)
    torch.testing.assert_close(plan.sum(1), torch.full((30,), 1 / 30, dtype=torch.float64), rtol=1e-14, atol=0)
    assert (plan.sum(0) - 1 / 30).abs().max() > 1e-6


def test_carrying_scalings_between_batches_changes_nothing_at_lambda_of_the_2d_program() -> None:
    """The program warm-starts u; after 30 sweeps of so flat a kernel the start is forgotten."""
    cost = np.random.default_rng(7).random((64, 64))
    kernel = np.exp(-0.01 * cost)
    cold = oracle.scaling_sweeps(kernel, 30, 1e-10)
    u, v = np.random.default_rng(8).random(64) + 0.5, np.ones(64)
    for _ in range(30):
        v = (1 / 64) / (kernel.T @ u + 1e-10)
        u = (1 / 64) / (kernel @ v + 1e-10)
    np.testing.assert_allclose(np.diag(u) @ kernel @ np.diag(v), cold, rtol=1e-9)


@pytest.mark.parametrize("name", ["mnist", "modelnet10", "modelnet40"])
def test_uniform_released_presets_warn_and_corrected_ones_do_not(name: str) -> None:
    x, labels = batch(40, 9, 0.5 if name == "mnist" else 4.0)
    with pytest.warns(UniformPlanWarning):
        BatchwiseOTLoss.preset(name, quirks="released")(x, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        corrected = BatchwiseOTLoss.preset(name)
        corrected(x, labels)
    assert corrected.diagnostics().entropy < 0.99


def test_corrected_shrec14_is_the_default_loss() -> None:
    x, labels = batch(30, 10, 0.25)
    assert torch.equal(BatchwiseOTLoss.preset("shrec14")(x, labels), BatchwiseOTLoss()(x, labels))


@pytest.mark.parametrize("name", NAMES)
def test_corrected_presets_mend_and_keep(name: str) -> None:
    corrected, released = preset_settings(name), preset_settings(name, "released")
    for kept in ("margin", "gamma", "pos_margin", "negative"):
        assert corrected.get(kept) == released.get(kept)
    assert corrected["epsilon"] == 0.2
    assert not {"sweeps", "power", "half", "plan_gradient", "include_self"} & corrected.keys()


def test_unknown_presets_are_refused() -> None:
    with pytest.raises(ValueError, match="mnist, shrec14, modelnet10, modelnet40"):
        BatchwiseOTLoss.preset("cifar10")
    with pytest.raises(ValueError, match="corrected, released"):
        BatchwiseOTLoss.preset("mnist", quirks="paper")


def test_sweeps_refuse_miners() -> None:
    x, labels = batch(6, 11, 1.0)
    one = torch.tensor([0])
    with pytest.raises(ValueError, match="miner"):
        BatchwiseOTLoss.preset("shrec14", quirks="released")(x, labels, (one, one + 1, one + 2))
