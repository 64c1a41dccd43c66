"""Plan diagnostics: known plans, SciPy's entropy, masks, batches and zero entries."""

from __future__ import annotations

import math

import pytest
import torch

from monge.errors import MongeError
from monge.metrics import plan_diagnostics

stats = pytest.importorskip("scipy.stats")


def test_uniform_plan() -> None:
    found = plan_diagnostics(torch.full((4, 6), 1 / 24, dtype=torch.float64))
    assert float(found["entropy"]) == pytest.approx(1.0)
    assert float(found["effective_pairs"]) == pytest.approx(24.0)
    for key in ("uniform_deviation", "row_error", "column_error"):
        assert float(found[key]) == pytest.approx(0.0, abs=1e-12)
    assert "hard_share" not in found


def test_permutation_plan() -> None:
    found = plan_diagnostics(torch.eye(5, dtype=torch.float64)[torch.randperm(5)] / 5)
    assert float(found["entropy"]) == pytest.approx(0.5)  # log 5 / log 25
    assert float(found["effective_pairs"]) == pytest.approx(5.0)
    assert float(found["uniform_deviation"]) == pytest.approx(4.0)
    assert float(found["row_error"]) == pytest.approx(0.0, abs=1e-12)


def test_random_plan_against_scipy() -> None:
    plan = torch.rand(7, 3, dtype=torch.float64)
    plan[2, 1] = 0.0
    plan /= plan.sum()
    a, b = torch.rand(7, dtype=torch.float64), torch.rand(3, dtype=torch.float64)
    found = plan_diagnostics(plan, a=a / a.sum(), b=b / b.sum())
    nats = float(stats.entropy(plan.flatten().numpy()))
    assert float(found["entropy"]) == pytest.approx(nats / math.log(21))
    assert float(found["effective_pairs"]) == pytest.approx(math.exp(nats))
    assert float(found["uniform_deviation"]) == pytest.approx(float((plan * 21 - 1).abs().max()))
    assert float(found["row_error"]) == pytest.approx(float((plan.sum(1) - a / a.sum()).abs().sum()))
    assert float(found["column_error"]) == pytest.approx(float((plan.sum(0) - b / b.sum()).abs().sum()))


def test_hard_share_by_mask_and_by_ground_cost() -> None:
    plan = torch.tensor([[0.4, 0.1], [0.2, 0.3]])
    ground_cost = torch.tensor([[0.05, 0.9], [0.09, 0.1]])
    assert float(plan_diagnostics(plan, hard=ground_cost < 0.1)["hard_share"]) == pytest.approx(0.6)
    assert float(plan_diagnostics(plan, ground_cost=ground_cost)["hard_share"]) == pytest.approx(0.6)
    assert float(plan_diagnostics(plan, ground_cost=ground_cost, hard_below=0.95)["hard_share"]) == pytest.approx(1.0)
    with pytest.raises(MongeError, match="expected one of the two"):
        plan_diagnostics(plan, hard=ground_cost < 0.1, ground_cost=ground_cost)


def test_shares_are_of_the_mass_that_is_there() -> None:
    """A partial plan of mass 0.3 has the shape of its whole, but misses its marginals."""
    plan = torch.rand(4, 4, dtype=torch.float64)
    plan /= plan.sum()
    whole, part = plan_diagnostics(plan, hard=plan > 0.1), plan_diagnostics(0.3 * plan, hard=plan > 0.1)
    for key in ("entropy", "effective_pairs", "uniform_deviation", "hard_share"):
        assert float(part[key]) == pytest.approx(float(whole[key]))
    assert float(part["row_error"]) >= 0.7 - 1e-12


def test_masks_equal_the_smaller_problem() -> None:
    plan = torch.rand(5, 6, dtype=torch.float64)
    inner = plan[:3, 1:5] / plan[:3, 1:5].sum()
    rows, columns = torch.arange(5) < 3, (torch.arange(6) >= 1) & (torch.arange(6) < 5)
    padded = torch.full((5, 6), torch.nan, dtype=torch.float64)  # padding may hold anything
    padded[:3, 1:5] = inner
    ground_cost = torch.rand(5, 6)
    found = plan_diagnostics(padded, ground_cost=ground_cost, hard_below=0.5, row_mask=rows, col_mask=columns)
    want = plan_diagnostics(inner, ground_cost=ground_cost[:3, 1:5], hard_below=0.5)
    for key, value in want.items():
        assert float(found[key]) == pytest.approx(float(value)), key


def test_batches_equal_single_problems() -> None:
    plans = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    masks = torch.rand(2, 3, 4) < 0.8
    masks[..., 0] = True
    found = plan_diagnostics(plans, hard=plans > 0.5, row_mask=masks)
    for i in range(2):
        for j in range(3):
            want = plan_diagnostics(plans[i, j], hard=plans[i, j] > 0.5, row_mask=masks[i, j])
            for key, value in want.items():
                assert torch.allclose(found[key][i, j], value), key


def test_single_pair_and_no_mass() -> None:
    one = plan_diagnostics(torch.ones(1, 1))
    assert (float(one["entropy"]), float(one["effective_pairs"]), float(one["uniform_deviation"])) == (1.0, 1.0, 0.0)
    none = plan_diagnostics(torch.zeros(2, 2), ground_cost=torch.ones(2, 2))
    assert all(none[key].isnan() for key in ("entropy", "effective_pairs", "uniform_deviation", "hard_share"))
    assert float(none["row_error"]) == pytest.approx(1.0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_plans(dtype: torch.dtype) -> None:
    plan = torch.rand(8, 8).softmax(dim=0).to(dtype) / 8
    found = plan_diagnostics(plan)
    want = plan_diagnostics(plan.double())
    for key, value in want.items():
        assert found[key].dtype == torch.float32
        assert float(found[key]) == pytest.approx(float(value), rel=1e-4, abs=1e-5), key


def test_no_gradient_is_kept_and_wrong_plans_are_refused() -> None:
    plan = torch.full((2, 2), 0.25, requires_grad=True)
    assert not any(value.requires_grad for value in plan_diagnostics(plan).values())
    for wrong in (torch.ones(3), torch.ones(0, 3), torch.ones(2, 2).long()):
        with pytest.raises(MongeError, match="expected floating"):
            plan_diagnostics(wrong)
