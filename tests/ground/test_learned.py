"""The learned ground distance against its definition, its epochs, and its state."""

from __future__ import annotations

import copy
import io
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from monge.ground import Learned
from oracles.squared_emd import centroids, self_guided


def features(count: int, dim: int = 6, classes: int = 5, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Activations as after a ReLU, with a centre for each class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (count,), generator=generator)
    labels[:classes] = torch.arange(classes)
    centres = torch.rand(classes, dim, generator=generator)
    return (centres[labels] + 0.3 * torch.randn(count, dim, generator=generator)).relu(), labels


def test_one_epoch_is_the_definition() -> None:
    x, y = features(200)
    ground = Learned(5)
    for rows in torch.arange(200).split(32):
        ground.observe(x[rows], y[rows])
    assert not ground.ready
    ground.refresh()
    assert ground.ready
    assert ground.in_head_start
    assert ground.missed == 0
    expected = self_guided(centroids(x.numpy(), y.tolist(), 5), 5)
    np.testing.assert_allclose(ground.matrix().numpy(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("classes", [2, 3, 8, 40])
def test_ranks_for_many_centroids(classes: int, seed: int) -> None:
    x, y = features(4 * classes, classes=classes, seed=seed)
    ground = Learned(classes)
    ground.observe(x, y)
    ground.refresh()
    expected = self_guided(centroids(x.numpy(), y.tolist(), classes), classes)
    np.testing.assert_allclose(ground.matrix().numpy(), expected, rtol=0, atol=1e-6)


def test_each_epoch_starts_anew() -> None:
    (x, y), (x2, y2) = features(100, seed=1), features(100, seed=2)
    ground = Learned(5)
    ground.observe(x, y)
    ground.refresh()
    ground.observe(x2, y2)
    ground.refresh()
    expected = self_guided(centroids(x2.numpy(), y2.tolist(), 5), 5)
    np.testing.assert_allclose(ground.matrix().numpy(), expected, rtol=0, atol=1e-6)


def test_momentum_is_a_moving_average_of_centroids() -> None:
    (x, y), (x2, y2) = features(100, seed=1), features(100, seed=2)
    ground = Learned(5, momentum=0.75)
    for part in ((x, y), (x2, y2)):
        ground.observe(*part)
        ground.refresh()
    one, two = centroids(x.numpy(), y.tolist(), 5), centroids(x2.numpy(), y2.tolist(), 5)
    moved = {k: 0.75 * one[k] + 0.25 * two[k] for k in range(5)}
    np.testing.assert_allclose(ground.matrix().numpy(), self_guided(moved, 5), rtol=0, atol=1e-6)


def test_equal_distances_get_their_mean_rank() -> None:
    ground = Learned(4)
    ground.observe(torch.eye(4), torch.arange(4))  # every class as far from every other
    ground.refresh()
    off_diagonal = ground.matrix()[~torch.eye(4, dtype=torch.bool)]
    assert off_diagonal.tolist() == pytest.approx([2 / 3] * 12)


def test_features_that_have_collapsed_put_classes_in_no_order() -> None:
    x = torch.rand(1, 64).expand(200, 64) * (1 + torch.rand(200, 1))  # one direction, up to rounding
    ground = Learned(10)
    ground.observe(x, torch.arange(200) % 10)
    ground.refresh()
    off_diagonal = ground.matrix()[~torch.eye(10, dtype=torch.bool)]
    assert off_diagonal.tolist() == pytest.approx([5 / 9] * 90)


def test_zero_and_infinite_vectors_and_negative_labels_are_left_out() -> None:
    x, y = features(60)
    extra = torch.stack([torch.zeros(6), torch.full((6,), torch.inf), torch.full((6,), torch.nan), 9 * torch.ones(6)])
    ground, plain = Learned(5), Learned(5)
    ground.observe(torch.cat([x, extra]), torch.cat([y, torch.tensor([0, 1, 2, -1])]))
    plain.observe(x, y)
    torch.testing.assert_close(ground.state["sums"], plain.state["sums"])
    assert torch.equal(ground.state["counts"], plain.state["counts"])


def test_negative_activations_count_by_magnitude() -> None:
    ground = Learned(2)
    ground.observe(torch.tensor([[3.0, -1.0]]), torch.tensor([1]))
    assert ground.state["sums"].tolist() == [[0.0, 0.0], [0.75, -0.25]]


def test_a_class_that_was_not_seen_keeps_its_distances() -> None:
    x, y = features(100, seed=3)
    ground = Learned(5)
    ground.observe(x, y)
    ground.refresh()
    before = ground.matrix()
    x2, y2 = features(100, seed=4)
    ground.observe(x2[y2 != 2], y2[y2 != 2])
    ground.refresh()
    after = ground.matrix()
    assert ground.missed == 1
    assert torch.equal(after[2], before[2])
    assert torch.equal(after[:, 2], before[:, 2])
    # The others are ranked anew, among all classes, the missing one with its last centroid.
    centres = {**centroids(x.numpy(), y.tolist(), 5), **centroids(x2[y2 != 2].numpy(), y2[y2 != 2].tolist(), 5)}
    others = [0, 1, 3, 4]
    expected = self_guided(centres, 5)[np.ix_(others, others)]
    np.testing.assert_allclose(after[others][:, others].numpy(), expected, rtol=0, atol=1e-6)


def test_a_class_never_seen_is_as_far_as_can_be() -> None:
    x, y = features(60, classes=3)
    ground = Learned(5)
    ground.observe(x, y)
    ground.refresh()
    D = ground.matrix()
    assert ground.missed == 2
    assert D[3].tolist() == [1, 1, 1, 0, 1]
    assert D[:3, :3].max() <= 0.5  # two of four others are nearer than the unknown


def test_an_epoch_without_features_changes_nothing() -> None:
    x, y = features(60)
    ground = Learned(5)
    ground.refresh()
    assert not ground.ready
    ground.observe(x, y)
    ground.refresh()
    before = ground.matrix()
    ground.refresh()
    assert (ground.epoch, ground.missed) == (3, 5)
    assert torch.equal(ground.matrix(), before)


def test_soft_labels_share_a_vector_between_classes() -> None:
    x, y = features(50)
    hard, soft = Learned(5), Learned(5)
    hard.observe(x, y)
    soft.observe(x, torch.nn.functional.one_hot(y, 5).float())
    torch.testing.assert_close(hard.state["sums"], soft.state["sums"])
    torch.testing.assert_close(hard.state["counts"], soft.state["counts"])


def test_features_of_maps_count_place_by_place() -> None:
    x, y = torch.rand(3, 6, 4, 2), torch.randint(0, 5, (3, 4, 2))
    maps, flat = Learned(5), Learned(5)
    maps.observe(x, y)
    flat.observe(x.permute(0, 2, 3, 1).reshape(-1, 6), y.reshape(-1))
    torch.testing.assert_close(maps.state["sums"], flat.state["sums"])


def test_head_start() -> None:
    x, y = features(30)
    ground = Learned(5, head_start=2)
    seen = []
    for _ in range(4):
        seen.append(ground.in_head_start)
        ground.observe(x, y)
        ground.refresh()
    assert seen == [True, True, False, False]


def through_a_file(state: dict) -> dict:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("stop", [0, 3, 5, 8, 10])
def test_resuming_anywhere_changes_nothing(stop: int) -> None:
    """Two epochs of five batches; at `stop` everything goes through a file into a new object."""
    x, y = features(200, seed=5)
    batches = [rows % 200 for rows in torch.arange(400).split(40)]

    def epochs(ground: Learned, first: int, last: int) -> Learned:
        for step in range(first, last):
            ground.observe(x[batches[step]], y[batches[step]])
            if step % 5 == 4:
                ground.refresh()
        return ground

    whole = epochs(Learned(5, momentum=0.5), 0, 10)
    half = epochs(Learned(5, momentum=0.5), 0, stop)
    resumed = Learned(5, momentum=0.5)
    resumed.load_state_dict(through_a_file(half.state_dict()))
    assert (resumed.epoch, resumed.ready, resumed.missed) == (half.epoch, half.ready, half.missed)
    epochs(resumed, stop, 10)
    assert torch.equal(resumed.matrix(), whole.matrix())
    assert resumed.state_dict().keys() == whole.state_dict().keys()
    for name, tensor in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], tensor), name


def test_a_state_that_lacks_something_is_noticed() -> None:
    state = Learned(5).state_dict()
    del state["state.sums"]
    with pytest.raises(RuntimeError, match=r"Missing key.*state\.sums"):
        Learned(5).load_state_dict(state)
    with pytest.raises(RuntimeError, match=r"Unexpected key.*state\.extra"):
        Learned(5).load_state_dict({**Learned(5).state_dict(), "state.extra": torch.zeros(1)})
    with pytest.raises(RuntimeError, match="holds 4 classes, expected 5"):
        Learned(5).load_state_dict(Learned(4).state_dict())


def test_copies_and_half_precision_leave_sums_alone() -> None:
    x, y = features(30)
    ground = Learned(5)
    ground.observe(x, y)
    other = copy.deepcopy(ground).half()
    ground.state.clear()
    assert other.state["sums"].dtype == torch.float64
    assert other.state["sums"].sum() == pytest.approx(30)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.uint8])
def test_labels_of_any_integers(dtype: torch.dtype) -> None:
    x, y = features(30)
    ground, exact = Learned(5), Learned(5)
    ground.observe(x, y.to(dtype))
    exact.observe(x, y)
    assert torch.equal(ground.state["sums"], exact.state["sums"])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_features_of_any_float(dtype: torch.dtype) -> None:
    x, y = features(30)
    ground, exact = Learned(5), Learned(5)
    ground.observe((100 * x).to(dtype), y)  # sums beyond what float16 resolves
    exact.observe((100 * x).to(dtype).double(), y)
    torch.testing.assert_close(ground.state["sums"], exact.state["sums"], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Learned(0), "num_classes is 0: expected 1 to 16384"),
        (lambda: Learned(20_000), "num_classes is 20000"),
        (lambda: Learned(3, 0), "feature_dim is 0"),
        (lambda: Learned(3, head_start=-1), "head_start is -1"),
        (lambda: Learned(3, momentum=1.0), "momentum is 1.0"),
        (lambda: Learned(3, 4).observe(torch.ones(2, 5), torch.zeros(2).long()), "length 5: expected 4"),
        (lambda: Learned(3).observe(torch.ones(2), torch.zeros(2).long()), r"shape \(2,\): expected \(N, F\)"),
        (lambda: Learned(3).observe(torch.ones(2, 5), torch.zeros(3).long()), r"labels \(3,\): expected features"),
        (lambda: Learned(3).observe(torch.ones(2, 5), torch.ones(2, 4)), r"labels \(2, 4\)"),
    ],
)
def test_wrong_settings_and_shapes_are_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_asked_too_early() -> None:
    with pytest.raises(RuntimeError, match="no distances yet"):
        Learned(3).columns(torch.tensor([0]), 3)


def test_one_class() -> None:
    ground = Learned(1)
    ground.observe(torch.ones(2, 3), torch.zeros(2).long())
    ground.refresh()
    assert ground.matrix().tolist() == [[0.0]]


def test_2_000_classes_in_blocks_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = features(4_000, dim=8, classes=2_000)
    ground, blocks = Learned(2_000), Learned(2_000)
    ground.observe(x, y)
    ground.refresh()
    monkeypatch.setattr("monge.ground.centroid_ranks._BLOCK", 7 * 2_000)
    blocks.observe(x, y)
    blocks.refresh()
    assert ground.state["ranks"].dtype == torch.int16
    assert torch.equal(ground.state["ranks"], blocks.state["ranks"])
    row = ground.columns(torch.tensor([1_234]), 2_000)[0]
    assert row[1_234] == 0
    assert 0.9 < row.max() <= 1


PEAK = """
import resource, sys, torch
from monge.ground import Learned
torch.set_num_threads(1)
ground = Learned(10_000)
x = torch.rand(20_000, 16)
ground.observe(x, torch.arange(20_000) % 10_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for _ in range(2):
    ground.refresh()
    ground.observe(x, torch.arange(20_000) % 10_000)
ground.columns(torch.arange(64), 10_000)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.slow
def test_10_000_classes_stay_within_400_mebibytes() -> None:
    """The ranks themselves are 191 MiB; one float32 matrix of this size would be 381, one of int64 763."""
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 400
