"""Samplers: batches depend on (seed, epoch, step) alone, ranks share each batch, classes and samples come up evenly."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, TensorDataset

from monge.data.samplers import ClassBalancedBatchSampler, EpochBatchSampler, RandomBatchSampler

LABELS = [7] * 30 + [3] * 20 + [5] * 10 + [1] * 2


def balanced(**changes: int) -> ClassBalancedBatchSampler:
    return ClassBalancedBatchSampler(torch.tensor(LABELS), 3, 4, **{"steps_per_epoch": 12, "seed": 5, **changes})


def random(**changes: int) -> RandomBatchSampler:
    return RandomBatchSampler(62, 12, **{"steps_per_epoch": 12, "seed": 5, **changes})


MAKERS = pytest.mark.parametrize("make", [balanced, random])


@MAKERS
def test_batches_depend_on_seed_and_epoch_alone(make: type[EpochBatchSampler]) -> None:
    one, two = make(), make()
    first = list(one)
    assert first == list(one) == list(two)
    list(islice(iter(one), 3))
    one.set_epoch(9)
    two.set_epoch(4)
    list(two)
    two.set_epoch(9)
    ninth = list(one)
    assert ninth == list(two) == list(islice(one.global_batches(9), 12))
    assert ninth != first != list(make(seed=6))
    one.set_epoch(0)
    assert list(one) == first


@MAKERS
def test_a_later_start_gives_the_tail(make: type[EpochBatchSampler]) -> None:
    sampler = make()
    sampler.set_epoch(2)
    whole = list(sampler)
    for start in (0, 1, 7, 12):
        sampler.set_start(start)
        sampler.set_epoch(2)
        assert list(sampler) == whole[start:]
        assert len(sampler) == 12
    sampler.set_start(7)
    sampler.set_epoch(3)
    assert len(list(sampler)) == 12
    with pytest.raises(ValueError, match="start must be 0 to 12"):
        sampler.set_start(13)


@MAKERS
@pytest.mark.parametrize("world_size", [1, 2, 3, 5, 12])
def test_ranks_share_the_global_batch(make: type[EpochBatchSampler], world_size: int) -> None:
    ranks = [make(rank=rank, world_size=world_size) for rank in range(world_size)]
    for sampler in ranks:
        sampler.set_epoch(1)
        sampler.set_start(2)
    whole = list(islice(ranks[0].global_batches(1), 2, 12))
    shares = [list(sampler) for sampler in ranks]
    for step, batch in enumerate(whole):
        parts = [share[step] for share in shares]
        assert sorted(index for part in parts for index in part) == sorted(batch)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6), seed=st.integers(0, 3))
def test_every_batch_is_p_by_k_and_everything_comes_up_evenly(data: st.DataObject, sizes: list[int], seed: int) -> None:
    classes, samples = data.draw(st.integers(1, len(sizes))), data.draw(st.integers(1, 6))
    labels = [name for name, size in enumerate(sizes) for _ in range(size)]
    sampler = ClassBalancedBatchSampler(labels, classes, samples, steps_per_epoch=17, seed=seed)
    seen: Counter[int] = Counter(dict.fromkeys(range(len(labels)), 0))
    drawn: Counter[int] = Counter(dict.fromkeys(range(len(sizes)), 0))
    for batch in sampler:
        counts = Counter(labels[index] for index in batch)
        assert len(counts) == classes
        assert set(counts.values()) == {samples}
        for name in counts:
            repeats = Counter(index for index in batch if labels[index] == name).values()
            assert max(repeats) <= -(-samples // sizes[name])
        seen.update(batch)
        drawn.update(counts.keys())
    assert max(drawn.values()) - min(drawn.values()) <= 1
    for name in range(len(sizes)):
        uses = [seen[index] for index, label in enumerate(labels) if label == name]
        assert max(uses) - min(uses) <= 1


def test_an_epoch_uses_new_samples_before_old_ones_and_epochs_differ() -> None:
    sampler = ClassBalancedBatchSampler([0] * 100 + [1] * 100, 2, 5, steps_per_epoch=10)
    halves = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        used = [index for batch in sampler for index in batch]
        assert len(set(used)) == 100
        halves.append(set(used))
    assert halves[0] != halves[1]


def test_default_length_is_one_pass() -> None:
    assert len(ClassBalancedBatchSampler([0] * 50 + [1] * 53, 2, 5)) == 10
    assert len(ClassBalancedBatchSampler([0, 1], 2, 50)) == 1
    assert len(RandomBatchSampler(25, 10)) == 2


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 30), st.data())
def test_random_batches_use_every_sample_before_any_again(count: int, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, count))
    sampler = RandomBatchSampler(count, size, steps_per_epoch=9)
    uses = Counter(dict.fromkeys(range(count), 0))
    for batch in sampler:
        assert len(set(batch)) == size
        uses.update(batch)
    assert max(uses.values()) - min(uses.values()) <= 1


def test_works_as_batch_sampler_of_a_data_loader() -> None:
    dataset = TensorDataset(torch.arange(len(LABELS)), torch.tensor(LABELS))
    loader = DataLoader(dataset, batch_sampler=balanced(), num_workers=0)
    assert len(loader) == 12
    assert [indices.tolist() for indices, _ in loader] == list(balanced())


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"rank": 2, "world_size": 2}, "rank 2 of 2"),
        ({"world_size": 13}, "cannot be shared by 13"),
        ({"seed": -1}, "seed >= 0"),
        ({"steps_per_epoch": 0}, "steps_per_epoch >= 1"),
    ],
)
@MAKERS
def test_numbers_out_of_range(make: type[EpochBatchSampler], arguments: dict[str, int], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        make(**arguments)


def test_impossible_batches() -> None:
    for labels, classes, samples in (([], 1, 1), ([0, 1], 3, 1), ([0, 1], 0, 1), ([0, 1], 1, 0)):
        with pytest.raises(ValueError, match="cannot make batches"):
            ClassBalancedBatchSampler(labels, classes, samples)
    for count, size in ((3, 4), (3, 0)):
        with pytest.raises(ValueError, match="batch_size"):
            RandomBatchSampler(count, size)
