from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from dlordinal.losses import EMDLoss
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend
from torch.autograd import gradcheck, gradgradcheck

from monge.ot import cramer_line, cramer_line_from_logits
from monge.ot.backend import Backend, use_backend
from oracles.ordered_classes import squared_emd, squared_emd_gradient

DOUBLE = torch.float64
NEEDS_NUMBA = pytest.mark.skipif(find_spec("numba") is None, reason="Numba is not installed")


@pytest.fixture(params=["torch", pytest.param("compiled", marks=NEEDS_NUMBA)])
def backend(request: pytest.FixtureRequest) -> Backend:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def _chosen(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test that takes ``backend`` runs on each of them."""
    if "backend" not in request.fixturenames:
        yield
        return
    with use_backend(request.getfixturevalue("backend")):
        yield


def problem(n: int, classes: int, dtype: torch.dtype = DOUBLE) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Logits, classes, probabilities, places."""
    logits = 2 * torch.randn(n, classes, dtype=dtype)
    soft = torch.rand(n, classes, dtype=dtype) ** 4
    places = torch.rand(classes, dtype=dtype).cumsum(0)
    return logits, torch.randint(classes, (n,)), soft / soft.sum(1, keepdim=True), places


def value_and_gradient(logits: Tensor, target: Tensor, positions: Tensor | None) -> tuple[Tensor, Tensor]:
    leaf = logits.detach().clone().requires_grad_()
    value = cramer_line_from_logits(leaf, target, positions)
    weights = torch.arange(1, value.numel() + 1, dtype=value.dtype).reshape(value.shape)
    (gradient,) = torch.autograd.grad((value * weights).sum(), leaf)
    return value.detach(), gradient / weights.unsqueeze(-1).to(gradient.dtype)


@pytest.mark.parametrize("classes", [1, 2, 3, 9, 40])
@pytest.mark.parametrize("spaced", [False, True])
def test_equals_the_paper_by_loops(backend: Backend, classes: int, spaced: bool) -> None:
    logits, labels, soft, places = problem(5, classes)
    at = places.tolist() if spaced else list(range(classes))
    for target in (labels, soft):
        rows = torch.eye(classes, dtype=DOUBLE)[target] if target is labels else target
        value, gradient = value_and_gradient(logits, target, places if spaced else None)
        for i in range(5):
            pair = logits[i].numpy(), rows[i].numpy()
            assert float(value[i]) == pytest.approx(squared_emd(*pair, at), rel=1e-12, abs=1e-14)
            np.testing.assert_allclose(gradient[i], squared_emd_gradient(*pair, at), rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_equals_dlordinal(backend: Backend, dtype: torch.dtype) -> None:
    logits, labels, soft, _ = problem(64, 100, dtype)
    for target in (labels, soft):
        leaves = [logits.clone().requires_grad_() for _ in range(2)]
        ours, theirs = cramer_line_from_logits(leaves[0], target).mean(), EMDLoss(100)(leaves[1], target)
        torch.testing.assert_close(ours, theirs)
        ours.backward()
        theirs.backward()
        torch.testing.assert_close(leaves[0].grad, leaves[1].grad, rtol=1e-4, atol=1e-6)


def test_equals_cramer_line_of_the_softmax(backend: Backend) -> None:
    logits, _, soft, places = problem(7, 12)
    expected = cramer_line(logits.softmax(1), soft, positions=places)
    torch.testing.assert_close(cramer_line_from_logits(logits, soft, places), expected)
    # Probabilities a little off are those of the softmax's mass.
    torch.testing.assert_close(cramer_line_from_logits(logits, 1.0008 * soft, places), expected)


@NEEDS_NUMBA
@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [(0, 5), (1, 1), (3, 2), (33, 17), (2, 1000)])
def test_both_backends_agree(shape: tuple[int, int], dtype: torch.dtype) -> None:
    logits, labels, soft, places = problem(*shape, dtype=torch.float32)
    wide = torch.promote_types(dtype, torch.float32)
    each = torch.rand(*shape).cumsum(1)
    for target in (labels, soft.to(dtype)):
        for positions in (None, places, each):
            found = []
            for name in ("torch", "compiled"):
                with use_backend(name):  # type: ignore[arg-type]
                    found.append(value_and_gradient(logits.to(dtype), target, positions))
            assert found[0][0].dtype == found[1][0].dtype == wide
            assert found[0][1].dtype == found[1][1].dtype == dtype
            loose = {} if wide == dtype else {"rtol": 2e-2, "atol": 1e-3}
            torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(found[0][1], found[1][1], **(loose or {"rtol": 1e-4, "atol": 1e-5}))


def test_gradcheck(backend: Backend) -> None:
    logits, labels, soft, places = problem(3, 6)
    logits.requires_grad_()
    for target in (labels, soft):
        for positions in (None, places):
            assert gradcheck(lambda z, t=target, x=positions: cramer_line_from_logits(z, t, x), (logits,))
            assert gradgradcheck(lambda z, t=target, x=positions: cramer_line_from_logits(z, t, x), (logits,))


def test_gradient_to_probabilities_and_positions(backend: Backend) -> None:
    logits, labels, soft, places = problem(3, 6)
    logits.requires_grad_()
    places.requires_grad_()
    free = soft.log().requires_grad_()
    assert gradcheck(lambda z, t, x: cramer_line_from_logits(z, t.softmax(1), x), (logits, free, places))
    assert gradcheck(lambda z, x: cramer_line_from_logits(z, labels, x), (logits, places))
    assert gradgradcheck(lambda z, x: cramer_line_from_logits(z, labels, x), (logits, places))


def test_gradient_of_the_gradient_s_norm(backend: Backend) -> None:
    """A gradient penalty in float32 against float64 finite differences of the whole."""
    logits, labels, _, _ = problem(4, 7)

    def penalty(z: Tensor) -> Tensor:
        (gradient,) = torch.autograd.grad(cramer_line_from_logits(z, labels).sum(), z, create_graph=True)
        return gradient.square().sum()

    assert gradcheck(penalty, (logits.requires_grad_(),))
    single = logits.detach().float().requires_grad_()
    (ours,) = torch.autograd.grad(penalty(single), single)
    (expected,) = torch.autograd.grad(penalty(logits), logits)
    torch.testing.assert_close(ours.double(), expected, rtol=1e-4, atol=1e-6)


def test_any_leading_shape(backend: Backend) -> None:
    logits, labels, soft, places = problem(12, 5)
    flat = cramer_line_from_logits(logits, labels, places)
    shaped = cramer_line_from_logits(logits.reshape(2, 3, 2, 5), labels.reshape(2, 3, 2), places)
    torch.testing.assert_close(shaped, flat.reshape(2, 3, 2))
    assert cramer_line_from_logits(logits[0], labels[0]).shape == ()
    strided = logits.reshape(3, 4, 5).transpose(0, 1).contiguous().transpose(0, 1)
    value, gradient = value_and_gradient(strided, soft.reshape(3, 4, 5), places.expand(4, 5))
    expected = value_and_gradient(logits, soft, places)
    torch.testing.assert_close(value.flatten(), expected[0])
    torch.testing.assert_close(gradient.reshape(12, 5), expected[1])


def test_no_rows_and_one_class(backend: Backend) -> None:
    for shape in ((0, 5), (3, 1), (0, 1)):
        logits = torch.randn(shape, requires_grad=True)
        value = cramer_line_from_logits(logits, torch.zeros(shape[0], dtype=torch.int64))
        assert value.tolist() == [0.0] * shape[0]
        value.sum().backward()
        assert logits.grad is not None
        assert logits.grad.shape == shape
        assert not logits.grad.any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_saturated_logits(backend: Backend, dtype: torch.dtype) -> None:
    logits = torch.full((3, 8), -1e4, dtype=dtype)
    logits[range(3), [2, 2, 7]] = 1e4
    value, gradient = value_and_gradient(logits, torch.tensor([2, 5, 0]), None)
    assert value.tolist() == [0.0, 3.0, 7.0]
    assert torch.isfinite(gradient).all()
    masked = torch.randn(2, 6)
    masked[:, 4:] = -torch.inf
    value, gradient = value_and_gradient(masked, torch.tensor([1, 5]), None)
    expected = value_and_gradient(masked[:, :4], torch.tensor([1, 3]), None)
    torch.testing.assert_close(value, expected[0] + torch.tensor([0.0, 2.0]))
    torch.testing.assert_close(gradient[0], torch.nn.functional.pad(expected[1][0], (0, 2)))


def test_broken_logits_are_not_hidden(backend: Backend) -> None:
    for bad in (torch.nan, torch.inf):
        logits = torch.randn(3, 40)
        logits[1, 20] = bad
        value, gradient = value_and_gradient(logits, torch.tensor([0, 1, 39]), None)
        assert value.isnan().tolist() == [False, True, False]
        assert gradient.isnan().all(1).tolist() == [False, True, False]


def test_a_hundred_thousand_classes(backend: Backend) -> None:
    logits, labels, soft, _ = problem(4, 100_000, torch.float32)
    for target in (labels, soft):
        value, gradient = value_and_gradient(logits, target, None)
        wide = target if target is labels else soft.double() / soft.double().sum(1, keepdim=True)
        exact = value_and_gradient(logits.double(), wide, None)
        torch.testing.assert_close(value.double(), exact[0], rtol=1e-4, atol=0)
        torch.testing.assert_close(gradient.double(), exact[1], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_and_half_precision_compute_in_float32(backend: Backend, dtype: torch.dtype) -> None:
    logits, labels, soft, _ = problem(16, 30)
    half = logits.to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = [cramer_line_from_logits(half, target) for target in (labels, soft.to(dtype))]
    rounded = soft.to(dtype).double()
    wanted = [cramer_line_from_logits(half.double(), t) for t in (labels, rounded / rounded.sum(1, keepdim=True))]
    for ours, expected in zip(found, wanted):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours.double(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("compiler", ["eager", "aot_eager"])
def test_compiled_graphs_are_whole(backend: Backend, compiler: str) -> None:
    logits, labels, soft, places = problem(6, 9, torch.float32)

    def loss(z: Tensor, t: Tensor, x: Tensor | None) -> Tensor:
        return (3.0 * cramer_line_from_logits(z, t, x)).mean()

    compiled: Callable[..., Tensor] = torch.compile(loss, fullgraph=True, backend=compiler)
    for target in (labels, soft):
        for positions in (None, places):
            leaves = [logits.clone().requires_grad_() for _ in range(2)]
            values = [f(z, target, positions) for f, z in zip((loss, compiled), leaves)]
            torch.testing.assert_close(values[1], values[0])
            for value in values:
                value.backward()
            torch.testing.assert_close(leaves[1].grad, leaves[0].grad)


def test_one_graph_serves_all_batch_sizes() -> None:
    torch.compiler.reset()
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(lambda z, t: cramer_line_from_logits(z, t).mean(), fullgraph=True, backend=counter)
    for batch in range(4, 16):
        logits = torch.randn(batch, 5, requires_grad=True)
        compiled(logits, torch.arange(batch) % 5).backward()
        assert logits.grad is not None
    assert counter.frame_count <= 2  # for the first size, and for any


def test_compiled_graphs_differentiate_positions() -> None:
    logits, labels, _, places = problem(6, 9)

    def loss(z: Tensor, x: Tensor) -> Tensor:
        return cramer_line_from_logits(z, labels, x).mean()

    found = []
    for function in (loss, torch.compile(loss, fullgraph=True, backend="aot_eager")):
        leaves = logits.clone().requires_grad_(), places.clone().requires_grad_()
        found.append(torch.autograd.grad(function(*leaves), leaves))
    for compiled, plain in zip(*found):
        torch.testing.assert_close(compiled, plain)


def test_operator_passes_torch_s_own_checks() -> None:
    logits, labels, soft, places = problem(4, 5, torch.float32)
    gaps = places.diff()[None]
    for target, distances, slope in (
        (labels, None, True),
        (soft, gaps, True),
        (labels, gaps, False),
        (soft, None, False),
    ):
        for leaf in (logits, logits.clone().requires_grad_()):
            torch.library.opcheck(torch.ops.monge.cramer_of_logits.default, (leaf, target, distances, slope))


@pytest.mark.parametrize(
    ("logits", "target", "positions", "message"),
    [
        (torch.zeros(2, 3), torch.tensor([0, 3]), None, "sample 1 is class 3: expected 0 to 2"),
        (torch.zeros(2, 3), torch.tensor([-1, 0]), None, "sample 0 is class -1"),
        (torch.zeros(2, 3), torch.tensor([0, 1], dtype=torch.int32), None, r"torch\.int32: expected int64"),
        (torch.zeros(2, 3), torch.tensor([True, False]), None, r"torch\.bool"),
        (torch.zeros(2, 3), torch.tensor([[0, 1]]), None, r"classes of shape \(1, 2\): expected \(2,\)"),
        (torch.zeros(2, 3), torch.ones(2) / 2, None, r"probabilities of shape \(2,\): expected \(2, 3\)"),
        (torch.zeros(2, 3), torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.4, 0.0]]), None, "sample 1 sums to 0.9"),
        (torch.zeros(2, 3), torch.tensor([[0.5, 0.5, 0.0], [1.5, -0.5, 0.0]]), None, "sample 1 .* probability is -0.5"),
        (torch.zeros(1, 3), torch.tensor([[torch.nan, 0.5, 0.5]]), None, "sample 0 sums to nan"),
        (torch.zeros(2, 3, dtype=torch.int64), torch.zeros(2, dtype=torch.int64), None, "floating point"),
        (torch.zeros(2, 0), torch.zeros(2, dtype=torch.int64), None, "at least one class"),
        (torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64), torch.tensor([0.0, 2.0, 1.0]), "increasing"),
        (torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64), torch.arange(4), "one for each of 3 classes"),
        (torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64), torch.arange(3).expand(5, 3), r"shape \(5, 3\)"),
    ],
)
def test_wrong_input_is_refused(
    backend: Backend, logits: Tensor, target: Tensor, positions: Tensor | None, message: str
) -> None:
    for free in (positions, positions if positions is None else positions.double().requires_grad_()):
        with pytest.raises(ValueError, match=message):
            cramer_line_from_logits(logits, target, free)


def test_labels_are_checked_on_the_differentiable_path_too() -> None:
    places = torch.arange(3.0, requires_grad=True)
    with pytest.raises(ValueError, match="sample 1 is class 3"):
        cramer_line_from_logits(torch.zeros(2, 3), torch.tensor([0, 3]), places)


def test_works_without_numba() -> None:
    code = """
import sys
sys.modules["numba"] = None
import torch
from monge.ot import cramer_line_from_logits
z = torch.tensor([[0.2, 0.3, 0.5]]).log().requires_grad_()
cramer_line_from_logits(z, torch.tensor([2])).sum().backward()
print(z.grad.abs().sum() > 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert "True" in done.stdout
