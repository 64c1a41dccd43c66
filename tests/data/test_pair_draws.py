"""Pairs that are drawn: folds apart, halves even, nothing twice, only what is allowed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from monge.data import FaceSplits, ImageSet, PairSet
from monge.data.pair_draws import Places, draw_pairs, fold_identities


def images(identities: int = 12, each: int = 5) -> ImageSet:
    labels = torch.arange(identities).repeat_interleave(each)
    return ImageSet(torch.zeros(len(labels), 1, 2, 2, dtype=torch.uint8), labels)


def drawn(**options: object) -> PairSet:
    return draw_pairs(images(), name="it", source="made up", **{"folds": 4, "per_fold": 7, **options})  # type: ignore[arg-type]


def test_half_of_every_fold_is_genuine_and_comes_first() -> None:
    pairs = drawn()
    assert pairs.same.tolist() == ([True] * 7 + [False] * 7) * 4
    assert pairs.folds.tolist() == np.arange(4).repeat(14).tolist()
    labels = pairs.images.labels
    assert (labels[pairs.first] == labels[pairs.second]).equal(pairs.same)


def test_no_identity_is_in_two_folds_and_no_pair_is_drawn_twice() -> None:
    pairs = drawn()
    labels, seen = pairs.images.labels, {}
    for side in (pairs.first, pairs.second):
        for label, fold in zip(labels[side].tolist(), pairs.folds.tolist(), strict=True):
            assert seen.setdefault(label, fold) == fold
    both = {frozenset(pair) for pair in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)}
    assert len(both) == len(pairs)
    assert all(len(pair) == 2 for pair in both)


def test_the_draw_is_fixed_by_its_seed() -> None:
    assert drawn().first.equal(drawn().first)
    assert not drawn().first.equal(drawn(seed=4).first)


def test_a_fold_gives_as_many_of_both_as_it_can() -> None:
    pairs = drawn(per_fold=1000)
    # Three identities of five pictures: 30 genuine pairs, 75 impostors.
    assert torch.bincount(pairs.folds).tolist() == [60] * 4


def test_only_allowed_pairs_are_drawn_and_the_order_is_theirs() -> None:
    place = np.arange(60) % 5

    def frontal_first(first: Places, second: Places, genuine: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return (place[first] == 0) & (place[second] >= 3)

    pairs = drawn(allowed=frontal_first, per_fold=100)
    assert set((pairs.first % 5).tolist()) == {0}
    assert set((pairs.second % 5).tolist()) == {3, 4}
    assert torch.bincount(pairs.folds).tolist() == [12] * 4


def test_a_pair_allowed_both_ways_is_drawn_once() -> None:
    pairs = drawn(allowed=lambda first, second, genuine: np.ones(len(first), bool), per_fold=1000)
    both = {frozenset(pair) for pair in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)}
    assert len(both) == len(pairs) == 240


def test_kinds_stay_together() -> None:
    kinds = [number // 3 for number in range(12)]
    parts = fold_identities(range(12), 3, np.random.RandomState(0), kinds)
    assert sorted(number for part in parts for number in part.tolist()) == list(range(12))
    assert sorted(len(part) for part in parts) == [3, 3, 6]
    assert all(
        {kinds[number] for number in part} & {kinds[number] for number in other} == set()
        for part in parts
        for other in parts
        if part is not other
    )


@pytest.mark.parametrize("folds", [12, 13])
def test_folds_without_both_kinds_are_told(folds: int) -> None:
    with pytest.raises(ValueError, match=r"it: fold .* impostors, needs at least one of both: use fewer folds"):
        drawn(folds=folds)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"first": torch.tensor([0, 60])}, "places must be 0 to 59, got 0 to 60"),
        ({"second": torch.tensor([1])}, r"second must be torch.int64 \(2,\), got torch.int64 \(1,\)"),
        ({"same": torch.tensor([1, 0])}, r"same must be torch.bool \(2,\), got torch.int64"),
        ({"folds": torch.tensor([0, -1])}, "folds must be 0 or more, got -1"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(change: dict[str, torch.Tensor], message: str) -> None:
    two = torch.tensor([0, 1])
    fields = {"first": two, "second": two + 2, "same": torch.tensor([True, False]), "folds": two} | change
    with pytest.raises(ValueError, match=message):
        PairSet(images(), **fields, name="it", source="made up")


def test_splits_check_names_and_labels() -> None:
    pairs, train = drawn(), images()
    names = tuple(map(str, range(12)))
    with pytest.raises(ValueError, match="must be a set of that name, got 'it'"):
        FaceSplits(train, pairs, {"other": pairs}, names, "made up", "as it is")
    with pytest.raises(ValueError, match="at least one set of pairs"):
        FaceSplits(train, pairs, {}, names, "made up", "as it is")
    with pytest.raises(ValueError, match="labels of train must be 0 to 10, got 0 to 11"):
        FaceSplits(train, pairs, {"it": pairs}, names[:11], "made up", "as it is")


def test_folds_are_equal_where_one_offers_less() -> None:
    labels = torch.cat([torch.arange(12).repeat_interleave(2), torch.arange(9).repeat_interleave(6)])
    unequal = ImageSet(torch.zeros(len(labels), 1, 2, 2, dtype=torch.uint8), labels)
    pairs = draw_pairs(unequal, name="it", source="made up", folds=4, per_fold=1000)
    assert len(set(torch.bincount(pairs.folds).tolist())) == 1
    assert len(set(torch.bincount(pairs.folds, pairs.same.double()).tolist())) == 1
