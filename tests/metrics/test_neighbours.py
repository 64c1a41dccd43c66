"""Nearest items against a full stable sort, scikit-learn, and with many ties."""

from __future__ import annotations

import pytest
import torch

from monge.errors import MongeError
from monge.metrics import nearest

neighbors = pytest.importorskip("sklearn.neighbors")


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine"])
def test_equals_scikit_learn(metric: str) -> None:
    x = torch.randn(500, 10, dtype=torch.float64)
    tree = neighbors.NearestNeighbors(n_neighbors=7, algorithm="brute", metric=metric).fit(x[100:].numpy())
    want_distances, want = tree.kneighbors(x[:100].numpy())
    indices, distances = nearest(x[:100], x[100:], 7, distance=metric)
    assert torch.equal(indices, torch.from_numpy(want))
    assert distances.dtype == torch.float32
    assert torch.allclose(distances.double(), torch.from_numpy(want_distances), rtol=1e-6)


def test_ties_come_in_gallery_order_whatever_the_chunk() -> None:
    gallery = torch.randint(0, 3, (400, 3)).float()
    queries = torch.randint(0, 3, (130, 3)).float()
    matrix = (queries[:, None] - gallery[None]).square().sum(dim=2)
    want = torch.sort(matrix, dim=1, stable=True)
    for k in (1, 5, 400, 1000):
        indices, distances = nearest(queries, gallery, k, distance="sqeuclidean", chunk=1 if k == 5 else None)
        assert torch.equal(indices, want.indices[:, :k])
        assert torch.equal(distances, want.values[:, :k])


def test_own_rows_are_left_out() -> None:
    x = torch.randn(50, 4)
    x[7] = x[3]
    alone = nearest(x, k=49)
    assert (alone.indices != torch.arange(50)[:, None]).all()
    assert alone.indices[3, 0] == 7
    assert alone.distances[3, 0] == 0
    rows = torch.tensor([7, 12, 3])
    some = nearest(x[rows], x, 100, own_rows=rows)
    assert torch.equal(some.indices, alone.indices[rows])
    assert nearest(x[rows], x, 1).distances.flatten().tolist() == [0.0, 0.0, 0.0]


def test_wrong_inputs_are_refused() -> None:
    x = torch.randn(5, 2)
    with pytest.raises(MongeError, match="k: found 0"):
        nearest(x, k=0)
    with pytest.raises(MongeError, match="own_rows: expected one row of the gallery"):
        nearest(x, x, own_rows=torch.tensor([0, 1, 2, 3, 5]))
    with pytest.raises(MongeError, match="at least 2 items"):
        nearest(x[:1])
