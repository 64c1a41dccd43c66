"""Pairs written in the form of LFW come back as they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from monge.data import ImageSet, PairSet, load_faces, load_pair_set
from monge.data.pair_files import write_pair_folder


def test_pictures_and_pairs_come_back(tmp_path: Path) -> None:
    splits = load_faces("faces", "synthetic", size=12)
    names = [f"Person {number}" for number in range(20)]
    for pairs in splits.test.values():
        read = load_pair_set(write_pair_folder(tmp_path / pairs.name, pairs, names), size=12)
        assert read.same.equal(pairs.same)
        assert read.folds.equal(pairs.folds)
        for ours, theirs in ((read.first, pairs.first), (read.second, pairs.second)):
            assert torch.equal(read.images.inputs(ours), pairs.images.inputs(theirs))


def test_pairs_in_another_order_are_sorted_into_the_form(tmp_path: Path) -> None:
    pairs = load_faces("faces", "synthetic", size=8).val
    mixed = torch.from_numpy(np.random.default_rng(0).permutation(len(pairs)))
    shuffled = PairSet(
        pairs.images, pairs.first[mixed], pairs.second[mixed], pairs.same[mixed], pairs.folds[mixed], "val", "mixed"
    )
    read = load_pair_set(write_pair_folder(tmp_path, shuffled), size=8)
    assert read.same.equal(pairs.same)
    assert set(zip(read.first.tolist(), read.second.tolist(), strict=True)) == set(
        zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)
    )


@pytest.mark.parametrize(
    ("labels", "same", "names", "message"),
    [
        ([-1, -1, -1, -1], [True, False], None, "identities are not told"),
        ([0, 0, 1, 1], [True, True], None, "as many genuine pairs as impostors"),
        ([0, 0, 1, 1], [True, False], ["a"], "need 2 different names"),
        ([0, 0, 1, 1], [True, False], ["a", "a"], "need 2 different names"),
        ([0, 0, 1, 1], [True, False], ["a", "../b"], "need 2 different names"),
    ],
)
def test_what_the_form_cannot_tell_is_refused(
    tmp_path: Path, labels: list[int], same: list[bool], names: list[str] | None, message: str
) -> None:
    images = ImageSet(torch.zeros(4, 3, 2, 2, dtype=torch.uint8), torch.tensor(labels))
    two = torch.tensor([0, 2])
    pairs = PairSet(images, two, two + 1, torch.tensor(same), torch.zeros(2, dtype=torch.int64), "it", "made up")
    with pytest.raises(ValueError, match=message):
        write_pair_folder(tmp_path, pairs, names)
