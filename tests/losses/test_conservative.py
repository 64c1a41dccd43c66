"""The conservative Wasserstein loss against its closed form and, for soft targets, linear programs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from monge.ground import Line, Tree
from monge.losses import ConservativeWassersteinLoss
from oracles import class_transport as oracle
from oracles.linear_program import transport_plan

PRICES = {
    "linear": {"price": "linear"},
    "square": {"price": "power", "exponent": 2.0},
    "cube": {"price": "power", "exponent": 3.0},
    "concave": {"price": "power", "exponent": 0.5},
    "huber": {"price": "huber", "threshold": 1.3},
}
every_price = pytest.mark.parametrize("options", PRICES.values(), ids=PRICES.keys())
GROUNDS = {"line": Line(), "spaced": Line([0.0, 1.0, 1.5, 4.0]), "tree": Tree([-1, 0, 0, 1], [0.0, 1.0, 2.0, 0.5])}
every_ground = pytest.mark.parametrize("ground", GROUNDS.values(), ids=GROUNDS.keys())


def batch(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    targets = torch.rand(5, 4, generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, 4, (5,), generator=generator), targets / targets.sum(1, keepdim=True)


def prices(ground, options: dict) -> np.ndarray:
    kind, rest = options["price"], {key: value for key, value in options.items() if key != "price"}
    D = ground.matrix(4).double().numpy()
    return np.array([[oracle.price(d, kind, **rest) for d in row] for row in D])


@every_price
@every_ground
def test_one_class_is_the_closed_form_and_the_linear_program(ground, options: dict) -> None:
    logits, labels, _ = batch()
    values = ConservativeWassersteinLoss(ground, reduction="none", **options)(logits, labels)
    for row, p in enumerate(logits.softmax(1).numpy()):
        D = ground.matrix(4).double().numpy()
        expected = oracle.conservative(p, int(labels[row]), D, options["price"], **without_price(options))
        assert float(values[row]) == pytest.approx(expected, rel=1e-6)
        cost, _ = transport_plan(prices(ground, options), p, np.eye(4)[labels[row]])
        assert float(values[row]) == pytest.approx(cost, rel=1e-6)


def without_price(options: dict) -> dict:
    return {key: value for key, value in options.items() if key != "price"}


@every_price
@every_ground
def test_soft_targets_are_the_linear_program(ground, options: dict) -> None:
    logits, _, targets = batch(1)
    values = ConservativeWassersteinLoss(ground, solver="exact", reduction="none", **options)(logits, targets)
    for row in range(5):
        cost, _ = transport_plan(prices(ground, options), logits[row].softmax(0), targets[row])
        assert float(values[row]) == pytest.approx(cost, rel=1e-6)


def test_the_entropic_solver_is_near_the_exact_one() -> None:
    logits, _, targets = batch(2)
    exact, entropic, wide = (
        ConservativeWassersteinLoss(price="huber", solver=solver, epsilon=epsilon)(logits, targets)
        for solver, epsilon in (("exact", 1.0), ("entropic", 0.003), ("entropic", 0.3))
    )
    torch.testing.assert_close(entropic, exact, rtol=2e-2, atol=0)
    assert wide > entropic > exact


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_conservative_targets_spread_a_share_around_the_class(smoothing: float) -> None:
    logits, labels, _ = batch(3)
    loss = ConservativeWassersteinLoss(
        price="linear", unimodal=0.4, spread=0.8, label_smoothing=smoothing, reduction="none"
    )
    values = loss(logits, labels)
    for row in range(5):
        label = int(labels[row])
        around = np.exp(-np.abs(np.arange(4) - label) / 0.8)
        target = (1.0 - smoothing) * np.eye(4)[label] + smoothing / 4
        target = 0.6 * target + 0.4 * around / around.sum()
        cost, _ = transport_plan(prices(Line(), {"price": "linear"}), logits[row].softmax(0), target)
        assert float(values[row]) == pytest.approx(cost, rel=1e-6)
    soft = torch.nn.functional.one_hot(labels, 4).double()
    plain = ConservativeWassersteinLoss(price="linear", label_smoothing=smoothing, reduction="none")
    torch.testing.assert_close(loss(logits, soft), plain(logits, soft))  # probabilities are taken as they are


def test_conservative_targets_weigh_as_soft_ones() -> None:
    logits, labels, _ = batch(4)
    weight = torch.tensor([1.0, 2.0, 0.5, 3.0], dtype=torch.float64)
    options = {"price": "linear", "unimodal": 0.4, "weight": weight}
    each = ConservativeWassersteinLoss(**{**options, "weight": None}, reduction="none")(logits, labels)
    around = (-(torch.arange(4) - labels[:, None]).abs().double()).softmax(1)
    target = 0.6 * torch.nn.functional.one_hot(labels, 4) + 0.4 * around
    torch.testing.assert_close(
        ConservativeWassersteinLoss(**options)(logits, labels), (each * (target @ weight)).sum() / weight[labels].sum()
    )


def test_convex_prices_urge_far_mass_more_than_near_mass() -> None:
    logits = torch.tensor([[0.0, 1.0, 1.0]], dtype=torch.float64, requires_grad=True)
    ratios = {}
    for name, options in PRICES.items():
        (gradient,) = torch.autograd.grad(ConservativeWassersteinLoss(**options)(logits, torch.tensor([0])), logits)
        ratios[name] = float(gradient[0, 2] - gradient[0, 1])
    assert ratios["cube"] > ratios["square"] > ratios["huber"] > ratios["linear"] > ratios["concave"] > 0


def test_wrong_values_are_refused() -> None:
    for wrong, message in (
        ({"price": "cubic"}, "price is one of linear, power, huber"),
        ({"solver": "fast"}, "solver one of entropic, exact"),
        ({"exponent": 0.0}, "expected positive numbers"),
        ({"threshold": -1.0}, "expected positive numbers"),
        ({"unimodal": 1.5}, "unimodal is 1.5"),
    ):
        with pytest.raises(ValueError, match=message):
            ConservativeWassersteinLoss(**wrong)
