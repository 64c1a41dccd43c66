"""Splits that part no owner's items."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monge.data.owner_splits import split_by_owner


@given(st.lists(st.integers(0, 12), min_size=2, max_size=80), st.floats(0.05, 0.6))
def test_every_item_is_in_one_part_and_no_owner_in_two(owners: list[int], fraction: float) -> None:
    if len(set(owners)) < 2:
        return
    stay, aside = split_by_owner(owners, fraction)
    assert sorted([*stay, *aside]) == list(range(len(owners)))
    assert not {owners[place] for place in stay} & {owners[place] for place in aside}
    assert len(stay)
    assert len(aside)
    smallest = min(owners.count(owner) for owner in owners)
    assert len(aside) <= max(smallest, int(len(owners) * fraction + 0.5))


def test_the_draw_is_fixed_and_does_not_hang_on_the_order_of_the_list() -> None:
    owners = np.repeat([f"user {number}" for number in range(40)], 5)
    first = {owners[place] for place in split_by_owner(owners.tolist(), 0.2)[1]}
    again = owners[::-1]
    assert {again[place] for place in split_by_owner(again.tolist(), 0.2)[1]} == first
    assert len(first) == 8
    # Written down once: a published split must not change with numpy or with this code.
    assert sorted(map(str, first))[:4] == ["user 11", "user 17", "user 22", "user 23"]
    assert {owners[place] for place in split_by_owner(owners.tolist(), 0.2, seed=1)[1]} != first


def test_large_owners_do_not_fill_the_share() -> None:
    stay, aside = split_by_owner(["one"] * 90 + [str(number) for number in range(10)], 0.1)
    assert len(aside) == 10
    assert stay.tolist() == list(range(90))


def test_one_owner_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="1 owner, a split between owners needs at least 2"):
        split_by_owner([7, 7, 7], 0.5)
