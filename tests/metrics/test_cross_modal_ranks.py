"""Ranks between two modalities against loops and golden values; ties, captions, filling, chunks, memory, rescoring."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from monge.errors import MongeError
from monge.metrics import (
    cross_modal_retrieval,
    dual_softmax_retrieval,
    first_ranks,
    querybank_retrieval,
    rank_summary,
    ranks_of_scores,
    retrieval,
)
from oracles import cross_modal_ranks as oracle


def pairs(clips: int = 12, captions: int = 30, width: int = 5, seed: int = 0) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    y = torch.randn(clips, width, generator=generator)
    labels = torch.randint(0, clips, (captions,), generator=generator)
    x = y[labels] + 1.5 * torch.randn(captions, width, generator=generator)
    return x, y, labels, torch.arange(clips)


def cosines(x: Tensor, y: Tensor) -> np.ndarray:
    return (normalize(x.double()) @ normalize(y.double()).T).numpy()


def summary(ranks: list[float]) -> dict[str, float]:
    recalls = {k: float(np.mean(np.array(ranks) <= k)) for k in (1, 5, 10, 50)}
    mean = (recalls[1] * recalls[5] * recalls[10]) ** (1 / 3)
    return {f"r{k}": v for k, v in recalls.items()} | {
        "medr": float(np.median(ranks)),
        "meanr": float(np.mean(ranks)),
        "geometric_mean": mean,
        "queries": len(ranks),
    }


def test_golden_ranks() -> None:
    scores = torch.tensor([[0.9, 0.1, 0.3], [0.8, 0.2, 0.5], [0.4, 0.4, 0.4]])
    ranks = ranks_of_scores(scores, torch.arange(3), torch.arange(3))
    assert ranks.tolist() == [1.0, 3.0, 2.0]
    found = rank_summary(ranks)
    assert found["r1"] == pytest.approx(1 / 3)
    assert (found["medr"], found["meanr"], found["queries"]) == (2.0, 2.0, 3.0)


@pytest.mark.parametrize("seed", [0, 1])
def test_both_directions_equal_the_loops(seed: int) -> None:
    x, y, lx, ly = pairs(seed=seed)
    found = cross_modal_retrieval(x, y, lx, ly)
    scores = cosines(x, y)
    there = summary(oracle.ranks(scores, lx.tolist(), ly.tolist()))
    back = summary(oracle.ranks(scores.T, ly.tolist(), lx.tolist()))
    for way, expected in (("q2g", there), ("g2q", back)):
        for name, value in expected.items():
            assert found[f"{way}_{name}"] == pytest.approx(value), (way, name)
    assert found["geometric_mean"] == pytest.approx((there["geometric_mean"] + back["geometric_mean"]) / 2)
    assert found["g2q_skipped_queries"] == 12 - back["queries"] > 0


def test_ties_are_averaged_and_never_change_the_number_of_queries() -> None:
    generator = torch.Generator().manual_seed(2)
    scores = torch.randint(0, 3, (20, 7), generator=generator).float()
    lx, ly = torch.randint(0, 4, (20,), generator=generator), torch.randint(0, 4, (7,), generator=generator)
    ranks = ranks_of_scores(scores, lx, ly)
    assert ranks.shape == (20,)
    assert ranks[~ranks.isnan()].tolist() == pytest.approx(oracle.ranks(scores.numpy(), lx.tolist(), ly.tolist()))
    everything_alike = cross_modal_retrieval(torch.ones(4, 2), torch.ones(4, 2), torch.arange(4), torch.arange(4))
    assert everything_alike["q2g_meanr"] == everything_alike["q2g_medr"] == 2.5
    assert everything_alike["q2g_queries"] == 4


def test_ranks_do_not_depend_on_the_order_of_the_gallery() -> None:
    x, y, lx, ly = pairs(seed=3)
    y[3] = y[4]
    turn = torch.randperm(12)
    torch.testing.assert_close(first_ranks(x, y[turn], lx, ly[turn]), first_ranks(x, y, lx, ly))


@pytest.mark.parametrize("distance", ["cosine", "euclidean", "sqeuclidean"])
def test_without_ties_recalls_are_those_of_retrieval(distance: str) -> None:
    x, y, lx, ly = pairs(seed=4)
    found = cross_modal_retrieval(x, y, lx, ly, distance=distance, recall_at=(1, 3))
    other = retrieval(x, y, lx, ly, distance=distance, recall_at=(1, 3))
    assert found["q2g_r1"] == pytest.approx(other["recall_at_1"])
    assert found["q2g_r3"] == pytest.approx(other["recall_at_3"])


def test_filling_is_left_out() -> None:
    x, y, lx, ly = pairs(seed=5)
    kept = torch.rand(30) < 0.7
    expected = cross_modal_retrieval(x[kept], y, lx[kept], ly)
    assert cross_modal_retrieval(x, y, lx, ly, x_counted=kept) == expected
    with pytest.raises(MongeError, match=r"x_counted: found \(3,\) of torch.bool, expected \(30,\)"):
        cross_modal_retrieval(x, y, lx, ly, x_counted=kept[:3])


def test_chunks_change_nothing() -> None:
    x, y, lx, ly = pairs(clips=150, captions=300, seed=6)
    assert cross_modal_retrieval(x, y, lx, ly, chunk=64) == cross_modal_retrieval(x, y, lx, ly)


def test_a_million_items_stay_within_memory() -> None:
    program = """
import torch, resource
from monge.metrics import first_ranks
y = torch.zeros(1_000_000, 32).uniform_(-1, 1, generator=torch.Generator().manual_seed(0))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
ranks = first_ranks(y[:40], y, torch.arange(40), torch.arange(1_000_000))
assert ranks.eq(1).all()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 1000


def test_dual_softmax_equals_the_formula() -> None:
    x, y, lx, ly = pairs(seed=7)
    scores = cosines(x, y)
    found = dual_softmax_retrieval(x, y, lx, ly, temperature=0.1, chunk=64)
    for way, s, a, b in (("q2g", scores, lx, ly), ("g2q", scores.T, ly, lx)):
        expected = summary(oracle.ranks(s * oracle.softmax_over_queries(s, 0.1), a.tolist(), b.tolist()))
        for name in ("r1", "r5", "medr", "meanr"):
            assert found[f"{way}_{name}"] == pytest.approx(expected[name]), (way, name)
    assert found != cross_modal_retrieval(x, y, lx, ly)


@pytest.mark.parametrize("dynamic", [True, False])
def test_querybank_equals_the_formula(dynamic: bool) -> None:
    x, y, lx, ly = pairs(seed=8)
    x_bank, y_bank = pairs(8, 25, seed=9)[:2]
    found = querybank_retrieval(x, y, lx, ly, x_bank, y_bank, beta=5.0, dynamic=dynamic)
    for way, ends, bank, a, b in (("q2g", (x, y), x_bank, lx, ly), ("g2q", (y, x), y_bank, ly, lx)):
        changed = oracle.querybank(cosines(*ends), cosines(bank, ends[1]), 5.0, dynamic)
        expected = summary(oracle.ranks(changed, a.tolist(), b.tolist()))
        for name in ("r1", "r5", "medr", "meanr"):
            assert found[f"{way}_{name}"] == pytest.approx(expected[name]), (way, name)


def test_what_cannot_be_ranked_is_refused() -> None:
    x, y, lx, ly = pairs()
    with pytest.raises(MongeError, match="no query has anything on the other side"):
        cross_modal_retrieval(x, y, lx, ly + 100)
    with pytest.raises(MongeError, match="expected ranks of at least 1"):
        cross_modal_retrieval(x, y, lx, ly, recall_at=(0, 1))
    with pytest.raises(MongeError, match="row 2 has a NaN"):
        cross_modal_retrieval(torch.where(torch.arange(30)[:, None] == 2, torch.nan, x), y, lx, ly)
    for scores in (torch.full((2, 2), torch.nan), torch.eye(2).long()):
        with pytest.raises(MongeError, match=r"expected floats \(Q, N\) without NaN"):
            ranks_of_scores(scores, torch.arange(2), torch.arange(2))
    with pytest.raises(MongeError, match="temperature: found 0"):
        dual_softmax_retrieval(x, y, lx, ly, temperature=0)
    with pytest.raises(MongeError, match="beta: found -1"):
        querybank_retrieval(x, y, lx, ly, x, y, beta=-1)
