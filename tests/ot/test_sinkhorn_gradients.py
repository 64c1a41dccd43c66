from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.utils._python_dispatch import TorchDispatchMode

from monge import ot

TIGHT: dict[str, Any] = {"tol": 1e-12, "max_iter": 100_000}


@pytest.fixture
def problem() -> tuple[Tensor, ...]:
    cost = torch.rand(2, 4, 5, dtype=torch.float64)
    logits = torch.randn(2, 4, dtype=torch.float64), torch.randn(2, 5, dtype=torch.float64)
    epsilon = torch.tensor([0.1, 0.5], dtype=torch.float64)
    return tuple(t.requires_grad_() for t in (cost, *logits, epsilon))


def solve(output: str, grad: Any, relative: bool) -> Callable[..., Tensor]:
    def function(cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor) -> Tensor:
        result = ot.sinkhorn(
            cost, 2 * a.softmax(-1), 2 * b.softmax(-1), epsilon=epsilon, relative=relative, grad=grad, **TIGHT
        )
        return torch.cat(result.potentials, -1) if output == "potentials" else getattr(result, output)  # type: ignore[no-any-return]

    return function


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize(
    ("grad", "output"),
    [
        ("envelope", "value"),
        ("implicit", "value"),
        ("implicit", "plan"),
        ("implicit", "cost"),
        ("implicit", "potentials"),
        ("unrolled", "value"),
        ("unrolled", "plan"),
    ],
)
def test_gradcheck(problem: tuple[Tensor, ...], grad: str, output: str, relative: bool) -> None:
    assert gradcheck(solve(output, grad, relative), problem, atol=1e-6)


def test_gradgradcheck_of_the_envelope(problem: tuple[Tensor, ...]) -> None:
    assert gradgradcheck(solve("value", "envelope", False), problem, atol=1e-5)


def test_gradient_to_raw_weights_is_that_of_the_rescaled_problem() -> None:
    cost = torch.rand(4, 5, dtype=torch.float64)
    a = torch.rand(4, dtype=torch.float64).softmax(0).requires_grad_()
    b = torch.rand(5, dtype=torch.float64).softmax(0).requires_grad_()
    assert gradcheck(lambda p, q: ot.sinkhorn(cost, p, q, epsilon=0.1, **TIGHT).value, (a, b))
    result = ot.sinkhorn(cost, a, b, epsilon=0.1, **TIGHT)
    to_a, to_b = torch.autograd.grad(result.value, (a, b))
    torch.testing.assert_close(to_a, result.potentials[0])
    torch.testing.assert_close(to_b, result.potentials[1])


@pytest.mark.parametrize("grad", ["envelope", "implicit", "unrolled"])
def test_gradients_stay_finite_at_zero_weights_and_forbidden_pairs(grad: Any) -> None:
    cost = torch.rand(4, 4, dtype=torch.float64)
    cost[0, 1] = torch.inf
    a = torch.tensor([0.0, 0.5, 0.5, 0.0], dtype=torch.float64, requires_grad=True)
    b = torch.tensor([0.0, 0.2, 0.3, 0.5], dtype=torch.float64, requires_grad=True)
    cost.requires_grad_()
    result = ot.sinkhorn(cost, a, b, epsilon=0.2, grad=grad, **TIGHT)
    result.value.backward()
    for leaf in (cost, a, b):
        assert leaf.grad is not None
        assert torch.isfinite(leaf.grad).all()
    assert cost.grad is not None
    torch.testing.assert_close(cost.grad, result.plan.detach())


def test_implicit_plan_gradient_with_a_weightless_column_matches_finite_differences() -> None:
    cost = torch.rand(3, 4, dtype=torch.float64, requires_grad=True)
    a = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    b = torch.tensor([0.0, 0.4, 0.3, 0.3], dtype=torch.float64)

    def both(c: Tensor) -> Tensor:
        result = ot.sinkhorn(c, a, b, epsilon=0.2, grad="implicit", **TIGHT)
        return torch.cat([result.plan.flatten(), *result.potentials])

    assert gradcheck(both, (cost,), atol=1e-6)


def test_envelope_treats_plan_and_cost_as_fixed_weights() -> None:
    cost = torch.rand(5, 5, dtype=torch.float64, requires_grad=True)
    result = ot.sinkhorn(cost, epsilon=0.1)
    assert not result.plan.requires_grad
    (gradient,) = torch.autograd.grad(result.cost, cost)
    torch.testing.assert_close(gradient, result.plan)


def test_none_carries_no_gradient_at_all() -> None:
    result = ot.sinkhorn(torch.rand(5, 5, requires_grad=True), epsilon=0.1, grad="none")
    assert not any(t.requires_grad for t in (result.value, result.plan, result.cost, *result.potentials))


def test_envelope_keeps_no_plan_for_backward() -> None:
    cost = torch.rand(8, 60, 70, requires_grad=True)
    kept: list[Tensor] = []

    def remember(t: Tensor) -> Tensor:
        kept.append(t)
        return t

    with torch.autograd.graph.saved_tensors_hooks(remember, lambda t: t):
        ot.sinkhorn(cost, epsilon=0.1)
    large = {t.untyped_storage().data_ptr() for t in kept if t.numel() >= cost.numel()}
    assert large <= {cost.untyped_storage().data_ptr()}


class CountSyncs(TorchDispatchMode):
    """Counts the calls by which the host reads a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += "_local_scalar_dense" in str(func)
        return func(*args, **(kwargs or {}))


def test_the_host_does_not_wait_for_every_iteration() -> None:
    cost = torch.rand(4, 32, 32)
    with CountSyncs() as short:
        few = ot.sinkhorn(cost, epsilon=0.2, tol=1e-4)
    with CountSyncs() as long:
        many = ot.sinkhorn(cost, epsilon=0.004, tol=1e-4)
    extra_iterations = int(many.iterations.max() - few.iterations.max())
    assert extra_iterations > 50
    assert long.count - short.count <= extra_iterations


@pytest.mark.parametrize("grad", ["envelope", "implicit", "none"])
def test_compiles_in_one_graph_with_the_same_result(grad: Any) -> None:
    torch._dynamo.reset()

    def value_and_plan(c: Tensor) -> tuple[Tensor, Tensor]:
        result = ot.sinkhorn(c, epsilon=0.1, grad=grad)
        return result.value, result.plan

    cost = torch.rand(3, 6, 7)
    eager_leaf, compiled_leaf = cost.clone().requires_grad_(), cost.clone().requires_grad_()
    eager = value_and_plan(eager_leaf)
    compiled = torch.compile(value_and_plan, fullgraph=True, backend="aot_eager")(compiled_leaf)
    torch.testing.assert_close(compiled, eager)
    if grad != "none":
        (eager[0].sum() + eager[1].square().sum()).backward()
        (compiled[0].sum() + compiled[1].square().sum()).backward()
        torch.testing.assert_close(compiled_leaf.grad, eager_leaf.grad)
