"""Balanced problems in compiled code: the results of the torch path, in any company, order, thread and process."""

from __future__ import annotations

import multiprocessing
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from monge import ot
from monge.ot.backend import Backend, use_backend

pytestmark = pytest.mark.skipif(find_spec("numba") is None, reason="Numba is not installed")

BACKENDS: tuple[Backend, Backend] = ("compiled", "torch")


def clustered(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Squared distances of clustered points, mean one."""
    *lead, n, m = shape
    centres = torch.randn(*lead, 6, 8, dtype=torch.float64)
    x, y = (centres[..., torch.randint(6, (size,)), :] for size in (n, m))
    cost = ot.pairwise_cost(x + 0.5 * torch.randn_like(x), y + 0.5 * torch.randn_like(y))
    return (cost / cost.mean((-1, -2), keepdim=True)).to(dtype)


def uneven(*shape: int, dtype: torch.dtype = torch.float64, zeros: bool = False) -> Tensor:
    weights = torch.rand(*shape, dtype=torch.float64) + 0.05
    if zeros and shape[-1] > 3:
        weights[..., [0, 2]] = 0.0
    return (weights / weights.sum(-1, keepdim=True)).to(dtype)


def both(cost: Tensor, *weights: Tensor | None, **options: Any) -> list[ot.Transport]:
    solved = []
    for name in BACKENDS:
        with use_backend(name):
            solved.append(ot.sinkhorn(cost, *weights, **{"max_iter": 50_000, **options}))
    return solved


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("epsilon", [1.0, 0.1, 0.02])
@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 5), (7, 1), (4, 4), (17, 16), (33, 50)])
def test_results_equal_those_of_torch(n: int, m: int, zeros: bool, epsilon: float, dtype: torch.dtype) -> None:
    cost = clustered(3, n, m, dtype=dtype)
    a, b = uneven(3, n, dtype=dtype, zeros=zeros), uneven(3, m, dtype=dtype, zeros=zeros)
    tol = 1e-10 if dtype == torch.float64 else 1e-5
    ours, theirs = both(cost, a, b, epsilon=epsilon, tol=tol, grad="none")
    assert ours.converged.all()
    assert ours.plan.dtype == ours.value.dtype == ours.marginal_error.dtype == ours.potentials[0].dtype == dtype
    near: dict[str, Any] = {"atol": 100 * tol, "rtol": 1e-4 if dtype == torch.float32 else 1e-7}
    torch.testing.assert_close(ours.plan, theirs.plan, **near)
    torch.testing.assert_close(ours.value, theirs.value, **near)
    torch.testing.assert_close(ours.cost, theirs.cost, **near)
    for mine, other in zip(ours.potentials, theirs.potentials):
        torch.testing.assert_close(mine, other, **near)
    assert (ours.plan[a == 0] == 0).all()


def test_forbidden_pairs_masks_and_epsilons_equal_those_of_torch() -> None:
    cost = clustered(4, 12, 9)
    cost[:, torch.arange(9), torch.arange(9)] = torch.inf
    rows = torch.arange(12) < torch.tensor([[12], [7], [5], [12]])
    columns = torch.arange(9) < torch.tensor([[9], [9], [6], [3]])
    poisoned = cost.masked_fill(~rows.unsqueeze(2) | ~columns.unsqueeze(1), torch.nan)
    epsilon = torch.tensor([1.0, 0.3, 0.1, 0.05], dtype=torch.float64)
    ours, theirs = both(poisoned, epsilon=epsilon, relative=True, row_mask=rows, col_mask=columns, tol=1e-10)
    torch.testing.assert_close(ours.plan, theirs.plan, atol=1e-9, rtol=0)
    torch.testing.assert_close(ours.value, theirs.value)
    assert (ours.plan[:, torch.arange(9), torch.arange(9)] == 0).all()
    for mine, other in zip(ours.potentials, theirs.potentials):
        torch.testing.assert_close(mine, other, atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("relative", [False, True])
def test_gradients_equal_those_of_torch(relative: bool) -> None:
    cost, a, b = clustered(3, 9, 8), uneven(3, 9, zeros=True), uneven(3, 8)
    cost[0, 1, 2] = torch.inf
    found = []
    for name in BACKENDS:
        leaves = [t.clone().requires_grad_() for t in (cost, a, b, torch.full((3,), 0.1, dtype=torch.float64))]
        with use_backend(name):
            result = ot.sinkhorn(
                leaves[0], 2 * leaves[1], 2 * leaves[2], epsilon=leaves[3], relative=relative, tol=1e-12
            )
            found.append(torch.autograd.grad((result.value * torch.tensor([1.0, -2.0, 3.0])).sum(), leaves))
    for mine, other in zip(*found):
        torch.testing.assert_close(mine, other, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("grad", ["envelope", "implicit"])
def test_gradcheck_through_the_kernels(grad: Any) -> None:
    cost = clustered(2, 4, 5).requires_grad_()
    a, b = torch.randn(2, 4, dtype=torch.float64), torch.randn(2, 5, dtype=torch.float64)

    def value(c: Tensor, p: Tensor, q: Tensor) -> Tensor:
        result = ot.sinkhorn(
            c, p.softmax(1), q.softmax(1), epsilon=0.2, relative=True, tol=1e-12, max_iter=50_000, grad=grad
        )
        return result.value if grad == "envelope" else result.plan

    with use_backend("compiled"):
        inputs = (cost, a.requires_grad_(), b.requires_grad_())
        assert gradcheck(value, inputs, atol=1e-6)
        if grad == "envelope":
            assert gradgradcheck(value, inputs, atol=1e-5)


def test_a_problem_is_the_same_in_any_company_and_order() -> None:
    cost, epsilon = clustered(9, 20, 14, dtype=torch.float32), torch.logspace(0, -2.5, 9)
    a = uneven(9, 20, dtype=torch.float32)
    a[3, 5:] = 0.0
    a = a / a.sum(1, keepdim=True)
    order = torch.randperm(9)
    with use_backend("compiled"):
        together = ot.sinkhorn(cost, a, epsilon=epsilon)
        shuffled = ot.sinkhorn(cost[order], a[order], epsilon=epsilon[order])
        alone = [ot.sinkhorn(cost[i], a[i], epsilon=epsilon[i]) for i in range(9)]
    assert torch.equal(together.plan[order], shuffled.plan)
    assert torch.equal(together.iterations[order], shuffled.iterations)
    for i, single in enumerate(alone):
        assert single.iterations == together.iterations[i]
        torch.testing.assert_close(single.plan, together.plan[i], atol=1e-7, rtol=1e-4)


def test_only_problems_that_need_it_are_solved_in_float64() -> None:
    cost = clustered(2, 16, 16, dtype=torch.float32)
    epsilon = torch.tensor([0.5, 2e-4])
    with use_backend("compiled"):
        mixed = ot.sinkhorn(cost, epsilon=epsilon, max_iter=50_000)
        easy = ot.sinkhorn(cost[0], epsilon=0.5)
    assert mixed.converged.all()
    assert mixed.plan.dtype == mixed.value.dtype == torch.float32
    assert mixed.iterations[0] == easy.iterations
    torch.testing.assert_close(mixed.plan[0], easy.plan)
    error = (mixed.plan.sum(1) - 1 / 16).abs().sum(1) + (mixed.plan.sum(2) - 1 / 16).abs().sum(1)
    assert (error <= 1.2e-3).all()


@pytest.mark.parametrize("epsilon", [0.05, 0.02, 0.01])
def test_acceleration_saves_at_least_half_of_the_iterations(epsilon: float) -> None:
    ours, theirs = both(clustered(4, 40, 40), epsilon=epsilon, tol=1e-6, on_fail="ignore")
    assert ours.converged.all()
    assert 2 * int(ours.iterations.sum()) <= int(theirs.iterations.sum())


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize(("n", "m"), [(30, 30), (24, 41), (41, 24), (1, 6), (130, 130)])
def test_tight_tolerances_at_little_epsilon_end_in_hundreds_of_iterations(n: int, m: int, zeros: bool) -> None:
    """Where plain iterations would take tens of thousands; the plan is that of the log-domain oracle's fixed point."""
    cost = clustered(3, n, m)
    a, b = uneven(3, n, zeros=zeros), uneven(3, m, zeros=zeros)
    with use_backend("compiled"):
        result = ot.sinkhorn(cost, a, b, epsilon=1e-3, tol=1e-9, max_iter=2000, grad="none")
    assert result.converged.all()
    assert (result.iterations < 600).all()
    f, g = result.potentials
    plan = a.unsqueeze(2) * b.unsqueeze(1) * torch.exp((f.unsqueeze(2) + g.unsqueeze(1) - cost) / 1e-3)
    error = (plan.sum(2) - a).abs().sum(1) + (plan.sum(1) - b).abs().sum(1)
    assert (error <= 1e-8).all()
    torch.testing.assert_close(result.plan, plan, atol=1e-9, rtol=0)


def test_plans_in_separate_blocks_do_not_stop_it() -> None:
    """Two groups of points so far apart that the system of Newton's method falls into two, numerically."""
    cost = clustered(2, 24, 24)
    cost[:, :12, 12:] += 500.0
    cost[:, 12:, :12] += 500.0
    ours, theirs = both(cost, epsilon=0.01, tol=1e-8, max_iter=200_000, on_fail="ignore")
    assert ours.converged.all()
    torch.testing.assert_close(ours.cost, ours.plan.mul(cost).sum((1, 2)), atol=1e-8, rtol=1e-8)
    assert (ours.plan[:, :12, 12:] < 1e-30).all()
    assert theirs.marginal_error.isfinite().all()


@pytest.mark.parametrize("n", [4, 8, 16])
def test_acceleration_never_keeps_a_problem_from_converging(n: int) -> None:
    """Near-degenerate problems, where extrapolation goes astray most easily."""
    cost = clustered(40, n, n)
    for a, b in ((None, None), (uneven(40, n), uneven(40, n))):
        ours, theirs = both(cost, a, b, epsilon=2e-3, max_iter=5000, on_fail="ignore")
        assert int((~ours.converged).sum()) <= int((~theirs.converged).sum())


@pytest.mark.parametrize("most", [1, 3, 10, 50])
def test_no_problem_takes_more_iterations_than_allowed(most: int) -> None:
    cost = clustered(2, 30, 30)
    far = (1e3 * torch.randn(2, 30, dtype=torch.float64), 1e3 * torch.randn(2, 30, dtype=torch.float64))
    with use_backend("compiled"):
        for init in (None, far):
            result = ot.sinkhorn(cost, epsilon=1e-3, max_iter=most, init=init, on_fail="ignore")
            assert (result.iterations == most).all()
            assert not result.converged.any()
            assert torch.isfinite(result.plan).all()


def test_a_warm_start_that_is_the_answer_ends_at_once() -> None:
    cost = clustered(3, 24, 24)
    with use_backend("compiled"):
        cold = ot.sinkhorn(cost, epsilon=0.01, tol=1e-6)
        warm = ot.sinkhorn(cost, epsilon=0.01, tol=1e-6, init=cold.potentials)
    assert (warm.iterations <= 3).all()
    assert (cold.iterations > 20).all()
    torch.testing.assert_close(warm.plan, cold.plan, atol=1e-6, rtol=0)


@pytest.mark.parametrize("bad", [torch.nan, -torch.inf])
def test_bad_costs_name_their_problem(bad: float) -> None:
    cost = torch.rand(3, 4, 5)
    cost[1, 2, 3] = bad
    with use_backend("compiled"), pytest.raises(ValueError, match="problem 1 holds NaN or -inf"):
        ot.sinkhorn(cost, epsilon=0.1)
    cost[1] = torch.inf
    with use_backend("compiled"), pytest.raises(ValueError, match=r"problem 1 .* no finite entry"):
        ot.sinkhorn(cost, epsilon=0.1)


@pytest.mark.parametrize("epsilon", [0.1, 1e-5])
def test_an_infeasible_problem_is_flagged_and_spoils_no_other(epsilon: float) -> None:
    cost = torch.rand(3, 6, 6)
    cost[1, 2] = torch.inf
    with use_backend("compiled"):
        result = ot.sinkhorn(cost, epsilon=epsilon, on_fail="ignore", max_iter=2000)
        other = ot.sinkhorn(cost[0], epsilon=epsilon, on_fail="ignore", max_iter=2000)
    assert not result.converged[1]
    assert result.marginal_error[1] > 0.1
    assert torch.isfinite(result.plan).all()
    torch.testing.assert_close(result.plan[0], other.plan, atol=1e-6, rtol=1e-3)


def test_views_of_any_layout_are_taken_as_they_are() -> None:
    cost = clustered(5, 8, 6)
    with use_backend("compiled"):
        flipped = ot.sinkhorn(cost.mT, epsilon=0.1, tol=1e-9).plan
        strided = ot.sinkhorn(cost[::2, 1:, :4], uneven(7).expand(3, 7), epsilon=0.1, tol=1e-9)
        shared = ot.sinkhorn(cost[:1].expand(3, 8, 6), epsilon=0.1)
    with use_backend("torch"):
        torch.testing.assert_close(flipped, ot.sinkhorn(cost.mT, epsilon=0.1, tol=1e-9).plan, atol=1e-8, rtol=0)
    assert strided.converged.all()
    assert torch.equal(shared.plan[0], shared.plan[2])


def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from monge.ot.compiled import threads

    monkeypatch.setattr(threads, "_PATIENCE", 0.0)
    cost = clustered(40, 30, 30, dtype=torch.float32).requires_grad_()
    found = []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        try:
            with use_backend("compiled"):
                result = ot.sinkhorn(cost, epsilon=0.02)
                found.append((result.iterations, result.plan, *torch.autograd.grad(result.value.sum(), cost)))
        finally:
            torch.set_num_threads(1)
    for other in found[1:]:
        assert all(torch.equal(x, y) for x, y in zip(found[0], other))


def test_pieces_cover_every_problem_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from monge.ot.compiled import threads

    monkeypatch.setattr(threads, "_PATIENCE", 0.0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    seen: list[int] = []
    for count in (1, 2, 7, 64, 1000):
        seen.clear()
        threads.over_range(count, lambda start, stop: seen.extend(range(start, stop)))
        assert sorted(seen) == list(range(count))


def test_an_error_in_a_helper_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    from monge.ot.compiled import threads

    monkeypatch.setattr(threads, "_PATIENCE", 0.0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)

    def fail_late(start: int, stop: int) -> None:
        if start > 0:
            raise ArithmeticError("a piece failed")

    with pytest.raises(ArithmeticError, match="a piece failed"):
        threads.over_range(200, fail_late)


def _plan_in_child(cost: Tensor, queue: Any) -> None:
    torch.set_num_threads(2)
    with use_backend("compiled"):
        queue.put(ot.sinkhorn(cost, epsilon=0.02).plan.numpy())


def test_solves_in_a_forked_process_after_the_parent_used_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    from monge.ot.compiled import threads

    monkeypatch.setattr(threads, "_PATIENCE", 0.0)
    cost = clustered(40, 30, 30)
    torch.set_num_threads(2)
    try:
        with use_backend("compiled"):
            expected = ot.sinkhorn(cost, epsilon=0.02).plan
    finally:
        torch.set_num_threads(1)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_plan_in_child, args=(cost, queue))
    child.start()
    found = queue.get(timeout=60)
    child.join(timeout=60)
    assert torch.equal(torch.from_numpy(found), expected)


@pytest.mark.parametrize("grad", ["envelope", "implicit", "none"])
def test_compiled_graphs_reach_the_kernels(grad: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from monge.ot.compiled import solver

    torch._dynamo.reset()
    calls = []
    solve = solver.solve_compiled

    def counted(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        return solve(*arguments, **options)

    monkeypatch.setattr(solver, "solve_compiled", counted)

    def value_and_plan(c: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        result = ot.sinkhorn(c, w, epsilon=0.1, relative=True, grad=grad)
        return result.value, result.plan

    cost, a = clustered(3, 6, 7, dtype=torch.float32), uneven(3, 6, dtype=torch.float32)
    with use_backend("compiled"):
        leaf = cost.clone().requires_grad_()
        found = torch.compile(value_and_plan, fullgraph=True, backend="aot_eager")(leaf, a)
        assert calls
        eager_leaf = cost.clone().requires_grad_()
        expected = value_and_plan(eager_leaf, a)
        torch.testing.assert_close(found, expected)
        if grad != "none":
            (found[0].sum() + found[1].square().sum()).backward()
            (expected[0].sum() + expected[1].square().sum()).backward()
            torch.testing.assert_close(leaf.grad, eager_leaf.grad)


def test_under_autocast_the_kernels_stay_in_float32() -> None:
    cost = clustered(2, 20, 20, dtype=torch.float32)
    with use_backend("compiled"), torch.autocast("cpu", dtype=torch.bfloat16):
        result = ot.sinkhorn(cost.bfloat16(), epsilon=0.1, tol=1e-4)
        assert result.plan.dtype == result.value.dtype == torch.float32
    with use_backend("compiled"):
        torch.testing.assert_close(result.plan, ot.sinkhorn(cost.bfloat16().float(), epsilon=0.1, tol=1e-4).plan)
