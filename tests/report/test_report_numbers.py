"""What a report computes itself: neighbours, AP, overlap, confusion, the plan of a batch; against other libraries."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from fake_run import blobs
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.metrics import average_precision_score, confusion_matrix
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from torch import Tensor

from monge.losses import BatchwiseOTLoss
from monge.losses.batchwise_ot import batchwise_ot_weights
from monge.recipes import list_recipes, load_recipe
from monge.report.embedding_map import principal_plane
from monge.report.gallery import retrieval_gallery
from monge.report.neighbours import pair_distances, retrieve
from monge.report.plan_section import class_balanced_batch, plan_section
from monge.report.separation import distance_histograms, neighbour_confusion
from monge.report.stored_embeddings import StoredEmbeddings
from monge.report.thumbnails import sprite, thumbnail


def items(**options: Any) -> StoredEmbeddings:
    found = blobs(**options)
    labels = found["test/labels"]
    classes = tuple(f"class {i}" for i in range(int(labels.max()) + 1))
    rows = torch.arange(len(labels))
    return StoredEmbeddings(found["test/embeddings"], labels, classes, found["test/images"], rows, len(labels), "")


def decoded(uri: str) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_neighbours_and_average_precision_agree_with_sklearn(distance: Any) -> None:
    data = items()
    found = retrieve(data.vectors, data.labels, distance, k=5)
    search = NearestNeighbors(metric=distance).fit(data.vectors.numpy())
    distances, indices = search.kneighbors(n_neighbors=5)
    assert np.array_equal(found.nearest.numpy(), indices)
    assert np.allclose(found.distances.numpy(), distances, atol=1e-6)
    full, order = search.kneighbors(n_neighbors=len(data.labels) - 1)
    for i in range(len(data.labels)):
        hits = (data.labels[order[i]] == data.labels[i]).numpy()
        assert float(found.average_precision[i]) == pytest.approx(average_precision_score(hits, -full[i]), abs=1e-6)


def test_sampled_queries_search_the_whole_gallery(monkeypatch: pytest.MonkeyPatch) -> None:
    data = items()
    full = retrieve(data.vectors, data.labels, "euclidean", k=3)
    monkeypatch.setattr("monge.report.neighbours._MOST_QUERIES", 10)
    some = retrieve(data.vectors, data.labels, "euclidean", k=3)
    assert len(some.queries) == 10
    assert torch.equal(full.nearest[some.queries], some.nearest)
    assert torch.equal(full.average_precision[some.queries], some.average_precision)


def test_gallery_has_the_worst_the_median_and_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    data = items()
    found = retrieve(data.vectors, data.labels, "euclidean")
    shown = retrieval_gallery(data, found)
    precision = found.average_precision
    assert [q.group for q in shown] == ["Worst"] * 4 + ["Median"] * 3 + ["Best"] * 2
    assert [q.average_precision for q in shown[:4]] == pytest.approx(precision.sort().values[:4].tolist())
    assert shown[-2].average_precision == pytest.approx(float(precision.max()))
    assert abs(shown[4].average_precision - float(precision.median())) < 1e-9
    assert len({q.picture.uri for q in shown}) == 9
    for query in shown:
        assert [h.hit for h in query.hits] == [h.picture.name == query.picture.name for h in query.hits]
        assert [h.distance for h in query.hits] == sorted(h.distance for h in query.hits)


def test_overlap_of_distances_by_hand() -> None:
    def of(vectors: list[float], labels: list[int]) -> float:
        data = StoredEmbeddings(
            torch.tensor(vectors)[:, None], torch.tensor(labels), ("a", "b"), None, torch.arange(len(labels)), 4, ""
        )
        found = distance_histograms(data, "euclidean")
        assert found is not None
        return found.overlap

    assert of([0.0, 0.1, 5.0, 5.1], [0, 0, 1, 1]) == 0.0
    # Same class: 5, 5. Different class: 0, 5, 5, 0. Half of the latter lies where the former are.
    assert of([0.0, 5.0, 0.0, 5.0], [0, 0, 1, 1]) == pytest.approx(0.5)


def test_pair_distances_count_every_pair_once() -> None:
    data = items()
    same, other = pair_distances(data.vectors, data.labels, "euclidean")
    assert (len(same), len(other)) == (4 * 12 * 11 // 2, 6 * 12 * 12)
    expected = torch.nn.functional.pdist(data.vectors.double())
    assert float(same.sum() + other.sum()) == pytest.approx(float(expected.sum()), rel=1e-6)


def test_confusion_agrees_with_sklearn() -> None:
    data = items(count=60, classes=5)
    found = neighbour_confusion(data, retrieve(data.vectors, data.labels, "euclidean"))
    x, y = data.vectors.numpy(), data.labels.numpy()
    others = [np.arange(60) != i for i in range(60)]
    nearest = [KNeighborsClassifier(1).fit(x[o], y[o]).predict(x[i : i + 1])[0] for i, o in enumerate(others)]
    matrix = confusion_matrix(y, nearest)
    for i in range(5):
        for j in range(5):
            assert f"class {i} → class {j}: {matrix[i, j]} of {matrix[i].sum()}" in found.chart
    np.fill_diagonal(matrix, 0)
    assert [c for *_, c, _ in found.worst] == sorted(matrix[matrix > 0].tolist(), reverse=True)[:6]


def _same(data: StoredEmbeddings, batch: Tensor) -> Tensor:
    labels = data.labels[batch]
    return labels[:, None] == labels


def test_principal_plane_agrees_with_sklearn() -> None:
    vectors = items().vectors
    ours, theirs = principal_plane(vectors).numpy(), PCA(2).fit_transform(vectors.numpy())
    assert np.allclose(np.abs(ours), np.abs(theirs), atol=1e-5)


def test_batch_is_class_balanced_sorted_and_seeded() -> None:
    labels = torch.tensor([2, 0, 1] * 20 + [3])
    batch = class_balanced_batch(labels, 4, 5)
    assert labels[batch].tolist() == [0] * 5 + [1] * 5 + [2] * 5 + [3]
    assert len(set(batch.tolist())) == 16
    assert torch.equal(batch, class_balanced_batch(labels, 4, 5))
    assert len(torch.unique(labels[class_balanced_batch(labels, 2, 5)])) == 2


def test_plan_is_the_one_of_the_loss_and_its_pairs_carry_most_mass() -> None:
    data = items()
    loss = {"name": "batchwise_ot", "margin": 0.8, "gamma": 5.0, "epsilon": 0.1}
    section = plan_section(data, loss, {"classes_per_batch": 4, "samples_per_class": 6})
    assert not isinstance(section, str)
    batch = class_balanced_batch(data.labels, 4, 6)
    terms = batchwise_ot_weights(data.vectors[batch], data.labels[batch], margin=0.8, gamma=5.0, epsilon=0.1)
    both = (terms.plan + terms.plan.T).triu(1)
    for pairs, kind in ((section.positives, terms.same), (section.negatives, ~terms.same)):
        expected = both[kind].sort(descending=True).values[:6].tolist()
        assert [p.mass for p in pairs] == pytest.approx(expected, rel=1e-5)
        assert [p.times for p in pairs] == pytest.approx([m * 24 * 23 / 2 for m in expected], rel=1e-5)
    assert all(p.same and p.first.name == p.second.name for p in section.positives)
    assert all(not p.same and p.first.name != p.second.name for p in section.negatives)
    facts = {name: value for name, value, _ in section.facts}
    counted = terms.plan[~torch.eye(24, dtype=torch.bool)].double().numpy()
    entropy = -(counted * np.log(np.maximum(counted, 1e-300))).sum() / np.log(24 * 23)
    assert facts["Entropy"] == f"{100 * entropy:.1f} %"
    assert facts["Mass on positives"] == f"{100 * float(terms.plan[terms.same].sum()):.1f} %"


@pytest.mark.parametrize("recipe", list_recipes())
def test_losses_of_the_packaged_recipes_have_their_plan(recipe: str) -> None:
    loss = load_recipe(recipe).model_dump()["loss"]
    section = plan_section(items(), loss, {"classes_per_batch": 4, "samples_per_class": 6})
    assert isinstance(section, str) != loss["name"].startswith("batchwise_ot")


@pytest.mark.parametrize("two_batches", [False, True])
def test_preset_has_a_plan_of_its_own_settings(two_batches: bool) -> None:
    loss = {"name": "batchwise_ot_preset", "preset": "modelnet10", "two_batches": two_batches, "softmax": 1.0}
    data = items()
    section = plan_section(data, loss, {"classes_per_batch": 4, "samples_per_class": 6})
    assert not isinstance(section, str)
    batch = class_balanced_batch(data.labels, 4, 6)
    plan = BatchwiseOTLoss.preset("modelnet10").terms(data.vectors[batch], data.labels[batch]).plan
    assert section.positives[0].mass == pytest.approx(float((plan + plan.T).triu(1)[_same(data, batch)].max()))


def test_items_that_the_loss_refuses_have_no_plan_and_it_is_said() -> None:
    data = replace(items(), vectors=items().vectors.to(torch.int64))
    section = plan_section(data, {"name": "batchwise_ot"}, {"classes_per_batch": 4, "samples_per_class": 6})
    assert isinstance(section, str)
    assert section.startswith("the loss has none for these test items (embeddings: found")


def test_plan_picture_has_a_pixel_a_pair_brighter_for_more_mass() -> None:
    data = items()
    section = plan_section(data, {"name": "batchwise_ot"}, {"classes_per_batch": 4, "samples_per_class": 6})
    assert not isinstance(section, str)
    pixels = decoded(section.chart.split('href="')[1].split('"')[0])
    assert pixels.shape == (24, 24, 4)
    assert np.array_equal(pixels[..., 3] == 0, np.eye(24, dtype=bool))
    batch = class_balanced_batch(data.labels, 4, 6)
    plan = batchwise_ot_weights(data.vectors[batch], data.labels[batch]).plan.numpy()
    off = ~np.eye(24, dtype=bool)
    bright = pixels[..., :3].astype(float) @ [0.21, 0.72, 0.07]
    order = np.argsort(plan[off])
    assert (np.diff(bright[off][order]) >= -1.5).all()
    assert bright[off].max() - bright[off].min() > 60


def test_tiny_pictures_keep_their_pixels_and_large_ones_shrink() -> None:
    digit = torch.randint(0, 256, (1, 28, 28), dtype=torch.uint8)
    assert np.array_equal(decoded(thumbnail(digit)), digit[0].numpy())
    colour = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8)
    assert np.array_equal(decoded(thumbnail(colour)), colour.permute(1, 2, 0).numpy())
    assert decoded(thumbnail(torch.zeros(3, 300, 200, dtype=torch.uint8))).shape == (64, 43, 3)


def test_sprite_has_each_picture_at_its_place() -> None:
    images = blobs(size=28)["test/images"]
    uri, side, columns = sprite(images)
    sheet = decoded(uri)
    for i in (0, 5, 47):
        y, x = divmod(i, columns)
        assert np.array_equal(sheet[y * side : (y + 1) * side, x * side : (x + 1) * side], images[i, 0].numpy())
