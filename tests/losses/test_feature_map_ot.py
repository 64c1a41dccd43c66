"""Transport between feature maps against loops written from the paper and the released program."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from monge.losses import FeatureMapOTLoss, feature_map_ot_loss
from monge.losses.map_distance import FixedSweeps
from oracles import otface as oracle

VARIANTS = {
    "recommended": {},
    "implicit": {"gradient": "implicit"},
    "mean negatives": {"negatives": "mean"},
    "saliency": {"marginals": "saliency"},
    "channels centred": {"center": "channels"},
    "positions centred": {"center": "positions", "average": "active"},
    "wide": {"epsilon": 1.0, "margin": 0.0},
    "semi-hard": {"alpha": 0.4},
    "fixed sweeps": {"sweeps": FixedSweeps(60), "epsilon": 0.3},
}
each_variant = pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS.keys())


def batch(n: int = 10, channels: int = 6, size: int = 2, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    draw = {"generator": generator, "dtype": torch.float64}
    return (
        torch.randn(n, 4, **draw),
        torch.randint(3, (n,), generator=generator),
        torch.randn(n, channels, size, size, **draw) + 0.4,
    )


def sets_of(maps: Tensor) -> list[np.ndarray]:
    return [part.reshape(len(part), -1).T.numpy() for part in maps]


def expected(embeddings: Tensor, labels: Tensor, sets: list[np.ndarray], options: dict) -> float:
    """The loss by loops over all hard groups."""
    epsilon, margin = options.get("epsilon", 0.1), options.get("margin", 0.1)
    center, linear = options.get("center"), options.get("gradient") == "implicit" or "sweeps" in options

    known: dict[bytes, float] = {}

    def distance(x: np.ndarray, y: np.ndarray) -> float:
        key = x.tobytes() + y.tobytes()
        known[key] = known.get(key) or between(x, y)
        return known[key]

    def between(x: np.ndarray, y: np.ndarray) -> float:
        a, b = (
            oracle.saliency(part) if options.get("marginals") == "saliency" else np.full(len(part), 1 / len(part))
            for part in (x, y)
        )
        return oracle.distances(oracle.cosine_cost(x, y, center), a, b, epsilon)[int(linear)]

    found = oracle.triplets(embeddings.numpy(), labels.numpy(), options.get("alpha", 0.0))
    groups = [(a, p, sets[n]) for _, a, p, n in found]
    if options.get("negatives") == "mean":
        members: dict[tuple[int, int], list[int]] = {}
        for _, a, p, n in found:
            members.setdefault((a, p), []).append(n)
        groups = [(a, p, np.mean([sets[n] for n in rest], 0)) for (a, p), rest in members.items()]
    gaps = [max(0.0, distance(sets[a], sets[p]) - distance(sets[a], far) + margin) for a, p, far in groups]
    if options.get("average") == "active":
        gaps = [gap for gap in gaps if gap > 0]
    return float(np.mean(gaps)) if gaps else 0.0


@each_variant
def test_value_equals_the_formula(options: dict) -> None:
    x, labels, maps = batch(8)
    loss = FeatureMapOTLoss(tol=1e-11, max_groups=10_000, **options)
    assert loss(x, labels, maps).item() == pytest.approx(expected(x, labels, sets_of(maps), options), rel=1e-6)
    assert loss.diagnostics().groups > 5


@pytest.mark.parametrize("quirks", ["released", "corrected"])
def test_released_program(quirks: str) -> None:
    x, labels, maps = batch(8, 5, 3, seed=1)
    loss = FeatureMapOTLoss.preset("released", quirks=quirks)
    if quirks == "corrected":
        loss.solver = loss.solver._replace(tol=1e-11)
    reference = oracle.released_loss(maps.numpy(), x.numpy(), labels.numpy(), transposed=quirks == "corrected")
    assert loss(x, labels, maps).item() == pytest.approx(reference, rel=1e-6)
    other = oracle.released_loss(maps.numpy(), x.numpy(), labels.numpy(), transposed=quirks != "corrected")
    assert abs(reference - other) > 1e-6


@each_variant
def test_gradients_are_exact(options: dict) -> None:
    x, labels, maps = batch(6, 3, seed=2)
    loss = FeatureMapOTLoss(tol=1e-12, max_groups=5, **options)
    assert torch.autograd.gradcheck(lambda m: loss(x, labels, m), (maps.requires_grad_(),))
    assert loss(x, labels, maps) > 0


def test_fixed_plans_gradient_of_the_entropic_value_is_the_plan() -> None:
    x, labels, maps = batch(6, 3, seed=2)
    maps.requires_grad_()
    grads = {}
    for gradient in ("envelope", "implicit"):
        loss = FeatureMapOTLoss(tol=1e-12, max_groups=5, gradient=gradient, epsilon=0.5)
        (grads[gradient],) = torch.autograd.grad(loss(x, labels, maps), maps)
    assert (grads["envelope"] - grads["implicit"]).abs().max() > 1e-4  # two distances, each with its own derivative


@each_variant
@pytest.mark.parametrize("with_mask", [False, True])
def test_ragged_tokens_equal_sets_of_their_own_length(options: dict, with_mask: bool) -> None:
    x, labels, maps = batch(seed=3)
    tokens = maps.flatten(2).transpose(1, 2)
    filled = torch.cat([tokens, torch.full_like(tokens[:, :2], 7.0)], 1)
    mask = torch.zeros(filled.shape[:2], dtype=torch.bool)
    mask[:, :4] = True
    options = {key: value for key, value in options.items() if key != "sweeps" or not with_mask}
    loss = FeatureMapOTLoss(tol=1e-11, **options)
    whole = loss(x, labels, maps)
    torch.testing.assert_close(loss(x, labels, tokens), whole)
    if with_mask:
        padded = filled.clone().requires_grad_()
        value = loss(x, labels, padded, mask)
        torch.testing.assert_close(value, whole)
        value.backward()
        assert torch.equal(padded.grad[:, 4:], torch.zeros_like(padded.grad[:, 4:]))


def test_sets_of_different_lengths() -> None:
    x, labels, maps = batch(7, seed=4)
    tokens = maps.flatten(2).transpose(1, 2)
    mask = torch.ones(tokens.shape[:2], dtype=torch.bool)
    mask[::2, 3] = False
    mask[1::3, 0] = False
    sets = [part[chosen].numpy() for part, chosen in zip(tokens, mask, strict=True)]
    for options in ({}, {"marginals": "saliency"}, {"center": "positions"}):
        loss = FeatureMapOTLoss(tol=1e-11, max_groups=10_000, **options)
        value = loss(x, labels, torch.where(mask.unsqueeze(2), tokens, torch.nan), mask)
        assert value.item() == pytest.approx(expected(x, labels, sets, options), rel=1e-6)


def test_each_pair_of_maps_is_solved_once(monkeypatch) -> None:
    x, labels, maps = batch(12, seed=5)
    sizes = []
    from monge.losses import feature_map_ot

    plain = feature_map_ot.map_distances

    def counting(sets, first, second, solver):
        sizes.append(len(first))
        return plain(sets, first, second, solver)

    monkeypatch.setattr(feature_map_ot, "map_distances", counting)
    FeatureMapOTLoss(max_groups=10_000)(x, labels, maps)
    found = oracle.triplets(x.numpy(), labels.numpy())
    pairs = {tuple(sorted(pair)) for _, a, p, n in found for pair in ((a, p), (a, n))}
    assert sizes == [len(pairs)]
    assert len(pairs) < len(found)


@pytest.mark.parametrize("gradient", ["envelope", "implicit"])
def test_large_batches_are_worked_on_in_blocks(monkeypatch, gradient: str) -> None:
    x, labels, maps = batch(12, seed=6)
    maps.requires_grad_()
    loss = FeatureMapOTLoss(tol=1e-10, gradient=gradient)
    value = loss(x, labels, maps)
    (whole,) = torch.autograd.grad(value, maps)
    monkeypatch.setattr("monge.losses.map_distance._BLOCK", 300)
    blocks = loss(x, labels, maps)
    (parts,) = torch.autograd.grad(blocks, maps)
    torch.testing.assert_close(blocks, value)
    torch.testing.assert_close(parts, whole)


DEGENERATE = {
    "one identity": (torch.randn(4, 3), torch.zeros(4, dtype=torch.long)),
    "no positives": (torch.randn(4, 3), torch.arange(4)),
    "one sample": (torch.randn(1, 3), torch.tensor([0])),
    "no sample": (torch.randn(0, 3), torch.empty(0, dtype=torch.long)),
}


@each_variant
@pytest.mark.parametrize("case", DEGENERATE.values(), ids=DEGENERATE.keys())
def test_without_a_group_it_is_zero_with_a_graph(case: tuple[Tensor, Tensor], options: dict) -> None:
    x, labels = case
    weights = torch.randn(5, 2, 2, requires_grad=True)
    value = FeatureMapOTLoss(**options)(x, labels, weights.expand(len(x), 5, 2, 2))
    value.backward()
    assert value == 0
    assert torch.equal(weights.grad, torch.zeros(5, 2, 2))


MAPS = {
    "zero": torch.zeros(6, 4, 2, 2),
    "identical": torch.ones(6, 4, 2, 2),
    "tiny": torch.full((6, 4, 2, 2), 1e-30),
    "huge": 1e15 * torch.randn(6, 4, 2, 2),
    "one position": torch.randn(6, 4, 1, 1),
    "one channel": torch.randn(6, 1, 2, 2),
}


@each_variant
@pytest.mark.parametrize("maps", MAPS.values(), ids=MAPS.keys())
def test_degenerate_maps_stay_finite(maps: Tensor, options: dict) -> None:
    x, labels = torch.eye(2).repeat(3, 1), torch.tensor([0, 0, 1, 1, 0, 1])
    maps = maps.clone().requires_grad_()
    loss = FeatureMapOTLoss(**options)
    value = loss(x, labels, maps)
    value.backward()
    assert value.isfinite()
    assert maps.grad.isfinite().all()
    assert all(figure.isfinite() for figure in loss.diagnostics())


def test_tokens_that_are_all_masked() -> None:
    x, labels = torch.eye(2).repeat(3, 1), torch.tensor([0, 0, 1, 1, 0, 1])
    tokens = torch.randn(6, 3, 4, requires_grad=True)
    mask = torch.ones(6, 3, dtype=torch.bool)
    mask[2] = False
    for options in ({}, {"marginals": "saliency"}, {"negatives": "mean"}, {"center": "positions"}):
        value = FeatureMapOTLoss(**options)(x, labels, tokens, mask)
        (grad,) = torch.autograd.grad(value, tokens)
        assert value.isfinite()
        assert grad.isfinite().all()


@each_variant
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_equals_float32_of_the_rounded_maps(options: dict, dtype: torch.dtype) -> None:
    x, labels, maps = batch(seed=7)
    low = maps.to(dtype).requires_grad_()
    loss = FeatureMapOTLoss(**options)
    reference = loss(x, labels, low.detach().float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(x.float(), labels, low)
    value.backward()
    assert value.dtype == torch.float32
    assert torch.equal(value, reference)
    assert low.grad.dtype == dtype


@each_variant
def test_order_of_the_batch_does_not_matter(options: dict) -> None:
    x, labels, maps = batch(14, seed=8)
    maps.requires_grad_()
    order = torch.randperm(14)
    loss = FeatureMapOTLoss(tol=1e-11, max_groups=9, **options)
    values = loss(x, labels, maps), loss(x[order], labels[order], maps[order])
    torch.testing.assert_close(*values, rtol=1e-8, atol=0)
    torch.testing.assert_close(*(torch.autograd.grad(value, maps)[0] for value in values), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["recommended", "implicit", "mean negatives"])
def test_compiles_whole_and_once_for_every_mix_of_labels(name: str) -> None:
    torch._dynamo.reset()
    x, labels, maps = (part.float() if part.is_floating_point() else part for part in batch(seed=9))
    maps.requires_grad_()
    loss = FeatureMapOTLoss(max_groups=20, tol=1e-5, **VARIANTS[name])
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    (fused,), (plain,) = (torch.autograd.grad(call(x, labels, maps), maps) for call in (compiled, loss))
    torch.testing.assert_close(fused, plain, rtol=1e-4, atol=1e-5)
    with torch._dynamo.config.patch(error_on_recompile=True):
        for mix in (torch.zeros_like(labels), torch.arange(len(labels)), labels.flip(0)):
            torch.testing.assert_close(compiled(x, mix, maps), loss(x, mix, maps), rtol=1e-4, atol=1e-5)


def test_figures_on_the_groups() -> None:
    x, labels, maps = batch(seed=10)
    loss = FeatureMapOTLoss(max_groups=7, margin=0.0)
    with pytest.raises(RuntimeError, match="not been called"):
        loss.diagnostics()
    loss(x, labels, maps)
    figures = loss.diagnostics()
    assert figures.groups == 7
    assert figures.hard_pairs == len({t[1:3] for t in oracle.triplets(x.numpy(), labels.numpy())})
    assert 0 < figures.active < 1
    assert 0 < figures.positive_distance < 2


def test_formula_of_groups() -> None:
    near, far = torch.tensor([0.5, 0.2, 9.0]), torch.tensor([0.3, 0.4, 0.0])
    valid = torch.tensor([True, True, False])
    assert feature_map_ot_loss(near, far, valid).item() == pytest.approx(0.1)
    assert feature_map_ot_loss(near, far, valid, average="active").item() == pytest.approx(0.2)
    assert feature_map_ot_loss(near, far, valid, margin=0.3).item() == pytest.approx(0.3)
    assert feature_map_ot_loss(near, far, ~valid & False) == 0


@pytest.mark.parametrize(
    "options",
    [
        {"epsilon": 0.0},
        {"max_groups": 0},
        {"negatives": "none"},
        {"center": "mean"},
        {"average": "all"},
        {"sweeps": FixedSweeps(0)},
        {"sweeps": FixedSweeps(5, transposed=False), "negatives": "mean"},
    ],
)
def test_settings_that_do_not_fit(options: dict) -> None:
    with pytest.raises(ValueError, match=r"expected|alone"):
        FeatureMapOTLoss(**options)


def test_presets_that_do_not_exist() -> None:
    for name, quirks in (("2022", "corrected"), ("groups-2020", "released"), ("released", "all")):
        with pytest.raises(ValueError, match="no preset"):
            FeatureMapOTLoss.preset(name, quirks=quirks)


@pytest.mark.parametrize(
    ("maps", "mask", "message"),
    [
        (torch.zeros(3, 4, 2, 2), None, "found 2 embeddings and 3 feature maps"),
        (torch.zeros(2, 4), None, r"expected floats, maps \(N, C, H, W\) or tokens"),
        (torch.zeros(2, 4, 2, 2), torch.ones(2, 4), "a mask belongs to tokens"),
        (torch.zeros(2, 4, 3), torch.ones(2, 3), r"mask has shape \(2, 3\): expected \(2, 4\)"),
    ],
)
def test_shapes_that_do_not_fit(maps: Tensor, mask: Tensor | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FeatureMapOTLoss()(torch.eye(2), torch.tensor([0, 1]), maps, mask)
