from __future__ import annotations

import pytest
import torch
from scipy.spatial.distance import cdist
from torch import Tensor
from torch.autograd import gradcheck

from monge.ot import pairwise_cost

METRICS = ("sqeuclidean", "euclidean", "cosine")


@pytest.mark.parametrize("metric", METRICS)
def test_equals_scipy(metric: str) -> None:
    x, y = torch.randn(2, 7, 5, dtype=torch.float64), torch.randn(2, 4, 5, dtype=torch.float64)
    ours = pairwise_cost(x, y, metric)
    for i in range(2):
        torch.testing.assert_close(ours[i], torch.from_numpy(cdist(x[i].numpy(), y[i].numpy(), metric)))


@pytest.mark.parametrize("metric", METRICS)
def test_gradcheck(metric: str) -> None:
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    y = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda p, q: pairwise_cost(p, q, metric), (x, y))
    assert gradcheck(lambda p: pairwise_cost(p, metric=metric), (x,))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("points", [torch.ones(4, 3), torch.zeros(4, 3), torch.full((4, 3), 1e-20)])
def test_identical_points_have_finite_gradients(metric: str, points: Tensor) -> None:
    x = points.clone().requires_grad_()
    y = points.clone().requires_grad_()
    (pairwise_cost(x, y, metric).sum() + pairwise_cost(x, metric=metric).sum()).backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert x.grad.abs().max() < 100


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean"])
def test_diagonal_is_exactly_zero_far_from_the_origin(metric: str) -> None:
    x = torch.randn(50, 8) + 1e4
    cost = pairwise_cost(x, metric=metric)
    assert (cost.diagonal() == 0).all()
    exact = torch.from_numpy(cdist(x.double().numpy(), x.double().numpy(), metric))
    torch.testing.assert_close(cost.double(), exact, rtol=1e-3, atol=1e-3)


def test_zero_vector_has_cosine_cost_one() -> None:
    cost = pairwise_cost(torch.zeros(1, 3), torch.eye(3), "cosine")
    assert torch.equal(cost, torch.ones(1, 3))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("metric", METRICS)
def test_half_precision_and_autocast_compute_in_float32(dtype: torch.dtype, metric: str) -> None:
    x = (300 * torch.randn(6, 64)).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cost = pairwise_cost(x, metric=metric)
    assert cost.dtype == torch.float32
    assert torch.equal(cost, pairwise_cost(x.float(), metric=metric))


def test_shapes_and_metric_are_checked() -> None:
    with pytest.raises(ValueError, match=r"\(3, 2\) and \(3, 4\)"):
        pairwise_cost(torch.zeros(3, 2), torch.zeros(3, 4))
    with pytest.raises(ValueError, match="'manhattan'"):
        pairwise_cost(torch.zeros(3, 2), metric="manhattan")  # type: ignore[arg-type]


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cosine"])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_what_is_no_number_is_none_in_the_costs(metric: str, bad: float) -> None:
    x, y = torch.randn(4, 3), torch.randn(5, 3)
    x[2, 1] = bad
    assert not pairwise_cost(x, y, metric)[2].isfinite().any()


def test_vectors_too_long_for_the_dtype_do_not_pass_for_zero_vectors() -> None:
    x = torch.randn(4, 3)
    cost = pairwise_cost(torch.stack([x[0] * 1e25, x[1]]), x, "cosine")
    assert cost[0].isnan().all()
    torch.testing.assert_close(cost[1], pairwise_cost(x, x, "cosine")[1])
