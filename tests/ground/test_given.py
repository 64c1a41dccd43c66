"""Distances that are given: a line, powers, a matrix, class vectors; and what every ground distance promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from monge.ground import FromEmbeddings, Ground, Learned, Line, Matrix, Power, Tree, as_ground


def random_matrix(classes: int, *, symmetric: bool = True, seed: int = 0) -> Tensor:
    D = torch.rand(classes, classes, generator=torch.Generator().manual_seed(seed))
    return (D + D.T if symmetric else D).fill_diagonal_(0.0)


def learned(classes: int) -> Learned:
    generator = torch.Generator().manual_seed(1)
    ground = Learned(classes, head_start=0)
    ground.observe(torch.rand(3 * classes, 4, generator=generator), torch.arange(3 * classes) % classes)
    ground.refresh()
    return ground


GROUNDS = {
    "line": lambda: Line(),
    "positions": lambda: Line([0.0, 0.5, 2.0, 7.0, 7.5, 30.0]),
    "tree": lambda: Tree([-1, 0, 0, 1, 1, 2, 2, 2], torch.rand(8), leaves=[3, 7, 4, 5, 1, 6]),
    "matrix": lambda: Matrix(random_matrix(6)),
    "one way": lambda: Matrix(random_matrix(6, symmetric=False), symmetric=False),
    "cosine": lambda: FromEmbeddings(torch.randn(6, 3)),
    "euclidean": lambda: FromEmbeddings(torch.randn(6, 3), metric="euclidean"),
    "power": lambda: Power(FromEmbeddings(torch.rand(6, 3)), 1.5),
    "learned": lambda: learned(6),
    "power of learned": lambda: Power(learned(6), 2),
}
every_ground = pytest.mark.parametrize("ground", [make() for make in GROUNDS.values()], ids=GROUNDS.keys())


@every_ground
def test_columns_are_the_columns_of_the_matrix(ground: Ground) -> None:
    D = ground.matrix(6)
    labels = torch.tensor([[5, 0, 3], [3, 3, 1]])
    columns = ground.columns(labels, 6)
    assert columns.shape == (2, 3, 6)
    for place in np.ndindex(2, 3):
        torch.testing.assert_close(columns[place], D[:, labels[place]], rtol=0, atol=1e-6)
    many = torch.arange(60) % 6
    torch.testing.assert_close(ground.columns(many, 6), D.T[many], rtol=0, atol=1e-6)
    assert ground.columns(torch.tensor(2), 6).shape == (6,)
    assert ground.columns(labels[:0], 6).shape == (0, 3, 6)


@every_ground
def test_a_class_is_at_distance_zero_from_itself_and_others_are_not_negative(ground: Ground) -> None:
    D = ground.matrix(6)
    assert torch.equal(D.diagonal(), torch.zeros(6))
    assert (D >= 0).all()
    assert D.isfinite().all()


@every_ground
def test_expected_is_the_mean_over_the_target(ground: Ground) -> None:
    t = torch.rand(4, 2, 6, generator=torch.Generator().manual_seed(3)).softmax(-1)
    t[0, 0] = torch.eye(6)[2]
    torch.testing.assert_close(ground.expected(t), t @ ground.matrix(6).T, rtol=1e-5, atol=1e-6)


@every_ground
def test_labels_of_any_integers_and_of_nothing_else(ground: Ground) -> None:
    labels = torch.tensor([1, 0, 5, 2, 2, 1])
    for dtype in (torch.int32, torch.uint8):
        assert torch.equal(ground.columns(labels.to(dtype), 6), ground.columns(labels, 6))
    with pytest.raises(ValueError, match="expected integers, the numbers of classes"):
        ground.columns(labels.float(), 6)


@every_ground
def test_another_number_of_classes_is_refused(ground: Ground) -> None:
    if ground.num_classes is None:
        assert ground.columns(torch.tensor([1]), 9).shape == (1, 9)
        return
    for call in (
        lambda: ground.columns(torch.tensor([1]), 7),
        lambda: ground.matrix(7),
        lambda: ground.expected(torch.full((2, 7), 1 / 7)),
    ):
        with pytest.raises(ValueError, match="ground holds distances between 6 classes, found 7"):
            call()


@every_ground
def test_what_was_given_is_no_state(ground: Ground) -> None:
    assert all("state" in name for name in ground.state_dict())


@every_ground
def test_moves_with_the_module_and_half_precision_leaves_as_float32(ground: Ground) -> None:
    before = ground.matrix(6)
    after = ground.half().matrix(6)
    assert after.dtype == torch.float32
    torch.testing.assert_close(after, before, rtol=2e-3, atol=2e-3)


def test_double_stays_double() -> None:
    places = torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64)
    D = Line(places).matrix()
    assert D.dtype == torch.float64
    for ground in (Matrix(D), Tree([-1, 0, 1], places), FromEmbeddings(D.cos()), Power(Line(places), 2)):
        assert ground.matrix().dtype == torch.float64


def test_expected_on_a_line_keeps_small_masses() -> None:
    """Far away from everything else, one part in ten million is still there: no difference of large sums."""
    p = torch.zeros(100_000)
    p[0], p[-1] = 1.0, 1e-7
    assert float(Line().expected(p)[0]) == pytest.approx(99_999e-7, rel=1e-5)


def test_a_hundred_thousand_classes_on_a_line_need_linear_memory() -> None:
    columns = Line().columns(torch.tensor([0, 99_999]), 100_000)
    assert columns.shape == (2, 100_000)
    assert columns[:, 5].tolist() == [5.0, 99_994.0]


def test_embeddings_are_their_distances() -> None:
    v = torch.randn(5, 7, dtype=torch.float64)
    unit = v / v.norm(dim=1, keepdim=True)
    torch.testing.assert_close(FromEmbeddings(v).matrix(), 1 - unit @ unit.T, rtol=0, atol=1e-12)
    torch.testing.assert_close(FromEmbeddings(v, "euclidean").matrix(), torch.cdist(v, v), rtol=1e-9, atol=1e-9)


def test_embeddings_of_20_000_classes_need_no_square_matrix() -> None:
    ground = FromEmbeddings(torch.randn(20_000, 4))
    assert ground.columns(torch.tensor([3, 19_999]), 20_000).shape == (2, 20_000)
    assert sum(buffer.numel() for buffer in ground.buffers()) == 80_000


def test_matrix_prices_have_a_direction() -> None:
    ground = Matrix(torch.tensor([[0.0, 2.0], [5.0, 0.0]]), symmetric=False)
    assert ground.columns(torch.tensor([1]), 2).tolist() == [[2.0, 0.0]]  # from class 0 to class 1


def test_matrix_takes_arrays_and_integers() -> None:
    for given in (np.array([[0, 3], [3, 0]]), [[0, 3], [3, 0]], torch.tensor([[0, 3], [3, 0]])):
        assert Matrix(given).matrix().tolist() == [[0.0, 3.0], [3.0, 0.0]]


def test_the_matrix_that_was_given_is_not_shared() -> None:
    D = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    ground = Matrix(D)
    D += 5.0
    assert ground.matrix().tolist() == [[0.0, 1.0], [1.0, 0.0]]


BAD_MATRICES = {
    "not square": (torch.zeros(2, 3), r"shape \(2, 3\): expected a square one"),
    "no matrix": (torch.zeros(4), r"shape \(4,\)"),
    "empty": (torch.zeros(0, 0), "expected a square one"),
    "nan": (torch.tensor([[0.0, float("nan")], [1.0, 0.0]]), r"nan at \[0, 1\]: expected finite"),
    "infinite": (torch.tensor([[0.0, 1.0], [float("inf"), 0.0]]), r"inf at \[1, 0\]: expected finite"),
    "negative": (torch.tensor([[0.0, -0.5], [-0.5, 0.0]]), r"-0.5 at \[0, 1\]: expected numbers that are not neg"),
    "diagonal": (torch.tensor([[0.0, 1.0], [1.0, 0.25]]), r"0.25 at \[1, 1\]: expected 0"),
    "one way": (
        torch.tensor([[0.0, 1.0, 1.0], [1.5, 0.0, 1.0], [1.1, 1.0, 0.0]]),
        r"not symmetric: \[0, 1\] holds 1 and \[1, 0\] 1.5, 0.5 apart; symmetric=False accepts",
    ),
}


@pytest.mark.parametrize(("matrix", "message"), BAD_MATRICES.values(), ids=BAD_MATRICES.keys())
def test_matrices_that_are_no_ground_distance_get_one_line(matrix: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        Matrix(matrix)
    assert "\n" not in str(caught.value)


def test_rounding_is_no_asymmetry() -> None:
    assert Matrix(torch.tensor([[0.0, 1000.0], [1000.0001, 0.0]])).num_classes == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Line([0.0, 2.0, 1.0]), "class 1 lies at 2 and class 2 at 1"),
        (lambda: Line([0.0, 1.0, 1.0]), "not increasing"),
        (lambda: Line([0.0, float("nan")]), "not finite"),
        (lambda: Line(torch.zeros(2, 2)), r"shape \(2, 2\)"),
        (lambda: Line([]), r"shape \(0,\)"),
        (lambda: Line().matrix(), "needs num_classes"),
        (lambda: Power(Line(), 0.0), "omega is 0.0"),
        (lambda: FromEmbeddings(torch.zeros(3, 2)), "vector of class 0 is zero"),
        (lambda: FromEmbeddings(1e-20 * torch.ones(3, 2)), "vector of class 0 is zero"),
        (lambda: FromEmbeddings(1e30 * torch.ones(3, 2)), "vector of class 0 is not finite"),
        (lambda: FromEmbeddings(torch.full((3, 2), torch.inf), "euclidean"), "vector of class 0 is not finite"),
        (lambda: FromEmbeddings(torch.zeros(3)), r"shape \(3,\)"),
        (lambda: FromEmbeddings(torch.ones(3, 2), "manhattan"), "metric is 'manhattan'"),
    ],
)
def test_wrong_settings_are_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_as_ground_knows_what_stands_for_a_distance() -> None:
    line = Line([0.0, 3.0])
    assert as_ground(line) is line
    assert isinstance(as_ground(None), Line)
    assert isinstance(as_ground(np.zeros((2, 2))), Matrix)
    assert isinstance(as_ground(torch.zeros(2, 2)), Matrix)
    with pytest.raises(TypeError, match="ground is 'line'"):
        as_ground("line")
