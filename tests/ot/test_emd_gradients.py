from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from monge.ot.cost import pairwise_cost
from monge.ot.exact import emd

DOUBLE = torch.float64


def simplex(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=DOUBLE).softmax(-1)


def test_gradcheck_to_cost_and_along_the_simplex() -> None:
    cost = torch.rand(2, 5, 4, dtype=DOUBLE, requires_grad=True)
    z = torch.randn(2, 5, dtype=DOUBLE, requires_grad=True)
    w = torch.randn(2, 4, dtype=DOUBLE, requires_grad=True)

    def value(c: Tensor, z: Tensor, w: Tensor) -> Tensor:
        return emd(c, z.softmax(-1), w.softmax(-1)).value

    assert gradcheck(value, (cost, z, w))


def test_second_derivatives_are_right_or_refused() -> None:
    x, y, a = torch.randn(5, 2, dtype=DOUBLE), torch.randn(4, 2, dtype=DOUBLE), simplex(5)
    z = torch.randn(5, dtype=DOUBLE, requires_grad=True)
    x.requires_grad_()
    assert gradgradcheck(lambda t: emd(pairwise_cost(t, y), a).value, (x,))
    assert gradgradcheck(lambda t: emd(pairwise_cost(x.detach(), y), t.softmax(0)).value, (z,))
    (by_x,) = torch.autograd.grad(emd(pairwise_cost(x, y), z.softmax(0)).value, x, create_graph=True)
    (by_x_twice,) = torch.autograd.grad(by_x.square().sum(), x, retain_graph=True)
    assert bool(by_x_twice.any())
    with pytest.raises(RuntimeError, match="mixes cost and weights"):
        by_x.square().sum().backward()


def test_gradient_is_plan_and_centred_potentials() -> None:
    cost, a, b = torch.rand(3, 6, 4, dtype=DOUBLE), simplex(3, 6), simplex(3, 4)
    for t in (cost, a, b):
        t.requires_grad_()
    result = emd(cost, a, b)
    by_cost, by_a, by_b = torch.autograd.grad(result.value, (cost, a, b), torch.tensor([1.0, -2.0, 0.5]).double())
    factor = torch.tensor([1.0, -2.0, 0.5], dtype=DOUBLE)[:, None]
    torch.testing.assert_close(by_cost, factor[:, None] * result.plan)
    f, g = result.potentials
    torch.testing.assert_close(by_a, factor * (f - f.mean(1, keepdim=True)))
    torch.testing.assert_close(by_b, factor * (g - g.mean(1, keepdim=True)))


def test_masked_points_have_no_gradient_and_no_part_in_the_centre() -> None:
    cost, a = torch.rand(5, 4, dtype=DOUBLE), simplex(3)
    rows = torch.tensor([True, False, True, True, False])
    padded = torch.zeros(5, dtype=DOUBLE).masked_scatter(rows, a).requires_grad_()
    short = a.clone().requires_grad_()
    emd(cost, padded, row_mask=rows).value.backward()
    emd(cost[rows], short).value.backward()
    assert padded.grad is not None
    assert short.grad is not None
    torch.testing.assert_close(padded.grad[rows], short.grad)
    assert not padded.grad[~rows].any()


def test_points_without_mass_know_what_mass_would_cost() -> None:
    """Moving a little mass onto an empty point changes the value as its potential says."""
    for _ in range(10):
        cost, a, b = torch.rand(6, 5, dtype=DOUBLE), simplex(6), simplex(5)
        a[2], b[0], b[3] = 0.0, 0.0, 0.0
        a, b = a / a.sum(), b / b.sum()
        a.requires_grad_()
        b.requires_grad_()
        value = emd(cost, a, b).value
        by_a, by_b = torch.autograd.grad(value, (a, b))
        small = 1e-7
        moved_a, moved_b = a.detach().clone(), b.detach().clone()
        moved_a[2], moved_a[4] = small, moved_a[4] - small
        moved_b[3], moved_b[1] = small, moved_b[1] - small
        slope_a = (emd(cost, moved_a, b.detach()).value - value) / small
        slope_b = (emd(cost, a.detach(), moved_b).value - value) / small
        torch.testing.assert_close(slope_a, by_a[2] - by_a[4], rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(slope_b, by_b[3] - by_b[1], rtol=1e-5, atol=1e-7)


def test_point_that_can_go_nowhere_keeps_the_others_gradient_finite() -> None:
    cost = torch.rand(4, 3, dtype=DOUBLE)
    cost[1] = torch.inf
    a = torch.tensor([0.4, 0.0, 0.3, 0.3], dtype=DOUBLE, requires_grad=True)
    result = emd(cost, a)
    (by_a,) = torch.autograd.grad(result.value, a)
    assert bool(torch.isfinite(by_a).all())
    assert float(by_a[1]) == float(by_a.max())


@pytest.mark.parametrize("n", [2, 7, 20])
def test_potentials_of_an_assignment_bound_the_value_from_below(n: int) -> None:
    """At equal weights the value has a kink; the gradient must still be a subgradient."""
    for cost in (torch.rand(n, n, dtype=DOUBLE), torch.randint(0, 3, (n, n)).to(DOUBLE)):
        a = torch.full((n,), 1.0 / n, dtype=DOUBLE, requires_grad=True)
        b = torch.full((n,), 1.0 / n, dtype=DOUBLE, requires_grad=True)
        value = emd(cost, a, b).value
        by_a, by_b = torch.autograd.grad(value, (a, b))
        for _ in range(10):
            other_a, other_b = simplex(n), simplex(n)
            bound = value + by_a @ (other_a - a) + by_b @ (other_b - b)
            assert float((emd(cost, other_a, other_b).value - bound).detach()) >= -1e-12


def test_a_training_loop_moves_points_onto_others() -> None:
    x, y = torch.randn(12, 2, requires_grad=True), torch.randn(12, 2)
    optimiser = torch.optim.SGD([x], lr=3.0)
    for _ in range(60):
        optimiser.zero_grad()
        emd(pairwise_cost(x, y)).value.backward()
        optimiser.step()
    assert float(emd(pairwise_cost(x, y)).value.detach()) < 1e-6


@st.composite
def problems(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor]:
    n, m = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    levels = draw(st.sampled_from([0, 3]))  # few distinct costs make many equally good plans
    cost = torch.rand(n, m, generator=generator, dtype=DOUBLE)
    cost = cost if levels == 0 else (cost * levels).round()
    both = []
    for size in (n, m):
        w = torch.rand(size, generator=generator, dtype=DOUBLE) * (torch.rand(size, generator=generator) > 0.25)
        w[draw(st.integers(0, size - 1))] += 0.5
        both.append(torch.full_like(w, 1.0 / size) if draw(st.booleans()) else w / w.sum())
    return cost, both[0], both[1]


@settings(max_examples=60, deadline=None)
@given(problems(), st.integers(0, 2**31))
def test_properties(problem: tuple[Tensor, Tensor, Tensor], seed: int) -> None:
    cost, a, b = problem
    torch.manual_seed(seed)
    value = emd(cost, a, b).value
    close = {"rtol": 1e-10, "atol": 1e-12}
    torch.testing.assert_close(emd(cost.T, b, a).value, value, **close)
    rows, columns = torch.randperm(len(a)), torch.randperm(len(b))
    torch.testing.assert_close(emd(cost[rows][:, columns], a[rows], b[columns]).value, value, **close)
    torch.testing.assert_close(emd(1e6 * cost, a, b).value, 1e6 * value, rtol=1e-10, atol=1e-6)
    torch.testing.assert_close(emd(cost, 7 * a, 7 * b).value, 7 * value, **close)
    u, v = torch.randn(len(a), dtype=DOUBLE), torch.randn(len(b), dtype=DOUBLE)
    torch.testing.assert_close(emd(cost + u[:, None] + v, a, b).value, value + u @ a + v @ b, **close)
    assert float(value) <= float((a[:, None] * b * cost).sum()) + 1e-12  # the independent plan is feasible


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 8), st.integers(0, 2**31))
def test_is_a_metric_between_histograms(n: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(n, 2, generator=generator, dtype=DOUBLE)
    ground = pairwise_cost(points, metric="euclidean")
    p, q, r = (torch.rand(n, generator=generator, dtype=DOUBLE).softmax(0) for _ in range(3))
    there, back = emd(ground, p, q).value, emd(ground, q, p).value
    torch.testing.assert_close(there, back)
    assert float(emd(ground, p, p).value) == pytest.approx(0.0, abs=1e-12)
    assert float(emd(ground, p, r).value) <= float(there + emd(ground, q, r).value) + 1e-10
