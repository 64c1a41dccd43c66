"""CrossEntropyEMDLoss: the formula, its presets, the head start and the ratio rule, terms by name, state."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

import monge
from monge.ground import Learned, Line, Matrix, Power
from monge.losses import CrossEntropyEMDLoss
from oracles.squared_emd import softmax, xemd

UNIT = Line(torch.linspace(0, 1, 6, dtype=torch.float64))


def batch(size: int = 12, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 2.0 * torch.randn(size, 6, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 6, (size,), generator=generator)
    return logits, labels, torch.rand(size, 5, generator=generator)


def random_matrix() -> Tensor:
    return torch.rand(6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64).fill_diagonal_(0.0)


@pytest.mark.parametrize("mu", [-0.5, -0.25, 0.0, 0.5])
@pytest.mark.parametrize("omega", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("weight_emd", [0.0, 1.0, 3.0])
def test_the_formula_with_both_signs_of_mu(omega: float, mu: float, weight_emd: float) -> None:
    x, y, _ = batch()
    D = random_matrix()
    loss = CrossEntropyEMDLoss(Matrix(D, symmetric=False), omega=omega, mu=mu, weight_emd=weight_emd, reduction="none")
    p = softmax(x.numpy())
    expected = [xemd(p[n], int(y[n]), D.numpy(), omega, mu, weight_emd) for n in range(12)]
    np.testing.assert_allclose(loss(x, y).numpy(), expected, rtol=1e-9)


def test_soft_targets_are_the_mean_over_classes() -> None:
    x, y, _ = batch(seed=2)
    t = torch.rand(12, 6, dtype=torch.float64).softmax(1)
    loss = CrossEntropyEMDLoss(Matrix(random_matrix(), symmetric=False), omega=2.0, reduction="none")
    each = torch.stack([loss(x, torch.full((12,), k)) for k in range(6)], dim=1)
    torch.testing.assert_close(loss(x, t), (t * each).sum(1))
    smooth = CrossEntropyEMDLoss(UNIT, label_smoothing=0.3)
    hot = torch.nn.functional.one_hot(y, 6).double()
    torch.testing.assert_close(smooth(x, y), CrossEntropyEMDLoss(UNIT)(x, 0.7 * hot + 0.05))


def test_reductions_and_weights_are_those_of_cross_entropy() -> None:
    x, y, _ = batch(seed=3)
    weight = torch.rand(6, dtype=torch.float64)
    y[2] = -100
    for options in ({"weight": weight}, {"label_smoothing": 0.1}, {"weight": weight, "label_smoothing": 0.1}):
        for reduction in ("none", "mean", "sum"):
            plain = CrossEntropyEMDLoss(UNIT, weight_emd=0.0, reduction=reduction, **options)
            torch.testing.assert_close(plain(x, y), cross_entropy(x, y, reduction=reduction, **options))
    loss = CrossEntropyEMDLoss(UNIT, weight=weight)
    value = loss(x, y)
    torch.testing.assert_close(value, loss.terms["cross_entropy"] + loss.terms["emd"])


def test_presets() -> None:
    one, two = CrossEntropyEMDLoss.xemd1(UNIT), CrossEntropyEMDLoss.xemd2(UNIT)
    assert (one.omega, one.mu, one.auto, one.head_start) == (1.0, -0.5, True, 4)
    assert (two.omega, two.mu, two.auto, two.head_start) == (2.0, -0.25, True, 4)
    assert isinstance(two.ground, Power)
    fixed = CrossEntropyEMDLoss.xemd2(UNIT, mu=0.25, weight_emd=2.0, reduction="sum")
    assert (fixed.mu, fixed.emd_weight, fixed.head_start, fixed.reduction) == (0.25, 2.0, 0, "sum")
    assert monge.CrossEntropyEMDLoss is CrossEntropyEMDLoss


def test_a_negative_mu_rewards_mass_on_near_classes() -> None:
    """Same p_k; the rest lies on a neighbour or is spread out. Only with a negative mu does concentration pay."""
    near = torch.tensor([[0.5, 0.5, 0.0]]).add(1e-30).log()
    spread = torch.tensor([[0.5, 0.25, 0.25]]).log()
    D = torch.tensor([[0.0, 0.1, 0.2], [0.1, 0.0, 0.1], [0.2, 0.1, 0.0]])
    y = torch.tensor([0])
    negative, positive = CrossEntropyEMDLoss(D, mu=-0.5), CrossEntropyEMDLoss(D, mu=0.5)
    assert negative(near, y) < negative(spread, y)
    assert positive(near, y) > positive(spread, y)


@pytest.mark.parametrize("mu", [-0.5, 0.5])
def test_the_ratio_rule(mu: float) -> None:
    """Pure cross-entropy for 4 epochs; then lambda = mean CE / |mean EMD term| / 3.5 of the last of them."""
    loss = CrossEntropyEMDLoss.xemd1(UNIT, mu=mu)
    entropies, terms = [], []
    for epoch in range(6):
        for step in range(3):
            x, y, _ = batch(size=10 + step, seed=10 * epoch + step)
            value = loss(x, y)
            assert loss.in_head_start == (epoch < 4)
            if epoch < 4:
                torch.testing.assert_close(value, cross_entropy(x, y))
                assert loss.terms["emd_weight"] == 0
            if epoch == 3:
                p, D = x.softmax(1), UNIT.matrix()
                entropies.append(cross_entropy(x, y, reduction="sum"))
                terms.append((p.square() * (D[y] + mu)).sum())
        loss.end_epoch()
        if epoch >= 3:
            expected = sum(entropies) / abs(sum(terms)) / 3.5
            assert loss.emd_weight == pytest.approx(float(expected), rel=1e-9)
    x, y, _ = batch()
    value = loss(x, y)
    torch.testing.assert_close(value, loss.terms["cross_entropy"] + loss.emd_weight * loss.terms["emd"])


def test_evaluation_measures_nothing() -> None:
    loss, plain = (CrossEntropyEMDLoss.xemd1(UNIT, head_start=1) for _ in range(2))
    x, y, _ = batch()
    other, labels, _ = batch(seed=9)
    loss(x, y)
    plain(x, y)
    loss.eval()
    loss(other, labels)
    loss.end_epoch()
    plain.end_epoch()
    assert loss.emd_weight == plain.emd_weight > 0


def test_nothing_measured_is_said() -> None:
    loss = CrossEntropyEMDLoss.xemd1(UNIT, head_start=1)
    with pytest.raises(RuntimeError, match="found no EMD term in the last epoch of the head start"):
        loss.end_epoch()


def test_terms_have_names_and_no_graph() -> None:
    x, y, _ = batch()
    x.requires_grad_()
    loss = CrossEntropyEMDLoss(UNIT, weight_emd=2.0, reduction="none")
    assert loss.terms == {}
    value = loss(x, y)
    assert list(loss.terms) == ["cross_entropy", "emd", "emd_weight"]
    assert all(term.shape == () and not term.requires_grad for term in loss.terms.values())
    mean = loss.terms["cross_entropy"] + 2.0 * loss.terms["emd"]
    torch.testing.assert_close(mean, value.detach().mean())


def test_a_number_with_a_head_start() -> None:
    loss = CrossEntropyEMDLoss(UNIT, weight_emd=2.0, head_start=1)
    x, y, _ = batch()
    torch.testing.assert_close(loss(x, y), cross_entropy(x, y))
    assert loss.terms["emd"].isfinite()
    loss.end_epoch()
    torch.testing.assert_close(loss(x, y), CrossEntropyEMDLoss(UNIT, weight_emd=2.0)(x, y))


def epochs(loss: CrossEntropyEMDLoss, first: int, last: int) -> list[float]:
    """Epochs of three steps; the values of the loss at each."""
    values = []
    for step in range(first, last):
        x, y, features = batch(size=30, seed=step)
        values.append(float(loss(x, y, features)))
        if step % 3 == 2:
            loss.end_epoch()
    return values


def test_learned_ground_from_start_to_end() -> None:
    loss = CrossEntropyEMDLoss.xemd2(Learned(6))
    assert loss.head_start == 4
    x, y, features = batch(size=30)
    torch.testing.assert_close(loss(x, y, features), cross_entropy(x, y))
    assert loss.terms["emd"].isnan()
    epochs(loss, 0, 12)
    assert loss.emd_weight > 0
    D = loss.learned.matrix()
    x, y, features = batch(size=30, seed=99)
    expected = CrossEntropyEMDLoss(Matrix(D), omega=2.0, mu=-0.25, weight_emd=loss.emd_weight)(x, y)
    torch.testing.assert_close(loss(x, y, features), expected)


@pytest.mark.parametrize("stop", [0, 2, 7, 9, 10, 12, 14])
def test_resuming_anywhere_changes_nothing(stop: int) -> None:
    make = lambda: CrossEntropyEMDLoss.xemd2(Learned(6, momentum=0.5))  # noqa: E731
    whole = make()
    values = epochs(whole, 0, 18)
    half, resumed, file = make(), make(), io.BytesIO()
    before = epochs(half, 0, stop)
    torch.save(half.state_dict(), file)
    file.seek(0)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    assert before + epochs(resumed, stop, 18) == values
    assert resumed.emd_weight == whole.emd_weight


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: CrossEntropyEMDLoss(weight_emd="automatic"), "weight_emd is 'automatic'"),
        (lambda: CrossEntropyEMDLoss(weight_emd=-1.0), "weight_emd is -1.0"),
        (lambda: CrossEntropyEMDLoss(omega=0.0), "omega is 0.0"),
        (lambda: CrossEntropyEMDLoss(weight_emd="auto", head_start=0), "head_start is 0: expected at least 1 epochs"),
        (lambda: CrossEntropyEMDLoss.xemd1(Learned(3), head_start=1), "head_start is 1: expected at least 2 epochs"),
        (lambda: CrossEntropyEMDLoss(head_start=-1), "head_start is -1: expected at least 0"),
        (lambda: CrossEntropyEMDLoss(Learned(2))(torch.zeros(1, 2), torch.tensor([0])), "needs the features"),
    ],
)
def test_wrong_settings_are_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
