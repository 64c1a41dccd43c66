"""IJB templates and searches against loops, in chunks of any size, with millions of pairs in little memory."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from monge.errors import MongeError
from monge.metrics.identification import identification, rank_accuracy, search, tpir_at_fpir
from monge.metrics.roc import tar_at_far
from monge.metrics.templates import pool_templates, template_similarities
from monge.metrics.undefined import UndefinedMetricWarning
from oracles import templates as oracle


def pictures(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    templates = rng.choice([3, 5, 8, 13, 400], 40)
    return rng.normal(size=(40, 6)) * 3, templates, rng.choice([1, 2, 99], 40), rng.random(40)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("weighted", [False, True])
def test_templates_pool_media_by_mean_and_add_them(seed, weighted):
    x, templates, media, weights = pictures(seed)
    expected = oracle.pool(x, templates, media, weights if weighted else None)
    found = pool_templates(
        torch.from_numpy(x),
        torch.from_numpy(templates),
        torch.from_numpy(media),
        weights=torch.from_numpy(weights) if weighted else None,
    )
    assert found.ids.tolist() == sorted(set(templates))
    np.testing.assert_allclose(found.embeddings.numpy(), expected, atol=1e-6)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    scaled = pool_templates(torch.from_numpy(x), torch.from_numpy(templates), torch.from_numpy(media), unit=True)
    np.testing.assert_allclose(scaled.embeddings.numpy(), oracle.pool(unit, templates, media), atol=1e-6)


def test_a_medium_with_many_frames_weighs_no_more_than_a_picture():
    x = torch.tensor([[1.0, 0.0]] * 9 + [[0.0, 1.0]])
    found = pool_templates(x, torch.zeros(10, dtype=torch.long), torch.tensor([7] * 9 + [8]))
    torch.testing.assert_close(found.embeddings, torch.tensor([[0.5**0.5, 0.5**0.5]]))


def test_pairs_of_templates_do_not_depend_on_the_chunk():
    x, templates, media, _ = (torch.from_numpy(a) for a in pictures(5))
    pooled = pool_templates(x, templates, media)
    first, second = (pooled.ids[torch.randint(5, (300,), generator=torch.Generator().manual_seed(s))] for s in (0, 1))
    expected = [
        oracle.cosine(*(pooled.embeddings[pooled.ids == i][0].numpy() for i in pair)) for pair in zip(first, second)
    ]
    for chunk in (1, 11, 10**6):
        found = template_similarities(pooled, first.to(torch.int32), second, chunk)
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def test_many_pairs_need_little_memory_beyond_themselves():
    """One pair costs its two numbers, its score, and nothing else: a chunk of vectors at a time."""
    count, width = 400_000, 256
    x = torch.randn(50, width, generator=torch.Generator().manual_seed(0))
    pooled = pool_templates(x, torch.arange(50), torch.arange(50))
    first, second = torch.randint(50, (2, count), generator=torch.Generator().manual_seed(1), dtype=torch.int32)
    largest = 0

    class Watched(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            largest = max(largest, out.numel() * out.itemsize if isinstance(out, torch.Tensor) else 0)
            return out

    with Watched():
        scores = template_similarities(pooled, first, second, chunk=1000)
        found = tar_at_far(scores, first == second, (1e-3, 1e-2))
    assert largest <= 8 * count  # all vectors of all pairs at once would be 2048 bytes a pair
    assert found == {1e-3: 1.0, 1e-2: 1.0}


def test_what_does_not_fit_is_named():
    x, templates, media, _ = (torch.from_numpy(a) for a in pictures(1))
    pooled = pool_templates(x, templates, media)
    with pytest.raises(MongeError, match="no picture belongs to template 4"):
        template_similarities(pooled, torch.tensor([3, 4]), torch.tensor([3, 3]))
    with pytest.raises(MongeError, match="no picture belongs to template 401"):
        template_similarities(pooled, torch.tensor([401]), torch.tensor([3]))
    with pytest.raises(MongeError, match=r"media: found shape \(39,\), expected \(40,\)"):
        pool_templates(x, templates, media[1:])
    with pytest.raises(MongeError, match="one non-negative number a picture"):
        pool_templates(x, templates, media, weights=-torch.ones(40))
    with pytest.raises(MongeError, match=r"found \(2,\) and \(1,\)"):
        template_similarities(pooled, torch.tensor([3, 3]), torch.tensor([3]))
    with pytest.raises(MongeError, match=r"second: found dtype torch\.float32, expected integer"):
        template_similarities(pooled, torch.tensor([3]), torch.tensor([3.4]))


def searched(seed: int, strangers: int = 25):
    rng = np.random.default_rng(seed)
    people = rng.normal(size=(12, 5))
    who, labels = rng.choice(12 + strangers, 60), np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0, 5])
    everyone = np.concatenate([people, rng.normal(size=(strangers, 5))])
    probes = everyone[who] + 0.7 * rng.normal(size=(60, 5))
    return probes, who, people[labels] + 0.3 * rng.normal(size=(14, 5)), labels


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("chunk", [7, 1000])
def test_searches_against_loops(seed, chunk):
    probes, who, gallery, labels = searched(seed)
    found = search(*(torch.from_numpy(a) for a in (probes, who, gallery, labels)), chunk=chunk)
    for k, share in rank_accuracy(found, (1, 3, 5)).items():
        assert share == pytest.approx(oracle.rank_share(probes, who, gallery, labels, k))
    for fpir, rate in tpir_at_fpir(found, (0.05, 0.1, 0.5, 1.0)).items():
        assert rate == pytest.approx(oracle.tpir(probes, who, gallery, labels, fpir)), fpir


def test_two_galleries_are_averaged_and_their_people_are_strangers_to_each_other():
    probes, who, gallery, labels = (torch.from_numpy(a) for a in searched(9, strangers=1))
    parts = [(gallery[labels < 6], labels[labels < 6]), (gallery[labels >= 6], labels[labels >= 6])]
    found = identification(probes, who, parts, ranks=(1,), fpirs=(0.1,))
    alone = [identification(probes, who, [part], ranks=(1,), fpirs=(0.1,)) for part in parts]
    assert found == {name: (alone[0][name] + alone[1][name]) / 2 for name in ("rank_1", "tpir_at_fpir_1e-01")}
    strangers = search(probes, who, *parts[0]).rank == 0
    assert int(strangers.sum()) == int((who >= 6).sum())


def test_equal_similarities_count_against_the_right_person():
    found = search(torch.tensor([[1.0, 1.0]]), torch.tensor([0]), torch.eye(2), torch.tensor([0, 1]))
    assert found.rank.tolist() == [2]


def test_rates_without_strangers_or_mates_are_nan():
    x, labels = torch.eye(3), torch.arange(3)
    with pytest.warns(UndefinedMetricWarning, match="3 probes of the gallery's people and 0 strangers"):
        assert math.isnan(tpir_at_fpir(search(x, labels, x, labels), (0.1,))[0.1])
    with pytest.warns(UndefinedMetricWarning, match="no probe has its person in the gallery"):
        assert math.isnan(rank_accuracy(search(x, labels + 5, x, labels))[1])
    with pytest.raises(MongeError, match="galleries: found none"):
        identification(x, labels, [])
    with pytest.raises(MongeError, match="fpirs: found 2"):
        tpir_at_fpir(search(x, labels, x, labels), (2,))
