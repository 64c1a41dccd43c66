"""Compiled kernels or plain torch: who decides, what is imported when, what happens without Numba."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch

from monge import ot
from monge.errors import MissingExtraError
from monge.ot.backend import compiled_for, use_backend

needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="Numba is not installed")


def run(code: str, backend: str | None = None) -> str:
    """Output of a fresh interpreter, with MONGE_BACKEND set or not."""
    environment = {name: value for name, value in os.environ.items() if name != "MONGE_BACKEND"}
    if backend is not None:
        environment["MONGE_BACKEND"] = backend
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120, check=False
    )
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


SOLVE = """
import sys, torch
import monge.ot as ot
loaded = lambda: "numba" in sys.modules
before = loaded()
cost = torch.rand(2, 5, 6, requires_grad=True)
result = ot.sinkhorn(cost, epsilon=0.1, relative=True)
result.value.sum().backward()
result.plan
ot.sinkhorn_unbalanced(cost.detach(), epsilon=0.1, rho=1.0)
print(before, loaded(), bool(result.converged.all()))
"""


@needs_numba
def test_numba_is_imported_by_the_first_solve() -> None:
    assert run(SOLVE) == "False True True"


def test_nothing_of_numba_is_touched_when_it_is_forbidden() -> None:
    assert run(SOLVE, "torch") == "False False True"
    assert run(SOLVE.replace("before = loaded()", "before = loaded(); ot.use_backend('torch')")) == "False False True"


ABSENT = """
import sys
sys.modules["numba"] = None
import torch
import monge.ot as ot
cost = torch.rand(2, 5, 6, dtype=torch.float64)
for grad in ("envelope", "implicit", "none", "unrolled"):
    leaf = cost.clone().requires_grad_()
    result = ot.sinkhorn(leaf, epsilon=0.1, relative=True, grad=grad)
    assert result.converged.all() and result.plan.shape == cost.shape
    if grad != "none":
        (result.value.sum() + (result.plan * cost).sum()).backward()
        assert torch.isfinite(leaf.grad).all()
ot.sinkhorn_unbalanced(cost, epsilon=0.1, rho=1.0)
ot.sinkhorn_partial(cost, epsilon=0.1, mass=0.5)
ot.sinkhorn_dustbin(cost, epsilon=0.1, dustbin_cost=1.0)
print("fine")
"""


def test_everything_works_without_numba() -> None:
    assert run(ABSENT) == "fine"
    assert run(ABSENT, "auto") == "fine"


def test_asking_for_kernels_without_numba_names_the_pip_command() -> None:
    code = "import sys; sys.modules['numba'] = None\nimport monge.ot as ot\n"
    assert "pip install 'monge[fast]'" in run(code + "ot.use_backend('compiled')")
    assert "pip install 'monge[fast]'" in run(code + "import torch; ot.sinkhorn(torch.eye(2), epsilon=1.0)", "compiled")
    assert issubclass(MissingExtraError, ImportError)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'cuda': expected one of auto, compiled, triton, torch"):
        use_backend("cuda")  # type: ignore[arg-type]
    found = run("import monge.ot as ot, torch; ot.sinkhorn(torch.eye(2), epsilon=1.0)", "fast")
    assert "MONGE_BACKEND is 'fast': expected one of auto, compiled, triton, torch" in found


@needs_numba
def test_a_block_ends_with_what_was_before() -> None:
    x = torch.zeros(2)
    with use_backend("compiled"):
        assert compiled_for(x)
        with use_backend("torch"):
            assert not compiled_for(x)
            use_backend("compiled")
            assert compiled_for(x)
        assert compiled_for(x)
        with pytest.raises(RuntimeError, match="stop"), use_backend("torch"):
            raise RuntimeError("stop")
        assert compiled_for(x)


@needs_numba
@pytest.mark.parametrize(
    ("tensor", "taken"),
    [
        (torch.zeros(2), True),
        (torch.zeros(2, dtype=torch.float64), True),
        (torch.zeros(2, dtype=torch.float16), False),
        (torch.zeros(2, dtype=torch.bfloat16), False),
        (torch.zeros(2, dtype=torch.int64), False),
        (torch.zeros(2, device="meta"), False),
    ],
)
def test_kernels_take_float32_and_float64_on_the_cpu(tensor: torch.Tensor, taken: bool) -> None:
    with use_backend("compiled"):
        assert compiled_for(tensor) is taken
        assert compiled_for(torch.zeros(2), tensor) is taken


@needs_numba
def test_a_choice_in_the_program_beats_the_environment() -> None:
    code = "import monge.ot as ot, torch, sys; ot.use_backend({!r}); ot.sinkhorn(torch.eye(2), epsilon=1.0)\n"
    assert run(code.format("torch") + "print('numba' in sys.modules)", "compiled") == "False"
    assert run(code.format("auto") + "print('numba' in sys.modules)", "torch") == "True"


def test_the_choice_is_public() -> None:
    assert ot.use_backend is use_backend
