"""Fixed splits: exact counts, disjoint, and the same draw for ever."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from monge.data.images import ImageSet
from monge.data.splits import split_by_counts, split_by_fraction


def test_counts_are_exact_and_parts_disjoint() -> None:
    labels = np.repeat(np.arange(10), 500)
    parts = split_by_counts(labels, (340, 60, 100))
    assert [np.bincount(labels[part]).tolist() for part in parts] == [[340] * 10, [60] * 10, [100] * 10]
    assert sorted(np.concatenate(parts).tolist()) == list(range(5000))


def test_the_published_draw_never_changes() -> None:
    """The split of the 5,000 digits: were this to change, so would every number measured on it."""
    parts = split_by_counts(np.repeat(np.arange(10), 500), (340, 60, 100))
    digest = hashlib.sha256(np.concatenate(parts).astype("<i8").tobytes()).hexdigest()
    assert digest[:16] == "a6105d99d21f8341"
    assert parts[2][:5].tolist() == [8, 11, 16, 18, 21]


def test_too_small_a_class_is_refused() -> None:
    with pytest.raises(ValueError, match="class 1 has 2 items, the split needs 3"):
        split_by_counts([0, 0, 0, 1, 1], (2, 1))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=200), st.floats(0.01, 0.99), st.integers(0, 5))
def test_fraction_is_stratified(labels: list[int], fraction: float, seed: int) -> None:
    values = np.array(labels)
    stay, aside = split_by_fraction(values, fraction, seed=seed)
    assert sorted([*stay.tolist(), *aside.tolist()]) == list(range(len(labels)))
    for name in set(labels):
        size, out = int((values == name).sum()), int((values[aside] == name).sum())
        if size == 1:
            assert out == 0
        else:
            assert 1 <= out <= size - 1
            assert abs(out - size * fraction) <= 1


def test_image_set_refuses_other_shapes_and_types() -> None:
    images, labels = torch.zeros(3, 1, 4, 4, dtype=torch.uint8), torch.tensor([0, 1, 2])
    assert ImageSet(images, labels).subset(torch.tensor([2, 2])).labels.tolist() == [2, 2]
    for bad in ((images.float(), labels), (images[:, 0], labels), (images, labels[:2]), (images, labels.int())):
        with pytest.raises(ValueError, match="must be"):
            ImageSet(*bad)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(2, 4))
def test_least_is_taken_where_as_many_stay(labels: list[int], least: int) -> None:
    values = np.array(labels)
    stay, aside = split_by_fraction(values, 0.1, least=least)
    plain, _ = split_by_fraction(values, 0.1)
    assert sorted([*stay.tolist(), *aside.tolist()]) == list(range(len(labels)))
    assert set(stay) <= set(plain)
    for name in set(labels):
        size, out = int((values == name).sum()), int((values[aside] == name).sum())
        assert out >= least if size >= 2 * least else out <= max(1, size - least)
