"""The soft miner: the plan as pair weights, for our loss and for anybody's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from monge.losses import BatchwiseOTLoss, batchwise_ot_weights
from monge.mining import SoftMiner, importance_weights
from oracles import batchwise_ot as oracle


def batch(n: int = 20, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 4, (n,), generator=generator)
    centres = torch.randn(4, 6, generator=generator, dtype=torch.float64)
    return normalize(centres[labels] + torch.randn(n, 6, generator=generator, dtype=torch.float64), dim=1), labels


def test_importance_weights_equal_the_formulas() -> None:
    x, labels = batch()
    same = labels.numpy()[:, None] == labels.numpy()
    off = ~np.eye(20, dtype=bool)
    positive, negative = oracle.pair_costs(x.numpy(), x.numpy(), "hinge_sq_dist", 1.0, 0.0)
    plan = oracle.entropic_plan(np.exp(-10 * np.where(same, positive, negative)), 0.2, off)

    weights = importance_weights(x.requires_grad_(), labels)
    assert not any(part.requires_grad for part in weights)
    assert np.abs(weights.plan.numpy() - plan).sum() < 5e-3  # of a mass of 1, at the default tolerance
    np.testing.assert_allclose(weights.positive.numpy(), positive * (same & off), atol=1e-12)
    np.testing.assert_allclose(weights.negative.numpy(), negative * ~same, atol=1e-12)
    value = 0.5 * (weights.plan * (weights.positive + weights.negative)).sum()
    torch.testing.assert_close(value, BatchwiseOTLoss()(x, labels).detach())


def test_weights_add_up_as_promised() -> None:
    x, labels = batch(seed=1)
    same = labels[:, None] == labels
    positives, negatives = int(same.sum()) - 20, int((~same).sum())
    pairs = SoftMiner()(x, labels)
    assert (pairs.positive.sum() + pairs.negative.sum()).item() == pytest.approx(380, rel=1e-3)
    polarity = SoftMiner(normalize="polarity")(x, labels)
    assert polarity.positive.sum().item() == pytest.approx(positives)
    assert polarity.negative.sum().item() == pytest.approx(negatives)
    mass = SoftMiner(normalize="mass")(x, labels)
    torch.testing.assert_close(mass.positive + mass.negative, batchwise_ot_weights(x, labels).plan)


def test_positive_and_negative_weights_keep_apart() -> None:
    x, labels = batch(seed=2)
    same = labels[:, None] == labels
    for include_self in (False, True):
        weights = SoftMiner(include_self=include_self)(x, labels)
        assert not weights.positive[~same].any()
        assert not weights.negative[same].any()
        assert bool(weights.positive.diagonal().any()) is include_self


def test_a_uniform_plan_weighs_every_pair_one() -> None:
    x, labels = batch(seed=3)
    weights = SoftMiner(epsilon=1e9)(x, labels)
    off = ~torch.eye(20, dtype=torch.bool)
    torch.testing.assert_close((weights.positive + weights.negative)[off], torch.ones(380, dtype=torch.float64))


def test_reference_set() -> None:
    (x, lx), (y, ly) = batch(seed=4), batch(12, seed=5)
    weights = SoftMiner()(x, lx, y, ly)
    assert weights.positive.shape == (20, 12)
    assert (weights.positive + weights.negative).sum().item() == pytest.approx(240, rel=1e-3)


def test_re_weights_any_pair_loss_and_lets_its_gradient_through() -> None:
    x, labels = batch(seed=6)
    x.requires_grad_()
    weights = SoftMiner()(x, labels)
    similarity = x @ x.T
    value = (weights.positive * (1 - similarity) + weights.negative * similarity.clamp_min(0)).sum() / 380
    value.backward()
    assert x.grad.isfinite().all()
    assert x.grad.abs().sum() > 0


def test_degenerate_batches() -> None:
    for points, labels in ((torch.ones(1, 3), [0]), (torch.ones(4, 3), [0, 0, 0, 0]), (torch.eye(3), [0, 1, 2])):
        for normalize_by in ("pairs", "polarity", "mass"):
            weights = SoftMiner(normalize=normalize_by)(points, torch.tensor(labels))
            assert weights.positive.isfinite().all()
            assert weights.negative.isfinite().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"normalize": "mean"}, "polarity"),
        ({"negative": "hinge"}, "negative is one of hinge_sq_dist, dist_hinge_sq, found 'hinge'"),
        ({"margin": 0.0}, "found margin 0.0, gamma"),
        ({"epsilon": -1.0}, "epsilon -1.0"),
        ({"gamma": float("nan")}, "gamma nan"),
        ({"pos_margin": -0.1}, "pos_margin -0.1"),
    ],
)
def test_settings_outside_their_range_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SoftMiner(**options)
    if "normalize" not in options:
        with pytest.raises(ValueError, match=message):
            importance_weights(*batch(), **options)
        with pytest.raises(ValueError, match=message):
            BatchwiseOTLoss(**options)


def test_compiles_whole() -> None:
    torch._dynamo.reset()
    x, labels = batch(seed=7)
    miner = SoftMiner()
    compiled = torch.compile(miner, fullgraph=True, backend="aot_eager")
    for ours, theirs in zip(compiled(x, labels), miner(x, labels), strict=True):
        torch.testing.assert_close(ours, theirs)
