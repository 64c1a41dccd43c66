"""SquaredEMDLoss against loops, linear programs, the engine and dlordinal: every ground, power and kind of target."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import monge
from monge.ground import FromEmbeddings, Learned, Line, Matrix, Power, Tree
from monge.losses import SquaredEMDLoss
from monge.losses.squared_emd import transport_to_targets
from oracles.linear_program import transport_plan
from oracles.squared_emd import ordered, over_tree, path_lengths, ranked_probability_score, softmax, squared_form

PARENTS, NODES = [-1, 0, 0, 1, 1, 2, 2, 2], [3, 7, 4, 5, 1, 6]
LENGTHS = [0.0, 1.0, 0.5, 2.0, 0.25, 1.5, 1.0, 0.75]
PLACES = [0.0, 0.5, 2.0, 7.0, 7.5, 30.0]


def batch(size: int = 12, classes: int = 6, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 2.0 * torch.randn(size, classes, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, classes, (size,), generator=generator)
    soft = (3.0 * torch.randn(size, classes, generator=generator, dtype=torch.float64)).softmax(1)
    return logits, labels, soft


def random_matrix(classes: int = 6, seed: int = 1) -> Tensor:
    D = torch.rand(classes, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return D.fill_diagonal_(0.0)


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("places", [None, PLACES], ids=["unit", "positions"])
def test_ordered_form(places: list[float] | None, power: int) -> None:
    x, y, t = batch()
    ground = Line() if places is None else Line(torch.tensor(places, dtype=torch.float64))
    loss = SquaredEMDLoss(ground, power=power, reduction="none")
    p = softmax(x.numpy())
    hard = [ordered(p[n], np.eye(6)[y[n]], places, power) for n in range(12)]
    soft = [ordered(p[n], t[n].numpy(), places, power) for n in range(12)]
    np.testing.assert_allclose(loss(x, y).numpy(), hard, rtol=1e-9)
    np.testing.assert_allclose(loss(x, t).numpy(), soft, rtol=1e-9)


@pytest.mark.parametrize("power", [1, 2])
def test_tree_form(power: int) -> None:
    x, y, t = batch(seed=1)
    loss = SquaredEMDLoss(
        Tree(PARENTS, torch.tensor(LENGTHS, dtype=torch.float64), NODES), power=power, reduction="none"
    )
    p = softmax(x.numpy())
    hard = [over_tree(p[n], np.eye(6)[y[n]], PARENTS, LENGTHS, NODES, power) for n in range(12)]
    soft = [over_tree(p[n], t[n].numpy(), PARENTS, LENGTHS, NODES, power) for n in range(12)]
    np.testing.assert_allclose(loss(x, y).numpy(), hard, rtol=1e-9)
    np.testing.assert_allclose(loss(x, t).numpy(), soft, rtol=1e-9)


def test_a_chain_is_a_line() -> None:
    x, y, t = batch()
    for power in (1, 2):
        chain = SquaredEMDLoss(Tree([-1, 0, 1, 2, 3, 4]), power=power)
        for target in (y, t):
            torch.testing.assert_close(chain(x, target), SquaredEMDLoss(power=power)(x, target))


@pytest.mark.parametrize("power", [1, 2])
def test_any_ground_one_class(power: int) -> None:
    x, y, _ = batch(seed=2)
    D = random_matrix()
    loss = SquaredEMDLoss(Matrix(D, symmetric=False), power=power, reduction="none")
    p = softmax(x.numpy())
    expected = [sum(p[n, i] ** power * float(D[i, y[n]]) for i in range(6)) for n in range(12)]
    np.testing.assert_allclose(loss(x, y).numpy(), expected, rtol=1e-9)


def test_power_2_of_soft_targets_is_their_mean_over_classes() -> None:
    x, y, t = batch(seed=3)
    D = random_matrix()
    loss = SquaredEMDLoss(Matrix(D, symmetric=False), reduction="none")
    p = softmax(x.numpy())
    expected = [squared_form(p[n], t[n].numpy(), D.numpy()) for n in range(12)]
    np.testing.assert_allclose(loss(x, t).numpy(), expected, rtol=1e-9)
    one_hot = torch.nn.functional.one_hot(y, 6).double()
    torch.testing.assert_close(loss(x, one_hot), loss(x, y))


GROUNDS = {
    "line": (Line(), lambda: Line().matrix(6)),
    "positions": (Line(torch.tensor(PLACES)), lambda: Line(torch.tensor(PLACES)).matrix()),
    "tree": (Tree(PARENTS, LENGTHS, NODES), lambda: torch.from_numpy(path_lengths(PARENTS, LENGTHS, NODES))),
    "matrix": (Matrix(random_matrix(), symmetric=False), random_matrix),
    "power": (Power(Line(), 2), lambda: Line().matrix(6) ** 2),
    "embeddings": (
        FromEmbeddings(torch.eye(6)[:, :4] + 0.1),
        lambda: FromEmbeddings(torch.eye(6)[:, :4] + 0.1).matrix(),
    ),
}


@pytest.mark.parametrize(("ground", "matrix"), GROUNDS.values(), ids=GROUNDS.keys())
def test_the_linear_form_is_the_linear_program(ground, matrix) -> None:
    """Random predictions, one class and soft targets, every ground: power 1 is transport, solved exactly."""
    x, y, t = batch(seed=4)
    D = matrix().double().numpy()
    loss = SquaredEMDLoss(ground, power=1, solver="exact", reduction="none")
    p = softmax(x.numpy())
    hard = [transport_plan(D, p[n], np.eye(6)[y[n]])[0] for n in range(12)]
    soft = [transport_plan(D, p[n], t[n].numpy())[0] for n in range(12)]
    np.testing.assert_allclose(loss(x, y).numpy(), hard, rtol=1e-6)
    np.testing.assert_allclose(loss(x, t).numpy(), soft, rtol=1e-6)


def test_the_entropic_solver_approaches_the_exact_one_from_above() -> None:
    x, _, t = batch(seed=5)
    D = Matrix(random_matrix(), symmetric=False)
    exact = SquaredEMDLoss(D, power=1, solver="exact", reduction="none")(x, t)
    gaps = []
    for epsilon in (0.2, 0.05, 0.01):
        gap = SquaredEMDLoss(D, power=1, epsilon=epsilon, tol=1e-8, reduction="none")(x, t) - exact
        assert (gap > 0).all()
        gaps.append(float(gap.max()))
    assert gaps[0] > 2 * gaps[1] > 4 * gaps[2]
    assert gaps[2] < 0.02


@pytest.mark.parametrize("solver", ["exact", "entropic"])
def test_one_hot_soft_targets_equal_class_indices_whatever_the_solver(solver: str) -> None:
    x, y, _ = batch(seed=6)
    loss = SquaredEMDLoss(Matrix(random_matrix(), symmetric=False), power=1, solver=solver)
    torch.testing.assert_close(loss(x, torch.nn.functional.one_hot(y, 6).double()), loss(x, y), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("solver", ["exact", "entropic"])
def test_gradient_of_soft_targets_is_that_of_the_value(solver: str) -> None:
    x, _, t = batch(size=3, seed=7)
    x.requires_grad_()
    loss = SquaredEMDLoss(Matrix(random_matrix(), symmetric=False), power=1, solver=solver, tol=1e-12)
    (gradient,) = torch.autograd.grad(loss(x, t), x)
    step, numeric = 1e-5, torch.zeros_like(x)
    with torch.no_grad():
        for place in np.ndindex(3, 6):
            up, down = x.clone(), x.clone()
            up[place] += step
            down[place] -= step
            numeric[place] = (loss(up, t) - loss(down, t)) / (2 * step)
    torch.testing.assert_close(gradient, numeric, rtol=1e-4, atol=1e-7)


def test_soft_targets_are_solved_in_parts_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    x, _, t = batch(seed=8)
    p, D = x.softmax(1), random_matrix()
    at_once = transport_to_targets(p, t, D, tol=1e-10)
    monkeypatch.setattr("monge.losses.squared_emd._PAIRS", 5 * 36)
    torch.testing.assert_close(transport_to_targets(p, t, D, tol=1e-10), at_once, rtol=1e-8, atol=1e-10)
    assert transport_to_targets(p[:1], t[:1], D).shape == (1,)


def test_root_and_class_average() -> None:
    """NIMA's form is the root of the mean over classes; the two switches are taken in that order."""
    x, y, t = batch(seed=9)
    gap = (x.softmax(1) - t).cumsum(1)
    form = {"root": True, "class_average": True, "reduction": "none"}
    torch.testing.assert_close(SquaredEMDLoss(**form)(x, t), gap.square().mean(1).sqrt())
    torch.testing.assert_close(SquaredEMDLoss(root=True)(x, t), gap.square().sum(1).sqrt().mean())
    torch.testing.assert_close(SquaredEMDLoss(class_average=True)(x, t), gap.square().mean())
    torch.testing.assert_close(SquaredEMDLoss(power=1, root=True)(x, y), SquaredEMDLoss(power=1)(x, y))


def test_root_has_no_infinite_slope() -> None:
    x = torch.tensor([[200.0, -200.0], [0.3, 0.1]], requires_grad=True)  # the first row is exactly right
    SquaredEMDLoss(root=True)(x, torch.tensor([0, 1])).backward()
    assert torch.equal(x.grad[0], torch.zeros(2))
    assert x.grad[1].abs().min() > 0


def test_is_the_ranked_probability_score() -> None:
    x, y, _ = batch(seed=10)
    p = softmax(x.numpy())
    expected = np.mean([ranked_probability_score(p[n], int(y[n])) for n in range(12)])
    assert float(SquaredEMDLoss()(x, y)) == pytest.approx(expected, rel=1e-9)
    # Five classes, an even forecast, labels 0, 0, 1, 2, 4: 0.92
    even = SquaredEMDLoss()(torch.zeros(5, 5), torch.tensor([0, 0, 1, 2, 4]))
    assert float(even) == pytest.approx(0.92, abs=1e-6)


def test_drop_in_for_dlordinal() -> None:
    theirs = pytest.importorskip("dlordinal.losses").EMDLoss(num_classes=5)
    ours = SquaredEMDLoss()
    generator = torch.Generator().manual_seed(11)
    x = torch.randn(40, 5, generator=generator)
    y = torch.randint(0, 5, (40,), generator=generator)
    for target in (y, torch.nn.functional.one_hot(y, 5).float()):
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        one, other = ours(a, target), theirs(b, target)
        one.backward()
        other.backward()
        assert one.shape == other.shape == ()
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-7)


def test_weights_ignored_classes_and_reductions() -> None:
    x, y, t = batch(seed=12)
    weight = torch.rand(6, dtype=torch.float64)
    rows = SquaredEMDLoss(reduction="none")(x, y)
    ignored = y.clone()
    ignored[3] = -100
    kept = torch.arange(12) != 3
    loss = SquaredEMDLoss(weight=weight)
    torch.testing.assert_close(loss(x, ignored), (rows * weight[y])[kept].sum() / weight[y][kept].sum())
    torch.testing.assert_close(SquaredEMDLoss(weight=weight, reduction="sum")(x, y), (rows * weight[y]).sum())
    assert SquaredEMDLoss(reduction="none")(x, ignored)[3] == 0
    soft_rows = SquaredEMDLoss(reduction="none")(x, t)
    torch.testing.assert_close(loss(x, t), (soft_rows * (t @ weight)).mean())


def test_label_smoothing_makes_the_target_soft() -> None:
    x, y, t = batch(seed=13)
    hot = torch.nn.functional.one_hot(y, 6).double()
    for ground in (None, Tree(PARENTS, LENGTHS, NODES), Matrix(random_matrix(), symmetric=False)):
        smooth, plain = SquaredEMDLoss(ground, label_smoothing=0.2), SquaredEMDLoss(ground)
        torch.testing.assert_close(smooth(x, y), plain(x, 0.8 * hot + 0.2 / 6))
        torch.testing.assert_close(smooth(x, t), plain(x, 0.8 * t + 0.2 / 6))


@pytest.mark.parametrize("ground", [None, "tree", "matrix"])
def test_places_of_maps_are_rows(ground: str | None) -> None:
    given = {"tree": Tree(PARENTS, LENGTHS, NODES), "matrix": Matrix(random_matrix(), symmetric=False)}.get(
        ground or ""
    )
    generator = torch.Generator().manual_seed(14)
    x = torch.randn(2, 6, 3, 4, generator=generator, dtype=torch.float64)
    y = torch.randint(0, 6, (2, 3, 4), generator=generator)
    t = torch.randn(2, 6, 3, 4, generator=generator, dtype=torch.float64).softmax(1)
    loss = SquaredEMDLoss(given, reduction="none")
    flat = x.permute(0, 2, 3, 1).reshape(-1, 6)
    assert loss(x, y).shape == (2, 3, 4)
    torch.testing.assert_close(loss(x, y).reshape(-1), loss(flat, y.reshape(-1)))
    torch.testing.assert_close(loss(x, t).reshape(-1), loss(flat, t.permute(0, 2, 3, 1).reshape(-1, 6)))
    assert loss(x[0, :, 0, 0], y[0, 0, 0]).shape == ()


def test_a_learned_ground_starts_with_cross_entropy() -> None:
    x, y, _ = batch(size=30, seed=15)
    features = torch.rand(30, 4)
    loss = SquaredEMDLoss(Learned(6, head_start=2))
    for _ in range(2):
        torch.testing.assert_close(loss(x, y, features), torch.nn.functional.cross_entropy(x, y))
        loss.end_epoch()
    torch.testing.assert_close(loss(x, y, features), SquaredEMDLoss(loss.ground.matrix())(x, y))
    for dtype in (torch.int16, torch.uint8):
        narrow = SquaredEMDLoss(Learned(6), ignore_index=2)
        narrow(x, y.to(dtype), features)
        assert narrow.learned.state["counts"].tolist() == [int((y == k).sum()) * (k != 2) for k in range(6)]
    with pytest.raises(ValueError, match="Learned ground holds distances between 7 classes, found 6"):
        SquaredEMDLoss(Learned(7))(x, y, features)
    with pytest.raises(ValueError, match="needs the features in training"):
        loss(x, y)
    counted = loss.learned.state["counts"].sum()
    loss.eval()
    loss(x, y)
    assert loss.learned.state["counts"].sum() == counted


def test_features_of_ignored_rows_are_not_observed() -> None:
    x, y, _ = batch(size=10, seed=16)
    features = torch.rand(10, 4)
    y[:5], y[5:] = 3, 2
    loss = SquaredEMDLoss(Learned(6), ignore_index=3)  # class 3 itself stands for "unknown"
    loss(x, y, features)
    assert loss.learned.state["counts"].tolist() == [0, 0, 5, 0, 0, 0]


def test_losses_without_a_learned_ground_ignore_features_and_epochs() -> None:
    x, y, _ = batch()
    loss = SquaredEMDLoss()
    assert torch.equal(loss(x, y, torch.rand(12, 3)), loss(x, y))
    loss.end_epoch()
    loss.gather_state()
    assert loss.state_dict() == {}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SquaredEMDLoss(power=3), "power is 1 or 2"),
        (lambda: SquaredEMDLoss(solver="simplex"), "solver one of entropic, exact"),
        (lambda: SquaredEMDLoss(epsilon=0.0), "epsilon and tol are 0.0"),
        (lambda: SquaredEMDLoss(reduction="median"), "reduction is 'median'"),
        (lambda: SquaredEMDLoss(label_smoothing=-0.1), "label_smoothing is -0.1"),
        (lambda: SquaredEMDLoss(torch.zeros(2, 3)), r"ground matrix has shape \(2, 3\)"),
        (lambda: SquaredEMDLoss(Line([0.0, 1.0]))(torch.zeros(1, 3), torch.tensor([0])), "between 2 classes, found 3"),
        (lambda: SquaredEMDLoss(torch.zeros(2, 2))(torch.zeros(1, 3), torch.tensor([0])), "between 2 classes, found 3"),
        (lambda: SquaredEMDLoss()(torch.zeros(1, 3), torch.tensor([3])), "target 0 is class 3: expected 0 to 2"),
        (lambda: SquaredEMDLoss()(torch.zeros(1, 3), torch.ones(1, 3)), "target 0 sums to 3"),
    ],
)
def test_wrong_settings_and_targets_are_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_is_one_import_away() -> None:
    assert monge.SquaredEMDLoss is SquaredEMDLoss
    assert "SquaredEMDLoss" in dir(monge)
