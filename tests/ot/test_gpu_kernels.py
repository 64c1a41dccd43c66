"""Triton kernels in Triton's interpreter: the results of the torch path; and that they compile for an NVIDIA GPU.

The interpreter has to be chosen before Triton is first imported, so `make test` runs this file once more by itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor

from monge import ot
from monge.ot.backend import triton_for, use_backend
from monge.ot.operators import solve_marginal_system

pytestmark = [
    pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed"),
    pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning"),
]
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
interpreted = pytest.mark.skipif(not INTERPRETED, reason="needs TRITON_INTERPRET=1, see the Makefile")


def weights(*shape: int, zeros: bool, dtype: torch.dtype) -> Tensor:
    drawn = torch.rand(*shape, dtype=torch.float64) + 0.05
    if zeros:
        drawn[..., [0, -1]] = 0.0
    return (drawn / drawn.sum(-1, keepdim=True)).to(dtype)


@interpreted
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize(
    ("n", "m", "epsilon"), [(1, 3, 0.1), (4, 5, 0.1), (49, 49, 0.05), (70, 33, 0.02), (20, 200, 0.1)]
)
def test_potentials_equal_those_of_torch(n: int, m: int, epsilon: float, zeros: bool, dtype: torch.dtype) -> None:
    cost = torch.rand(3, n, m, dtype=dtype)
    cost[0, 0, 1] = torch.inf if n > 1 else 1.0
    sizes = epsilon * torch.tensor([1.0, 2.0, 0.5], dtype=dtype)
    a, b = weights(3, n, zeros=zeros and n > 3, dtype=dtype), weights(3, m, zeros=zeros and m > 3, dtype=dtype)
    tol = 1e-6 if dtype == torch.float64 else 1e-4
    found = []
    for backend in ("triton", "torch"):
        with use_backend(backend):
            found.append(ot.sinkhorn(cost, a, b, epsilon=sizes, tol=tol, grad="none"))
    ours, theirs = found
    assert ours.converged.all()
    near = {"atol": 20 * tol, "rtol": 1e-3}
    torch.testing.assert_close(ours.plan, theirs.plan, **near)
    torch.testing.assert_close(ours.value, theirs.value, **near)
    for mine, other in zip(ours.potentials, theirs.potentials):
        torch.testing.assert_close(mine, other, **near)


@interpreted
def test_small_epsilon_is_annealed_and_the_error_is_that_of_the_potentials() -> None:
    cost, epsilon = torch.rand(2, 40, 40), 0.004
    with use_backend("triton"):
        result = ot.sinkhorn(cost, epsilon=epsilon, grad="none")
    assert result.converged.all()
    f, g = result.potentials
    plan = torch.exp((f.unsqueeze(2) + g.unsqueeze(1) - cost) / epsilon) / 1600
    error = (plan.sum(1) - 1 / 40).abs().sum(1) + (plan.sum(2) - 1 / 40).abs().sum(1)
    torch.testing.assert_close(error, result.marginal_error, atol=1e-4, rtol=0.1)


@interpreted
def test_too_few_iterations_are_told() -> None:
    with use_backend("triton"):
        result = ot.sinkhorn(torch.rand(2, 20, 20), epsilon=0.005, max_iter=3, on_fail="ignore")
    assert not result.converged.any()
    assert (result.iterations == 3).all()
    assert result.plan.isfinite().all()


@interpreted
def test_bad_costs_name_their_problem() -> None:
    cost = torch.rand(3, 4, 5)
    cost[1, 2, 3] = torch.nan
    with use_backend("triton"), pytest.raises(ValueError, match="problem 1 holds NaN or -inf"):
        ot.sinkhorn(cost, epsilon=0.1)


@interpreted
def test_a_problem_is_the_same_in_any_company() -> None:
    cost = torch.rand(4, 20, 17)
    with use_backend("triton"):
        together = ot.sinkhorn(cost, epsilon=0.05)
        alone = ot.sinkhorn(cost[2:3], epsilon=0.05)
    assert torch.equal(together.plan[2], alone.plan[0])
    assert together.iterations[2] == alone.iterations[0]


@interpreted
def test_a_warm_start_saves_iterations() -> None:
    cost = torch.rand(2, 30, 30, dtype=torch.float64)
    with use_backend("triton"):
        cold = ot.sinkhorn(cost, epsilon=0.02, tol=1e-6)
        warm = ot.sinkhorn(cost, epsilon=0.02, tol=1e-6, init=cold.potentials)
    assert (warm.iterations <= 3).all()
    assert (cold.iterations > 10).all()


@interpreted
@pytest.mark.parametrize(("n", "m"), [(5, 7), (49, 33), (100, 130)])
def test_marginal_systems_equal_those_of_torch(n: int, m: int) -> None:
    cost, a = torch.rand(3, n, m, dtype=torch.float64), weights(3, n, zeros=False, dtype=torch.float64)
    b = weights(3, m, zeros=False, dtype=torch.float64)
    f, g = ot.sinkhorn(cost, a, b, epsilon=0.1, tol=1e-12).potentials
    kernel = torch.exp((f.unsqueeze(2) + g.unsqueeze(1) - cost) / 0.1)
    scaled, null = a.sqrt().unsqueeze(2) * kernel * b.sqrt().unsqueeze(1), b.sqrt()
    rhs = torch.randn(3, m, dtype=torch.float64)
    with use_backend("triton"):
        found = solve_marginal_system(scaled, rhs, null)
    wanted = rhs - (rhs * null).sum(1, keepdim=True) * null / null.square().sum(1, keepdim=True)
    image = found - (scaled.mT @ (scaled @ found.unsqueeze(2))).squeeze(2)
    torch.testing.assert_close(image, wanted, atol=1e-9, rtol=0)
    assert ((found * null).sum(1).abs() < 1e-12).all()


@interpreted
def test_only_the_chosen_backend_takes_tensors_and_only_where_it_can() -> None:
    tensor = torch.zeros(2)
    with use_backend("triton"):
        assert triton_for(tensor)
        assert not triton_for(tensor, torch.zeros(2, dtype=torch.float16))
    with use_backend("auto"):
        assert not triton_for(tensor)


_COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from monge.losses import gpu_pairs_kernel
from monge.ot.gpu import balanced_kernel, system_kernel

def build(kernel, kind, **given):
    sizes = {"n", "m", "width", "max_iter"}
    numbers = {"tol", "accuracy", "margin", "gamma", "pos_margin", "inverse", "log_count", "power", "factor", "share"}
    special = {"stages": "*i32", "iterations": "*i64", "x_labels": "*i64", "y_labels": "*i64"}
    signature, constants = {}, {}
    for place, name in enumerate(kernel.arg_names):
        if name in given:
            signature[name], constants[(place,)] = "constexpr", given[name]
        else:
            plain = "i32" if name in sizes else "fp32" if name in numbers else "*" + kind
            signature[name] = special.get(name, plain)
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
    return triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": 4})

built = [
    build(balanced_kernel.solve_problem, "fp32", WARM=False, ROWS=64, COLUMNS=64),
    build(balanced_kernel.solve_problem, "fp64", WARM=True, ROWS=16, COLUMNS=256),
    build(system_kernel.solve_system, "fp32", ROWS=64, COLUMNS=64),
    build(gpu_pairs_kernel.half_step, "fp32", SQUARED=True, OWN=True, SKIP_OWN=True, ROWS=32, COLUMNS=32, WIDTH=128),
    build(gpu_pairs_kernel.sum_rows, "fp32", SQUARED=False, OWN=True, SKIP_OWN=True, KERNEL=True, LINEAR=False,
          ROWS=32, COLUMNS=32, WIDTH=128),
]
# Shared memory of one multiprocessor: 227 KiB.
assert all(one.asm["cubin"] and one.metadata.shared <= 227 << 10 for one in built)
"""


def test_kernels_compile_for_an_nvidia_gpu() -> None:
    """Triton's compiler needs no GPU, and is stricter about types than its interpreter."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", _COMPILE], env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-2000:]
