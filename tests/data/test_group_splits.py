"""Splits that keep groups whole: shares of every class, no group in two parts, the same draw for good."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from monge.data.group_splits import split_by_groups


def test_without_groups_every_class_has_its_share() -> None:
    labels = np.repeat([0, 1, 2], [100, 40, 20])
    parts = split_by_groups(labels, range(160), (0.7, 0.1, 0.2))
    assert [np.bincount(labels[part]).tolist() for part in parts] == [[70, 28, 14], [10, 4, 2], [20, 8, 4]]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(160))


def test_groups_stay_whole_whatever_classes_they_hold() -> None:
    random = np.random.RandomState(0)
    labels, groups = random.randint(0, 5, 400), random.randint(0, 60, 400).tolist()
    parts = split_by_groups(labels, groups, (0.6, 0.15, 0.25))
    held = [{groups[place] for place in part} for part in parts]
    assert held[0] | held[1] | held[2] == set(groups)
    assert all(one.isdisjoint(other) for one, other in combinations(held, 2))
    for label in range(5):
        shares = [(labels[part] == label).sum() / (labels == label).sum() for part in parts]
        np.testing.assert_allclose(shares, (0.6, 0.15, 0.25), atol=0.08)


def test_the_draw_does_not_hang_on_names_of_groups_given_as_other_objects() -> None:
    labels = [0] * 12
    by_text = split_by_groups(labels, list("aabbccddeeff"), (0.5, 0.5))
    again = split_by_groups(labels, list("aabbccddeeff"), (0.5, 0.5))
    other = split_by_groups(labels, list("aabbccddeeff"), (0.5, 0.5), seed=3)
    assert [part.tolist() for part in by_text] == [part.tolist() for part in again]
    assert [len(part) for part in other] == [6, 6]


@pytest.mark.parametrize(
    ("labels", "groups", "fractions", "told"),
    [
        ([0, 1], ["a"], (0.5, 0.5), "2 labels and 1 groups"),
        ([], [], (0.5, 0.5), "at least one"),
        ([0], ["a"], (0.5, 0.4), "sum to 1"),
        ([0], ["a"], (1.0, 0.0), "positive"),
    ],
)
def test_what_cannot_be_split(labels: list[int], groups: list[str], fractions: tuple[float, ...], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        split_by_groups(labels, groups, fractions)
