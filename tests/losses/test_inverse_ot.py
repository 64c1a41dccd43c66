"""Inverse OT against InfoNCE, against plans made by the loops of the papers, and against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from monge.losses import InfoNCELoss, InverseOTLoss, inverse_ot_loss
from monge.losses.coupling_targets import Positives, positive_pairs
from monge.losses.inverse_adjoint import relaxed_adjoint
from monge.losses.robust_contrast import Rince
from monge.ot import WarmStart, pairwise_cost
from oracles import inverse_ot as oracle
from oracles.entropic import entropic_plan

TIGHT = 1e-12
CONSTRAINTS = {
    "row": {"constraint": "row"},
    "row of queries": {"constraint": "row", "symmetric": False},
    "balanced": {"constraint": "balanced"},
    "unbalanced": {"constraint": "unbalanced", "rho": 2.0},
    "partial": {"constraint": "partial", "mass": 0.7},
    "rince of rows": {"constraint": "row", "rince_weight": 1.0, "kl_weight": 0.5},
    "gca-rince": {"constraint": "balanced", "rince_weight": 1.0, "kl_weight": 0.0, "rince_q": 0.7},
    "gca-uot": {"constraint": "unbalanced", "rho": 2.0, "rince_weight": 1.0, "kl_weight": 0.2, "rince_lam": 0.1},
}
every_constraint = pytest.mark.parametrize("settings", CONSTRAINTS.values(), ids=CONSTRAINTS.keys())


def batch(n: int = 9, m: int = 7, dim: int = 4, classes: int = 3, seed: int = 0) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    lx = torch.arange(n) % classes
    ly = torch.randint(0, classes, (m,), generator=generator)
    points = [torch.randn(size, dim, generator=generator, dtype=torch.float64) for size in (n, m)]
    return points[0], points[1], lx, ly


def scaled_and_positive(epsilon: float = 0.3, seed: int = 0) -> tuple[Tensor, Tensor]:
    x, y, lx, ly = batch(seed=seed)
    return pairwise_cost(x, y, "cosine") / epsilon, positive_pairs(len(x), len(y), lx, ly)


def coupling(positive: Tensor, of_x: float = 0.5) -> Tensor:
    return Positives(positive.double(), tuple(positive.shape)).target(of_x).weights


def test_rows_of_pairs_are_infonce() -> None:
    x, y = batch(12, 12)[:2]
    for symmetric in (True, False):
        value = InverseOTLoss(constraint="row", epsilon=0.1, symmetric=symmetric)(x, y)
        torch.testing.assert_close(value, InfoNCELoss(temperature=0.1, symmetric=symmetric)(x, y), rtol=0, atol=1e-9)
    logits = functional.normalize(x) @ functional.normalize(y).T / 0.1
    there, back = (functional.cross_entropy(s, torch.arange(12)) for s in (logits, logits.T))
    torch.testing.assert_close(InfoNCELoss(temperature=0.1)(x, y), (there + back) / 2, rtol=0, atol=1e-9)
    single = InverseOTLoss(constraint="row", epsilon=0.1)(x.float(), y.float())
    assert single.item() == pytest.approx(((there + back) / 2).item(), abs=1e-6)


def test_rows_with_several_positives_are_infonce_up_to_a_constant() -> None:
    x, y, lx, ly = batch()
    ly[:3] = torch.arange(3)
    supervised = InfoNCELoss(temperature=0.2, symmetric=False)(x, y, lx, ly)
    value = InverseOTLoss(constraint="row", epsilon=0.2, symmetric=False)(x, y, lx, ly)
    counts = (lx[:, None] == ly).sum(1).double()
    torch.testing.assert_close(value, supervised - counts.log().mean())


@pytest.mark.parametrize("seed", [1, 2])
def test_value_of_rows_equals_the_formula(seed: int) -> None:
    scaled, positive = scaled_and_positive(seed=seed)
    value = inverse_ot_loss(scaled, coupling(positive, of_x=1.0), constraint="row")
    assert value.item() == pytest.approx(oracle.row_loss(scaled.numpy(), positive.numpy()), rel=1e-10)


def test_targets_equal_their_definition() -> None:
    positive = scaled_and_positive(seed=3)[1]
    positive[2] = False
    rows, columns = oracle.wanted(positive.numpy())
    np.testing.assert_allclose(coupling(positive, of_x=1.0).numpy(), rows, rtol=1e-12)
    np.testing.assert_allclose(coupling(positive).numpy(), (rows + columns) / 2, rtol=1e-12)


def test_balanced_value_is_the_divergence_from_the_plan() -> None:
    scaled, positive = scaled_and_positive(seed=4)
    target = sum(oracle.wanted(positive.numpy())) / 2
    plan = entropic_plan(scaled.numpy(), target.sum(1), target.sum(0), 1.0)
    expected = oracle.relative_entropy(target, plan)
    value = inverse_ot_loss(scaled, coupling(positive), tol=TIGHT)
    assert value.item() == pytest.approx(expected, rel=1e-8)


def test_unbalanced_value_is_the_gap_and_the_divergence_with_marginals() -> None:
    scaled, positive = scaled_and_positive(seed=5)
    target, rho = sum(oracle.wanted(positive.numpy())) / 2, 2.0
    a, b = np.full(9, 1 / 9), np.full(7, 1 / 7)
    plan = oracle.unbalanced_plan(scaled.numpy(), a, b, rho)
    gap = oracle.objective(target, scaled.numpy(), a, b, rho) - oracle.objective(plan, scaled.numpy(), a, b, rho)
    divergence = oracle.relative_entropy(target, plan) + rho * (
        oracle.relative_entropy(target.sum(1), plan.sum(1)) + oracle.relative_entropy(target.sum(0), plan.sum(0))
    )
    given = {"constraint": "unbalanced", "rho": rho, "tol": TIGHT}
    value = inverse_ot_loss(scaled, coupling(positive), **given)
    assert value.item() == pytest.approx(gap, rel=1e-8)
    assert value.item() == pytest.approx(divergence, rel=1e-8)


@pytest.mark.parametrize("mass", [0.3, 0.8])
def test_partial_value_is_the_gap(mass: float) -> None:
    scaled, positive = scaled_and_positive(seed=6)
    target = sum(oracle.wanted(positive.numpy())) / 2
    a, b = np.maximum(target.sum(1), 1 / 9), np.maximum(target.sum(0), 1 / 7)
    plan = oracle.partial_plan(scaled.numpy(), a, b, mass)
    gap = oracle.objective(mass * target, scaled.numpy(), a, b) - oracle.objective(plan, scaled.numpy(), a, b)
    given = {"constraint": "partial", "mass": mass, "tol": 1e-9}
    value = inverse_ot_loss(scaled, coupling(positive), **given)
    assert value.item() == pytest.approx(gap, rel=1e-6)


@pytest.mark.parametrize("constraint", ["balanced", "unbalanced"])
def test_robust_contrast_equals_the_formula(constraint: str) -> None:
    scaled, positive = scaled_and_positive(seed=7)
    target = sum(oracle.wanted(positive.numpy())) / 2
    if constraint == "balanced":
        a, b = target.sum(1), target.sum(0)
        plan = entropic_plan(scaled.numpy(), a, b, 1.0)
    else:
        a, b = np.full(9, 1 / 9), np.full(7, 1 / 7)
        plan = oracle.unbalanced_plan(scaled.numpy(), a, b, 3.0)
    expected = 2.0 * oracle.rince(plan, target, a, b, 0.6, 0.05)
    given = {"constraint": constraint, "rho": 3.0, "tol": TIGHT, "kl_weight": 0.0, "rince": Rince(2.0, 0.6, 0.05)}
    value = inverse_ot_loss(scaled, coupling(positive), **given)
    assert value.item() == pytest.approx(expected, rel=1e-8)


@every_constraint
def test_gradient_passes_gradcheck(settings: dict) -> None:
    x, y, lx, ly = batch(6, 5, 3, 2, seed=8)
    ignore = torch.zeros(6, 5, dtype=torch.bool)
    ignore[0, 1] = ignore[3, 2] = True
    tol = 1e-10 if settings["constraint"] == "partial" else TIGHT
    loss = InverseOTLoss(epsilon=0.4, tol=tol, learn_epsilon=True, **settings).double()

    def value(a: Tensor, b: Tensor, log_epsilon: Tensor) -> Tensor:
        given = {"log_epsilon": log_epsilon}
        return torch.func.functional_call(loss, given, (a, b, lx, ly), {"ignore": ignore})

    inputs = (x.requires_grad_(), y.requires_grad_(), loss.log_epsilon.detach().clone().requires_grad_())
    assert torch.autograd.gradcheck(value, inputs, atol=2e-6, rtol=1e-4)


def test_gradient_to_the_costs_is_target_less_plan() -> None:
    scaled, positive = scaled_and_positive(seed=9)
    target = coupling(positive)
    live = scaled.clone().requires_grad_()
    inverse_ot_loss(live, target, tol=TIGHT).backward()
    plan = entropic_plan(scaled.numpy(), target.sum(1).numpy(), target.sum(0).numpy(), 1.0)
    np.testing.assert_allclose(live.grad.numpy(), target.numpy() - plan, atol=1e-10)


@pytest.mark.parametrize("constraint", ["row", "balanced"])
def test_nothing_to_learn_where_the_plan_is_the_target(constraint: str) -> None:
    target = coupling(torch.eye(5, dtype=torch.bool))
    scaled = torch.where(target > 0, 0.0, 60.0).double().requires_grad_()
    value = inverse_ot_loss(scaled, target, constraint=constraint)
    value.backward()
    assert value.item() == pytest.approx(0.0, abs=1e-12)
    assert scaled.grad.abs().max() < 1e-12


def test_relaxed_constraints_come_to_the_balanced_one() -> None:
    x, y = batch(8, 8, seed=10)[:2]
    balanced = InverseOTLoss(epsilon=0.3, tol=1e-10)(x, y)
    stiff = InverseOTLoss(epsilon=0.3, tol=1e-10, constraint="unbalanced", rho=1e6)(x, y)
    whole = InverseOTLoss(epsilon=0.3, tol=1e-9, constraint="partial", mass=1.0)(x, y)
    torch.testing.assert_close(stiff, balanced, rtol=1e-4, atol=0)
    torch.testing.assert_close(whole, balanced, rtol=1e-4, atol=0)


@pytest.mark.parametrize("price", [0.5, 4.0, float("inf")])
def test_adjoint_solves_its_system(price: float) -> None:
    plan = torch.rand(6, 4, dtype=torch.float64)
    plan[2] = 0.0
    rows, columns = torch.randn(6, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    rows[2] = 0.0
    columns += (rows.sum() - columns.sum()) / 4  # a solution exists without prices only for equal sums
    alpha, beta = relaxed_adjoint(plan, rows, columns, price)
    stiff = 1 + 1 / price
    torch.testing.assert_close(stiff * plan.sum(1) * alpha + plan @ beta, rows)
    torch.testing.assert_close(plan.T @ alpha + stiff * plan.sum(0) * beta, columns)


def test_warm_start_keeps_the_value_and_remembers() -> None:
    x, y = batch(20, 20, seed=11)[:2]
    warm, keys = WarmStart(50), torch.arange(20)
    loss = InverseOTLoss(epsilon=0.1, tol=1e-9)
    for _ in range(2):
        torch.testing.assert_close(loss(x, y, warm=warm.at(keys, keys)), loss(x, y))
    assert warm.row_potentials[:20].isfinite().all()


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="constraint: found 'full', expected one of row, balanced"):
        InverseOTLoss(constraint="full")
    with pytest.raises(ValueError, match="metric: found 'dot'"):
        InverseOTLoss(metric="dot")
    with pytest.raises(ValueError, match="beside constraint 'partial'"):
        InverseOTLoss(constraint="partial", rince_weight=1.0)
    with pytest.raises(ValueError, match="expected one above 0"):
        InverseOTLoss(kl_weight=0.0)
    with pytest.raises(ValueError, match=r"mass 1\.5, expected all above 0, mass at most 1"):
        InverseOTLoss(mass=1.5)
    with pytest.raises(ValueError, match="found 3 samples of x and 2 of y without labels"):
        InverseOTLoss()(torch.eye(3), torch.eye(3)[:2])
    with pytest.raises(ValueError, match="labels: found those of one side"):
        InverseOTLoss()(torch.eye(3), torch.eye(3), torch.arange(3))
    with pytest.raises(ValueError, match=r"ignore: found shape \(2, 2\), expected \(3, 3\)"):
        InverseOTLoss()(torch.eye(3), torch.eye(3), ignore=torch.zeros(2, 2))
