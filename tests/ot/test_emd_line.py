from __future__ import annotations

import math

import numpy as np
import ot as pot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from monge.ot.exact import emd
from monge.ot.line import cramer_line, emd_line

DOUBLE = torch.float64


def histogram(*shape: int, zeros: float = 0.0) -> Tensor:
    p = torch.rand(*shape, dtype=DOUBLE) * (torch.rand(*shape) >= zeros)
    p[..., 0] += 0.01
    return p / p.sum(-1, keepdim=True)


def places(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=DOUBLE).sort(-1).values


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("zeros", [0.0, 0.6])
def test_equals_emd(power: int, zeros: float) -> None:
    p, q, x = histogram(6, 9, zeros=zeros), histogram(6, 9, zeros=zeros), places(6, 9)
    unit = torch.arange(9, dtype=DOUBLE)
    for positions in (x, x[0], unit, None):
        at = unit if positions is None else positions
        cost = (at.unsqueeze(-1) - at.unsqueeze(-2)).abs() ** power
        expected = emd(cost.expand(6, 9, 9), p, q).value
        ours = emd_line(p, q, positions=positions, power=power)  # type: ignore[arg-type]
        torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-12)


def test_equals_scipy_and_pot() -> None:
    p, q, x = histogram(5, 40, zeros=0.3), histogram(5, 40, zeros=0.3), places(40)
    by_scipy = [wasserstein_distance(x.numpy(), x.numpy(), u.numpy(), v.numpy()) for u, v in zip(p, q)]
    np.testing.assert_allclose(emd_line(p, q, positions=x).numpy(), by_scipy, rtol=1e-12)
    for power in (1, 2):
        by_pot = pot.wasserstein_1d(x[:, None].numpy(), x[:, None].numpy(), p.T.numpy(), q.T.numpy(), p=power)
        ours = emd_line(p, q, positions=x, power=power)  # type: ignore[arg-type]
        np.testing.assert_allclose(ours.numpy(), by_pot, rtol=1e-9)


def test_gaussians() -> None:
    """``W_2^2 = (m1 - m2)^2 + (s1 - s2)^2``; shifted copies are ``W_1 = |m1 - m2|`` apart."""
    x = torch.linspace(-12, 12, 20001, dtype=DOUBLE)

    def normal(mean: float, deviation: float) -> Tensor:
        return torch.softmax(-0.5 * ((x - mean) / deviation) ** 2, dim=0)

    squared = emd_line(normal(-1.0, 0.5), normal(2.0, 1.2), positions=x, power=2)
    assert float(squared) == pytest.approx(3.0**2 + 0.7**2, rel=1e-5)
    assert float(emd_line(normal(-1.0, 0.8), normal(0.5, 0.8), positions=x)) == pytest.approx(1.5, rel=1e-6)
    # int (F - G)^2 = E|X - Y| - E|X - X'| / 2 - E|Y - Y'| / 2, where the differences are normal with variance 2 s^2.
    d, deviation = 1.5, 0.8 * math.sqrt(2)
    centred = deviation * math.sqrt(2 / math.pi)
    apart = centred * math.exp(-0.5 * (d / deviation) ** 2) + d * math.erf(d / deviation / math.sqrt(2))
    ours = float(cramer_line(normal(-1.0, 0.8), normal(0.5, 0.8), positions=x))
    assert ours == pytest.approx(apart - centred, rel=1e-6)


def test_one_hot_target_is_the_mean_cost() -> None:
    """All mass must go to the labelled class: ``sum_i p_i |x_i - x_k|^power``."""
    p, x = histogram(7, 6), places(6)
    label = torch.arange(7) % 6
    q = torch.nn.functional.one_hot(label, 6).to(DOUBLE)
    distance = (x - x[label, None]).abs()
    torch.testing.assert_close(emd_line(p, q, positions=x), (p * distance).sum(1))
    torch.testing.assert_close(emd_line(p, q, positions=x, power=2), (p * distance**2).sum(1))
    torch.testing.assert_close(cramer_line(q, q[:1], positions=x), (x[label] - x[0]).abs())


def test_squared_emd_by_hand() -> None:
    """The ranked probability score, unnormalised: uniform forecast on 5 classes, labels 0, 0, 1, 2, 4."""
    forecast = torch.full((5, 5), 0.2)
    target = torch.nn.functional.one_hot(torch.tensor([0, 0, 1, 2, 4]), 5).float()
    assert float(cramer_line(forecast, target).mean()) == pytest.approx(0.92)
    p, q = torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.tensor([0.4, 0.3, 0.2, 0.1])
    assert float(cramer_line(p, q)) == pytest.approx(0.3**2 + 0.4**2 + 0.3**2)
    assert float(cramer_line(p, q, positions=torch.tensor([0.0, 1.0, 3.0, 3.5]))) == pytest.approx(
        0.3**2 + 2 * 0.4**2 + 0.5 * 0.3**2
    )


@pytest.mark.parametrize("power", [1, 2, None])
def test_gradcheck(power: int | None) -> None:
    p, q, x = histogram(3, 6).requires_grad_(), histogram(3, 6).requires_grad_(), places(6).requires_grad_()

    def distance(p: Tensor, q: Tensor, x: Tensor) -> Tensor:
        if power is None:
            return cramer_line(p, q, positions=x)
        return emd_line(p, q, positions=x, power=power)  # type: ignore[arg-type]

    assert gradcheck(distance, (p, q, x))
    assert gradgradcheck(distance, (p, q, x))


def test_gradient_of_the_squared_form_is_the_paper_s() -> None:
    """``dL/dp_k = 2 sum_{i >= k} (F_i - G_i)``, up to a constant that no softmax sees."""
    p, q = histogram(4, 7).requires_grad_(), histogram(4, 7)
    cramer_line(p, q).sum().backward()
    gap = (p.detach() - q).cumsum(-1)
    expected = 2 * gap.flip(-1).cumsum(-1).flip(-1)
    assert p.grad is not None
    ours = p.grad - p.grad.mean(-1, keepdim=True)
    torch.testing.assert_close(ours, expected - expected.mean(-1, keepdim=True))


@pytest.mark.parametrize("power", [1, 2])
def test_equal_histograms_are_at_a_flat_minimum(power: int) -> None:
    p = torch.rand(50, 30).softmax(-1).requires_grad_()
    value = emd_line(p, p.detach().clone(), power=power)  # type: ignore[arg-type]
    value.sum().backward()
    assert not value.any()
    assert p.grad is not None
    assert float(p.grad.abs().max()) < 1e-5


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    p, q = torch.randn(8, 100).softmax(-1).to(dtype), torch.randn(8, 100).softmax(-1).to(dtype)
    for distance in (emd_line, cramer_line):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            ours = distance(p, q)
        assert ours.dtype == torch.float32
        expected = distance(p.double() / p.double().sum(1, True), q.double() / q.double().sum(1, True))
        torch.testing.assert_close(ours.double(), expected, rtol=2e-2, atol=1e-4)


def test_long_histograms_keep_float32_accuracy() -> None:
    p, q = torch.randn(2, 10_000).softmax(-1), torch.randn(2, 10_000).softmax(-1)
    for power in (1, 2):
        exact = emd_line(p.double(), q.double(), power=power)  # type: ignore[arg-type]
        torch.testing.assert_close(emd_line(p, q, power=power).double(), exact, rtol=1e-3, atol=0)  # type: ignore[arg-type]


def test_broadcasts_and_padding() -> None:
    p, q = histogram(3, 1, 5), histogram(4, 5)
    assert emd_line(p, q).shape == emd_line(p, q, power=2).shape == cramer_line(p, q).shape == (3, 4)
    torch.testing.assert_close(emd_line(p, q)[1, 2], emd_line(p[1, 0], q[2]))
    padded = [torch.nn.functional.pad(t, (0, 3)) for t in (p, q)]
    for power in (1, 2):
        torch.testing.assert_close(emd_line(*padded, power=power), emd_line(p, q, power=power))  # type: ignore[arg-type]
    assert not emd_line(torch.zeros(2, 4), torch.zeros(2, 4), power=2).any()
    assert float(emd_line(torch.ones(1), torch.ones(1))) == 0.0
    assert emd_line(p[0], q[0], positions=places(6, 5), power=2).shape == (6,)


def test_sums_a_little_apart_meet_in_the_middle() -> None:
    p, q = histogram(6), histogram(6)
    torch.testing.assert_close(emd_line(p, 1.0008 * q), 1.0004 * emd_line(p, q))
    torch.testing.assert_close(cramer_line(p, 1.0008 * q), 1.0004**2 * cramer_line(p, q))


@pytest.mark.parametrize(
    ("p", "q", "positions", "message"),
    [
        (torch.ones(3) / 3, torch.ones(3), None, "p sums to 1 and q to 3"),
        (torch.tensor([0.5, 0.5]), torch.tensor([-0.5, 1.5]), None, "q holds a mass"),
        (torch.tensor([torch.nan, 0.5]), torch.tensor([0.5, 0.5]), None, "p holds a mass"),
        (torch.tensor([torch.inf, 0.5]), torch.tensor([torch.inf, 0.5]), None, "p holds a mass"),
        (torch.ones(3) / 3, torch.ones(4) / 4, None, "the same N"),
        (torch.ones(0), torch.ones(0), None, "at least 1"),
        (torch.ones(3) / 3, torch.ones(3) / 3, torch.tensor([0.0, 2.0, 1.0]), "increasing"),
        (torch.ones(3) / 3, torch.ones(3) / 3, torch.tensor([0.0, torch.nan, 1.0]), "increasing"),
        (torch.ones(3) / 3, torch.ones(3) / 3, torch.arange(4), "one for each of 3 classes"),
    ],
)
def test_wrong_input_is_refused(p: Tensor, q: Tensor, positions: Tensor | None, message: str) -> None:
    for distance in (emd_line, cramer_line):
        with pytest.raises(ValueError, match=message):
            distance(p, q, positions=positions)


def test_the_histogram_at_fault_is_named() -> None:
    p = torch.ones(4, 5) / 5
    q = p.clone()
    q[2] *= 2
    with pytest.raises(ValueError, match=r"histograms 2 of the batch .* p sums to 1 and q to 2"):
        emd_line(p, q)
    with pytest.raises(ValueError, match="expected 1 or 2"):
        emd_line(p, p, power=3)  # type: ignore[arg-type]


def test_compiled_graphs_are_whole_and_poison_wrong_masses() -> None:
    def all_three(p: Tensor, q: Tensor) -> Tensor:
        return emd_line(p, q) + emd_line(p, q, power=2) + cramer_line(p, q)

    compiled = torch.compile(all_three, fullgraph=True, backend="eager")
    p, q = histogram(3, 5), histogram(3, 5)
    torch.testing.assert_close(compiled(p, q), all_three(p, q))
    q[1] *= 2
    assert compiled(p, q).isnan().tolist() == [False, True, False]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.sampled_from([1e-3, 1.0, 1e3]), st.integers(0, 2**31))
def test_properties(n: int, scale: float, seed: int) -> None:
    torch.manual_seed(seed)
    p, q, r, x = histogram(n, zeros=0.3), histogram(n, zeros=0.3), histogram(n), places(n)
    close = {"rtol": 1e-9, "atol": 1e-12}
    for power in (1, 2):

        def distance(p: Tensor, q: Tensor, positions: Tensor = x, power: int = power) -> Tensor:
            return emd_line(p, q, positions=positions, power=power)  # type: ignore[arg-type]

        value = distance(p, q)
        torch.testing.assert_close(distance(q, p), value, **close)
        torch.testing.assert_close(
            distance(p, q, scale * x), scale**power * value, rtol=1e-9, atol=1e-12 * scale**power
        )
        torch.testing.assert_close(distance(p, q, x + 5.0), value, rtol=1e-9, atol=1e-11)
        torch.testing.assert_close(distance(p.flip(0), q.flip(0), -x.flip(0)), value, **close)
        torch.testing.assert_close(distance(scale * p, scale * q), scale * value, rtol=1e-9, atol=1e-12 * scale)
        root = [float(distance(*pair)) ** (1 / power) for pair in ((p, r), (p, q), (q, r))]
        assert root[0] <= root[1] + root[2] + 1e-7
    squared = cramer_line(p, q, positions=x)
    torch.testing.assert_close(cramer_line(scale * p, scale * q, positions=x), scale**2 * squared)
    # Jensen: (int |F - G|)^2 <= length * int (F - G)^2, and |F - G| <= 1.
    first = float(emd_line(p, q, positions=x))
    assert first**2 <= float((x[-1] - x[0]) * squared) + 1e-9
    assert float(squared) <= first + 1e-12
