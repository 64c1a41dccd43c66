"""Retrieval scores against the golden values, the slow loops and the brute-force expectation over ties."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from monge.metrics import recall_curve, retrieval, retrieval_per_query
from oracles import ranking as oracle


def one_list(distances: list[float], relevant: list[int], **options: object) -> dict[str, Tensor]:
    """Scores of a single query at 0 on a line; gallery items at the given distances."""
    gallery = torch.tensor(distances)[:, None]
    return retrieval_per_query(torch.zeros(1, 1), gallery, torch.tensor([1]), torch.tensor(relevant), **options)


def golden() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A ranking of 40 with hits at ranks 2, 3 and 6."""
    labels = torch.zeros(40, dtype=torch.long)
    labels[[1, 2, 5]] = 1
    return torch.zeros(1, 1), torch.arange(1.0, 41.0)[:, None], torch.tensor([1]), labels


GOLDEN = {"nn": 0, "ft": 0.666667, "st": 1, "e": 0.171429, "dcg": 0.766947, "map": 0.555556, "r_precision": 0.666667}


@pytest.mark.parametrize("ties", ["average", "index"])
def test_golden_scores(ties: str) -> None:
    result = retrieval(*golden(), ties=ties)
    for key, value in {**GOLDEN, "map_at_r": 0.388889, "recall_at_1": 0, "recall_at_2": 1, "recall_at_8": 1}.items():
        assert result[key] == pytest.approx(value, abs=1e-6), key
    assert (result["queries"], result["skipped_queries"]) == (1, 0)


def test_golden_twenty_point_curve() -> None:
    curve = recall_curve(*golden(), points=20)
    want = [0.5083, 0.5333, 0.5583, 0.5833, 0.6083, 0.6333, 0.6583, 0.65, 0.625, 0.6, 0.575, 0.55, 0.525, 0.5]
    assert curve.recall.tolist() == pytest.approx([j / 20 for j in range(1, 21)])
    assert curve.queries.tolist() == [0] * 6 + [1] * 14
    assert curve.precision[:6].isnan().all()
    assert curve.precision[6:].tolist() == pytest.approx(want, abs=5e-5)
    result = retrieval(*golden(), also=["map_20pt"])
    assert result["map_20pt"] == pytest.approx(sum(curve.precision[6:].tolist()) / 14, abs=1e-12)


@pytest.mark.parametrize(("relevant", "e"), [(3, 0.171), (14, 0.609), (32, 1.0)])
def test_perfect_ranking(relevant: int, e: float) -> None:
    labels = torch.cat([torch.ones(relevant), torch.zeros(100)]).long()
    gallery = torch.arange(1.0, labels.numel() + 1)[:, None]
    result = retrieval(torch.zeros(1, 1), gallery, torch.tensor([1]), labels, also=["map_20pt", "map_largest_class"])
    assert result["e"] == pytest.approx(e, abs=5e-4)
    keys = ("map", "nn", "ft", "st", "dcg", "r_precision", "map_at_r", "recall_at_1", "map_20pt", "map_largest_class")
    assert [result[key] for key in keys] == pytest.approx([1.0] * len(keys), abs=1e-12)


def test_matlab_mean_divides_by_the_largest_class() -> None:
    """A perfect query of a class of 14 beside one of 184 scores 14/184 = 0.076 in the tool."""
    labels = torch.cat([torch.zeros(14), torch.ones(184)]).long()
    gallery = labels[:, None].float()
    result = retrieval(torch.tensor([[0.0], [1.0]]), gallery, torch.tensor([0, 1]), labels, also=["map_largest_class"])
    assert result["map"] == pytest.approx(1.0)
    assert result["map_largest_class"] == pytest.approx((14 / 184 + 1) / 2)


@pytest.mark.parametrize("size", [2, 5, 31, 33, 70])
def test_tie_free_lists_equal_the_loops(size: int) -> None:
    generator = torch.Generator().manual_seed(size)
    for _ in range(20):
        distances = torch.randperm(size, generator=generator).double().tolist()
        relevant = (torch.rand(size, generator=generator) < 0.3).long().tolist()
        relevant[0] = 1
        flags = oracle.ranked_flags(distances, relevant)
        for ties in ("average", "index"):
            result = one_list(distances, relevant, ties=ties)
            for key, value in oracle.scores(flags).items():
                assert float(result[key]) == pytest.approx(value, abs=1e-12), key
        arguments = torch.zeros(1, 1), torch.tensor(distances)[:, None], torch.tensor([1]), torch.tensor(relevant)
        assert recall_curve(*arguments, points=20).precision.tolist() == pytest.approx(
            oracle.twenty_points(flags), abs=1e-12, nan_ok=True
        )
        assert recall_curve(*arguments, points=11).precision.tolist() == pytest.approx(
            oracle.eleven_points(flags), abs=1e-12
        )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1)), min_size=1, max_size=7))
def test_ties_are_the_mean_over_all_orders(items: list[tuple[int, int]]) -> None:
    distances, relevant = [float(d) for d, _ in items], [r for _, r in items]
    relevant[0] = 1
    result = one_list(distances, relevant, recall_at=(1, 2, 3, 5))
    for key in oracle.scores([1], recall_ks=(1, 2, 3, 5)):
        want = oracle.expected(lambda flags, key=key: oracle.scores(flags, (1, 2, 3, 5))[key], distances, relevant)
        assert float(result[key]) == pytest.approx(want, abs=1e-12), key


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1)), min_size=1, max_size=40))
def test_ties_by_index_equal_a_stable_sort(items: list[tuple[int, int]]) -> None:
    distances, relevant = [float(d) for d, _ in items], [r for _, r in items]
    relevant[0] = 1
    result = one_list(distances, relevant, ties="index")
    for key, value in oracle.scores(oracle.ranked_flags(distances, relevant)).items():
        assert float(result[key]) == pytest.approx(value, abs=1e-12), key


def test_large_tie_is_prevalence() -> None:
    """All embeddings the same: precision at any depth is the prevalence, whatever the order of the gallery."""
    labels = torch.arange(4000) % 4
    result = retrieval(torch.ones(4000, 8), query_labels=labels, recall_at=(1, 1000, 3500))
    prevalence = 999 / 3999
    assert result["nn"] == pytest.approx(prevalence, abs=1e-12)
    assert result["ft"] == pytest.approx(prevalence, abs=1e-12)
    miss = math.exp(math.lgamma(3001) - math.lgamma(2001) + math.lgamma(3000) - math.lgamma(4000))
    assert result["recall_at_1000"] == pytest.approx(1 - miss, rel=1e-9)
    assert result["recall_at_3500"] == 1.0
    assert result["map"] == pytest.approx(prevalence, abs=2e-3)


def test_curves_use_the_expected_rank_of_tied_items() -> None:
    """Two relevant of five tied, after one nearer item: expected ranks 1 + 2 and 1 + 4."""
    distances, relevant = [0.5, 1.0, 1.0, 1.0, 1.0, 1.0], [0, 1, 0, 1, 0, 0]
    arguments = torch.zeros(1, 1), torch.tensor(distances)[:, None], torch.tensor([1])
    curve = recall_curve(*arguments, torch.tensor(relevant), points=20)
    assert float(curve.precision[9]) == pytest.approx(1 / 3)
    assert float(curve.precision[19]) == pytest.approx(2 / 5)
    again = recall_curve(*arguments, torch.tensor([0, 0, 0, 0, 1, 1]), points=20)
    assert torch.equal(again.precision.nan_to_num(), curve.precision.nan_to_num())


def test_random_ranking_scores_the_prevalence() -> None:
    labels = torch.arange(1500) % 5
    result = retrieval(torch.randn(1500, 16), query_labels=labels)
    assert result["map"] == pytest.approx(0.2, abs=0.01)


def test_recall_at_with_huge_tie_is_finite() -> None:
    labels = torch.zeros(50_000, dtype=torch.long)
    labels[-3:] = 1
    result = retrieval(torch.zeros(1, 2), torch.ones(50_000, 2), torch.tensor([1]), labels, recall_at=(1, 100, 49_998))
    assert result["recall_at_1"] == pytest.approx(3 / 50_000, rel=1e-9)
    miss = math.comb(49_997, 100) / math.comb(50_000, 100)
    assert result["recall_at_100"] == pytest.approx(1 - miss, rel=1e-6)
    assert result["recall_at_49998"] == 1.0
