"""Verification in folds against loops written from the protocol, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from monge.errors import MongeError
from monge.metrics.verification import (
    _FINE_GRID,
    _GRID,
    contiguous_folds,
    flip_sum,
    pair_distances,
    verification_metrics,
    verify,
)
from oracles import verification as oracle


def pairs(count: int, seed: int, spread: float = 0.45, digits: int = 20) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    same = rng.random(count) < 0.5
    distances = np.clip(rng.normal(np.where(same, 1.0, 1.7), spread), 0, 4)
    return np.round(distances, digits), same


def test_the_grids_are_numpys_to_the_last_bit():
    assert np.array_equal(_GRID.numpy(), np.arange(0, 4, 0.01))
    assert np.array_equal(_FINE_GRID.numpy(), np.arange(0, 4, 0.001))


# Rounded distances fall on the thresholds themselves, where "less than" and "at most" differ.
@pytest.mark.parametrize(("count", "seed", "digits"), [(200, 0, 20), (203, 1, 20), (150, 2, 2), (97, 3, 2), (60, 4, 1)])
def test_insightface_protocol_equals_its_description_bit_for_bit(count, seed, digits):
    distances, same = pairs(count, seed, digits=digits)
    expected = oracle.insightface(distances, same)
    found = verify(torch.from_numpy(distances), torch.from_numpy(same))
    assert found.accuracies.tolist() == expected["accuracy"]
    assert found.thresholds.tolist() == expected["threshold"]
    np.testing.assert_array_equal(found.val.numpy(), expected["val"])
    np.testing.assert_array_equal(found.far.numpy(), expected["far"])
    assert found.accuracy == np.mean(expected["accuracy"])
    assert found.accuracy_std == np.std(expected["accuracy"])


@pytest.mark.parametrize("target", [0.02, 0.1, 0.5, 1.0])
def test_validation_thresholds_are_interpolated_over_the_false_accept_rate(target):
    distances, same = pairs(200, 5)
    expected = oracle.insightface(distances, same, target=target)
    found = verify(torch.from_numpy(distances), torch.from_numpy(same), far_target=target)
    np.testing.assert_array_equal(found.val.numpy(), expected["val"])
    np.testing.assert_array_equal(found.far.numpy(), expected["far"])
    assert found.val_mean > 0


def test_a_rate_that_no_threshold_reaches_accepts_nothing():
    same = torch.tensor([True, False] * 5)
    found = verify(torch.where(same, 0.5, 4.0), same, 5)
    assert found.val_thresholds.tolist() == [0.0] * 5
    assert found.val.tolist() == [0.0] * 5
    assert found.accuracy == 1.0


@pytest.mark.parametrize("seed", range(4))
def test_exact_thresholds_are_the_best_there_are_on_the_other_folds(seed):
    distances, same = pairs(60, seed, digits=2 if seed % 2 else 20)
    folds = contiguous_folds(60, 5)
    found = verify(torch.from_numpy(distances), torch.from_numpy(same), folds, protocol="exact")
    for fold in range(5):
        train = (folds != fold).numpy()
        right = ((distances[train] < float(found.thresholds[fold])) == same[train]).sum()
        assert right == oracle.best_cut(distances[train], same[train])
        limit = float(found.val_thresholds[fold])
        assert not (distances[train & ~same] < limit).any()  # fewer than 1000 impostors, so none may pass


def test_exact_thresholds_tell_apart_what_the_grid_cannot():
    distances = torch.tensor([0.5010, 0.5020] * 10)
    same = torch.tensor([True, False] * 10)
    assert verify(distances, same).accuracy == 0.5
    assert verify(distances, same, protocol="exact").accuracy == 1.0


def test_folds_may_stand_in_any_order_and_have_any_name():
    distances, same = (torch.from_numpy(x) for x in pairs(80, 6))
    folds, order = contiguous_folds(80, 4), torch.randperm(80, generator=torch.Generator().manual_seed(0))
    one = verify(distances, same, folds)
    other = verify(distances[order], same[order], folds[order] * 3 + 5)
    assert one.accuracies.tolist() == other.accuracies.tolist()


def test_folds_are_those_of_kfold_without_shuffling():
    sklearn = pytest.importorskip("sklearn.model_selection")
    for count, folds in ((20, 10), (23, 5), (7, 7)):
        expected = [test.tolist() for _, test in sklearn.KFold(folds).split(np.arange(count))]
        numbers = contiguous_folds(count, folds)
        assert [(numbers == fold).nonzero()[:, 0].tolist() for fold in range(folds)] == expected


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_distances_of_pairs_do_not_depend_on_the_chunk(chunk):
    x = torch.randn(20, 16, generator=torch.Generator().manual_seed(0)) * 3
    first, second = torch.randint(20, (2, 50), generator=torch.Generator().manual_seed(1))
    unit = x.double() / x.double().norm(dim=1, keepdim=True)
    expected = [float(((unit[i] - unit[j]) ** 2).sum()) for i, j in zip(first, second)]
    np.testing.assert_allclose(pair_distances(x, first, second, chunk).numpy(), expected, atol=1e-14)


def test_flipped_embeddings_are_added_before_they_are_scaled():
    x, y = torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([[0.0, 2.0], [0.0, 0.0]])
    torch.testing.assert_close(flip_sum(x, y), torch.tensor([[0.5**0.5, 0.5**0.5], [0.0, 0.0]], dtype=torch.float64))
    assert flip_sum(x, 9 * y)[0, 1] > 0.99


def test_all_scores_by_name():
    distances, same = (torch.from_numpy(x) for x in pairs(4000, 7))
    found = verification_metrics(distances, same, fars=(1e-1, 1e-2))
    assert list(found) == [
        "accuracy",
        "accuracy_std",
        "val",
        "val_std",
        "eer",
        "auc",
        "tar_at_far_1e-01",
        "tar_at_far_1e-02",
    ]
    assert 0.7 < found["accuracy"] < 0.9
    assert found["tar_at_far_1e-02"] < found["tar_at_far_1e-01"]
    assert found["auc"] > 1 - found["eer"]


def test_what_cannot_be_measured_is_one_line():
    same = torch.tensor([True, False, True, False])
    cases = [
        (torch.tensor([0.1, -0.2, 0.3, 0.4]), same, 2, "expected squared distances, not similarities"),
        (torch.tensor([0.1, 0.2, 0.3, torch.nan]), same, 2, "pair 3 is NaN or infinite"),
        (torch.rand(4), torch.ones(4, dtype=torch.bool), 2, "4 genuine and 0 impostor pairs"),
        (torch.rand(4), same, 5, "found 5 for 4 pairs"),
        (torch.rand(4), same, torch.zeros(4), "found 1, expected at least 2"),
        (torch.rand(4), same, torch.zeros(3), r"found shape \(3,\), expected \(4,\)"),
        (torch.rand(4), same, torch.tensor([0, 1, 0, 1]), "all but fold 0 have pairs of one kind"),
        (torch.rand(4), torch.tensor([0, 1, 2, 1]), 2, "expected bool, or integers 0 and 1"),
        (torch.rand(3), same, 2, "one number a pair"),
    ]
    for distances, labels, folds, message in cases:
        with pytest.raises(MongeError, match=message) as caught:
            verify(distances, labels, folds)
        assert "\n" not in str(caught.value)
    with pytest.raises(MongeError, match="protocol: found 'lfw'"):
        verify(torch.rand(4), same, 2, protocol="lfw")  # type: ignore[arg-type]
    with pytest.raises(MongeError, match="rows 0 to 9, expected rows of the embeddings, 0 to 3"):
        pair_distances(torch.rand(4, 2), torch.tensor([0, 9]), torch.tensor([1, 1]))
    with pytest.raises(MongeError, match=r"first: found dtype torch\.float32, expected integers"):
        pair_distances(torch.rand(4, 2), torch.tensor([0.0, 2.7]), torch.tensor([1, 1]))
    for wrong in (torch.zeros(4, 2, dtype=torch.int64), torch.rand(2)):
        with pytest.raises(MongeError, match=r"expected floating embeddings \(N, D\)"):
            pair_distances(wrong, torch.tensor([0]), torch.tensor([1]))
        with pytest.raises(MongeError, match=r"mirrored: .* expected floating embeddings \(N, D\)"):
            flip_sum(torch.rand(4, 2), wrong)
    with pytest.raises(MongeError, match=r"mirrored: found shape \(1, 2\), expected \(4, 2\)"):
        flip_sum(torch.rand(4, 2), torch.rand(1, 2))
