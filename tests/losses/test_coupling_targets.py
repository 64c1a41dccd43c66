"""Lists and matrices of positives say the same; products of unit vectors have the derivatives they should."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from monge.losses import InfoNCELoss, InverseOTLoss, coupling_targets
from monge.losses.cosines import scaled_cosines, unit_rows
from monge.losses.coupling_targets import Positives, Target, positive_pairs
from monge.losses.token_costs import unit_tokens


def labels(n: int = 40, m: int = 30, classes: int = 12, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(-3, classes - 3, (size,), generator=generator) for size in (n, m))  # type: ignore


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("ignoring", [False, True])
@pytest.mark.parametrize("of_x", [0.0, 0.5, 1.0])
def test_a_list_holds_the_target_of_the_matrix(of_x: float, ignoring: bool, seed: int) -> None:
    lx, ly = labels(seed=seed)
    ignore = torch.rand(40, 30, generator=torch.Generator().manual_seed(seed)) < 0.3 if ignoring else None
    positive = positive_pairs(40, 30, lx, ly, ignore)
    listed = Positives.find((40, 30), lx, ly, ignore)
    assert listed.places
    found = listed.target(of_x)
    expected = Positives(positive.float(), (40, 30)).target(of_x)
    torch.testing.assert_close(found.matrix(), expected.weights)
    torch.testing.assert_close(found.rows, expected.rows)
    torch.testing.assert_close(found.columns, expected.columns)
    assert found.rows.sum().item() == pytest.approx(1.0)


def test_what_is_read_off_a_list_is_read_off_the_matrix() -> None:
    lx, ly = labels(seed=2)
    listed = Positives.find((40, 30), lx, ly).target()
    whole = Target.of(listed.matrix())
    values = torch.rand(40, 30)
    for one, other in (
        (listed, whole),
        (listed.transposed(), whole.transposed()),
        (listed.times(2.0), whole.times(2.0)),
    ):
        matrix = values if len(one.rows) == 40 else values.mT
        torch.testing.assert_close(one.inner(matrix), other.inner(matrix))
        torch.testing.assert_close(one.entropy(), other.entropy())
        torch.testing.assert_close(one.matrix(), other.matrix())
        spread = other.of_rows(torch.arange(len(one.rows))).expand_as(other.weights)
        assert torch.equal(one.of_rows(torch.arange(len(one.rows))), one.at(spread))


def test_pairs_need_no_labels_and_many_positives_no_list() -> None:
    pairs = Positives.find((5, 5), None, None)
    assert pairs.one_each
    assert torch.equal(pairs.target().matrix(), torch.eye(5) / 5)
    ignore = torch.zeros(5, 5, dtype=torch.bool)
    ignore[1, 1] = True
    assert torch.equal(Positives.find((5, 5), None, None, ignore).target().rows, torch.tensor([1, 0, 1, 1, 1]) / 4)
    few, many = torch.arange(8), torch.arange(8) // 4
    assert Positives.find((8, 8), few, few).places
    assert not Positives.find((8, 8), many, many).places


LOSSES = {
    "row": InverseOTLoss(constraint="row", epsilon=0.2),
    "balanced": InverseOTLoss(epsilon=0.2),
    "unbalanced": InverseOTLoss(epsilon=0.2, constraint="unbalanced"),
    "partial": InverseOTLoss(epsilon=0.2, constraint="partial"),
    "rince of rows": InverseOTLoss(epsilon=0.2, constraint="row", rince_weight=1.0, kl_weight=0.5),
    "gca-rince": InverseOTLoss(epsilon=0.2, rince_weight=1.0, kl_weight=0.0),
    "gca-uot": InverseOTLoss(epsilon=0.2, constraint="unbalanced", rince_weight=1.0, kl_weight=0.2),
    "infonce": InfoNCELoss(temperature=0.2),
}


@pytest.mark.parametrize("ignoring", [False, True])
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
def test_losses_are_the_same_by_list_and_by_matrix(
    loss: InverseOTLoss, ignoring: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(3)
    lx, ly = labels(seed=3)
    x, y = (torch.randn(size, 6, generator=generator, dtype=torch.float64) for size in (40, 30))
    ignore = torch.rand(40, 30, generator=generator) < 0.2 if ignoring else None
    grads, values = [], []
    for worth_a_list in (4, math.inf):
        monkeypatch.setattr(coupling_targets, "_FEW", worth_a_list)
        live = x.clone().requires_grad_(), y.clone().requires_grad_()
        values.append(loss(*live, lx, ly, ignore=ignore))
        grads.append(torch.autograd.grad(values[-1], live))
    torch.testing.assert_close(values[0], values[1], rtol=1e-6, atol=0)
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-5, atol=1e-9)


def vectors(seed: int = 0) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    x, y = (torch.randn(size, 3, generator=generator, dtype=torch.float64) for size in (4, 5))
    scale, offset = torch.tensor([-2.0, 0.3], dtype=torch.float64)
    return tuple(t.clone().requires_grad_() for t in (x, y, scale, offset))


def test_cosines_and_both_their_derivatives() -> None:
    x, y, scale, offset = vectors()
    expected = offset + scale * functional.normalize(x, dim=1) @ functional.normalize(y, dim=1).T
    torch.testing.assert_close(scaled_cosines(x, y, scale, offset), expected)
    torch.testing.assert_close(scaled_cosines(x, y, -2.0, 0.3), expected)
    assert torch.autograd.gradcheck(scaled_cosines, (x, y, scale, offset))
    assert torch.autograd.gradgradcheck(scaled_cosines, (x, y, scale, offset))
    by_function = torch.func.grad(lambda t: scaled_cosines(t, y.detach()).square().sum())(x.detach())
    (by_tape,) = torch.autograd.grad(scaled_cosines(x, y).square().sum(), x)
    torch.testing.assert_close(by_function, by_tape)


def test_vectors_without_direction_have_cosine_and_gradient_zero() -> None:
    x = torch.tensor([[0.0, 0.0], [1e-13, 0.0], [3.0, 4.0]], requires_grad=True)
    y = torch.eye(2, requires_grad=True)
    cosines = scaled_cosines(x, y)
    assert torch.equal(cosines[:2], torch.zeros(2, 2))
    (first,) = torch.autograd.grad((cosines * torch.tensor([1.0, 2.0])).sum(), x, create_graph=True)
    assert not first[:2].any()
    first.square().sum().backward()
    assert x.grad.isfinite().all()
    assert not x.grad[:2].any()
    assert torch.equal(unit_rows(x)[:2], torch.zeros(2, 2))
    (first,) = torch.autograd.grad((unit_rows(x) @ y).sum(), x)
    assert not first[:2].any()


def test_a_length_beyond_the_numbers_is_not_none() -> None:
    x = torch.tensor([[1e30, 0.0], [torch.inf, 0.0], [torch.nan, 0.0], [3.0, 4.0]])
    for found in (scaled_cosines(x, torch.eye(2)), unit_rows(x), unit_tokens(x.unsqueeze(1)).squeeze(1)):
        assert found[:3].isnan().any(1).all()
        torch.testing.assert_close(found[3], torch.tensor([0.6, 0.8]))


def test_cosines_keep_full_precision_under_autocast() -> None:
    x, y = (t.detach().float().requires_grad_() for t in vectors(1)[:2])
    (expected,) = torch.autograd.grad(scaled_cosines(x, y).square().sum(), x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (grad,) = torch.autograd.grad(scaled_cosines(x, y).square().sum(), x)
    assert torch.equal(grad, expected)
