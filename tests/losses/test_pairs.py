"""Pair masks from labels and from miners' tuples, and what a miner's tuple does to the plan."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from monge.losses import BatchwiseOTLoss
from monge.losses.pairs import named_pairs, pair_costs, pair_masks
from oracles import batchwise_ot as oracle


class PairIndices(NamedTuple):
    """Fields as pytorch-metric-learning 3 documents them."""

    pos_anchors: Tensor
    positives: Tensor
    neg_anchors: Tensor
    negatives: Tensor


class TripletIndices(NamedTuple):
    """Fields as pytorch-metric-learning 3 documents them."""

    anchors: Tensor
    positives: Tensor
    negatives: Tensor


CPU = torch.device("cpu")


def batch(n: int = 12, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (n,), generator=generator)
    return normalize(torch.randn(n, 4, generator=generator, dtype=torch.float64), dim=1), labels


def integers(*values: int) -> Tensor:
    return torch.tensor(values)


def test_labels_make_all_pairs() -> None:
    masks = pair_masks(3, 2, CPU, integers(0, 1, 0), integers(0, 5), None, exclude_diagonal=False)
    assert masks.same.tolist() == [[True, False], [False, False], [True, False]]
    assert masks.support is None
    assert masks.balanced


def test_triplets_and_pairs_name_the_same_pairs() -> None:
    a, p, n = integers(0, 0, 2), integers(1, 1, 3), integers(2, 3, 0)
    for plain, named in (((a, p, n), TripletIndices(a, p, n)), ((a, p, a, n), PairIndices(a, p, a, n))):
        for form in (plain, named, list(plain)):
            positive, negative = named_pairs(form, 4, 4, CPU)
            assert positive.nonzero().tolist() == [[0, 1], [2, 3]]  # (0, 1) is named twice and counts once
            assert negative.nonzero().tolist() == [[0, 2], [0, 3], [2, 0]]


def test_a_pair_named_as_both_is_positive() -> None:
    masks = pair_masks(2, 2, CPU, None, None, (integers(0), integers(1), integers(1)), exclude_diagonal=False)
    assert masks.same[0, 1]
    assert masks.support.sum() == 1


def test_int32_and_empty_float_indices_are_taken() -> None:
    positive, negative = named_pairs((integers(0).int(), integers(1).int(), torch.empty(0), torch.empty(0)), 2, 2, CPU)
    assert positive.sum() == 1
    assert not negative.any()


def test_a_tuple_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="found 2"):
        named_pairs((integers(0), integers(1)), 2, 2, CPU)


def test_unknown_form_is_refused() -> None:
    with pytest.raises(ValueError, match="dist_hinge_sq"):
        pair_costs(torch.eye(2), None, form="hinge", margin=1.0, pos_margin=0.0)


def test_costs_equal_the_loops() -> None:
    x, y = batch(6, 1)[0], batch(5, 2)[0]
    for form in ("hinge_sq_dist", "dist_hinge_sq"):
        expected = oracle.pair_costs(x.numpy(), y.numpy(), form, 1.1, 0.2)
        got = pair_costs(x, y, form=form, margin=1.1, pos_margin=0.2)
        for ours, theirs in zip(got, expected, strict=True):
            np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-12)


def random_triplets(labels: Tensor, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    same = labels[:, None] == labels
    a, p, n = torch.where((same & ~torch.eye(len(labels), dtype=torch.bool))[:, :, None] & ~same[:, None, :])
    some = torch.randperm(len(a), generator=torch.Generator().manual_seed(seed))[:15]
    return a[some], p[some], n[some]


def test_named_pairs_alone_carry_mass_and_the_value_is_the_formulas() -> None:
    x, labels = batch(seed=3)
    triplets = random_triplets(labels, 4)
    positive, negative = (mask.numpy() for mask in named_pairs(triplets, 12, 12, CPU))
    loss = BatchwiseOTLoss(tol=1e-11)
    value = loss(x, labels, triplets)
    assert value.item() == pytest.approx(oracle.loss(x.numpy(), x.numpy(), positive, positive | negative), rel=1e-7)
    plan = loss.terms(x, labels, triplets).plan.numpy()
    assert plan.sum() == pytest.approx(1.0)
    assert not plan[~(positive | negative)].any()
    assert loss.diagnostics().marginal_error < 1e-9
    assert torch.equal(loss(x, None, triplets), value)  # labels are not looked at


def test_all_pairs_named_is_the_loss_without_a_tuple() -> None:
    x, labels = batch(seed=5)
    off = ~torch.eye(12, dtype=torch.bool)
    same = labels[:, None] == labels
    named = (*torch.where(same & off), *torch.where(~same))
    loss = BatchwiseOTLoss(tol=1e-11)
    torch.testing.assert_close(loss(x, labels, named), loss(x, labels), rtol=1e-9, atol=0)


@pytest.mark.parametrize("gradient", ["detach", "kernel", "full"])
def test_empty_tuple_costs_nothing(gradient: str) -> None:
    x, labels = batch(seed=6)
    x.requires_grad_()
    none = torch.empty(0, dtype=torch.long)
    value = BatchwiseOTLoss(plan_gradient=gradient)(x, labels, (none, none, none))
    value.backward()
    assert value == 0
    assert torch.equal(x.grad, torch.zeros_like(x))


def test_triplets_with_full_gradient_pass_gradcheck() -> None:
    x, labels = batch(8, seed=7)
    triplets = random_triplets(labels, 8)
    loss = BatchwiseOTLoss(plan_gradient="full", tol=1e-13)
    assert torch.autograd.gradcheck(lambda a: loss(a, labels, triplets), (x.requires_grad_(),), atol=1e-6)
