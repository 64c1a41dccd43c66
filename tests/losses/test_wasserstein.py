"""The Wasserstein loss of Frogner et al. against its scaling algorithm, closed forms and linear programs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from monge.ground import Line, Matrix
from monge.losses import WassersteinLoss
from oracles import class_transport as oracle
from oracles.linear_program import transport_plan

CLASSES = 5
FORMS = pytest.mark.parametrize("rho", [None, 0.3, 2.0], ids=["normalised", "cheap", "dear"])


def problem(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (4, C), soft targets (4, C) and a ground distance (C, C)."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.rand(CLASSES, 2, generator=generator, dtype=torch.float64)
    logits = torch.randn(4, CLASSES, generator=generator, dtype=torch.float64)
    targets = torch.rand(4, CLASSES, generator=generator, dtype=torch.float64)
    targets[0, 1] = 0.0  # a class the target does not have
    return logits, targets / targets.sum(1, keepdim=True), torch.cdist(places, places)


def expected(h: np.ndarray, y: np.ndarray, M: np.ndarray, epsilon: float, rho: float | None):
    if rho is None:
        return oracle.wasserstein(h, y, M, 1.0 / epsilon)
    return oracle.wasserstein_unnormalised(h, y, M, 1.0 / epsilon, rho)


@FORMS
@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize("epsilon", [0.1, 0.5])
@pytest.mark.parametrize("soft", [False, True], ids=["one class", "soft"])
def test_value_and_gradient_are_the_papers(soft: bool, epsilon: float, power: float, rho: float | None) -> None:
    logits, targets, distances = problem(1)
    logits.requires_grad_()
    labels = torch.tensor([2, 0, 4, 1])
    loss = WassersteinLoss(distances, power=power, epsilon=epsilon, rho=rho, tol=1e-10, reduction="none")
    values = loss(logits, targets if soft else labels)
    (gradient,) = torch.autograd.grad(values.sum(), logits)
    wanted = targets if soft else torch.nn.functional.one_hot(labels, CLASSES).double()
    for row in range(4):
        h = logits[row].detach().softmax(0)
        value, slope = expected(h.numpy(), wanted[row].numpy(), (distances**power).numpy(), epsilon, rho)
        assert float(values[row].detach()) == pytest.approx(value, rel=1e-7, abs=1e-9)
        behind_softmax = h * (torch.from_numpy(slope) - (h * torch.from_numpy(slope)).sum())
        torch.testing.assert_close(gradient[row], behind_softmax, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("soft", [False, True])
def test_small_epsilon_is_the_linear_program(soft: bool) -> None:
    logits, targets, distances = problem(2)
    labels = torch.tensor([2, 0, 4, 1])
    wanted = targets if soft else torch.nn.functional.one_hot(labels, CLASSES).double()
    epsilon = 0.01
    values = WassersteinLoss(distances, epsilon=epsilon, reduction="none")(logits, targets if soft else labels)
    for row in range(4):
        cost, _ = transport_plan(distances, logits[row].softmax(0), wanted[row])
        # A plan over C x C pairs has an entropy between 0 and log C^2.
        assert cost - 2 * epsilon * math.log(CLASSES) <= float(values[row]) <= cost + 1e-4


@FORMS
def test_one_class_is_the_soft_target_with_all_mass_there(rho: float | None) -> None:
    logits, _, distances = problem(3)
    labels = torch.tensor([3, 3, 0, 1])
    loss = WassersteinLoss(distances, rho=rho, tol=1e-10, reduction="none")
    one_hot = torch.nn.functional.one_hot(labels, CLASSES).double()
    leaf, other = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    one, all_there = loss(leaf, labels), loss(other, one_hot)
    torch.testing.assert_close(one, all_there, rtol=1e-8, atol=1e-10)
    one.sum().backward()
    all_there.sum().backward()
    torch.testing.assert_close(leaf.grad, other.grad, rtol=1e-6, atol=1e-9)


def test_a_dear_penalty_is_the_normalised_form() -> None:
    logits, targets, distances = problem(4)
    for target in (targets, torch.tensor([2, 0, 4, 1])):
        exact = WassersteinLoss(distances, tol=1e-6)(logits, target)
        gaps = [float(exact - WassersteinLoss(distances, rho=rho, tol=1e-6)(logits, target)) for rho in (20.0, 40.0)]
        assert 0 < gaps[1] < 0.6 * gaps[0] < 0.02  # the penalty lets less and less slip


def test_the_penalty_bounds_what_a_wrong_class_costs() -> None:
    logits = torch.tensor([[20.0, 0.0]])
    far = Matrix(torch.tensor([[0.0, 1e3], [1e3, 0.0]]))
    assert WassersteinLoss(far)(logits, torch.tensor([1])).item() == pytest.approx(1e3, rel=1e-4)
    assert WassersteinLoss(far, rho=0.5)(logits, torch.tensor([1])).item() <= 1.0


def test_predictions_are_drawn_to_the_kernel_around_the_class() -> None:
    logits = torch.zeros(1, 4, requires_grad=True)
    optimiser = torch.optim.LBFGS([logits], max_iter=200, tolerance_grad=1e-9)

    def closure() -> Tensor:
        optimiser.zero_grad()
        value = WassersteinLoss(Line(), epsilon=0.7)(logits, torch.tensor([1]))
        value.backward()
        return value

    optimiser.step(closure)
    wanted = torch.softmax(-torch.tensor([1.0, 0.0, 1.0, 2.0]) / 0.7, 0)
    torch.testing.assert_close(logits.detach().softmax(1)[0], wanted, rtol=1e-3, atol=1e-4)


def test_wrong_values_are_refused() -> None:
    for wrong in ({"epsilon": 0.0}, {"rho": -1.0}, {"power": 0.0}, {"tol": 0.0}):
        with pytest.raises(ValueError, match="expected positive numbers"):
            WassersteinLoss(**wrong)
