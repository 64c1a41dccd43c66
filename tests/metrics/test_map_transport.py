"""Transport of feature maps at test time: costs, the blend, re-ranking and matched regions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from monge.errors import MongeError
from monge.metrics import map_transport
from monge.metrics.blending import blended_verification
from monge.metrics.map_transport import position_weights, transport_distances
from monge.metrics.matched_regions import matched_regions
from monge.metrics.neighbours import nearest
from monge.metrics.reranking import rerank
from monge.metrics.verification import contiguous_folds, verify
from oracles import map_transport as oracle
from oracles import verification


def drawn(count: int, seed: int, shape: tuple[int, ...] = (6, 3, 3)) -> torch.Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("weights", ["uniform", "apc"])
@pytest.mark.parametrize("epsilon", [0.05, 0.3, 1.0])
def test_costs_against_scaling_in_loops(weights, epsilon):
    maps = drawn(5, 0)
    first, second = torch.tensor([0, 1, 2, 4]), torch.tensor([1, 3, 2, 0])
    expected = [oracle.distance(maps[i].numpy(), maps[j].numpy(), epsilon, weights) for i, j in zip(first, second)]
    found = transport_distances(maps, first, second, epsilon=epsilon, weights=weights)
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-3)


def test_batches_of_any_size_and_half_precision_give_the_same(monkeypatch):
    maps = drawn(6, 1).half()
    first, second = torch.randint(6, (2, 30), generator=torch.Generator().manual_seed(2))
    whole = transport_distances(maps, first, second)
    monkeypatch.setattr(map_transport, "_VALUES_AT_ONCE", 7 * maps[0].numel())
    torch.testing.assert_close(transport_distances(maps, first, second), whole, atol=2e-3, rtol=0)
    assert whole.dtype == torch.float32


def test_moved_content_costs_nothing_and_other_content_does():
    maps = drawn(1, 3, (16, 4, 4))
    moved, other = maps.roll((1, 2), (2, 3)), drawn(1, 4, (16, 4, 4))
    three = torch.cat([maps, moved, other])
    near, far = transport_distances(three, torch.tensor([0, 0]), torch.tensor([1, 2])).tolist()
    assert near < 0.02
    assert far > 0.4


def test_weights_are_uniform_where_nothing_is_shared():
    x = torch.tensor([[[1.0, 0.0], [2.0, 0.0]]])
    assert position_weights(x, -x, "apc").tolist() == [[0.5, 0.5]]
    with pytest.raises(MongeError, match="weights: found 'sc', expected one of uniform, apc"):
        position_weights(x, x, "sc")  # type: ignore[arg-type]


def noisy_pairs(seed: int, count: int = 200) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    same = torch.rand(count, generator=generator) < 0.5
    distances = torch.where(same, 1.0, 1.4) + 0.4 * torch.randn(count, generator=generator)
    transport = torch.where(same, 0.3, 0.6) + 0.15 * torch.randn(count, generator=generator)
    return distances.clamp_min(0), transport.clamp_min(0), same


def test_the_blend_is_chosen_on_the_other_folds():
    distances, transport, same = noisy_pairs(0)
    folds, tried = contiguous_folds(200, 5), (0.0, 0.25, 0.5, 0.75, 1.0)
    found = blended_verification(distances, transport, same, folds, weights=tried)
    for fold in range(5):
        train = (folds != fold).numpy()
        blends = [((1 - w) * distances.double() + w * transport.double()).numpy() for w in tried]
        right = [verification.best_cut(blend[train], same.numpy()[train]) for blend in blends]
        assert float(found.weights[fold]) == tried[int(np.argmax(right))]
        chosen = blends[int(np.argmax(right))][~train]
        np.testing.assert_allclose(found.distances.numpy()[~train], chosen)
        accuracy = ((chosen < float(found.thresholds[fold])) == same.numpy()[~train]).mean()
        assert float(found.accuracies[fold]) == pytest.approx(accuracy)
    assert found.accuracy > verify(distances, same, folds, protocol="exact").accuracy


def test_no_pair_has_a_say_in_the_weight_of_its_own_fold():
    distances, transport, same = noisy_pairs(1)
    folds = contiguous_folds(200, 5)
    one = blended_verification(distances, transport, same, folds)
    swapped = torch.where(folds == 2, ~same, same)
    other = blended_verification(distances, transport, swapped, folds)
    assert float(one.weights[2]) == float(other.weights[2])
    assert float(one.thresholds[2]) == float(other.thresholds[2])
    assert float(one.accuracies[2]) == pytest.approx(1 - float(other.accuracies[2]))


def test_transport_that_tells_nothing_changes_nothing():
    distances, _, same = noisy_pairs(2)
    plain = verify(distances, same, 5, protocol="exact")
    found = blended_verification(distances, torch.full_like(distances, 0.5), same, 5)
    assert found.weights.tolist()[0] == 0.0
    assert found.accuracies.tolist() == plain.accuracies.tolist()


def test_blends_that_cannot_be_are_refused():
    distances, transport, same = noisy_pairs(3)
    for weights in ((), (0.5, 0.1), (0.0, 1.5)):
        with pytest.raises(MongeError, match="expected rising numbers from 0 to 1"):
            blended_verification(distances, transport, same, weights=weights)
    with pytest.raises(MongeError, match="one a pair"):
        blended_verification(distances, transport[1:], same)


@pytest.mark.parametrize("alpha", [0.0, 0.7, 1.0])
def test_shortlists_are_sorted_by_the_blend(alpha):
    queries, gallery, query_maps, maps = (drawn(*a) for a in ((2, 0, (4,)), (9, 1, (4,)), (2, 2), (9, 3)))
    found = rerank(queries, query_maps, gallery, maps, shortlist=5, alpha=alpha)
    for row in range(2):
        arrays = (queries[row].numpy(), query_maps[row].numpy(), gallery.numpy(), maps.numpy())
        assert found.indices[row].tolist() == oracle.reranked(*arrays, shortlist=5, alpha=alpha)
    assert bool((found.distances.diff(dim=1) >= 0).all())
    if alpha == 0:
        assert torch.equal(found.indices, nearest(queries, gallery, 5, distance="cosine").indices)


def test_a_query_of_the_gallery_does_not_find_itself():
    gallery, maps = drawn(6, 4, (4,)), drawn(6, 5)
    found = rerank(gallery[:3], maps[:3], gallery, maps, own_rows=torch.arange(3))
    assert found.indices.shape == (3, 5)
    assert not bool((found.indices == torch.arange(3)[:, None]).any())
    with pytest.raises(MongeError, match="gallery_maps: found 5, expected one of each of 6"):
        rerank(gallery[:3], maps[:3], gallery, maps[1:])
    with pytest.raises(MongeError, match="alpha: found -1"):
        rerank(gallery[:3], maps[:3], gallery, maps, alpha=-1)


@pytest.mark.parametrize("weights", ["uniform", "apc"])
def test_matches_are_the_strongest_of_the_plan(weights):
    maps = drawn(4, 6, (5, 3, 4))
    found = matched_regions(maps[:2], maps[2:], most=6, weights=weights)
    for pair in range(2):
        plan, cost = oracle.plan_and_cost(maps[pair].numpy(), maps[pair + 2].numpy(), 0.05, weights)
        weight = plan * np.maximum(1 - cost, 0)
        np.testing.assert_allclose(found.first_heat[pair].flatten().numpy(), weight.sum(1), atol=2e-3)
        np.testing.assert_allclose(found.second_heat[pair].flatten().numpy(), weight.sum(0), atol=2e-3)
        order = np.argsort(-weight.max(1), kind="stable")[:6]
        np.testing.assert_allclose(found.strength[pair].numpy(), weight.max(1)[order], atol=2e-3)
        here, there = (side[pair] @ torch.tensor([4, 1]) for side in (found.first, found.second))
        np.testing.assert_allclose(weight[here, there], found.strength[pair].numpy(), atol=2e-3)
        assert len(set(here.tolist())) == 6


def test_shifted_maps_match_their_own_positions():
    maps = torch.eye(16, dtype=torch.float64).reshape(1, 16, 4, 4)
    found = matched_regions(maps, maps.roll(1, 3), most=16, weights="uniform")
    expected = found.first[0] + torch.tensor([0, 1])
    assert found.second[0].tolist() == (expected % 4 * torch.tensor([0, 1]) + expected * torch.tensor([1, 0])).tolist()
    assert float(found.strength.sum()) == pytest.approx(1, abs=1e-2)


def test_maps_of_other_channels_are_refused():
    with pytest.raises(MongeError, match="of equal channels"):
        matched_regions(drawn(1, 0, (5, 2, 2)), drawn(1, 0, (6, 2, 2)))
    with pytest.raises(MongeError, match=r"expected floating feature maps \(N, C, H, W\)"):
        transport_distances(torch.zeros(2, 3), torch.tensor([0]), torch.tensor([1]))
    with pytest.raises(MongeError, match="rows 0 to 4, expected rows of the embeddings, 0 to 1"):
        transport_distances(drawn(2, 0), torch.tensor([0, 4]), torch.tensor([1, 1]))


@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
def test_maps_that_are_not_finite_are_refused(broken):
    maps = drawn(3, 0)
    maps[1, 2, 0, 0] = broken
    with pytest.raises(MongeError, match="maps: found a NaN or infinite value"):
        transport_distances(maps, torch.tensor([0, 1]), torch.tensor([2, 2]))
    with pytest.raises(MongeError, match="maps: found a NaN or infinite value"):
        matched_regions(drawn(3, 1), maps)


def test_maps_of_two_precisions_and_narrow_pairs_are_compared():
    maps, other = drawn(4, 0), drawn(4, 1)
    mixed, whole = matched_regions(maps, other.float()), matched_regions(maps, other)
    torch.testing.assert_close(mixed.first_heat, whole.first_heat, atol=2e-3, rtol=0)
    first, second = torch.tensor([0, 3]), torch.tensor([1, 2])
    expected = transport_distances(maps, first, second, other_maps=other)
    found = transport_distances(maps, first.to(torch.uint8), second.to(torch.int16), other_maps=other)
    assert torch.equal(found, expected)
    with pytest.raises(MongeError, match="maps: found none, expected at least one pair"):
        matched_regions(maps[:0], other[:0])
