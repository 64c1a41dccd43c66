from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import ot as pot
import pytest
import torch
from torch import Tensor

from monge.errors import ConvergenceWarning, MissingExtraError
from monge.ot import assignment, network_simplex, use_backend
from monge.ot.exact import emd
from oracles.linear_program import transport_plan

DOUBLE = torch.float64


@pytest.fixture(params=["compiled", "lapx", "scipy"])
def _assignment_solver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if request.param == "compiled":
        pytest.importorskip("numba")
    if request.param == "lapx" and assignment._lapx() is None:
        pytest.skip("lapx is not installed")
    if request.param == "scipy":
        monkeypatch.setattr(assignment, "_lapx", lambda: None)
    with use_backend("compiled" if request.param == "compiled" else "torch"):
        yield


def weights(*shape: int, zeros: float = 0.0) -> Tensor:
    w = torch.rand(*shape, dtype=DOUBLE) + 0.01
    w = w * (torch.rand(*shape) >= zeros)
    w[..., 0] += 0.1
    return w / w.sum(-1, keepdim=True)


def assert_optimal(cost: Tensor, a: Tensor, b: Tensor) -> None:
    """Checks one problem against the linear program, and its potentials against weak duality."""
    result = emd(cost, a, b)
    expected, _ = transport_plan(cost.numpy(), a.numpy(), b.numpy())
    finite = torch.isfinite(cost)
    size = float(cost[finite].abs().max())
    mass = float(a.sum())
    assert bool(result.converged)
    assert float(result.value) == pytest.approx(expected, rel=1e-9, abs=1e-10 * size * mass)
    plan = result.plan
    assert float(plan.min()) >= 0.0
    torch.testing.assert_close(plan.sum(1), a, rtol=0, atol=1e-14 * mass)
    torch.testing.assert_close(plan.sum(0), b * (mass / b.sum()), rtol=0, atol=1e-14 * mass)
    assert not bool((plan > 0)[~finite].any())
    assert float(result.cost) == pytest.approx(float((plan * torch.where(finite, cost, 0.0)).sum()), rel=1e-12)
    f, g = result.potentials
    bound = finite & ((a > 0)[:, None] | (b > 0))
    assert float((f[:, None] + g - cost)[bound].max()) <= 1e-12 * size
    assert float(f @ a + g @ b) == pytest.approx(expected, rel=1e-9, abs=1e-10 * size * mass)
    assert float(f @ a) == pytest.approx(float(g @ b), rel=1e-9, abs=1e-11 * size * mass)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (7, 1), (5, 9), (12, 12), (30, 20)])
def test_weighted_equals_linear_program(shape: tuple[int, int], scale: float) -> None:
    n, m = shape
    assert_optimal(scale * torch.rand(n, m, dtype=DOUBLE), weights(n), weights(m))
    assert_optimal(scale * torch.randn(n, m, dtype=DOUBLE), weights(n, zeros=0.4), weights(m, zeros=0.4))
    assert_optimal(scale * torch.randint(0, 4, (n, m)).to(DOUBLE), torch.ones(n).to(DOUBLE) / n, weights(m))


@pytest.mark.usefixtures("_assignment_solver")
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("n", [1, 2, 9, 25])
def test_uniform_square_equals_linear_program(n: int, scale: float) -> None:
    uniform = torch.full((n,), 1.0 / n, dtype=DOUBLE)
    for cost in (torch.rand(n, n), torch.randn(n, n), torch.randint(0, 3, (n, n))):
        assert_optimal(scale * cost.to(DOUBLE), uniform, uniform)


@pytest.mark.usefixtures("_assignment_solver")
def test_finds_a_known_permutation() -> None:
    order = torch.stack([torch.randperm(40) for _ in range(3)])
    cost = torch.rand(3, 40, 40) + 1.0
    cost.scatter_(2, order.unsqueeze(2), 0.5)
    result = emd(cost)
    assert torch.equal(result.plan.argmax(2), order)
    torch.testing.assert_close(result.plan.sum((1, 2)), torch.ones(3))
    torch.testing.assert_close(result.value, torch.full((3,), 0.5))


def test_many_offsets_and_wide_costs_are_proven_optimal() -> None:
    for _ in range(20):
        offset = 1e5 * (torch.randn(8, 1) + torch.randn(1, 6)).to(DOUBLE)
        assert_optimal(torch.rand(8, 6, dtype=DOUBLE) + offset, weights(8), weights(6))
        assert_optimal(torch.exp(4 * torch.randn(8, 6, dtype=DOUBLE)), weights(8), weights(6))


def test_batch_equals_pot_one_by_one() -> None:
    cost, a, b = torch.rand(2, 5, 8, 6, dtype=DOUBLE), weights(2, 5, 8), weights(2, 5, 6)
    result = emd(cost, a, b)
    assert result.plan.shape == cost.shape
    assert result.value.shape == result.converged.shape == result.epsilon.shape == (2, 5)
    assert not result.epsilon.any()
    assert result.iterations.dtype == torch.int64
    for i, j in np.ndindex(2, 5):
        expected = pot.emd2(a[i, j].numpy(), b[i, j].numpy(), cost[i, j].numpy())
        assert float(result.value[i, j]) == pytest.approx(expected, rel=1e-12)


def test_one_set_of_weights_serves_the_batch() -> None:
    cost, a, b = torch.rand(4, 8, 6, dtype=DOUBLE), weights(8), weights(6)
    shared = emd(cost, a, b)
    torch.testing.assert_close(shared.plan, emd(cost, a.expand(4, 8), b.expand(4, 6)).plan)


@pytest.mark.parametrize("uniform", [True, False])
def test_masked_problems_equal_their_compressed_ones(uniform: bool) -> None:
    sizes = [(3, 3), (5, 2), (1, 4), (6, 5)]
    cost = torch.rand(4, 6, 5, dtype=DOUBLE)
    rows = torch.stack([torch.arange(6) < n for n, _ in sizes])
    columns = torch.stack([torch.arange(5) < m for _, m in sizes])
    a, b = (None, None) if uniform else (weights(4, 6) * rows, weights(4, 5) * columns)
    if a is not None and b is not None:
        a, b = a / a.sum(1, keepdim=True), b / b.sum(1, keepdim=True)
    cost[~(rows.unsqueeze(2) & columns.unsqueeze(1))] = torch.nan
    cost.requires_grad_()
    result = emd(cost, a, b, row_mask=rows, col_mask=columns)
    result.value.sum().backward()
    assert bool(result.converged.all())
    assert cost.grad is not None
    torch.testing.assert_close(cost.grad, result.plan)
    f, g = result.potentials
    assert not f[~rows].any()
    assert not g[~columns].any()
    for k, (n, m) in enumerate(sizes):
        alone = emd(cost[k, :n, :m].detach(), None if a is None else a[k, :n], None if b is None else b[k, :m])
        torch.testing.assert_close(result.value[k].detach(), alone.value)
        torch.testing.assert_close(result.plan[k, :n, :m], alone.plan)
        assert float(result.plan[k].sum()) == pytest.approx(1.0)


def test_a_problem_without_points_costs_nothing() -> None:
    cost = torch.rand(2, 3, 3, requires_grad=True)
    rows = torch.tensor([[True, True, True], [False, False, False]])
    result = emd(cost, row_mask=rows, col_mask=rows)
    result.value.sum().backward()
    assert bool(result.converged.all())
    assert float(result.value[1].detach()) == 0.0
    assert not result.plan[1].any()
    assert not result.potentials[0][1].any()
    assert cost.grad is not None
    assert not cost.grad[1].any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("uniform", [True, False])
def test_dtypes(dtype: torch.dtype, uniform: bool) -> None:
    cost = torch.rand(3, 8, 8).to(dtype)
    a, b = (None, None) if uniform else (weights(8).to(dtype).float(), weights(8).to(dtype).float())
    if a is not None and b is not None:
        a, b = a / a.sum(), b / b.sum()
    exact = emd(cost.double(), None if a is None else a.double(), None if b is None else b.double())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = emd(cost, a, b)
    wanted = torch.promote_types(dtype, torch.float32)
    for tensor in (result.value, result.plan, result.marginal_error, *result.potentials):
        assert tensor.dtype == wanted
    torch.testing.assert_close(result.value.double(), exact.value, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(result.plan.double(), exact.plan, rtol=0, atol=1e-6)
    assert bool(result.converged.all())


def test_integer_costs() -> None:
    assert float(emd(torch.tensor([[4, 1], [2, 9]])).value) == pytest.approx(1.5)


@pytest.mark.parametrize("mass", [1e-6, 1.0, 1e6])
def test_value_grows_with_the_mass(mass: float) -> None:
    cost, a, b = torch.rand(6, 4, dtype=DOUBLE), weights(6), weights(4)
    result = emd(cost, mass * a, mass * b)
    torch.testing.assert_close(result.value / mass, emd(cost, a, b).value, rtol=1e-12, atol=0)
    assert float(result.marginal_error) < 1e-14


def test_masses_a_little_apart_meet_in_the_middle() -> None:
    cost, a, b = torch.rand(6, 4, dtype=DOUBLE), weights(6), weights(4)
    result = emd(cost, a, 1.0008 * b)
    torch.testing.assert_close(result.value, 1.0004 * emd(cost, a, b).value)


def forbidden_cost(n: int, m: int, share: float) -> Tensor:
    cost = torch.rand(n, m, dtype=DOUBLE).masked_fill(torch.rand(n, m) < share, torch.inf)
    cost[torch.arange(n), torch.arange(n) % m] = 2.0
    return cost


def test_forbidden_pairs_equal_linear_program() -> None:
    for share in (0.2, 0.6, 0.9):
        uniform = torch.full((9,), 1 / 9, dtype=DOUBLE)
        assert_optimal(forbidden_cost(9, 9, share), uniform, uniform)
        a = weights(9)
        b = torch.zeros(5, dtype=DOUBLE).index_add(0, torch.arange(9) % 5, a)
        assert_optimal(forbidden_cost(9, 5, share), a, b)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_forbidden_blocks_forgive_the_rounding_of_weights(dtype: torch.dtype) -> None:
    """Two groups whose masses agree only up to rounding: the last digit may not decide feasibility or the gradient."""
    a = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=dtype)
    b = torch.tensor([0.3 - 0.13, 0.13, 0.7 - 0.11, 0.11], dtype=dtype)
    cost = torch.full((4, 4), torch.inf, dtype=dtype)
    cost[:2, :2], cost[2:, 2:] = torch.rand(2, 2), torch.rand(2, 2)
    a.requires_grad_()
    result = emd(cost, a, b)
    result.value.backward()
    parts = [emd(cost[s, s], a[s].detach(), b[s]).value for s in (slice(2), slice(2, 4))]
    torch.testing.assert_close(result.value.detach(), parts[0] + parts[1])
    assert bool(result.converged)
    assert a.grad is not None
    assert float(a.grad.abs().max()) < 2.0


def test_infeasible_problem_is_named() -> None:
    cost = torch.rand(3, 4, 4)
    cost[1, :2, 1:] = torch.inf  # two rows, one column
    with pytest.raises(ValueError, match="problem 1 has no plan of finite cost"):
        emd(cost)
    cost[1, 0, 1] = 1.0
    assert bool(emd(cost).converged.all())
    with pytest.raises(ValueError, match="problem 1 has no plan"):
        emd(cost, torch.tensor([0.1, 0.5, 0.2, 0.2]), torch.full((4,), 0.25))
    cost[2, 3] = torch.inf
    with pytest.raises(ValueError, match="problem 2 has no plan"):
        emd(cost, torch.tensor([0.3, 0.2, 0.3, 0.2]), torch.tensor([0.4, 0.3, 0.2, 0.1]))


@pytest.mark.parametrize(
    ("cost", "a", "b", "message"),
    [
        (torch.full((2, 2), torch.nan), None, None, "problem 0 holds NaN"),
        (torch.tensor([[0.0, -torch.inf], [0.0, 0.0]]), None, None, "NaN or -inf"),
        (torch.zeros(0, 3), None, None, "empty dimension"),
        (torch.zeros(3), None, None, "expected"),
        (torch.zeros(2, 2), torch.tensor([0.5, 0.5]), torch.tensor([0.5, 0.6]), "a sums to 1 and b to 1.1"),
        (torch.zeros(2, 2), torch.tensor([1.5, -0.5]), None, "non-negative"),
        (torch.zeros(2, 2), torch.tensor([torch.nan, 0.5]), None, "finite"),
        (torch.zeros(2, 2), torch.ones(3) / 3, None, "shape"),
    ],
)
def test_wrong_input_is_refused(cost: Tensor, a: Tensor | None, b: Tensor | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        emd(cost, a, b)


@pytest.mark.parametrize("missing", ["ot", "scipy.optimize"])
def test_missing_package_names_the_extra(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(module: str, *, extra: str, purpose: str) -> None:
        raise MissingExtraError(f"{purpose} needs {module}: pip install 'monge[{extra}]'")

    monkeypatch.setattr(assignment, "_lapx", lambda: None)
    monkeypatch.setattr(network_simplex if missing == "ot" else assignment, "require", absent)
    with use_backend("torch"), pytest.raises(MissingExtraError, match=r"monge\[exact\]"):
        emd(torch.rand(3, 4) if missing == "ot" else torch.rand(3, 3))


def test_solve_that_stops_early_is_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_simplex, "_MAX_PIVOTS", 1)
    cost = torch.rand(2, 30, 20)
    with pytest.warns(ConvergenceWarning, match=r"problems \[0, 1\]"):
        result = emd(cost, weights(2, 30), weights(2, 20))
    assert not result.converged.any()


def test_assignment_makes_no_potentials_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    cost = torch.rand(5, 5, requires_grad=True)
    monkeypatch.setattr(network_simplex, "_solve_capped", None)
    with use_backend("torch"):
        result = emd(cost)
    result.value.backward()
    assert result.plan.shape == (5, 5)
    with pytest.raises(TypeError):
        _ = result.potentials


def test_potentials_refuse_a_cost_changed_since() -> None:
    cost = torch.rand(5, 5)
    with use_backend("torch"):  # compiled assignments come with their potentials
        result = emd(cost)
    cost.add_(1.0)
    with pytest.raises(RuntimeError, match="in place"):
        _ = result.potentials


def test_inference_mode_and_compiled_callers() -> None:
    cost = torch.rand(2, 5, 5)
    with torch.inference_mode():
        inside = emd(cost.clone()).potentials
    assert inside[0].shape == (2, 5)
    compiled = torch.compile(lambda c: emd(c).value.sum(), backend="eager")
    torch.testing.assert_close(compiled(cost), emd(cost).value.sum())


@pytest.mark.gpu
def test_cuda_in_cuda_out() -> None:
    cost = torch.rand(3, 6, 6, device="cuda", requires_grad=True)
    a = torch.rand(6, device="cuda").softmax(0).requires_grad_()
    result = emd(cost, a)
    result.value.sum().backward()
    for tensor in (result.value, result.plan, result.converged, *result.potentials, cost.grad, a.grad):
        assert tensor is not None
        assert tensor.is_cuda
    torch.testing.assert_close(result.value.cpu(), emd(cost.detach().cpu(), a.detach().cpu()).value)
