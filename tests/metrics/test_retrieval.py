"""Retrieval as a whole: self matches, skipped queries, distances, dtypes, chunks, memory and refusals."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from monge.errors import MongeError
from monge.metrics import distances, ranking, recall_curve, retrieval, retrieval_per_query
from oracles import ranking as oracle


def clusters(count: int, classes: int, size: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (count,), generator=generator)
    centres = torch.randn(classes, size, generator=generator)
    return centres[labels] + torch.randn(count, size, generator=generator), labels


def loop_scores(x: Tensor, labels: Tensor, metric: str) -> dict[str, float]:
    """Leave-one-out means by the slow loops, distances in float64."""
    x = x.double()
    if metric == "cosine":
        matrix = 1 - torch.nn.functional.normalize(x) @ torch.nn.functional.normalize(x).T
    else:
        matrix = (x[:, None] - x[None]).square().sum(dim=2)
    found: list[dict[str, float]] = []
    for i in range(len(x)):
        others = [j for j in range(len(x)) if j != i]
        relevant = [int(labels[j] == labels[i]) for j in others]
        if any(relevant):
            found.append(oracle.scores(oracle.ranked_flags([float(matrix[i, j]) for j in others], relevant)))
    return {key: sum(scores[key] for scores in found) / len(found) for key in found[0]}


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine"])
def test_leave_one_out_equals_the_loops(metric: str) -> None:
    x, labels = clusters(60, 7, 5)
    result = retrieval(x, query_labels=labels, distance=metric)
    for key, value in loop_scores(x, labels, metric).items():
        assert result[key] == pytest.approx(value, abs=1e-9), key


def test_self_is_left_out_by_place_and_not_by_distance() -> None:
    """A duplicate of the query stays in its list, even at distance 0 and before it."""
    x = torch.tensor([[0.0], [0.0], [1.0]])
    labels = torch.tensor([0, 1, 1])
    result = retrieval_per_query(x, query_labels=labels, recall_at=(1,))
    assert result["nn"].isnan().tolist() == [True, False, False]
    assert result["nn"][1:].tolist() == [0.0, 0.5]
    kept = retrieval_per_query(x, query_labels=labels, exclude_self=False)
    assert kept["relevant"].tolist() == [1, 2, 2]
    assert kept["nn"].tolist() == [0.5, 0.5, 1.0]


def test_gallery_that_begins_with_the_queries() -> None:
    x, labels = clusters(90, 6, 4)
    whole = retrieval_per_query(x, query_labels=labels)
    part = retrieval_per_query(x[:20], x, labels[:20], labels, exclude_self=True)
    for key, values in part.items():
        assert torch.allclose(values, whole[key][:20], equal_nan=True), key
    with pytest.raises(MongeError, match="begin with the queries"):
        retrieval(x[1:20], x, labels[1:20], labels, exclude_self=True)


def test_queries_without_relevant_items_are_skipped_and_counted() -> None:
    x = torch.tensor([[0.0], [0.1], [7.0], [3.0]])
    labels = torch.tensor([4, 4, 9, 4])
    result = retrieval(x, query_labels=labels)
    assert (result["queries"], result["skipped_queries"]) == (3, 1)
    assert result["map"] == 1.0
    per_query = retrieval_per_query(x, query_labels=labels)
    assert per_query["relevant"].tolist() == [2, 2, 0, 2]
    assert per_query["map"].isnan().tolist() == [False, False, True, False]
    with pytest.raises(MongeError, match="no query has a relevant item"):
        retrieval(x, x, labels, labels + 100)


def test_depths_beyond_the_gallery_are_clipped() -> None:
    """Gallery of 3: E uses min(32, 3), ST min(2C, 3), recall@100 all of it."""
    result = retrieval(
        torch.zeros(1, 1),
        torch.tensor([[1.0], [2.0], [3.0]]),
        torch.tensor([1]),
        torch.tensor([0, 1, 1]),
        recall_at=(100,),
    )
    assert result["recall_at_100"] == 1.0
    assert result["st"] == 1.0
    assert result["e"] == pytest.approx(2 * (2 / 3) * 1 / (2 / 3 + 1))


def test_a_single_gallery_item() -> None:
    result = retrieval(torch.zeros(1, 2), torch.ones(1, 2), torch.tensor([3]), torch.tensor([3]))
    assert result["map"] == result["dcg"] == result["nn"] == 1.0


def test_one_class_only() -> None:
    result = retrieval(torch.randn(9, 2), query_labels=torch.zeros(9, dtype=torch.long))
    assert result["map"] == pytest.approx(1.0)
    assert result["dcg"] == pytest.approx(1.0)


def test_duplicates_tie_exactly() -> None:
    """Copies of an embedding, spread over tiles, are one tie group for every query, also for the copies."""
    base = torch.randn(50, 96)
    x = base.repeat(60, 1)  # (3000, 96): copies at different places of different tiles
    keys = distances.GalleryDistances(x[:128], x, "euclidean").rows(torch.arange(128))
    assert (keys.unflatten(1, (60, 50)) == keys[:, None, :50]).all()
    assert (keys[torch.arange(50), torch.arange(50)] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_half_and_double_inputs(dtype: torch.dtype) -> None:
    """Half embeddings are ranked as the float32 numbers they are, not in half arithmetic."""
    x, labels = clusters(300, 10, 24)
    x = x.to(dtype)
    assert retrieval(x, query_labels=labels) == retrieval(x.float(), query_labels=labels)
    mixed = retrieval(x[:50], x.float(), labels[:50], labels)
    assert mixed == retrieval(x[:50].float(), x.float(), labels[:50], labels)


def test_half_under_autocast() -> None:
    x, labels = clusters(200, 5, 16)
    want = retrieval(x, query_labels=labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert retrieval(x, query_labels=labels) == want


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12, 1e30])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_very_small_and_very_large_embeddings(scale: float, metric: str) -> None:
    x, labels = clusters(200, 5, 8)
    want = retrieval(x, query_labels=labels, distance=metric)
    result = retrieval(x * scale, query_labels=labels, distance=metric)
    assert result == pytest.approx(want, abs=1e-4)


def test_embeddings_far_from_the_origin() -> None:
    """Tight clusters on a large common offset keep their order: float32 |x|² - 2xy + |y|² would lose it."""
    x, labels = clusters(300, 6, 16)
    shifted = x + 4096.0  # the shift itself rounds the embeddings, so compare with the loops' own arithmetic
    want = retrieval(shifted - 4096.0, query_labels=labels)
    assert retrieval(shifted, query_labels=labels) == pytest.approx(want, abs=1e-4)


@pytest.mark.parametrize("ties", ["average", "index"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_chunk_size_changes_nothing(monkeypatch: pytest.MonkeyPatch, ties: str, metric: str) -> None:
    x, labels = clusters(700, 40, 33)
    x = (x * 4).round() / 4  # many ties
    options = {"query_labels": labels, "ties": ties, "distance": metric}
    whole, curve = retrieval_per_query(x, **options), recall_curve(x, **options)
    monkeypatch.setattr(ranking, "_BLOCK_HITS", 50)
    monkeypatch.setattr(ranking, "_BLOCK_SORT", 3000)
    for chunk in (1, 64, 100, 10_000):
        again = retrieval_per_query(x, chunk=chunk, **options)
        for key, values in whole.items():
            assert torch.equal(values.nan_to_num(-1.0), again[key].nan_to_num(-1.0)), (key, chunk)
        assert torch.allclose(recall_curve(x, chunk=chunk, **options).precision, curve.precision, atol=1e-14)


def test_gallery_tiles_change_nothing_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another tiling sums the same products in float64: distances may differ by one float32 rounding at most."""
    x, _ = clusters(500, 10, 40)
    whole = distances.GalleryDistances(x, x, "euclidean").all_rows()
    monkeypatch.setattr(distances, "_GALLERY_TILE", 64)
    assert torch.allclose(distances.GalleryDistances(x, x, "euclidean").all_rows(), whole, rtol=3e-7, atol=0)
    assert torch.allclose(whole.double(), (x[:, None] - x).double().norm(dim=2), rtol=1e-6, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["euclidean", "cosine"]))
def test_order_of_the_gallery_does_not_matter(seed: int, metric: str) -> None:
    x, labels = clusters(80, 5, 6, seed)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(seed))
    gallery, gallery_labels = x[20:], labels[20:]
    whole = retrieval_per_query(x[:20], gallery, labels[:20], gallery_labels, distance=metric)
    again = retrieval_per_query(x[:20], gallery[order], labels[:20], gallery_labels[order], distance=metric)
    for key, values in whole.items():
        assert torch.allclose(values.double(), again[key].double(), atol=1e-12, equal_nan=True), key


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 100.0))
def test_monotone_maps_of_the_distance_change_nothing(seed: int, factor: float) -> None:
    """Squaring, and scaling by a power of two, keep every rank; unit vectors rank alike by cosine and distance."""
    x, labels = clusters(70, 5, 6, seed)
    want = retrieval(x, query_labels=labels)
    assert retrieval(x, query_labels=labels, distance="sqeuclidean") == want
    assert retrieval(x * 2.0 ** round(factor), query_labels=labels) == want
    unit = torch.nn.functional.normalize(x.double())
    cosine = retrieval(unit, query_labels=labels, distance="cosine")
    assert cosine == pytest.approx(retrieval(unit, query_labels=labels), abs=1e-9)
    line = torch.rand(70, generator=torch.Generator().manual_seed(seed))[:, None] + 0.1
    mapped = retrieval(torch.zeros(1, 1), line.exp(), labels[:1], labels)
    assert mapped == pytest.approx(retrieval(torch.zeros(1, 1), line, labels[:1], labels), abs=1e-12)


def test_zero_norm_has_similarity_zero_and_is_counted() -> None:
    gallery = torch.tensor([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 3.0]])
    with pytest.warns(UserWarning, match="0 of the queries and 1 of the gallery have norm zero"):
        made = distances.GalleryDistances(torch.tensor([[2.0, 0.0]]), gallery, "cosine").all_rows()
    assert made.tolist() == [[1.0, 0.0, 2.0, 1.0]]
    with pytest.warns(UserWarning, match="4 of the queries"):
        result = retrieval(torch.zeros(4, 3), query_labels=torch.tensor([0, 0, 1, 1]), distance="cosine")
    assert result["nn"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_values_that_are_not_finite_are_refused_with_their_row(bad: float, dtype: torch.dtype) -> None:
    x, labels = clusters(100, 5, 4)
    x = x.to(dtype)
    x[41, 2] = bad
    with pytest.raises(MongeError, match=r"queries: row 41 has a NaN or infinite value"):
        retrieval(x, query_labels=labels)
    with pytest.raises(MongeError, match=r"gallery: row 41 has a NaN or infinite value"):
        retrieval(x[:5], x, labels[:5], labels)


def test_wrong_inputs_are_refused_in_one_line() -> None:
    x, labels = clusters(10, 2, 3)
    refusals = [
        ({"queries": x}, "expected query_labels"),
        ({"queries": x, "gallery": x, "query_labels": labels}, "gallery_labels with a gallery"),
        ({"queries": x, "query_labels": labels[:9]}, r"query_labels: found shape \(9,\), expected \(10,\)"),
        ({"queries": x, "query_labels": labels.float()}, "expected integer class labels"),
        ({"queries": x[0], "query_labels": labels}, r"shape \(3,\), expected floating embeddings"),
        ({"queries": x.long(), "query_labels": labels}, "expected floating embeddings"),
        ({"queries": x[:0], "query_labels": labels[:0]}, "found no embeddings"),
        ({"queries": torch.tensor(1.0), "query_labels": labels}, "expected floating embeddings"),
        ({"queries": x, "gallery": x[:, :2], "query_labels": labels, "gallery_labels": labels}, "size 2, expected 3"),
        ({"queries": x, "query_labels": labels, "distance": "manhattan"}, "distance: found 'manhattan'"),
        ({"queries": x, "query_labels": labels, "ties": "first"}, "ties: found 'first'"),
        ({"queries": x, "query_labels": labels, "recall_at": (0,)}, "ranks of at least 1"),
        ({"queries": x, "query_labels": labels, "also": ("map_11pt",)}, "also: found map_11pt"),
        ({"queries": x, "query_labels": labels, "chunk": 0}, "chunk: found 0"),
    ]
    for arguments, message in refusals:
        with pytest.raises(MongeError, match=message) as refusal:
            retrieval(**arguments)
        assert "\n" not in str(refusal.value)
    with pytest.raises(MongeError, match="points: found 12"):
        recall_curve(x, query_labels=labels, points=12)


MEMORY = """
import resource, sys, torch
from monge.metrics import nearest, retrieval
torch.set_num_threads(1)
items, width, asked = map(int, sys.argv[1:])
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
labels = torch.arange(items) % 1000
gallery, queries = torch.randn(items, width), torch.randn(asked, width)
retrieval(queries[:64], gallery[:4096], labels[:64], labels[:4096])
nearest(queries[:64], gallery[:4096])
before = peak()
retrieval(queries, gallery, labels[:asked], labels)
nearest(queries, gallery)
print(before, peak())
"""


def peaks(items: int, width: int, asked: int) -> tuple[float, float]:
    """Peak memory of a fresh process in MB, before and after ranking."""
    command = [sys.executable, "-c", MEMORY, str(items), str(width), str(asked)]
    before, after = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(before), float(after)


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts kilobytes only on Linux")
def test_memory_is_bounded() -> None:
    """1,500 x 100,000 distances are 600 MB in float32; ranking them must stay far below one such matrix."""
    before, after = peaks(100_000, 16, 1500)
    assert after - before < 250


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts kilobytes only on Linux")
def test_a_million_items_stay_under_two_gigabytes() -> None:
    """The whole process, with Python, torch and the 512 MB of the gallery itself."""
    assert peaks(1_000_000, 128, 1000)[1] < 2000


@pytest.mark.gpu
@pytest.mark.parametrize("ties", ["average", "index"])
def test_gpu_equals_cpu(ties: str) -> None:
    x, labels = clusters(700, 40, 33)
    x = (x * 4).round() / 4
    want = retrieval(x, query_labels=labels, ties=ties, also=["map_20pt"])
    assert retrieval(x.cuda(), query_labels=labels.cuda(), ties=ties, also=["map_20pt"]) == pytest.approx(
        want, abs=1e-9
    )


def test_embeddings_that_require_a_gradient_get_none() -> None:
    x, labels = clusters(30, 3, 4)
    values = retrieval_per_query(x.requires_grad_(), query_labels=labels)
    assert not any(value.requires_grad for value in values.values())
