from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from monge.metrics.telling_pairs import hardest_pairs, limits_of, wrong_pairs
from monge.metrics.verification import verify


def drawn(seed: int, apart: float) -> tuple[Tensor, Tensor, Tensor]:
    """Distances with ties, a threshold for each of five folds, and what is true."""
    generator = torch.Generator().manual_seed(seed)
    same = torch.arange(200) % 2 == 0
    distances = (torch.rand(200, generator=generator) + torch.where(same, 0.0, apart)).mul(40).round().div(20)
    folds = torch.arange(200) // 40
    found = verify(distances.double(), same, folds, protocol="exact")
    return distances.double(), limits_of(found.thresholds, folds), same


@pytest.mark.parametrize("genuine", [True, False])
@pytest.mark.parametrize("each", [1, 3, 1000])
@pytest.mark.parametrize("apart", [0.3, 0.9])
def test_wrong_pairs_equal_a_sorted_list(apart: float, each: int, genuine: bool) -> None:
    distances, limits, same = drawn(3, apart)
    found = wrong_pairs(distances, limits, same, genuine=genuine, each=each)
    rows = [i for i in range(200) if bool(same[i]) == genuine]
    wrong = [i for i in rows if (float(distances[i]) < float(limits[i])) != genuine]
    away = np.abs((distances - limits).numpy())
    order = sorted(wrong, key=lambda i: -away[i])  # stable: ties in the order of the pairs
    assert found.total == len(wrong) > 0
    assert found.farthest.tolist() == order[:each]
    assert found.nearest.tolist() == order[each:][::-1][:each]
    assert not len(found.right)


def test_where_none_is_wrong_the_closest_calls_are_told() -> None:
    same = torch.tensor([True, True, True, False, False])
    distances = torch.tensor([0.1, 0.4, 0.2, 0.9, 0.6])
    limits = torch.full((5,), 0.5)
    found = wrong_pairs(distances, limits, same, genuine=True, each=2)
    assert (found.total, found.farthest.tolist(), found.nearest.tolist(), found.right.tolist()) == (0, [], [], [1, 2])
    assert wrong_pairs(distances, limits, same, genuine=False, each=9).right.tolist() == [4, 3]


def test_hardest_pairs_speak_most_strongly_against_the_truth() -> None:
    distances, limits, same = drawn(5, 0.5)
    rows = hardest_pairs(distances, limits, same, count=9)
    room = (distances - limits).numpy()
    for chosen, kind, sign in ((rows[:4], same, 1), (rows[4:], ~same, -1)):
        expected = sorted(kind.nonzero()[:, 0].tolist(), key=lambda i: -sign * room[i])[:4]
        assert chosen.tolist() == expected


def test_few_pairs_give_few_rows() -> None:
    one = torch.tensor([0.2]), torch.tensor([0.5]), torch.tensor([True])
    assert hardest_pairs(*one, count=8).tolist() == [0]
    assert wrong_pairs(*one, genuine=False, each=6).right.tolist() == []
