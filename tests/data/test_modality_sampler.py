"""Batches of two modalities: the same classes in both, even use, shares of ranks; and what holds the sets."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils.data import ConcatDataset, DataLoader, TensorDataset

from monge.data import ImageSet
from monge.data.cross_modal import CrossModalSplits
from monge.data.modality_sampler import TwoModalityBatchSampler

QUERIES = [7] * 30 + [3] * 20 + [5] * 10 + [1] * 2 + [9] * 4
GALLERY = [3] * 9 + [7] * 25 + [1] * 3 + [5] * 6 + [8] * 5


def sampler(**changes: int) -> TwoModalityBatchSampler:
    settings = {"queries_per_class": 4, "gallery_per_class": 2, "steps_per_epoch": 12, "seed": 5, **changes}
    return TwoModalityBatchSampler(torch.tensor(QUERIES), torch.tensor(GALLERY), 3, **settings)


def test_every_batch_has_the_same_classes_in_both() -> None:
    made = sampler()
    for batch in made:
        queries, gallery = made.split(batch)
        counts = [Counter(QUERIES[index] for index in queries), Counter(GALLERY[index] for index in gallery)]
        assert counts[0].keys() == counts[1].keys()
        assert set(counts[0].values()) == {4}
        assert set(counts[1].values()) == {2}
        assert list(dict.fromkeys(QUERIES[i] for i in queries)) == list(dict.fromkeys(GALLERY[i] for i in gallery))
        assert not counts[0].keys() & {8, 9}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), st.lists(st.tuples(st.integers(1, 7), st.integers(1, 7)), min_size=1, max_size=5), st.integers(0, 3))
def test_classes_and_samples_come_up_evenly(data: st.DataObject, sizes: list[tuple[int, int]], seed: int) -> None:
    classes, k, m = (data.draw(st.integers(1, most)) for most in (len(sizes), 5, 5))
    sides = [[name for name, size in enumerate(sizes) for _ in range(size[side])] for side in (0, 1)]
    made = TwoModalityBatchSampler(
        *sides, classes, queries_per_class=k, gallery_per_class=m, steps_per_epoch=13, seed=seed
    )
    uses = [Counter(dict.fromkeys(range(len(labels)), 0)) for labels in sides]
    drawn: Counter[int] = Counter(dict.fromkeys(range(len(sizes)), 0))
    for batch in made:
        for side, part in enumerate(made.split(batch)):
            uses[side].update(part)
        drawn.update({sides[0][index] for index in made.split(batch)[0]})
    assert max(drawn.values()) - min(drawn.values()) <= 1
    for side, labels in enumerate(sides):
        for name in range(len(sizes)):
            times = [uses[side][index] for index, label in enumerate(labels) if label == name]
            assert max(times) - min(times) <= 1


def test_partners_change_from_epoch_to_epoch() -> None:
    made = TwoModalityBatchSampler([0] * 12, [0] * 12, 1, queries_per_class=1, gallery_per_class=1)
    met = []
    for epoch in range(3):
        made.set_epoch(epoch)
        met.append({tuple(batch) for batch in made})
        assert len(met[-1]) == 12
    assert not met[0] & met[1] & met[2]
    assert any(query + 12 != partner for query, partner in met[0])


def test_batches_depend_on_seed_epoch_and_step_alone() -> None:
    one, two = sampler(), sampler()
    first = list(one)
    assert first == list(one) == list(two) != list(sampler(seed=6))
    one.set_epoch(3)
    two.set_epoch(3)
    two.set_start(7)
    assert list(two) == list(one)[7:] == list(islice(one.global_batches(3), 7, 12))
    assert list(one) != first
    assert len(two) == 12


@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
def test_ranks_share_both_modalities(world_size: int) -> None:
    ranks = [sampler(rank=rank, world_size=world_size) for rank in range(world_size)]
    for step, whole in enumerate(sampler()):
        shares = [list(made)[step] for made in ranks]
        assert sorted(index for share in shares for index in share) == sorted(whole)
        for side in (0, 1):
            lengths = [len(ranks[0].split(share)[side]) for share in shares]
            assert max(lengths) - min(lengths) <= 1


def test_default_length_is_a_pass_over_the_longer_modality() -> None:
    assert len(TwoModalityBatchSampler([0] * 40, [0] * 10, 1, queries_per_class=4, gallery_per_class=2)) == 10
    assert len(TwoModalityBatchSampler([0] * 4, [0] * 10, 1, queries_per_class=4, gallery_per_class=2)) == 5
    assert len(TwoModalityBatchSampler([0, 1], [0], 1, queries_per_class=9, gallery_per_class=9)) == 1


def test_works_as_batch_sampler_over_two_sets_end_to_end() -> None:
    sets = [TensorDataset(torch.tensor(labels)) for labels in (QUERIES, GALLERY)]
    loader = DataLoader(ConcatDataset(sets), batch_sampler=sampler())
    batches = [batch.tolist() for (batch,) in loader]
    assert batches == [[(QUERIES + GALLERY)[index] for index in batch] for batch in sampler()]


def test_impossible_batches() -> None:
    for queries, gallery, classes, k in (([], [0], 1, 1), ([0, 1], [0, 2], 2, 1), ([0], [0], 1, 0), ([0], [0], 0, 1)):
        with pytest.raises(ValueError, match="cannot make batches"):
            TwoModalityBatchSampler(queries, gallery, classes, queries_per_class=k, gallery_per_class=1)
    with pytest.raises(ValueError, match="rank 2 of 2"):
        sampler(rank=2, world_size=2)
    with pytest.raises(ValueError, match="cannot be shared by 19"):
        sampler(world_size=19)


def test_splits_name_their_parts_and_refuse_labels_without_a_class() -> None:
    def drawn(*labels: int) -> ImageSet:
        return ImageSet(torch.zeros(len(labels), 1, 4, 4, dtype=torch.uint8), torch.tensor(labels, dtype=torch.int64))

    parts = [drawn(0, 1), drawn(1, 1), drawn(0, 0, 1), drawn(1), drawn(), drawn(0)]
    splits = CrossModalSplits(*parts, ("a", "b"), "drawn", "by hand")
    assert splits.part("val") == (parts[2], parts[3])
    assert [splits.unanswerable(part) for part in ("train", "val", "test")] == [1, 2, 0]
    with pytest.raises(ValueError, match="val_gallery: found labels 2 to 2, expected 0 to 1"):
        CrossModalSplits(*parts[:3], drawn(2), *parts[4:], ("a", "b"), "drawn", "by hand")
